// Sobol total indices (Fel et al. 2021, "Look at the variance"): masks in [0, 1] per cell, Jansen's estimator
//   ST_c = sum_r (f(A_r) - f(A_r with column c from B))^2 / (2 N V).
// Low-discrepancy points by the additive recurrence of the generalised golden ratio (Roberts 2018), shifted by the seed.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> sobol(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  const auto designs = static_cast<std::size_t>(std::max<std::int64_t>(2, o.budget / (q.region->cells + 1)));
  std::mt19937_64 random(o.seed);
  std::uniform_real_distribution<double> unit(0, 1);
  // Beyond a few dozen dimensions recurrences correlate; plain random numbers take over there.
  const auto matrix = [&] {
    std::vector<double> m(designs * cells);
    double phi = 2;
    for (int i = 0; i < 40; ++i) phi = std::pow(1 + phi, 1.0 / (static_cast<double>(cells) + 1));
    for (std::size_t c = 0; c < cells; ++c) {
      const double step = cells <= 32 ? std::pow(1 / phi, static_cast<double>(c + 1)) : 0, shift = unit(random);
      for (std::size_t r = 0; r < designs; ++r) {
        const double v = cells <= 32 ? shift + step * static_cast<double>(r + 1) : unit(random);
        m[r * cells + c] = v - std::floor(v);
      }
    }
    return m;
  };
  const auto a = matrix(), b = matrix();
  std::vector<double> keep = a;
  keep.reserve(designs * cells * (cells + 1));
  for (std::size_t c = 0; c < cells; ++c)
    for (std::size_t r = 0; r < designs; ++r) {
      keep.insert(keep.end(), a.begin() + static_cast<std::ptrdiff_t>(r * cells), a.begin() + static_cast<std::ptrdiff_t>((r + 1) * cells));
      keep[keep.size() - cells + c] = b[r * cells + c];
    }
  const auto total = static_cast<std::int64_t>(designs * (cells + 1));
  BL_TRY(y, masked_logit(engine, q, keep, total));
  double mean = 0, variance = 0;
  for (std::size_t r = 0; r < designs; ++r) mean += y[r] / static_cast<double>(designs);
  for (std::size_t r = 0; r < designs; ++r) variance += (y[r] - mean) * (y[r] - mean) / static_cast<double>(designs);
  Attribution out;
  out.evaluations = total;
  for (std::size_t c = 0; c < cells; ++c) {
    double s = 0;
    for (std::size_t r = 0; r < designs; ++r) {
      const double d = y[r] - y[designs * (c + 1) + r];
      s += d * d;
    }
    out.cell.push_back(variance > 0 ? s / (2 * static_cast<double>(designs) * variance) : 0);
  }
  return out;
}

}  // namespace boundlight::sampled
