#include "boundlight/models/array.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"
#include "boundlight/models/npy_header.hpp"

namespace boundlight {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() { if (fd >= 0) ::close(fd); }
};

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<AxisPart> axis_part(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  AxisPart part;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    part.single = true;
    part.begin = whole(text);
    return part.begin ? std::optional(part) : std::nullopt;
  }
  const auto from = text.substr(0, colon), to = text.substr(colon + 1);
  part.begin = whole(from);
  part.end = whole(to);
  if ((!from.empty() && !part.begin) || (!to.empty() && !part.end)) return std::nullopt;
  return part;
}

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// A part on an axis of `size` entries. Ranges are clipped to it as in NumPy; single entries must exist.
std::optional<Range> settle(const AxisPart& part, std::int64_t size) {
  const auto from_end = [size](std::int64_t i) { return i < 0 ? i + size : i; };
  if (part.single) {
    const std::int64_t i = from_end(*part.begin);
    return i < 0 || i >= size ? std::nullopt : std::optional(Range{i, i + 1});
  }
  const std::int64_t begin = std::clamp<std::int64_t>(from_end(part.begin.value_or(0)), 0, size);
  const std::int64_t end = std::clamp<std::int64_t>(from_end(part.end.value_or(size)), 0, size);
  return Range{begin, std::max(begin, end)};
}

Error out_of_range(const std::string& source, const AxisPart& part, std::size_t axis, std::int64_t size) {
  return bad_input(source, "entry " + std::to_string(*part.begin) + " of axis " + std::to_string(axis) + " is asked for, which has " + std::to_string(size) + " entries (counted from 0)");
}

Result<std::string> read_range(int fd, std::uint64_t offset, std::uint64_t size, const std::string& source) {
  std::string bytes(size, '\0');
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_trouble(source, std::string("cannot read: ") + (n < 0 ? std::strerror(errno) : "the file shrank"));
    done += static_cast<std::uint64_t>(n);
  }
  return bytes;
}

// An .npy file in row order: reads only the wanted entries of the first axis. Nothing when it has to be read whole.
Result<std::optional<Tensor>> load_entries(const std::filesystem::path& path, const std::vector<AxisPart>& parts,
                                           const std::string& source, const ArrayOptions& options) {
  const std::optional<Tensor> whole_file;
  if (parts.empty()) return whole_file;
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info{};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) return whole_file;  // its errors are told there
  const auto size = static_cast<std::uint64_t>(info.st_size);
  BL_TRY(head, read_range(file.fd, 0, std::min<std::uint64_t>(size, kMostNpyHeader + 12), source));
  BL_TRY(header, read_npy_header(head, source));
  if (header.fortran || header.shape.empty() || size - header.data_offset != header.data_bytes || header.data_bytes == 0) return whole_file;
  const auto range = settle(parts[0], header.shape[0]);
  if (!range) return out_of_range(source, parts[0], 0, header.shape[0]);
  const std::uint64_t entry = header.data_bytes / static_cast<std::uint64_t>(header.shape[0]);
  const std::uint64_t wanted = entry * static_cast<std::uint64_t>(range->end - range->begin);
  if (wanted > options.max_bytes) return too_big(source, "the array has " + std::to_string(wanted) + " bytes, more than the cap of " + std::to_string(options.max_bytes));
  BL_TRY(data, read_range(file.fd, header.data_offset + entry * static_cast<std::uint64_t>(range->begin), wanted, source));
  Shape shape = header.shape;
  shape[0] = range->end - range->begin;
  const Tensor entries = npy_tensor(header, std::move(shape), std::move(data));
  std::vector<AxisPart> rest = parts;
  rest[0] = parts[0].single ? AxisPart{true, 0, {}} : AxisPart{};
  BL_TRY(part, take_part(entries, rest, source));
  return std::optional(part);
}

}  // namespace

