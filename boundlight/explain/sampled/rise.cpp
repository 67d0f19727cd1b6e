// RISE (Petsiuk et al. 2018): random low-resolution masks, upsampled bilinearly with a random shift; a pixel's importance is
// the mean of the score over the masks that keep it. 7 x 7 grid, keep probability 0.5 (the paper's settings), scaled down for
// images smaller than 28 pixels. The score is the class probability.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

// One mask over the image, in [0, 1].
std::vector<double> random_mask(std::int64_t height, std::int64_t width, std::int64_t grid, std::mt19937_64& random) {
  const std::int64_t side = grid + 1;
  std::vector<double> coarse(static_cast<std::size_t>(side * side));
  for (auto& v : coarse) v = random() & 1 ? 1.0 : 0.0;
  std::uniform_real_distribution<double> unit(0, 1);
  const double down = unit(random), right = unit(random);
  std::vector<double> mask;
  for (std::int64_t r = 0; r < height; ++r)
    for (std::int64_t c = 0; c < width; ++c) {
      const double y = std::min((static_cast<double>(r) / static_cast<double>(height)) * static_cast<double>(grid - 1) + down, static_cast<double>(grid) - 1e-9);
      const double x = std::min((static_cast<double>(c) / static_cast<double>(width)) * static_cast<double>(grid - 1) + right, static_cast<double>(grid) - 1e-9);
      const auto i = static_cast<std::int64_t>(y), j = static_cast<std::int64_t>(x);
      const double fy = y - static_cast<double>(i), fx = x - static_cast<double>(j);
      const auto at = [&](std::int64_t a, std::int64_t b) { return coarse[static_cast<std::size_t>(a * side + b)]; };
      mask.push_back((1 - fy) * ((1 - fx) * at(i, j) + fx * at(i, j + 1)) + fy * ((1 - fx) * at(i + 1, j) + fx * at(i + 1, j + 1)));
    }
  return mask;
}

}  // namespace

Result<Attribution> rise(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& r = *q.region;
  const std::size_t n = r.x.size();
  const std::int64_t grid = std::clamp<std::int64_t>(std::min(q.height, q.width) / 4, 2, 7);
  const ValueId logits = engine.network().logits;
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(logits)].size);
  std::mt19937_64 random(o.seed);
  std::vector<double> sum(static_cast<std::size_t>(q.height * q.width), 0.0), seen(sum.size(), 0.0);
  constexpr std::int64_t kChunk = 128;
  for (std::int64_t from = 0; from < o.budget; from += kChunk) {
    const std::int64_t count = std::min(kChunk, o.budget - from);
    std::vector<std::vector<double>> masks;
    std::vector<double> inputs;
    for (std::int64_t b = 0; b < count; ++b) {
      masks.push_back(random_mask(q.height, q.width, grid, random));
      for (std::size_t i = 0; i < n; ++i) {
        const double k = masks.back()[static_cast<std::size_t>(q.pixel[i])];
        inputs.push_back(k * r.x[i] + (1 - k) * q.baseline[i]);
      }
    }
    BL_TRY(values, engine.evaluate(inputs, count, {logits}, Precision::single));
    for (std::int64_t b = 0; b < count; ++b) {
      const double* z = values[0].data() + static_cast<std::size_t>(b) * classes;
      const double top = *std::max_element(z, z + classes);
      double total = 0;
      for (std::size_t k = 0; k < classes; ++k) total += std::exp(z[k] - top);
      const double p = std::exp(z[q.label] - top) / total;
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += p * masks[static_cast<std::size_t>(b)][i], seen[i] += masks[static_cast<std::size_t>(b)][i];
    }
  }
  std::vector<double> element(n), count(static_cast<std::size_t>(r.cells), 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const auto p = static_cast<std::size_t>(q.pixel[i]);
    element[i] = seen[p] > 0 ? sum[p] / seen[p] : 0;
    ++count[static_cast<std::size_t>(r.cell[i])];
  }
  auto cell = per_cell(q, element);
  for (std::size_t c = 0; c < cell.size(); ++c) cell[c] /= count[c];
  return Attribution{std::move(cell), o.budget, 0};
}

}  // namespace boundlight::sampled
