// Arrays: files are put together byte by byte here, after the formats' descriptions.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/models/array.hpp"
#include "support/errors.hpp"
#include "support/folders.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string npy_raw(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  const auto n = header.size();
  bytes += static_cast<char>(n & 255);
  bytes += static_cast<char>(n >> 8);
  if (version > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& data, bool fortran = false, int version = 1) {
  return npy_raw("{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }   \n", data, version);
}

void put(std::string& s, std::uint64_t v, int width) {
  for (int i = 0; i < width; ++i) s += static_cast<char>(v >> (8 * i) & 255);
}

struct ZipMember {
  std::string name, data;
  int method = 8;
  bool zip64 = false;
  std::uint64_t claimed_size = ~std::uint64_t{0};  // instead of the true one
  int flags = 0;
};

std::string raw_deflate(const std::string& data) {
  std::string out(compressBound(data.size()) + 64, '\0');
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string zip(const std::vector<ZipMember>& members) {
  std::string file, directory;
  for (const auto& m : members) {
    const std::string packed = m.method == 8 ? raw_deflate(m.data) : m.data;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(m.data.data()), static_cast<uInt>(m.data.size()));
    const auto size = m.claimed_size == ~std::uint64_t{0} ? m.data.size() : m.claimed_size;
    const auto offset = file.size();
    const auto common = [&](std::string& s, bool big) {
      put(s, 45, 2), put(s, m.flags, 2), put(s, m.method, 2), put(s, 0, 4), put(s, crc, 4);
      put(s, big ? 0xFFFFFFFF : packed.size(), 4), put(s, big ? 0xFFFFFFFF : size, 4), put(s, m.name.size(), 2);
    };
    put(file, 0x04034B50, 4);
    common(file, false);
    put(file, 4, 2);
    file += m.name + "EXTR" + packed;
    put(directory, 0x02014B50, 4);
    put(directory, 45, 2);
    common(directory, m.zip64);
    std::string extra;
    if (m.zip64) {
      put(extra, 0x7777, 2), put(extra, 1, 2), put(extra, 0, 1);  // someone else's field first
      put(extra, 1, 2), put(extra, 24, 2), put(extra, size, 8), put(extra, packed.size(), 8), put(extra, offset, 8);
    }
    put(directory, extra.size(), 2), put(directory, 3, 2), put(directory, 0, 2), put(directory, 0, 6);
    put(directory, m.zip64 ? 0xFFFFFFFF : offset, 4);
    directory += m.name + extra + "cmt";
  }
  const auto start = file.size();
  file += directory;
  put(file, 0x06054B50, 4), put(file, 0, 4), put(file, members.size(), 2), put(file, members.size(), 2);
  put(file, directory.size(), 4), put(file, start, 4), put(file, 4, 2);
  return file + "note";
}

Tensor decoded_array(const std::string& bytes) {
  const auto t = decode_npy(bytes, "a.npy");
  INFO((t.ok() ? "" : t.error().text()));
  REQUIRE(t.ok());
  return *t;
}

using Doubles = std::vector<double>;

}  // namespace

