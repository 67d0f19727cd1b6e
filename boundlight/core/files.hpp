// Files: whole-file reading with a size cap, writing that never leaves half a file, and SHA-256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight {

// The bytes of a regular file of at most `max_bytes`. Errors: io (missing, directory, unreadable), out_of_memory (too big).
Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 34);

// Writes beside `path` (of a link: beside what it leads to) and renames over it, so that a reader sees the old file or the new one
// and never a part. Devices, pipes and terminals are written to.
Result<void> write_file(const std::filesystem::path& path, std::string_view bytes);

// Bytes of memory of this machine; 0 when the system does not say.
std::uint64_t physical_memory();

// Lower-case hexadecimal SHA-256 (FIPS 180-4).
std::string sha256_hex(std::string_view bytes);

}  // namespace boundlight
