// Sobol total indices (Fel et al. 2021, "Look at the variance"): masks uniform in [0, 1] per cell, Jansen's estimator
//   ST_c = sum_r (f(A_r) - f(A_r with column c from B))^2 / (2 N V),  V the variance of f(A).
// N = budget / (cells + 1) rows. A and B are independent Latin hypercubes (McKay et al. 1979): every column is stratified,
// which any number of cells allows; shifted copies of one sequence would tie B's column to A's.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

std::vector<double> latin_hypercube(std::size_t rows, std::size_t columns, std::mt19937_64& random) {
  std::vector<double> m(rows * columns);
  std::vector<std::size_t> stratum(rows);
  std::iota(stratum.begin(), stratum.end(), 0);
  std::uniform_real_distribution<double> unit(0, 1);
  for (std::size_t c = 0; c < columns; ++c) {
    std::shuffle(stratum.begin(), stratum.end(), random);
    for (std::size_t r = 0; r < rows; ++r) m[r * columns + c] = (static_cast<double>(stratum[r]) + unit(random)) / static_cast<double>(rows);
  }
  return m;
}

}  // namespace

Result<Attribution> sobol(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  const auto rows = static_cast<std::size_t>(std::max<std::int64_t>(2, o.budget / (q.region->cells + 1)));
  std::mt19937_64 random(o.seed);
  const auto a = latin_hypercube(rows, cells, random), b = latin_hypercube(rows, cells, random);
  BL_TRY(base, masked_logit(engine, q, a, static_cast<std::int64_t>(rows)));
  const double mean = std::accumulate(base.begin(), base.end(), 0.0) / static_cast<double>(rows);
  double variance = 0;
  for (const double y : base) variance += (y - mean) * (y - mean) / static_cast<double>(rows - 1);
  Attribution out;
  out.evaluations = static_cast<std::int64_t>(rows * (cells + 1));
  // Several columns per call: small calls waste the engine, all at once would need rows x cells x cells numbers.
  const std::size_t together = std::max<std::size_t>(1, 256 / rows);
  for (std::size_t from = 0; from < cells; from += together) {
    const std::size_t to = std::min(cells, from + together);
    std::vector<double> keep;
    keep.reserve((to - from) * rows * cells);
    for (std::size_t c = from; c < to; ++c) {
      keep.insert(keep.end(), a.begin(), a.end());
      double* block = keep.data() + (c - from) * rows * cells;
      for (std::size_t r = 0; r < rows; ++r) block[r * cells + c] = b[r * cells + c];
    }
    BL_TRY(y, masked_logit(engine, q, keep, static_cast<std::int64_t>((to - from) * rows)));
    for (std::size_t c = from; c < to; ++c) {
      double s = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const double d = base[r] - y[(c - from) * rows + r];
        s += d * d;
      }
      out.cell.push_back(variance > 0 ? s / (2 * static_cast<double>(rows) * variance) : 0);
    }
  }
  return out;
}

}  // namespace boundlight::sampled
