// PNG files are built here chunk by chunk (zlib only), so that the decoder is compared with what was written, not with
// itself; JPEG files come from libjpeg's encoder.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <random>

#include <jpeglib.h>

#include "boundlight/core/files.hpp"
#include "boundlight/models/image.hpp"
#include "support/errors.hpp"
#include "support/folders.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

std::string deflated(const std::string& raw) {
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string out(size, '\0');
  REQUIRE(compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), static_cast<uLong>(raw.size()), 9) == Z_OK);
  out.resize(size);
  return out;
}

// `rows`: packed bytes of every row; `extra`: chunks between the header and the pixels.
std::string png(std::uint32_t width, std::uint32_t height, int depth, int colour, const std::vector<std::string>& rows, const std::string& extra = "") {
  std::string raw;
  for (const auto& row : rows) raw += '\0' + row;
  std::string head = big_endian(width) + big_endian(height);
  for (int v : {depth, colour, 0, 0, 0}) head += static_cast<char>(v);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + extra + chunk("IDAT", deflated(raw)) + chunk("IEND", "");
}

std::string jpeg(int width, int height, int components, const std::vector<std::uint8_t>& samples, int quality = 100) {
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &out, &size);
  codec.image_width = static_cast<JDIMENSION>(width);
  codec.image_height = static_cast<JDIMENSION>(height);
  codec.input_components = components;
  codec.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    auto* row = const_cast<JSAMPLE*>(samples.data() + codec.next_scanline * static_cast<std::size_t>(width * components));
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  std::string bytes(reinterpret_cast<char*>(out), size);
  free(out);
  return bytes;
}

using Samples = std::vector<std::uint16_t>;

Image decoded(const std::string& bytes) {
  auto image = decode_image(bytes, "i.png");
  INFO((image.ok() ? "" : image.error().text()));
  REQUIRE(image.ok());
  return *image;
}

}  // namespace

TEST_CASE("PNG of every colour type and depth") {
  SECTION("grey 1, 2, 4, 8, 16 bits") {
    CHECK(decoded(png(3, 1, 1, 0, {"\xa0"})).samples == Samples{255, 0, 255});
    CHECK(decoded(png(4, 1, 2, 0, {"\x1b"})).samples == Samples{0, 85, 170, 255});
    CHECK(decoded(png(2, 1, 4, 0, {"\x1f"})).samples == Samples{17, 255});
    const auto eight = decoded(png(2, 2, 8, 0, {"\x01\x02", "\x03\xff"}));
    CHECK(eight.samples == Samples{1, 2, 3, 255});
    CHECK(eight.channels == 1);
    CHECK(eight.max_value == 255);
    CHECK(eight.at(1, 0, 0) == 3);
    const auto wide = decoded(png(2, 1, 16, 0, {std::string("\x01\x02\xff\xfe", 4)}));
    CHECK(wide.samples == Samples{0x0102, 0xFFFE});
    CHECK(wide.max_value == 65535);
  }
  SECTION("RGB, RGBA, grey with alpha, 8 and 16 bits") {
    const auto rgb = decoded(png(2, 1, 8, 2, {"abcdef"}));
    CHECK(rgb.channels == 3);
    CHECK(rgb.samples == Samples{'a', 'b', 'c', 'd', 'e', 'f'});
    CHECK(decoded(png(1, 1, 16, 2, {"abcdef"})).samples == Samples{0x6162, 0x6364, 0x6566});
    const auto rgba = decoded(png(1, 1, 8, 6, {"abcd"}));
    CHECK(rgba.channels == 4);
    CHECK(rgba.samples == Samples{'a', 'b', 'c', 'd'});
    CHECK(decoded(png(1, 1, 8, 4, {"ab"})).channels == 2);
    CHECK(decoded(png(1, 1, 16, 6, {"abcdefgh"})).samples.size() == 4);
  }
  SECTION("palette, with and without transparency; transparent colour") {
    const std::string palette = chunk("PLTE", "abcdef");
    CHECK(decoded(png(2, 1, 8, 3, {std::string("\1\0", 2)}, palette)).samples == Samples{'d', 'e', 'f', 'a', 'b', 'c'});
    CHECK(decoded(png(2, 1, 1, 3, {"\x40"}, palette)).samples == Samples{'a', 'b', 'c', 'd', 'e', 'f'});
    const auto clear = decoded(png(2, 1, 8, 3, {std::string("\1\0", 2)}, palette + chunk("tRNS", std::string("\x80", 1))));
    CHECK(clear.samples == Samples{'d', 'e', 'f', 255, 'a', 'b', 'c', 128});
    const auto key = decoded(png(2, 1, 8, 0, {"\x05\x06"}, chunk("tRNS", std::string("\0\5", 2))));
    CHECK(key.samples == Samples{5, 0, 6, 255});
  }
  SECTION("alpha is blended with black, rounded to nearest") {
    bool changed = false;
    const auto flat = blend_with_black(decoded(png(2, 1, 8, 6, {std::string("\x64\xc8\xff\x80\x0a\x14\x1e\xff", 8)})), &changed);
    CHECK(changed);
    CHECK(flat.channels == 3);
    CHECK(flat.samples == Samples{50, 100, 128, 10, 20, 30});
    blend_with_black(decoded(png(1, 1, 8, 4, {"a\xff"})), &changed);
    CHECK_FALSE(changed);
  }
}

