// Files -> a model's input vector, and what was done on the way.
//
//   pixel = scale * number in the file          (1/255 for bytes, 1/65535 for 16 bits, 1 for everything else)
//   value = (pixel - mean) / std                (what the model sees)
//
// Both are kept per element: regions are given in pixel units and mapped outward to values (InputMap::value of an
// interval), results are shown in pixel units and image form (input_form.hpp). docs/inputs.md tells users the same.
#pragma once

#include "boundlight/core/interval.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/models/image.hpp"
#include "boundlight/models/input_form.hpp"

namespace boundlight {

struct InputMap {
  InputForm form;
  std::vector<double> mean;  // 1 number, one per model channel, or one per element
  std::vector<double> std;   // likewise

  [[nodiscard]] double mean_of(std::int64_t element) const { return pick(mean, element); }
  [[nodiscard]] double std_of(std::int64_t element) const { return pick(std, element); }
  // To nearest, in two roundings; always inside value(element, Interval(pixel)).
  [[nodiscard]] double value(std::int64_t element, double pixel) const { return (pixel - mean_of(element)) / std_of(element); }
  // Outward; exact where mean is 0 and std is 1.
  [[nodiscard]] Interval value(std::int64_t element, Interval pixel) const;
  // The inverse, to nearest: for showing, not for proofs.
  [[nodiscard]] double pixel(std::int64_t element, double value) const { return value * std_of(element) + mean_of(element); }

 private:
  [[nodiscard]] double pick(const std::vector<double>& v, std::int64_t element) const {
    if (v.size() == 1) return v[0];
    return v[static_cast<std::size_t>(v.size() == static_cast<std::size_t>(form.size()) ? element : form.model_channel(element))];
  }
};

struct PreparedInput {
  InputMap map;
  std::vector<double> pixels;  // per element of the model's input, in its order
  std::vector<double> values;  // likewise: what the model sees
  // The pixels' natural range, in pixel units: [0, 1] for images and bytes unless `scale` says otherwise, and for other
  // images with all numbers in [0, 1]. Nothing: the numbers are no pixels, a region around them has nothing to be clipped to.
  std::optional<Interval> range;
  std::vector<std::string> applied;  // what was done, one clause each; empty when nothing was
};

// Fits an image to the model's input: blends transparent pixels with black (unless the model takes four channels), makes
// one channel three by repeating it or three one by 0.299 R + 0.587 G + 0.114 B, scales when `resize` allows it.
// Errors: a size that does not fit and no `resize`; mean or std of a wrong length; a model that takes no image.
Result<PreparedInput> prepare_input(const Image& image, const Shape& model_shape, const InputOptions& options, const std::string& source);

// The samples of an array: one when it has the model's size, else one per entry of its first axis. Each has the shape of
// the model's input (up to dimensions of 1), or is an image in rows x columns (x channels) or channels first.
// Errors: as above; shapes that are neither; NaN or infinite numbers.
Result<std::vector<PreparedInput>> prepare_inputs(const Tensor& array, const Shape& model_shape, const InputOptions& options, const std::string& source);

// Reads `text`, the path of a PNG or JPEG file or an array's address (array.hpp), and prepares it.
Result<std::vector<PreparedInput>> load_inputs(const std::string& text, const Shape& model_shape, const InputOptions& options);
// The same for exactly one sample; several are an error that says how to pick one.
Result<PreparedInput> load_input(const std::string& text, const Shape& model_shape, const InputOptions& options);

// Rows x columns x channels of numbers, channels together, resampled to height x width by a triangle filter: for each
// output sample the weights max(0, 1 - |distance| / max(1, input size / output size)) at pixel centres, normalised.
// Enlarging it is bilinear interpolation; shrinking it averages over all pixels covered.
std::vector<double> resample(const std::vector<double>& pixels, ImageSize from, std::int64_t height, std::int64_t width);

}  // namespace boundlight