TEST_CASE("npy: element types, orders and versions") {
  CHECK(decoded_array(npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4}))).to_doubles() == Doubles{1, 2, 3, 4});
  CHECK(decoded_array(npy("<f8", "(3,)", bytes_of<double>({1, 2, 0.1}), false, 2)).to_doubles() == Doubles{1, 2, 0.1});
  CHECK(decoded_array(npy("<f2", "(2,)", bytes_of<std::uint16_t>({0x3C00, 0xC000}), false, 3)).to_doubles() == Doubles{1, -2});
  CHECK(decoded_array(npy("|u1", "(2,)", "\xff\x01")).to_doubles() == Doubles{255, 1});
  CHECK(decoded_array(npy("|i1", "(2,)", "\xff\x01")).to_doubles() == Doubles{-1, 1});
  CHECK(decoded_array(npy("|b1", "(3,)", std::string("\0\1\5", 3))).type() == DataType::boolean);
  CHECK(decoded_array(npy("<i8", "()", bytes_of<std::int64_t>({-5}))).to_int64s() == std::vector<std::int64_t>{-5});
  CHECK(decoded_array(npy("<u2", "(0, 3)", "")).shape() == Shape{0, 3});
  CHECK(decoded_array(npy(">u2", "(2,)", std::string("\0\1\1\0", 4))).to_doubles() == Doubles{1, 256});
  CHECK(decoded_array(npy(">f4", "(1,)", std::string("\x3f\x80\0\0", 4))).to_doubles() == Doubles{1});
  CHECK(decoded_array(npy("=i4", "(1L,)", bytes_of<std::int32_t>({7}))).to_doubles() == Doubles{7});
  const auto columns = decoded_array(npy("<f4", "(2, 3)", bytes_of<float>({1, 4, 2, 5, 3, 6}), true));
  CHECK(columns.to_doubles() == Doubles{1, 2, 3, 4, 5, 6});
  std::vector<std::uint8_t> cube(24);  // value = index in row order of 2x3x4, stored with the first axis fastest
  for (int i = 0; i < 2; ++i) for (int j = 0; j < 3; ++j) for (int k = 0; k < 4; ++k) cube[static_cast<std::size_t>(i + 2 * j + 6 * k)] = static_cast<std::uint8_t>((i * 3 + j) * 4 + k);
  const auto rows = decoded_array(npy("|u1", "(2, 3, 4)", bytes_of(cube), true)).to_int64s();
  for (int i = 0; i < 24; ++i) CHECK(rows[static_cast<std::size_t>(i)] == i);
  CHECK(decoded_array(npy_raw("{\"shape\": (2), \"descr\":\"|u1\" ,\"fortran_order\":False}", "ab")).size() == 2);
}

TEST_CASE("npy: what is damaged or not supported is refused") {
  const auto refused = [](const std::string& bytes, const std::string& words, ErrorKind kind = ErrorKind::bad_input) {
    check_refused(decode_npy(bytes, "dir/a.npy"), "dir/a.npy", words, kind);
  };
  refused("", "empty");
  refused("not numpy", "not an .npy");
  refused("\x93NUMPY", "cut short");
  refused("\x93NUMPY\x01", "cut short");
  refused(npy("<f4", "(2,)", "1234567"), "has 7 bytes of data, 2 of float32 needs 8");
  refused(npy("<f4", "(2,)", "123456789"), "needs 8");
  refused(npy("<f4", "(-2,)", ""), "negative");
  refused(npy("<f4", "(4611686018427387904, 4)", ""), "more elements");
  refused(npy("<f4", "(99999999999999999999,)", ""), "header cannot be read");
  refused(npy("<f4", "(1099511627776,)", "abcd"), "has 4 bytes");
  refused(npy("<f4", "(1", "abcd"), "header cannot be read");
  refused(npy_raw("{'descr': '<f4'}", "abcd"), "incomplete");
  refused(npy_raw("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd"), "records", ErrorKind::unsupported);
  refused(npy("|O", "(1,)", "abcd"), "Python objects", ErrorKind::unsupported);
  refused(npy("<U3", "(1,)", "abcd"), "\"<U3\"", ErrorKind::unsupported);
  refused(npy("<c8", "(1,)", "abcdefgh"), "<c8", ErrorKind::unsupported);
  refused(npy("", "(1,)", "a"), "type \"\"", ErrorKind::unsupported);
  refused(npy("<f4", "(1,)", "abcd", false, 4), "version 4", ErrorKind::unsupported);
  refused(npy_raw("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}", "abcd"), "header cannot be read");
  check_refused(decode_npy(npy("|u1", "(4,)", "abcd"), "a.npy", {.max_bytes = 3}), "a.npy", "cap of 3", ErrorKind::out_of_memory);

  const std::string whole = npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4}), true);
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(decode_npy(whole.substr(0, n), "a.npy").ok());
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const auto t = decode_npy(flipped, "a.npy");
    if (t.ok()) CHECK(t->bytes().size() == static_cast<std::size_t>(t->size()) * size_of(t->type()));
  }
}

