// Sampled EVA: the overlap drop as sampling sees it. AO(B_u) is estimated by the largest overlap among random points of B
// (corners and uniform points in turn, the same for every cell) reset on u, AO(B) by the largest among all points, the reset
// ones included (they lie in B too). No bound is involved, so danger between the samples stays unseen.
// N = budget / (cells + 1) points.
#include <algorithm>
#include <limits>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> sampled_eva(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& r = *q.region;
  const std::size_t n = r.x.size();
  const ValueId logits = engine.network().logits;
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(logits)].size);
  const std::int64_t points = std::max<std::int64_t>(1, o.budget / (r.cells + 1));
  std::mt19937_64 random(o.seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<double> best(static_cast<std::size_t>(r.cells) + 1, -std::numeric_limits<double>::infinity());
  std::vector<double> z(n), inputs;
  for (std::int64_t p = 0; p < points; ++p) {
    if (q.stop.stop_requested()) return Error{ErrorKind::cancelled, "method sampled-eva", "stopped before the method was done"};
    for (std::size_t i = 0; i < n; ++i) {
      const double t = p % 2 ? unit(random) : static_cast<double>(random() >> 63);
      z[i] = std::clamp(r.inner_lower[i] + t * (r.inner_upper[i] - r.inner_lower[i]), r.inner_lower[i], r.inner_upper[i]);
    }
    for (std::int64_t from = -1; from < r.cells; from += 256) {
      const std::int64_t to = std::min<std::int64_t>(r.cells, from + 256);
      inputs.resize(static_cast<std::size_t>(to - from) * n);
      double* at = inputs.data();
      for (std::int64_t u = from; u < to; ++u)
        for (std::size_t i = 0; i < n; ++i) *at++ = r.cell[i] == u ? r.x[i] : z[i];
      BL_TRY(values, engine.evaluate(inputs, to - from, {logits}, Precision::single));
      for (std::int64_t u = from; u < to; ++u) {
        const double* y = values[0].data() + static_cast<std::size_t>(u - from) * classes;
        double rival = -std::numeric_limits<double>::infinity();
        for (std::size_t k = 0; k < classes; ++k)
          if (static_cast<std::int64_t>(k) != q.label && (r.target < 0 || static_cast<std::int64_t>(k) == r.target)) rival = std::max(rival, y[k]);
        auto& top = best[static_cast<std::size_t>(u + 1)];
        top = std::max(top, rival - y[q.label]);
      }
    }
  }
  const double base = *std::max_element(best.begin(), best.end());
  Attribution a;
  a.evaluations = points * (r.cells + 1);
  a.overlap = base;
  for (std::int64_t u = 0; u < r.cells; ++u) a.cell.push_back(base - best[static_cast<std::size_t>(u) + 1]);
  return a;
}

}  // namespace boundlight::sampled