Result<ArrayAddress> parse_array_address(std::string_view text) {
  const std::string source(text.empty() ? "array address" : text);
  ArrayAddress address;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(text, ignored)) {
    address.file = text;
    return address;
  }
  if (text.ends_with("]")) {
    const auto open = text.rfind('[');
    if (open == std::string_view::npos) return bad_input(source, "has a ] without a [; write FILE.npy[3] or FILE.npz:NAME[0:100]");
    std::string_view inside = text.substr(open + 1, text.size() - open - 2);
    for (;;) {
      const auto comma = inside.find(',');
      const auto part = axis_part(inside.substr(0, comma));
      if (!part) return bad_input(source, "has an index that is not understood; write FILE.npy[3] or FILE.npz:NAME[0:100]");
      address.parts.push_back(*part);
      if (comma == std::string_view::npos) break;
      inside.remove_prefix(comma + 1);
    }
    text = text.substr(0, open);
  }
  const auto colon = text.find(".npz:");
  if (colon != std::string_view::npos) {
    address.member = text.substr(colon + 5);
    text = text.substr(0, colon + 4);
    if (address.member.ends_with(".npy")) address.member.resize(address.member.size() - 4);
    if (address.member.empty()) return bad_input(source, "names no array after the colon; write FILE.npz:NAME");
  }
  if (text.empty()) return bad_input(source, "names no file; write FILE.npy, FILE.npz:NAME or FILE.csv");
  address.file = text;
  return address;
}

Result<Tensor> take_part(const Tensor& array, const std::vector<AxisPart>& parts, const std::string& source) {
  if (parts.empty()) return array;
  const Shape& shape = array.shape();
  if (parts.size() > shape.size()) return bad_input(source, "is indexed on " + std::to_string(parts.size()) + " axes, but its shape is " + to_string(shape));
  std::vector<Range> ranges;
  Shape kept;
  for (std::size_t a = 0; a < shape.size(); ++a) {
    const auto range = a < parts.size() ? settle(parts[a], shape[a]) : Range{0, shape[a]};
    if (!range) return out_of_range(source, parts[a], a, shape[a]);
    ranges.push_back(*range);
    if (a >= parts.size() || !parts[a].single) kept.push_back(range->end - range->begin);
  }
  // Runs of the last cut axis and everything behind it lie together in memory.
  const std::size_t width = size_of(array.type());
  std::size_t run = width;
  for (std::size_t a = parts.size(); a < shape.size(); ++a) run *= static_cast<std::size_t>(shape[a]);
  const std::size_t cut = parts.size() - 1;
  const std::size_t length = run * static_cast<std::size_t>(ranges[cut].end - ranges[cut].begin);
  std::string data;
  data.reserve(static_cast<std::size_t>(*element_count(kept)) * width);
  Shape at;
  for (std::size_t a = 0; a < cut; ++a) at.push_back(ranges[a].begin);
  bool more = element_count(kept) != 0;
  while (more) {
    std::size_t offset = 0;
    for (std::size_t a = 0; a < cut; ++a) offset = (offset + static_cast<std::size_t>(at[a])) * static_cast<std::size_t>(shape[a + 1]);
    data += array.bytes().substr((offset + static_cast<std::size_t>(ranges[cut].begin)) * run, length);
    more = false;
    for (std::size_t a = cut; a-- > 0 && !more;) {
      more = ++at[a] < ranges[a].end;
      if (!more) at[a] = ranges[a].begin;
    }
  }
  return Tensor(array.type(), kept, std::move(data));
}

Result<Tensor> load_array(std::string_view text, const ArrayOptions& options) {
  BL_TRY(address, parse_array_address(text));
  const std::string source = address.file.string();
  const std::string extension = address.file.extension().string();
  if (!address.member.empty() && extension != ".npz") return bad_input(source, "is not an .npz file and has no named arrays");
  if (extension == ".npy") {
    BL_TRY(entries, load_entries(address.file, address.parts, source, options));
    if (entries) return std::move(*entries);
  }
  BL_TRY(bytes, read_file(address.file, options.max_bytes));
  const auto decode = [&]() -> Result<Tensor> {
    if (extension == ".npz" || bytes.starts_with("PK\x03\x04")) return decode_npz(bytes, address.member, source, options);
    if (extension == ".csv" || extension == ".txt" || extension == ".tsv") return decode_csv(bytes, source);
    if (extension == ".npy" || bytes.starts_with("\x93NUMPY")) return decode_npy(bytes, source, options);
    return bad_input(source, "is no array file that is known; give .npy, .npz or .csv");
  };
  BL_TRY(array, decode());
  return take_part(array, address.parts, source + (address.member.empty() ? "" : ":" + address.member));
}

}  // namespace boundlight