TEST_CASE("pictures written come back") {
  std::mt19937 random(3);
  for (const std::int64_t channels : {1, 3, 4}) {
    Picture p{7, 5, channels, {}};
    for (int i = 0; i < 7 * 5 * channels; ++i) p.samples.push_back(static_cast<std::uint8_t>(random()));
    const std::string bytes = encode_png(p);
    const auto image = decoded(bytes);
    CHECK(image.height == 7);
    CHECK(image.width == 5);
    CHECK(image.channels == channels);
    CHECK(std::equal(image.samples.begin(), image.samples.end(), p.samples.begin(), p.samples.end()));
    CHECK(encode_png(p) == bytes);
  }
  CHECK_THROWS_AS(encode_png({2, 2, 1, {1, 2, 3}}), ContractViolation);
  CHECK_THROWS_AS(encode_png({1, 1, 2, {1, 2}}), ContractViolation);
  CHECK_THROWS_AS(encode_png({0, 1, 1, {}}), ContractViolation);
}

TEST_CASE("JPEG, grey and RGB") {
  std::vector<std::uint8_t> ramp;
  for (int i = 0; i < 16 * 16; ++i) ramp.push_back(static_cast<std::uint8_t>(i / 16 * 8 + i % 16 * 4));
  const auto grey = decoded(jpeg(16, 16, 1, ramp));
  CHECK(grey.channels == 1);
  REQUIRE(grey.samples.size() == ramp.size());
  for (std::size_t i = 0; i < ramp.size(); ++i) CHECK(std::abs(int{grey.samples[i]} - int{ramp[i]}) <= 2);
  std::vector<std::uint8_t> red;
  for (int i = 0; i < 64; ++i) red.insert(red.end(), {200, 30, 60});
  const auto rgb = decoded(jpeg(8, 8, 3, red));
  CHECK(rgb.channels == 3);
  CHECK(std::abs(int{rgb.at(3, 3, 0)} - 200) <= 3);
  CHECK(std::abs(int{rgb.at(3, 3, 1)} - 30) <= 3);
  CHECK(std::abs(int{rgb.at(3, 3, 2)} - 60) <= 3);
  std::vector<std::uint8_t> four(8 * 8 * 4, 9);
  check_refused(decode_image(jpeg(8, 8, 4, four), "i.jpg"), "i.jpg", "CMYK", ErrorKind::unsupported);
}

TEST_CASE("damaged images are refused in one sentence") {
  const auto refused = [](const std::string& bytes, const std::string& words, ErrorKind kind = ErrorKind::bad_input) {
    check_refused(decode_image(bytes, "folder/i.png"), "folder/i.png", words, kind);
  };
  refused("", "empty");
  refused("GIF89a", "neither a PNG nor a JPEG");
  refused("\x89PNG", "damaged PNG");
  refused("\xff\xd8\xff", "damaged JPEG");
  refused(png(0, 1, 8, 0, {""}), "damaged PNG");
  refused(png(1, 1, 3, 0, {"a"}), "damaged PNG");
  refused(png(1, 1, 8, 3, {"a"}), "damaged PNG");  // a palette image without a palette
  refused(png(2, 2, 8, 0, {"ab"}), "damaged PNG");  // a row is missing
  auto crc = png(2, 1, 8, 0, {"ab"});
  crc[45] = static_cast<char>(crc[45] ^ 1);
  refused(crc, "damaged PNG");
  ImageOptions small;
  small.max_pixels = 3;
  check_refused(decode_image(png(2, 2, 8, 0, {"ab", "cd"}), "i.png", small), "i.png", "cap of 3", ErrorKind::out_of_memory);
  ScratchFolder folder;
  check_refused(load_image(folder / "absent.png"), "absent.png", "cannot open", ErrorKind::io);

  std::vector<std::uint8_t> noise(32 * 32 * 3);
  std::mt19937 random(5);
  for (auto& v : noise) v = static_cast<std::uint8_t>(random());
  const std::string whole_png = png(8, 2, 8, 0, {"abcdefgh", "ijklmnop"});
  const std::string whole_jpeg = jpeg(32, 32, 3, noise, 50);
  for (const std::string& whole : {whole_png, whole_jpeg}) {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      const auto image = decode_image(whole.substr(0, n), "i.png");
      // A JPEG without its end marker is cut short even when all pixels are there.
      CHECK_FALSE(image.ok());
    }
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      const auto image = decode_image(flipped, "i.png", {.max_pixels = 1 << 16});
      if (image.ok()) CHECK(image->samples.size() == static_cast<std::size_t>(image->height * image->width * image->channels));
    }
  }
}

TEST_CASE("huge declared sizes are refused before memory is taken") {
  check_refused(decode_image(png(0x7FFFFFFF, 0x7FFFFFFF, 8, 6, {"abcd"}), "i.png"), "i.png", "cap", ErrorKind::out_of_memory);
  check_refused(decode_image(png(5000, 5000, 8, 6, {"abcd"}), "i.png"), "i.png", "too few bytes");
  auto wide = jpeg(8, 8, 1, std::vector<std::uint8_t>(64, 1));
  const auto at = wide.find("\xff\xc0");
  REQUIRE(at != std::string::npos);
  wide.replace(at + 5, 4, "\x10\x10\x10\x10");  // 4112 x 4112
  check_refused(decode_image(wide, "i.jpg"), "i.jpg", "too few bytes");
  wide.replace(at + 5, 4, "\xff\xdc\xff\xdc");
  check_refused(decode_image(wide, "i.jpg"), "i.jpg", "cap", ErrorKind::out_of_memory);
}
