// Models and images of the shared data, when it is there.
#pragma once

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/interval.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/models/onnx.hpp"
#include "folders.hpp"

namespace boundlight::test {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().text());
  return std::move(result.value());
}

inline std::shared_ptr<const Network> shared_network(const std::filesystem::path& data, const std::string& model) {
  return must(prepare(must(load_onnx(data / "models" / (model + ".onnx")))));
}

// Pixels in [0, 1] in the model's own order.
inline std::vector<double> shared_pixels(const std::filesystem::path& data, const std::string& images, std::int64_t index, const Network& network) {
  const Tensor image = must(load_array((data / "images" / (images + ".npz")).string() + ":images[" + std::to_string(index) + "]"));
  std::vector<double> pixels = image.to_doubles();
  for (double& p : pixels) p /= 255;
  const Shape& shape = network.values[static_cast<std::size_t>(network.inputs[0])].shape;
  const bool channels_first = image.shape().size() == 3 && shape.size() == 4 && shape[1] == image.shape()[2];
  if (!channels_first) return pixels;
  std::vector<double> turned(pixels.size());
  const std::size_t channels = static_cast<std::size_t>(shape[1]), cells = pixels.size() / channels;
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < cells; ++i) turned[c * cells + i] = pixels[i * channels + c];
  return turned;
}

// The box |pixel - p| <= eps clipped to [0, 1], then normalised by (p - mean) / std per channel (empty: not), outward.
inline Regions pixel_box(const std::vector<double>& pixels, double eps, const std::vector<double>& mean = {}, const std::vector<double>& std = {}) {
  Regions r;
  r.batch = 1;
  const std::size_t cells = mean.empty() ? pixels.size() : pixels.size() / mean.size();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    Interval p(std::max(0.0, sub_down(pixels[i], eps)), std::min(1.0, add_up(pixels[i], eps)));
    if (!mean.empty()) p = (p - Interval(mean[i / cells])) / Interval(std[i / cells]);
    r.lower.push_back(p.lo);
    r.upper.push_back(p.hi);
  }
  return r;
}

}  // namespace boundlight::test