TEST_CASE("npz: stored, deflated, zip64") {
  const std::string a = npy("<f4", "(2,)", bytes_of<float>({1, 2}));
  const std::string b = npy("|u1", "(1000,)", std::string(1000, 'x'));
  const std::string file = zip({{"a.npy", a, 0}, {"b.npy", b, 8, true}, {"deep/c.npy", a, 8}});
  const auto names = list_npz(file, "f.npz");
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"a", "b", "deep/c"});
  for (const char* name : {"a", "deep/c"}) {
    const auto t = decode_npz(file, name, "f.npz");
    REQUIRE(t.ok());
    CHECK(t->to_doubles() == Doubles{1, 2});
  }
  const auto t = decode_npz(file, "b", "f.npz");
  REQUIRE(t.ok());
  CHECK(t->to_doubles() == Doubles(1000, 'x'));
  CHECK(decode_npz(zip({{"only.npy", a}}), "", "f.npz").ok());
}

TEST_CASE("npz: what is damaged is refused") {
  const std::string a = npy("<f4", "(2,)", bytes_of<float>({1, 2}));
  const auto refused = [&](const std::string& file, const std::string& words, const std::string& member = "a", ErrorKind kind = ErrorKind::bad_input) {
    check_refused(decode_npz(file, member, "f.npz"), "f.npz", words, kind);
  };
  refused("", "empty");
  refused("PK", "cut short");
  refused(std::string(100, 'x'), "no .npz file");
  refused(zip({{"a.npy", a}}), "holds no array \"z\"; it has a", "z");
  refused(zip({{"a.npy", a}, {"b.npy", a}}), "several arrays (a, b)", "");
  refused(zip({}), "holds no arrays", "");
  refused(zip({{"a.npy", a}, {"a.npy", a}}), "more than once");
  refused(zip({{"a.npy", a, 12}}), "zip method 12", "a", ErrorKind::unsupported);
  refused(zip({{"a.npy", a, 8, false, ~std::uint64_t{0}, 1}}), "encrypted", "a", ErrorKind::unsupported);
  refused(zip({{"a.npy", a, 8, true, std::uint64_t{1} << 32}}), "too few bytes for its size");
  refused(zip({{"a.npy", a, 8, true, std::uint64_t{1} << 60}}), "cap", "a", ErrorKind::out_of_memory);
  refused(zip({{"a.npy", a, 8, false, a.size() + 1}}), "compressed data");
  refused(zip({{"a.npy", a, 8, false, a.size() - 1}}), "compressed data");
  refused(zip({{"a.npy", a, 0, false, 5}}), "two sizes");
  refused(zip({{"a.npy", "hello", 0}}), "not an .npy");
  std::string crc = zip({{"a.npy", a, 0}});
  crc[80] = static_cast<char>(crc[80] ^ 1);
  refused(crc, "checksum");
  const std::string whole = zip({{"a.npy", a, 0}, {"b.npy", a, 8, true}});
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(decode_npz(whole.substr(0, n), "b", "f.npz").ok());
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    for (const char* member : {"a", "b"}) {
      const auto t = decode_npz(flipped, member, "f.npz");
      if (t.ok()) CHECK(t->to_doubles() == Doubles{1, 2});  // the checksum leaves nothing else
    }
  }
}

