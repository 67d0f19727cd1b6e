// The decoders behind decode_image, one file each. Both libraries report errors by longjmp, so a frame that it may cross
// holds nothing with a destructor, and nothing that throws runs inside the libraries.
#pragma once

#include "boundlight/models/image.hpp"

namespace boundlight {

Result<Image> decode_png(std::string_view bytes, const std::string& source, const ImageOptions& options);
Result<Image> decode_jpeg(std::string_view bytes, const std::string& source, const ImageOptions& options);

Result<void> check_image_size(std::uint64_t height, std::uint64_t width, const std::string& source, const ImageOptions& options);

}  // namespace boundlight
