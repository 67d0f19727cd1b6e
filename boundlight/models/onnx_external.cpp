#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/uuid/detail/sha1.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"
#include "boundlight/models/onnx_messages.hpp"

namespace boundlight::onnx_reader {
namespace {

struct OpenFile {
  int fd;
  ~OpenFile() { if (fd >= 0) ::close(fd); }
};


struct ByteRange {
  std::string location;
  std::string checksum;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

std::optional<std::uint64_t> unsigned_of(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Result<ByteRange> byte_range(const onnx::TensorProto& tensor, const std::string& place) {
  ByteRange range;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") range.location = entry.value();
    else if (entry.key() == "checksum") range.checksum = entry.value();
    else if (entry.key() == "offset" || entry.key() == "length") {
      const auto number = unsigned_of(entry.value());
      if (!number) return bad_input(place, "external data has the " + entry.key() + " \"" + entry.value() + "\", which is not a number of bytes; export the model again");
      if (entry.key() == "offset") range.offset = *number;
      else range.length = *number;
    }
  }
  if (range.location.empty()) return bad_input(place, "external data has no location; export the model again");
  return range;
}

// Reads [offset, offset + size) of an open regular file whose length was checked.
Result<std::string> read_at(int fd, std::uint64_t offset, std::uint64_t size, const std::string& place) {
  std::string bytes(size, '\0');
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_trouble(place, std::string("cannot read the external data: ") + (n < 0 ? std::strerror(errno) : "the file shrank"));
    done += static_cast<std::uint64_t>(n);
  }
  return bytes;
}

std::string sha1_hex(std::string_view bytes) {
  boost::uuids::detail::sha1 hash;
  hash.process_bytes(bytes.data(), bytes.size());
  boost::uuids::detail::sha1::digest_type digest;
  hash.get_digest(digest);
  std::string text;
  for (const unsigned int word : digest) {
    std::array<char, 9> part{};
    std::snprintf(part.data(), part.size(), "%08x", word);
    text += part.data();
  }
  return text;
}

}  // namespace

Result<std::filesystem::path> ExternalFiles::resolve(const std::string& location, const std::string& place) const {
  const std::string quoted = "\"" + location + "\"";
  if (folder_.empty()) return bad_input(place, "its bytes are in the external file " + quoted + ", which cannot be looked up for a model that was not read from a file");
  const std::filesystem::path relative(location);
  if (location.find('\0') != std::string::npos) return bad_input(place, "the location of its external data holds a zero byte; export the model again");
  if (relative.is_absolute()) return bad_input(place, "the external file " + quoted + " is an absolute path; only files below the model's folder are read");
  for (const auto& part : relative) {
    if (part == "..") return bad_input(place, "the external file " + quoted + " leads out of the model's folder; only files below it are read");
  }
  std::error_code problem;
  const auto root = std::filesystem::canonical(folder_, problem);
  if (problem) return io_trouble(place, "cannot open the model's folder: " + problem.message());
  const auto target = std::filesystem::canonical(root / relative, problem);
  if (problem) return io_trouble(place, "the external file " + quoted + " cannot be opened (" + problem.message() + "); put it beside the model");
  const auto inside = target.lexically_relative(root);
  if (inside.empty() || *inside.begin() == ".." || inside == ".") {
    return bad_input(place, "the external file " + quoted + " is a link that leads out of the model's folder; copy the file there");
  }
  return target;
}

Result<void> ExternalFiles::verify_checksum(const std::filesystem::path& path, const std::string& expected,
                                            const std::string& place) {
  auto [entry, fresh] = sha1_.try_emplace(path.string());
  if (fresh) {
    BL_TRY(bytes, read_file(path, std::uint64_t{1} << 34));
    entry->second = sha1_hex(bytes);
  }
  if (entry->second != expected) return bad_input(place, "the external file \"" + path.filename().string() + "\" has the SHA-1 " + entry->second + ", the model expects " + expected + "; fetch both again");
  return {};
}

Result<std::string> ExternalFiles::read(const onnx::TensorProto& tensor, std::uint64_t needed, const std::string& place) {
  BL_TRY(range, byte_range(tensor, place));
  BL_TRY(path, resolve(range.location, place));
  const std::string quoted = "\"" + range.location + "\"";
  if (range.length && *range.length != needed) {
    return bad_input(place, "external data has " + std::to_string(*range.length) + " bytes, its shape needs " + std::to_string(needed) + "; export the model again");
  }
  // The path holds no links any more; O_NONBLOCK keeps a pipe put there from blocking.
  OpenFile file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (file.fd < 0) return io_trouble(place, "cannot open the external file " + quoted + ": " + std::strerror(errno));
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return io_trouble(place, "cannot read the size of the external file " + quoted + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return bad_input(place, "the external file " + quoted + " is not a regular file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (range.offset > size || needed > size - range.offset) {
    return bad_input(place, "the external file " + quoted + " has " + std::to_string(size) + " bytes, too few for " + std::to_string(needed) + " bytes from offset " + std::to_string(range.offset) + "; fetch it again");
  }
  if (needed > budget_) return too_big(place, "the model and its external data have more bytes than the cap allows");
  budget_ -= needed;
  if (!range.checksum.empty()) BL_CHECK(verify_checksum(path, range.checksum, place));
  return read_at(file.fd, range.offset, needed, place);
}

}  // namespace boundlight::onnx_reader