TEST_CASE("csv") {
  const auto read = [](const std::string& text) {
    const auto t = decode_csv(text, "p.csv");
    INFO((t.ok() ? "" : t.error().text()));
    REQUIRE(t.ok());
    return *t;
  };
  CHECK(read("1,2.5\n-3,4e-1\n").to_doubles() == Doubles{1, 2.5, -3, 0.4});
  CHECK(read("1,2.5\n-3,4e-1").shape() == Shape{2, 2});
  CHECK(read("\xef\xbb\xbfr,theta\r\n# comment\n\n1 ; +2\r\n").to_doubles() == Doubles{1, 2});
  CHECK(read("1 \t 2   3\n").shape() == Shape{1, 3});
  CHECK(read("7").shape() == Shape{1, 1});
  check_refused(decode_csv("", "p.csv"), "p.csv", "holds no numbers");
  check_refused(decode_csv("a,b\n", "p.csv"), "p.csv", "holds no numbers");
  check_refused(decode_csv("1,2\n3\n", "p.csv"), "p.csv:2", "has 1 numbers");
  check_refused(decode_csv("1,2\n3,x\n", "p.csv"), "p.csv:2", "\"x\"");
  check_refused(decode_csv("1,2,\n", "p.csv"), "p.csv:1", "\"\"");
  check_refused(decode_csv("1,1e999\n", "p.csv"), "p.csv:1", "1e999");
  check_refused(decode_csv("1,0x10\n", "p.csv"), "p.csv:1", "0x10");
}

TEST_CASE("addresses and parts") {
  const auto address = parse_array_address("dir/f.npz:images[3,:,-2:5]");
  REQUIRE(address.ok());
  CHECK(address->file == "dir/f.npz");
  CHECK(address->member == "images");
  REQUIRE(address->parts.size() == 3);
  CHECK(address->parts[0].single);
  CHECK(address->parts[0].begin == 3);
  CHECK_FALSE(address->parts[1].single);
  CHECK_FALSE(address->parts[1].begin);
  CHECK(address->parts[2].begin == -2);
  CHECK(address->parts[2].end == 5);
  for (const char* wrong : {"a.npy[", "a.npy[]", "a.npy[x]", "a.npy[1.5]", "a.npy[1:2:3]", "a.npy[99999999999999999999]", "]", "[1]", "f.npz:", "f.npz:[1]", ""}) {
    const auto bad = parse_array_address(wrong);
    if (std::string(wrong) == "a.npy[") { CHECK(bad.ok()); continue; }  // a strange name of a file, no index
    INFO(wrong);
    CHECK_FALSE(bad.ok());
  }

  std::vector<std::uint8_t> cube(24);
  for (std::size_t i = 0; i < 24; ++i) cube[i] = static_cast<std::uint8_t>(i);
  ScratchFolder folder;
  const std::string path = (folder / "c.npy").string();
  std::ofstream(path, std::ios::binary) << npy("|u1", "(2, 3, 4)", bytes_of(cube));
  std::ofstream(folder / "f.npy", std::ios::binary) << npy("|u1", "(4, 3, 2)", bytes_of(cube), true);
  std::ofstream(folder / "z.npz", std::ios::binary) << zip({{"x.npy", npy("|u1", "(2, 3, 4)", bytes_of(cube))}});
  std::ofstream(folder / "odd[1].npy", std::ios::binary) << npy("|u1", "(1,)", "a");
  const auto part = [&](const std::string& text) {
    const auto t = load_array((folder.path() / text).string());
    INFO((t.ok() ? "" : t.error().text()));
    REQUIRE(t.ok());
    return *t;
  };
  for (const std::string file : {"c.npy", "z.npz:x", "z.npz"}) {
    CHECK(part(file).shape() == Shape{2, 3, 4});
    CHECK(part(file + "[1]").to_doubles() == Doubles{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23});
    CHECK(part(file + "[-1, 2]").to_doubles() == Doubles{20, 21, 22, 23});
    CHECK(part(file + "[0:1]").shape() == Shape{1, 3, 4});
    CHECK(part(file + "[:, 1, 1:3]").to_doubles() == Doubles{5, 6, 17, 18});
    CHECK(part(file + "[:, 1, 1:3]").shape() == Shape{2, 2});
    CHECK(part(file + "[1:99, 0:2, 3]").to_doubles() == Doubles{15, 19});
    CHECK(part(file + "[0,0,0]").shape() == Shape{});
    CHECK(part(file + "[2:]").shape() == Shape{0, 3, 4});
    CHECK(part(file + "[1, 2:1]").shape() == Shape{0, 4});
    check_refused(load_array((folder.path() / (file + "[2]")).string()), file.substr(0, 5), "entry 2 of axis 0");
    check_refused(load_array((folder.path() / (file + "[0,-4]")).string()), file.substr(0, 5), "entry -4 of axis 1");
    check_refused(load_array((folder.path() / (file + "[0,0,0,0]")).string()), file.substr(0, 5), "4 axes");
  }
  CHECK(part("f.npy[0]").shape() == Shape{3, 2});
  CHECK(part("f.npy[1,2]").to_doubles() == Doubles{9, 21});
  CHECK(part("odd[1].npy").size() == 1);
  check_refused(load_array(path + ":x"), "c.npy", "cannot open", ErrorKind::io);
  check_refused(load_array((folder / "absent.npz:x").string()), "absent.npz", "cannot open", ErrorKind::io);
  std::ofstream(folder / "what.bin") << "what";
  check_refused(load_array((folder / "what.bin").string()), "what.bin", "no array file");
}

