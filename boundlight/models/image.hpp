// PNG and JPEG files -> samples as they are stored, and 8-bit PNG back to bytes.
//
// Nothing is interpreted on the way: no gamma, no colour profile, no orientation tag (as in the usual training pipelines).
// Palettes become RGB(A), fewer than 8 bits per grey sample are stretched to 8, a transparent colour becomes alpha.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight {

struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;           // 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
  std::uint32_t max_value = 255;       // 255 or 65535: the sample that means 1
  std::vector<std::uint16_t> samples;  // row by row, channels of a pixel together

  [[nodiscard]] std::uint16_t at(std::int64_t row, std::int64_t column, std::int64_t channel) const {
    return samples[static_cast<std::size_t>((row * width + column) * channels + channel)];
  }
};

struct ImageOptions {
  std::uint64_t max_pixels = std::uint64_t{1} << 25;
};

// Decodes by content, not by name. Errors: unknown format, damaged or cut short, more pixels than the cap or than so
// few bytes can hold (so a small file never makes a large allocation), CMYK and arithmetic-coded JPEG.
Result<Image> load_image(const std::filesystem::path& path, const ImageOptions& options = {});
Result<Image> decode_image(std::string_view bytes, const std::string& source, const ImageOptions& options = {});

// True when the bytes begin like a PNG or a JPEG file.
bool looks_like_image(std::string_view bytes);

// The image blended with black by its alpha, round(sample * alpha / max), without the alpha channel. An image without
// alpha is returned as it is. `changed` (may be null) tells whether any pixel was not opaque.
Image blend_with_black(const Image& image, bool* changed = nullptr);

// An 8-bit picture to write: channels 1 grey, 3 RGB, 4 RGB and alpha; row by row, channels of a pixel together.
struct Picture {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> samples;
};

// The bytes of a PNG file; the same picture gives the same bytes. Precondition: samples.size() is the product of a positive
// height and width (below 2^31) and 1, 3 or 4 channels.
std::string encode_png(const Picture& picture);

}  // namespace boundlight
