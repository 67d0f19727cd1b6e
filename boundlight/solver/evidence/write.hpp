// What is about certificates and no part of the checker: files, the bytes that a solver writes, a verdict in words.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "boundlight/solver/check/check.hpp"

namespace boundlight::check {

// The bytes of a certificate; write them with core's write_file. Precondition: trees are trees, no deeper than kMaxDepth;
// indices that must rise do.
std::string serialize(const Certificate& certificate);

// The nearest stored slope to t (slope_of is the way back).
std::uint16_t quantised_slope(double t, int width);

struct CheckOptions {
  StopToken stop;
  std::uint64_t max_bytes = std::uint64_t{1} << 34;  // of each file
};

// check_bytes on files. Errors: as there, or a file cannot be read.
Result<Verdict> check(const std::filesystem::path& certificate, const std::filesystem::path& model,
                      const std::optional<std::filesystem::path>& spec, const CheckOptions& options = {});

// What the command `check` prints.
std::string text(const Verdict& verdict);

}  // namespace boundlight::check
