#include "boundlight/core/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace boundlight {
namespace {

Error io_error(const std::filesystem::path& path, const std::string& what) {
  return {ErrorKind::io, path.string(), what};
}

std::string reason() { return std::strerror(errno); }

// Closes on every way out.
struct Descriptor {
  int fd;
  ~Descriptor() { if (fd >= 0) ::close(fd); }
};

Result<void> write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, "cannot write: " + reason());
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(path, "cannot open the file: " + reason());
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return io_error(path, "cannot read the file's size: " + reason());
  if (S_ISDIR(info.st_mode)) return io_error(path, "is a directory; name a file");
  std::string bytes;
  if (S_ISREG(info.st_mode)) {
    if (static_cast<std::uint64_t>(info.st_size) > max_bytes)
      return Error{ErrorKind::out_of_memory, path.string(), "the file has " + std::to_string(info.st_size) + " bytes, more than the cap of " + std::to_string(max_bytes)};
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  }
  std::array<char, 1 << 16> block;
  for (;;) {
    const ssize_t n = ::read(file.fd, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, "cannot read: " + reason());
    if (n == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(n));
    if (bytes.size() > max_bytes)
      return Error{ErrorKind::out_of_memory, path.string(), "the file has more bytes than the cap of " + std::to_string(max_bytes)};
  }
}

namespace {

// A device, a pipe or a terminal is written to, not replaced.
Result<void> write_through(const std::filesystem::path& path, std::string_view bytes) {
  Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(path, "cannot open the file: " + reason());
  return write_all(file.fd, bytes, path);
}

}  // namespace

Result<void> write_file(const std::filesystem::path& named, std::string_view bytes) {
  struct stat info{};
  const bool there = ::stat(named.c_str(), &info) == 0;
  if (there && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return write_through(named, bytes);
  std::error_code none;
  const std::filesystem::path linked = there ? std::filesystem::canonical(named, none) : named;  // of a link, what it leads to
  const std::filesystem::path& path = none ? named : linked;
  const std::filesystem::path aside = path.string() + ".part-" + std::to_string(::getpid());
  {
    Descriptor file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (file.fd < 0) return io_error(path, "cannot create the file: " + reason());
    auto written = write_all(file.fd, bytes, path);
    if (written.ok() && ::fsync(file.fd) != 0 && errno != EINVAL && errno != EROFS) written = io_error(path, "cannot write: " + reason());
    if (!written.ok()) {
      ::unlink(aside.c_str());
      return written;
    }
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) {
    const auto error = io_error(path, "cannot put the finished file in place: " + reason());
    ::unlink(aside.c_str());
    return error;
  }
  return {};
}

std::uint64_t physical_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size) : 0;
}

}  // namespace boundlight
