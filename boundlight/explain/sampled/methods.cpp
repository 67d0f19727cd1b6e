#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight {
namespace {

constexpr SampledMethod kMethods[] = {
    {"saliency", "Saliency", "Simonyan et al. 2013", false, sampled::saliency},
    {"gradinput", "Gradient x Input", "Shrikumar et al. 2016", false, sampled::gradient_input},
    {"ig", "Integrated Gradients", "Sundararajan et al. 2017", false, sampled::integrated_gradients},
    {"smoothgrad", "SmoothGrad", "Smilkov et al. 2017", false, sampled::smoothgrad},
    {"vargrad", "VarGrad", "Adebayo et al. 2018", false, sampled::vargrad},
    {"occlusion", "Occlusion", "Zeiler and Fergus 2014", false, sampled::occlusion},
    {"rise", "RISE", "Petsiuk et al. 2018", false, sampled::rise},
    {"lime", "LIME", "Ribeiro et al. 2016", false, sampled::lime},
    {"kernelshap", "KernelSHAP", "Lundberg and Lee 2017", false, sampled::kernel_shap},
    {"sobol", "Sobol total indices", "Fel et al. 2021", false, sampled::sobol},
    {"gradcam", "Grad-CAM", "Selvaraju et al. 2017", false, sampled::grad_cam},
    {"gradcam++", "Grad-CAM++", "Chattopadhay et al. 2018", false, sampled::grad_cam_pp},
    {"greedy-as", "Greedy-AS", "Hsieh et al. 2021", false, sampled::greedy_as},
    {"sampled-eva", "sampled EVA", "Fel et al. 2023 with sampled bounds", true, sampled::sampled_eva},
};

constexpr std::int64_t kChunk = 256;  // samples per call of the engine

Error stopped() { return {ErrorKind::cancelled, "sampling", "stopped before the method was done"}; }

}  // namespace

std::span<const SampledMethod> sampled_methods() { return kMethods; }

const SampledMethod* find_method(std::string_view name) {
  const auto found = std::find_if(std::begin(kMethods), std::end(kMethods), [&](const SampledMethod& m) { return name == m.name; });
  return found == std::end(kMethods) ? nullptr : found;
}

namespace sampled {

Result<std::vector<double>> logit(Engine& engine, const SamplingQuestion& q, const std::vector<double>& inputs, std::int64_t batch) {
  const ValueId id = engine.network().logits;
  BL_TRY(values, engine.evaluate(inputs, batch, {id}, Precision::dual));
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(id)].size);
  std::vector<double> y(static_cast<std::size_t>(batch));
  for (std::size_t b = 0; b < y.size(); ++b) y[b] = values[0][b * classes + static_cast<std::size_t>(q.label)];
  return y;
}

Result<std::vector<double>> gradient(Engine& engine, const SamplingQuestion& q, const std::vector<double>& inputs, std::int64_t batch) {
  const ValueId id = engine.network().logits;
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(id)].size);
  const std::size_t n = q.region->x.size();
  std::vector<double> all;
  all.reserve(inputs.size());
  for (std::int64_t from = 0; from < batch; from += kChunk) {
    if (q.stop.stop_requested()) return stopped();
    const std::int64_t count = std::min(kChunk, batch - from);
    std::vector<double> weight(static_cast<std::size_t>(count) * classes, 0.0);
    for (std::int64_t b = 0; b < count; ++b) weight[static_cast<std::size_t>(b) * classes + static_cast<std::size_t>(q.label)] = 1;
    const std::vector<double> part(inputs.begin() + from * static_cast<std::int64_t>(n), inputs.begin() + (from + count) * static_cast<std::int64_t>(n));
    BL_TRY(g, engine.gradient(part, count, id, weight, Precision::dual));
    all.insert(all.end(), g.inputs.begin(), g.inputs.end());
  }
  return all;
}

