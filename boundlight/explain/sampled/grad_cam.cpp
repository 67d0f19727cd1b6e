// Grad-CAM (Selvaraju et al. 2017) and Grad-CAM++ (Chattopadhay et al. 2018) at the last convolution with a spatial extent
// (1 x C x H x W, H W > 1), behind the elementwise operators that follow it (normalisation, a residual sum, the activation):
// relu(sum_c w_c A_c), w_c the mean gradient (Grad-CAM) or its ++ weighting; enlarged to the image by bilinear
// interpolation, mean over the cell.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

struct Activations {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<double> value, gradient;
};

// The last convolution's feature maps: its output, followed through single consumers that keep the shape.
ValueId feature_maps(const Network& network) {
  ValueId at = kAbsent;
  for (const auto& node : network.nodes) {
    if (node.node.op != "Conv") continue;
    const auto& shape = network.values[static_cast<std::size_t>(node.node.outputs[0])].shape;
    if (shape.size() == 4 && shape[0] == 1 && shape[2] * shape[3] > 1) at = node.node.outputs[0];
  }
  while (at != kAbsent && at != network.logits) {
    const auto& value = network.values[static_cast<std::size_t>(at)];
    if (value.consumers.size() != 1) break;
    const auto& next = network.nodes[static_cast<std::size_t>(value.consumers[0])].node;
    // A pooling operator may keep the shape as well, but is no part of the convolution's layer.
    if (next.outputs.size() != 1 || network.values[static_cast<std::size_t>(next.outputs[0])].shape != value.shape || next.op.find("Pool") != std::string::npos) break;
    at = next.outputs[0];
  }
  return at;
}

Result<Activations> last_activations(Engine& engine, const SamplingQuestion& q) {
  const Network& network = engine.network();
  const ValueId at = feature_maps(network);
  if (at == kAbsent) return Error{ErrorKind::unsupported, "method gradcam", "the model has no convolution whose output has rows and columns"};
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
