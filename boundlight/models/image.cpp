#include "boundlight/models/image.hpp"

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"
#include "boundlight/models/image_formats.hpp"

namespace boundlight {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;

bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG"); }
bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

}  // namespace

bool looks_like_image(std::string_view bytes) { return is_png(bytes) || is_jpeg(bytes); }

Result<Image> load_image(const std::filesystem::path& path, const ImageOptions& options) {
  BL_TRY(bytes, read_file(path, kMaxFileBytes));
  return decode_image(bytes, path.string(), options);
}

Result<Image> decode_image(std::string_view bytes, const std::string& source, const ImageOptions& options) {
  if (is_png(bytes)) return decode_png(bytes, source, options);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, source, options);
  if (bytes.empty()) return bad_input(source, "is empty; give a PNG or JPEG file");
  return bad_input(source, "is neither a PNG nor a JPEG file; convert it to one");
}

Result<void> check_image_size(std::uint64_t height, std::uint64_t width, const std::string& source, const ImageOptions& options) {
  if (height == 0 || width == 0) return bad_input(source, "has no pixels; export the image again");
  if (height > options.max_pixels / width) {
    return too_big(source, "has " + std::to_string(width) + "x" + std::to_string(height) + " pixels, more than the cap of " + std::to_string(options.max_pixels) + "; scale it down");
  }
  return {};
}

Image blend_with_black(const Image& image, bool* changed) {
  if (changed != nullptr) *changed = false;
  if (image.channels == 1 || image.channels == 3) return image;
  Image flat;
  flat.height = image.height;
  flat.width = image.width;
  flat.channels = image.channels - 1;
  flat.max_value = image.max_value;
  flat.samples.reserve(image.samples.size() / static_cast<std::size_t>(image.channels) * static_cast<std::size_t>(flat.channels));
  const auto step = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i + step <= image.samples.size(); i += step) {
    const std::uint64_t alpha = image.samples[i + step - 1];
    if (changed != nullptr && alpha != image.max_value) *changed = true;
    for (std::size_t c = 0; c + 1 < step; ++c) {
      flat.samples.push_back(static_cast<std::uint16_t>((image.samples[i + c] * alpha * 2 + image.max_value) / (2 * std::uint64_t{image.max_value})));
    }
  }
  return flat;
}

}  // namespace boundlight