TEST_CASE("arrays written are read back bit for bit") {
  std::mt19937_64 random(11);
  std::vector<std::pair<std::string, Tensor>> members;
  for (int t = 0; t <= static_cast<int>(DataType::boolean); ++t) {
    const auto type = static_cast<DataType>(t);
    if (type == DataType::bfloat16) continue;
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{0, 2}, Shape{2, 3, 4}}) {
      Tensor made(type, shape);
      std::string bytes(made.bytes());
      for (char& b : bytes) b = static_cast<char>(type == DataType::boolean ? random() & 1 : random());
      const Tensor array(type, shape, bytes);
      const auto back = decode_npy(encode_npy(array), "a.npy");
      REQUIRE(back.ok());
      CHECK(back->type() == type);
      CHECK(back->shape() == shape);
      CHECK(back->bytes() == array.bytes());
      CHECK(encode_npy(array).find('\n') % 64 == 63);
      members.emplace_back(std::string(name_of(type)) + to_string(shape), array);
    }
  }
  const auto file = encode_npz(members);
  REQUIRE(file.ok());
  for (const auto& [name, array] : members) {
    const auto back = decode_npz(*file, name, "f.npz");
    REQUIRE(back.ok());
    CHECK(back->bytes() == array.bytes());
  }
  const Tensor brain = Tensor::from_doubles(DataType::bfloat16, {2}, {1.5, -3});
  CHECK(decode_npy(encode_npy(brain), "a.npy")->to_doubles() == Doubles{1.5, -3});
}

TEST_CASE("shared images load") {
  const auto data = shared_data();
  if (!data) {
    WARN("skipped: the shared data folder is absent (set BOUNDLIGHT_SHARED)");
    return;
  }
  const auto images = load_array((*data / "images/mnist_1000.npz:images[3]").string());
  REQUIRE(images.ok());
  CHECK(images->shape() == Shape{28, 28});
  CHECK(load_array((*data / "images/cifar10_200.npz:images[0:7]").string())->shape() == Shape{7, 32, 32, 3});
  CHECK(load_array((*data / "images/decoy_mnist.npz:test_labels").string())->shape() == Shape{2000});
  const auto bytes = read_file(*data / "expected/peer_eva.npz");
  REQUIRE(bytes.ok());
  const auto names = list_npz(*bytes, "peer_eva.npz");
  REQUIRE(names.ok());
  for (const auto& name : *names) CHECK(decode_npz(*bytes, name, "peer_eva.npz").ok());
}
