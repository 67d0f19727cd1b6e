// The image readers. PNG guards its parts by checksums that random changes break, so every PNG is also tried with its
// checksums put right.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "boundlight/models/image.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;

namespace {

std::string with_right_checksums(std::string png) {
  std::size_t at = 8;
  while (at + 12 <= png.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<std::uint8_t>(png[at + i]);
    if (length > png.size() - at - 12) break;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), static_cast<uInt>(length + 4));
    for (std::size_t i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i) & 255);
    at += 12 + length;
  }
  return png;
}

void read(std::string_view bytes) {
  const auto image = decode_image(bytes, "i.png", {.max_pixels = 1 << 18});
  if (!image.ok()) return fuzz::expect_sentence(image.error());
  const auto fits = [](const Image& i) {
    return i.height > 0 && i.width > 0 && i.channels >= 1 && i.channels <= 4 && i.samples.size() == static_cast<std::size_t>(i.height * i.width * i.channels);
  };
  fuzz::expect(fits(*image), "an image's size");
  fuzz::expect(image->max_value == 255 || image->max_value == 65535, "an image's largest value");
  const Image flat = blend_with_black(*image);
  fuzz::expect(fits(flat) && (flat.channels == 1 || flat.channels == 3), "a blended image");
  for (const auto s : flat.samples) fuzz::expect(s <= flat.max_value, "a sample above the largest value");
  if (flat.max_value != 255 || flat.samples.size() > 4096) return;
  const Picture picture{flat.height, flat.width, flat.channels, {flat.samples.begin(), flat.samples.end()}};
  const auto again = decode_image(encode_png(picture), "again.png");
  fuzz::expect(again.ok() && again->samples == flat.samples, "a picture that does not come back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  if (bytes.starts_with("\x89PNG")) read(with_right_checksums(std::string(bytes)));
  return 0;
}
