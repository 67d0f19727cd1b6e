// .npz: a zip archive of .npy members. The central directory is read (APPNOTE 4.3.12, zip64 4.5.3), then one member.
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "boundlight/models/array.hpp"
#include "boundlight/models/errors.hpp"

namespace boundlight {
namespace {

struct Member {
  std::string name;
  std::uint64_t offset = 0;  // of the local header
  std::uint64_t packed = 0;
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
};

// Little-endian numbers of a byte string; out of range reads set `failed` and give 0.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number(std::uint64_t at, unsigned width) {
    if (at > bytes_.size() || width > bytes_.size() - at) { failed = true; return 0; }
    std::uint64_t value = 0;
    for (unsigned i = width; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes_[at + i]);
    return value;
  }
  std::string_view text(std::uint64_t at, std::uint64_t length) {
    if (at > bytes_.size() || length > bytes_.size() - at) { failed = true; return {}; }
    return bytes_.substr(at, length);
  }
  std::uint64_t size() const { return bytes_.size(); }
  bool failed = false;

 private:
  std::string_view bytes_;
};

Error damaged(const std::string& source, const char* what) {
  return bad_input(source, std::string("is a damaged .npz file (") + what + "); save it again");
}

constexpr std::uint32_t kEndMark = 0x06054B50, kEnd64Mark = 0x06064B50, kLocator64Mark = 0x07064B50;
constexpr std::uint32_t kEntryMark = 0x02014B50, kLocalMark = 0x04034B50;

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t entries = 0;
};

Result<Directory> find_directory(Bytes& file, std::string_view bytes, const std::string& source) {
  constexpr std::uint64_t kEndSize = 22, kMostComment = 65535;
  if (file.size() < kEndSize) return damaged(source, "cut short");
  const std::uint64_t last = file.size() - kEndSize;
  const std::uint64_t first = last > kMostComment ? last - kMostComment : 0;
  for (std::uint64_t at = last + 1; at-- > first;) {
    if (bytes.substr(at, 4) != "PK\x05\x06" || at + kEndSize + file.number(at + 20, 2) != file.size()) continue;
    Directory directory{file.number(at + 16, 4), file.number(at + 10, 2)};
    if (at >= 20 && file.number(at - 20, 4) == kLocator64Mark) {
      const auto end64 = file.number(at - 12, 8);
      if (file.number(end64, 4) != kEnd64Mark) return damaged(source, "its zip64 directory is missing");
      directory = {file.number(end64 + 48, 8), file.number(end64 + 32, 8)};
    }
    if (file.failed) return damaged(source, "its directory is cut short");
    return directory;
  }
  return damaged(source, "its directory is missing, the file is cut short or no .npz file");
}

// Numbers that did not fit 32 bits are in an extra field, in a fixed order, only those that are needed.
bool read_zip64(Bytes& file, std::uint64_t at, std::uint64_t length, Member& member) {
  const std::uint64_t end = at + length;
  while (at + 4 <= end) {
    const auto id = file.number(at, 2);
    const auto size = file.number(at + 2, 2);
    if (id == 1) {
      std::uint64_t field = at + 4;
      for (std::uint64_t* value : {&member.size, &member.packed, &member.offset}) {
        if (*value != 0xFFFFFFFF) continue;
        if (field + 8 > at + 4 + size) return false;
        *value = file.number(field, 8);
        field += 8;
      }
      return true;
    }
    at += 4 + size;
  }
  return true;
}

Result<std::vector<Member>> read_directory(std::string_view bytes, const std::string& source) {
  if (bytes.empty()) return bad_input(source, "is empty; save the arrays again");
  Bytes file(bytes);
  BL_TRY(directory, find_directory(file, bytes, source));
  std::vector<Member> members;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (file.number(at, 4) != kEntryMark) return damaged(source, "its directory cannot be read");
    Member m;
    m.flags = static_cast<std::uint16_t>(file.number(at + 8, 2));
    m.method = static_cast<std::uint16_t>(file.number(at + 10, 2));
    m.crc = static_cast<std::uint32_t>(file.number(at + 16, 4));
    m.packed = file.number(at + 20, 4);
    m.size = file.number(at + 24, 4);
    m.offset = file.number(at + 42, 4);
    const auto name = file.number(at + 28, 2), extra = file.number(at + 30, 2), comment = file.number(at + 32, 2);
    m.name = file.text(at + 46, name);
    if (!read_zip64(file, at + 46 + name, extra, m) || file.failed) return damaged(source, "its directory is cut short");
    if (m.name.ends_with(".npy")) m.name.resize(m.name.size() - 4);
    members.push_back(std::move(m));
    at += 46 + name + extra + comment;
  }
  return members;
}

Result<std::string> inflate_member(std::string_view packed, std::uint64_t size, const std::string& source) {
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  struct Finish {
    z_stream* stream;
    ~Finish() { inflateEnd(stream); }
  } finish{&stream};
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 30;  // the library counts in 32 bits
  std::uint64_t in = 0, made = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    const auto give = static_cast<uInt>(std::min(kBlock, packed.size() - in));
    const auto room = static_cast<uInt>(std::min(kBlock, size - made));
    Bytef none = 0;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + in));
    stream.avail_in = give;
    stream.next_out = room > 0 ? reinterpret_cast<Bytef*>(out.data() + made) : &none;
    stream.avail_out = room;
    state = inflate(&stream, Z_NO_FLUSH);
    in += give - stream.avail_in;
    made += room - stream.avail_out;
  }
  if (state != Z_STREAM_END || made != size || in != packed.size()) return damaged(source, "its compressed data cannot be read");
  return out;
}

