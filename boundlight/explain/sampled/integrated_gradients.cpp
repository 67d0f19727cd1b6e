// Integrated Gradients (Sundararajan et al. 2017): (x - baseline) times the mean gradient on the segment between them
// (midpoint rule), |sum over the cell|.
#include <algorithm>
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> integrated_gradients(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& x = q.region->x;
  const std::int64_t steps = std::clamp<std::int64_t>(o.budget / 2, 1, 64);
  std::vector<double> inputs;
  for (std::int64_t s = 0; s < steps; ++s) {
    const double t = (static_cast<double>(s) + 0.5) / static_cast<double>(steps);
    for (std::size_t i = 0; i < x.size(); ++i) inputs.push_back(q.baseline[i] + t * (x[i] - q.baseline[i]));
  }
  BL_TRY(g, gradient(engine, q, inputs, steps));
  std::vector<double> element(x.size(), 0.0);
  for (std::size_t k = 0; k < g.size(); ++k) element[k % x.size()] += g[k] / static_cast<double>(steps);
  for (std::size_t i = 0; i < x.size(); ++i) element[i] *= x[i] - q.baseline[i];
  auto cell = per_cell(q, element);
  for (auto& v : cell) v = std::fabs(v);
  return Attribution{std::move(cell), 2 * steps, 0};
}

}  // namespace boundlight::sampled
