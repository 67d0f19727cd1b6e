// How a model's input tensor is an image: which element is which pixel and channel, and back.
#pragma once

#include "boundlight/models/graph.hpp"
#include "boundlight/models/image.hpp"
#include "boundlight/models/input_options.hpp"

namespace boundlight {

struct PixelPlace {
  std::int64_t row = 0;
  std::int64_t column = 0;
  std::int64_t channel = 0;  // in the order red, green, blue, alpha, whatever the model's order
};

struct InputForm {
  Shape shape;              // of the tensor, free dimensions settled
  bool image = false;       // false: a plain vector, seen as 1 x size x 1
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t channels = 1;
  bool interleaved = false;  // channels last
  bool reversed = false;     // the model's channels are blue, green, red
  std::string reading;       // "1x784 is read as a 28x28 grey image (inferred, --layout flat to prevent it)"; may be empty

  [[nodiscard]] std::int64_t size() const { return height * width * channels; }
  [[nodiscard]] std::int64_t element(PixelPlace p) const {
    const std::int64_t c = reversed && p.channel < 3 ? 2 - p.channel : p.channel;
    return interleaved ? (p.row * width + p.column) * channels + c : (c * height + p.row) * width + p.column;
  }
  [[nodiscard]] PixelPlace place(std::int64_t element) const;
  // The model's own channel of an element (0 is blue when reversed).
  [[nodiscard]] std::int64_t model_channel(std::int64_t element) const {
    return interleaved ? element % channels : element / (height * width);
  }
};

// The form of an input of this shape (-1: free). A leading dimension of 1 or -1 is the batch.
//   - three dimensions behind the batch: channels last when the last looks more like channels (1 or 3, then 4) than the
//     first, else channels first;
//   - one long dimension (1x784x1): a grey square from 8x8 on, when it is one;
//   - `image` and `layout` of the options decide before any guess.
// Free rows and columns take the size of `picture`. Errors: options that do not fit the shape, free sizes that nothing
// settles. `source` names the model or its input in messages.
Result<InputForm> infer_form(const Shape& shape, const InputOptions& options, const std::string& source, std::optional<ImageSize> picture = {});

// Numbers per element in the order of an image file: row by row, the channels of a pixel together, red first.
std::vector<double> in_image_order(const InputForm& form, const std::vector<double>& per_element);

// The picture of an input given in pixel units: round(255 * pixel / high), clamped to 0..255.
// Precondition: form.image, 1, 3 or 4 channels, high > 0.
Picture picture_of(const InputForm& form, const std::vector<double>& pixels, double high = 1);

}  // namespace boundlight
