// Grad-CAM (Selvaraju et al. 2017) and Grad-CAM++ (Chattopadhay et al. 2018) at the last value with a spatial extent
// (1 x C x H x W, H W > 1): relu(sum_c w_c A_c), w_c the mean gradient (Grad-CAM) or its ++ weighting; enlarged to the image
// by bilinear interpolation.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

struct Activations {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<double> value, gradient;
};

// The last spatial activation on the way to the logits that a nonlinear operator has made (the convolutions' output).
Result<Activations> last_activations(Engine& engine, const SamplingQuestion& q) {
  const Network& network = engine.network();
  ValueId at = kAbsent;
  for (std::size_t v = 0; v < network.values.size(); ++v) {
    const auto& value = network.values[v];
    if (value.constant || value.producer < 0 || value.shape.size() != 4 || value.shape[0] != 1 || value.shape[2] * value.shape[3] <= 1) continue;
    if (at == kAbsent || value.producer > network.values[static_cast<std::size_t>(at)].producer) at = static_cast<ValueId>(v);
  }
  if (at == kAbsent) return Error{ErrorKind::unsupported, "gradcam", "the model has no convolutional layer (no value of shape 1 x C x H x W)"};
  const auto& shape = network.values[static_cast<std::size_t>(at)].shape;
  std::vector<double> weight(static_cast<std::size_t>(network.values[static_cast<std::size_t>(network.logits)].size), 0.0);
  weight[static_cast<std::size_t>(q.label)] = 1;
  BL_TRY(g, engine.gradient(q.region->x, 1, network.logits, weight, Precision::dual, at));
  BL_TRY(values, engine.evaluate(q.region->x, 1, {at}, Precision::dual));
  return Activations{shape[1], shape[2], shape[3], std::move(values[0]), std::move(g.inputs)};
}

// The coarse map at a pixel of the image.
double bilinear(const std::vector<double>& map, std::int64_t h, std::int64_t w, double y, double x) {
  y = std::clamp(y, 0.0, static_cast<double>(h - 1));
  x = std::clamp(x, 0.0, static_cast<double>(w - 1));
  const auto i = static_cast<std::int64_t>(y), j = static_cast<std::int64_t>(x), i1 = std::min(i + 1, h - 1), j1 = std::min(j + 1, w - 1);
  const double fy = y - static_cast<double>(i), fx = x - static_cast<double>(j);
  const auto at = [&](std::int64_t a, std::int64_t b) { return map[static_cast<std::size_t>(a * w + b)]; };
  return (1 - fy) * ((1 - fx) * at(i, j) + fx * at(i, j1)) + fy * ((1 - fx) * at(i1, j) + fx * at(i1, j1));
}

Attribution painted(const SamplingQuestion& q, const Activations& a, const std::vector<double>& weight) {
  const std::int64_t area = a.height * a.width;
  std::vector<double> coarse(static_cast<std::size_t>(area), 0.0);
  for (std::int64_t c = 0; c < a.channels; ++c)
    for (std::int64_t p = 0; p < area; ++p) coarse[static_cast<std::size_t>(p)] += weight[static_cast<std::size_t>(c)] * a.value[static_cast<std::size_t>(c * area + p)];
  for (auto& v : coarse) v = std::max(0.0, v);
  std::vector<double> element(q.region->x.size()), count(static_cast<std::size_t>(q.region->cells), 0.0);
  for (std::size_t i = 0; i < element.size(); ++i) {
    const double r = (q.pixel[i] / q.width + 0.5) * static_cast<double>(a.height) / static_cast<double>(q.height) - 0.5;
    const double c = (q.pixel[i] % q.width + 0.5) * static_cast<double>(a.width) / static_cast<double>(q.width) - 0.5;
    element[i] = bilinear(coarse, a.height, a.width, r, c);
    ++count[static_cast<std::size_t>(q.region->cell[i])];
  }
  Attribution out;
  out.cell = per_cell(q, element);
  for (std::size_t u = 0; u < out.cell.size(); ++u) out.cell[u] /= count[u];
  out.evaluations = 3;
  return out;
}

}  // namespace

Result<Attribution> grad_cam(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  BL_TRY(a, last_activations(engine, q));
  const std::int64_t area = a.height * a.width;
  std::vector<double> weight(static_cast<std::size_t>(a.channels), 0.0);
  for (std::size_t i = 0; i < a.gradient.size(); ++i) weight[i / static_cast<std::size_t>(area)] += a.gradient[i] / static_cast<double>(area);
  return painted(q, a, weight);
}

Result<Attribution> grad_cam_pp(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  BL_TRY(a, last_activations(engine, q));
  const auto area = static_cast<std::size_t>(a.height * a.width);
  std::vector<double> weight(static_cast<std::size_t>(a.channels), 0.0);
  for (std::size_t c = 0; c < weight.size(); ++c) {
    double sum = 0;
    for (std::size_t p = 0; p < area; ++p) sum += a.value[c * area + p];
    for (std::size_t p = 0; p < area; ++p) {
      const double g = a.gradient[c * area + p];
      const double below = 2 * g * g + sum * g * g * g;
      if (g > 0 && below != 0) weight[c] += g * g / below * g;
    }
  }
  return painted(q, a, weight);
}

}  // namespace boundlight::sampled
