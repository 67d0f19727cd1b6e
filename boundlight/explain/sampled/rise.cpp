// RISE (Petsiuk et al. 2018, section 3.2): random binary grids of s x s, kept with probability p, enlarged bilinearly to
// (s + 1) / s of the image and cut at a random whole shift; a pixel's importance is
//   S = 1 / (N p) sum_i f(x with mask M_i) M_i(pixel).
// s = 7 and p = 0.5 as published, s smaller for images below 28 pixels; f is the class probability. Masks blend with the
// baseline. Mean over the cell.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

constexpr double kKeep = 0.5;

struct Axis {
  std::int64_t size = 0, stride = 0;  // of the image; pixels per grid step (the authors' cell size)
  // Where pixel i with a shift lies on the grid, at pixel centres, clamped to it.
  double place(std::int64_t i, std::int64_t shift, std::int64_t grid) const {
    const double scale = static_cast<double>(grid) / static_cast<double>((grid + 1) * stride);
    return std::clamp((static_cast<double>(i + shift) + 0.5) * scale - 0.5, 0.0, static_cast<double>(grid - 1));
  }
};

// One mask over the image, in [0, 1].
void random_mask(const Axis& rows, const Axis& columns, std::int64_t grid, std::mt19937_64& random, double* mask) {
  std::vector<double> coarse(static_cast<std::size_t>(grid * grid));
  for (auto& v : coarse) v = random() >> 63 ? 1.0 : 0.0;
  const std::int64_t down = std::uniform_int_distribution<std::int64_t>(0, rows.stride - 1)(random);
  const std::int64_t right = std::uniform_int_distribution<std::int64_t>(0, columns.stride - 1)(random);
  for (std::int64_t r = 0; r < rows.size; ++r) {
    const double y = rows.place(r, down, grid);
    const auto i = static_cast<std::int64_t>(y), i1 = std::min(i + 1, grid - 1);
    const double fy = y - static_cast<double>(i);
    for (std::int64_t c = 0; c < columns.size; ++c) {
      const double x = columns.place(c, right, grid);
      const auto j = static_cast<std::int64_t>(x), j1 = std::min(j + 1, grid - 1);
      const double fx = x - static_cast<double>(j);
      const auto at = [&](std::int64_t a, std::int64_t b) { return coarse[static_cast<std::size_t>(a * grid + b)]; };
      *mask++ = (1 - fy) * ((1 - fx) * at(i, j) + fx * at(i, j1)) + fy * ((1 - fx) * at(i1, j) + fx * at(i1, j1));
    }
  }
}

double probability(const double* z, std::size_t classes, std::size_t label) {
  const double top = *std::max_element(z, z + classes);
  double total = 0;
  for (std::size_t k = 0; k < classes; ++k) total += std::exp(z[k] - top);
  return std::exp(z[label] - top) / total;
}

}  // namespace

Result<Attribution> rise(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& r = *q.region;
  const std::size_t n = r.x.size(), pixels = static_cast<std::size_t>(q.height * q.width);
  const std::int64_t grid = std::clamp<std::int64_t>(std::min(q.height, q.width) / 4, 2, 7);
  const Axis rows{q.height, (q.height + grid - 1) / grid}, columns{q.width, (q.width + grid - 1) / grid};
  const ValueId logits = engine.network().logits;
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(logits)].size);
  std::mt19937_64 random(o.seed);
  std::vector<double> sum(pixels, 0.0);
  constexpr std::int64_t kChunk = 128;
  for (std::int64_t from = 0; from < o.budget; from += kChunk) {
    if (q.stop.stop_requested()) return Error{ErrorKind::cancelled, "method rise", "stopped before the method was done"};
    const std::int64_t count = std::min(kChunk, o.budget - from);
    std::vector<double> masks(static_cast<std::size_t>(count) * pixels), inputs(static_cast<std::size_t>(count) * n);
    for (std::size_t b = 0; b < static_cast<std::size_t>(count); ++b) {
      random_mask(rows, columns, grid, random, masks.data() + b * pixels);
      for (std::size_t i = 0; i < n; ++i) {
        const double k = masks[b * pixels + static_cast<std::size_t>(q.pixel[i])];
        inputs[b * n + i] = k * r.x[i] + (1 - k) * q.baseline[i];
      }
    }
    BL_TRY(values, engine.evaluate(inputs, count, {logits}, Precision::single));
    for (std::size_t b = 0; b < static_cast<std::size_t>(count); ++b) {
      const double p = probability(values[0].data() + b * classes, classes, static_cast<std::size_t>(q.label));
      for (std::size_t i = 0; i < pixels; ++i) sum[i] += p * masks[b * pixels + i];
    }
  }
  std::vector<double> element(n), members(static_cast<std::size_t>(r.cells), 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    element[i] = sum[static_cast<std::size_t>(q.pixel[i])] / (static_cast<double>(o.budget) * kKeep);
    ++members[static_cast<std::size_t>(r.cell[i])];
  }
  auto cell = per_cell(q, element);
  for (std::size_t c = 0; c < cell.size(); ++c) cell[c] /= members[c];
  return Attribution{std::move(cell), o.budget};
}

}  // namespace boundlight::sampled
