// Integrated Gradients (Sundararajan et al. 2017): (x - baseline) times the mean gradient on the segment between them
// (midpoint rule, at most 128 points; the paper takes 20 to 300), signed, summed over the cell. The cells' sum tends to
// f(x) - f(baseline) (completeness).
#include <algorithm>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> integrated_gradients(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& x = q.region->x;
  const std::int64_t steps = std::clamp<std::int64_t>(o.budget / 2, 1, 128);
  std::vector<double> inputs;
  for (std::int64_t s = 0; s < steps; ++s) {
    const double t = (static_cast<double>(s) + 0.5) / static_cast<double>(steps);
    for (std::size_t i = 0; i < x.size(); ++i) inputs.push_back(q.baseline[i] + t * (x[i] - q.baseline[i]));
  }
  BL_TRY(g, gradient(engine, q, inputs, steps));
  std::vector<double> element(x.size(), 0.0);
  for (std::size_t k = 0; k < g.size(); ++k) element[k % x.size()] += g[k] / static_cast<double>(steps);
  for (std::size_t i = 0; i < x.size(); ++i) element[i] *= x[i] - q.baseline[i];
  return Attribution{per_cell(q, element), 2 * steps};
}

}  // namespace boundlight::sampled