std::vector<double> per_cell(const SamplingQuestion& q, const std::vector<double>& element) {
  std::vector<double> sum(static_cast<std::size_t>(q.region->cells), 0.0);
  for (std::size_t i = 0; i < element.size(); ++i) sum[static_cast<std::size_t>(q.region->cell[i])] += element[i];
  return sum;
}

std::vector<double> per_cell_magnitude(const SamplingQuestion& q, const std::vector<double>& element) {
  std::vector<double> pixel(static_cast<std::size_t>(q.height * q.width), 0.0), sum(static_cast<std::size_t>(q.region->cells), 0.0);
  std::vector<std::int32_t> cell(pixel.size(), -1);
  for (std::size_t i = 0; i < element.size(); ++i) {
    auto& at = pixel[static_cast<std::size_t>(q.pixel[i])];
    at = std::max(at, std::fabs(element[i]));
    cell[static_cast<std::size_t>(q.pixel[i])] = q.region->cell[i];
  }
  for (std::size_t p = 0; p < pixel.size(); ++p)
    if (cell[p] >= 0) sum[static_cast<std::size_t>(cell[p])] += pixel[p];
  return sum;
}

Result<std::vector<double>> masked_logit(Engine& engine, const SamplingQuestion& q, const std::vector<double>& keep, std::int64_t batch) {
  const auto& r = *q.region;
  const std::size_t n = r.x.size(), cells = static_cast<std::size_t>(r.cells);
  std::vector<double> y;
  y.reserve(static_cast<std::size_t>(batch));
  for (std::int64_t from = 0; from < batch; from += kChunk) {
    if (q.stop.stop_requested()) return stopped();
    const std::int64_t count = std::min(kChunk, batch - from);
    std::vector<double> inputs(static_cast<std::size_t>(count) * n);
    for (std::int64_t b = 0; b < count; ++b)
      for (std::size_t i = 0; i < n; ++i) {
        const double k = keep[static_cast<std::size_t>(from + b) * cells + static_cast<std::size_t>(r.cell[i])];
        inputs[static_cast<std::size_t>(b) * n + i] = k * r.x[i] + (1 - k) * q.baseline[i];
      }
    BL_TRY(part, logit(engine, q, inputs, count));
    y.insert(y.end(), part.begin(), part.end());
  }
  return y;
}

std::vector<double> solve_symmetric(std::vector<double> a, std::vector<double> b, double ridge) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) a[i * n + i] += ridge;
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double s = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) s -= a[i * n + k] * a[j * n + k];
      if (i == j && !(s > 0)) return {};
      a[i * n + j] = i == j ? std::sqrt(s) : s / a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

std::vector<double> fit_masks(const std::vector<double>& masks, const std::vector<double>& y, const std::vector<double>& weight, std::int64_t cells, double ridge) {
  const std::size_t m = static_cast<std::size_t>(cells), rows = y.size();
  // Centring by the weighted means takes the intercept out.
  double total = 0, mean_y = 0;
  std::vector<double> mean(m, 0.0);
  for (std::size_t r = 0; r < rows; ++r) {
    total += weight[r];
    mean_y += weight[r] * y[r];
    for (std::size_t c = 0; c < m; ++c) mean[c] += weight[r] * masks[r * m + c];
  }
  mean_y /= total;
  for (auto& v : mean) v /= total;
  std::vector<double> a(m * m, 0.0), b(m, 0.0), row(m);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < m; ++c) row[c] = masks[r * m + c] - mean[c];
    for (std::size_t i = 0; i < m; ++i) {
      const double w = weight[r] * row[i];
      b[i] += w * (y[r] - mean_y);
      for (std::size_t j = 0; j <= i; ++j) a[i * m + j] += w * row[j];
    }
  }
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = i + 1; j < m; ++j) a[i * m + j] = a[j * m + i];
  auto x = solve_symmetric(a, b, ridge);
  return x.empty() ? solve_symmetric(std::move(a), std::move(b), ridge + 1e-6 * total) : x;
}

}  // namespace sampled
}  // namespace boundlight