Result<std::string> unpack(std::string_view bytes, const Member& member, const std::string& source, const ArrayOptions& options) {
  Bytes file(bytes);
  if ((member.flags & 1U) != 0) return unsupported(source, "is encrypted, which is not supported; save it without a password");
  if (file.number(member.offset, 4) != kLocalMark) return damaged(source, "a member's header is missing");
  const auto data = member.offset + 30 + file.number(member.offset + 26, 2) + file.number(member.offset + 28, 2);
  const auto packed = file.text(data, member.packed);
  if (file.failed) return damaged(source, "cut short");
  if (member.size > options.max_bytes) return too_big(source, "the array has " + std::to_string(member.size) + " bytes, more than the cap of " + std::to_string(options.max_bytes));
  std::string raw;
  if (member.method == 0) {
    if (member.size != member.packed) return damaged(source, "a stored member has two sizes");
    raw = packed;
  } else if (member.method == 8) {
    if (member.size / 1032 > member.packed) return damaged(source, "too few bytes for its size");  // deflate's best ratio
    BL_TRY(made, inflate_member(packed, member.size, source));
    raw = std::move(made);
  } else {
    return unsupported(source, "is packed by zip method " + std::to_string(member.method) + ", which is not supported; save it with numpy.savez_compressed");
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(raw.data()), raw.size()) != member.crc) return damaged(source, "its checksum is wrong");
  return raw;
}

std::string name_list(const std::vector<Member>& members) {
  std::string text;
  for (std::size_t i = 0; i < members.size() && i < 8; ++i) text += (i ? ", " : "") + members[i].name;
  return text + (members.size() > 8 ? " ..." : "");
}

void put(std::string& bytes, std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 255U);
}

// The fields that local headers and directory entries share: version, flags, method, time, date, crc, sizes, name, extra.
void put_common(std::string& bytes, std::uint32_t crc, std::uint64_t size, std::size_t name) {
  put(bytes, 20, 2);
  put(bytes, 0, 2);
  put(bytes, 0, 2);
  put(bytes, 0, 2);
  put(bytes, 0x21, 2);  // 1 January 1980: the same arrays give the same bytes
  put(bytes, crc, 4);
  put(bytes, size, 4);
  put(bytes, size, 4);
  put(bytes, name, 2);
  put(bytes, 0, 2);
}

}  // namespace

Result<std::vector<std::string>> list_npz(std::string_view bytes, const std::string& source) {
  BL_TRY(members, read_directory(bytes, source));
  std::vector<std::string> names;
  for (auto& m : members) names.push_back(std::move(m.name));
  return names;
}

Result<Tensor> decode_npz(std::string_view bytes, const std::string& member, const std::string& source, const ArrayOptions& options) {
  BL_TRY(members, read_directory(bytes, source));
  if (members.empty()) return bad_input(source, "holds no arrays; save it again");
  if (member.empty() && members.size() > 1) return bad_input(source, "holds several arrays (" + name_list(members) + "); name one as FILE.npz:NAME");
  const auto named = [&](const Member& m) { return member.empty() || m.name == member; };
  const auto found = std::find_if(members.begin(), members.end(), named);
  if (found == members.end()) return bad_input(source, "holds no array \"" + member + "\"; it has " + name_list(members));
  const std::string where = source + ":" + found->name;
  if (std::count_if(members.begin(), members.end(), named) > 1) return bad_input(where, "is there more than once; save the arrays again");
  BL_TRY(raw, unpack(bytes, *found, where, options));
  return decode_npy(raw, where, options);
}

Result<std::string> encode_npz(const std::vector<std::pair<std::string, Tensor>>& members) {
  std::string file, directory;
  for (const auto& [name, array] : members) {
    const std::string data = encode_npy(array);
    const std::string full = name + ".npy";
    demand(full.size() <= 65535, "encode_npz: a name of " + std::to_string(full.size()) + " bytes");
    if (file.size() + data.size() + directory.size() >= std::uint64_t{0xFFFF0000}) return too_big(name, "the .npz file would pass 4 GiB; write the arrays as .npy files");
    const auto crc = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
    put(directory, kEntryMark, 4);
    put(directory, 20, 2);
    put_common(directory, crc, data.size(), full.size());
    put(directory, 0, 2);  // comment
    put(directory, 0, 2);  // disk
    put(directory, 0, 2);  // internal attributes
    put(directory, 0, 4);  // external attributes
    put(directory, file.size(), 4);
    directory += full;
    put(file, kLocalMark, 4);
    put_common(file, crc, data.size(), full.size());
    file += full + data;
  }
  demand(members.size() < 65535, "encode_npz: too many arrays");
  const auto start = file.size();
  file += directory;
  put(file, kEndMark, 4);
  put(file, 0, 4);  // disks
  put(file, members.size(), 2);
  put(file, members.size(), 2);
  put(file, directory.size(), 4);
  put(file, start, 4);
  put(file, 0, 2);
  return file;
}

}  // namespace boundlight
