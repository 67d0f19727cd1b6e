// Gradient x Input (Shrikumar et al. 2016), relative to the baseline: (x - baseline) * gradient, signed, summed over the cell.
#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> gradient_input(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  BL_TRY(g, gradient(engine, q, q.region->x, 1));
  for (std::size_t i = 0; i < g.size(); ++i) g[i] *= q.region->x[i] - q.baseline[i];
  return Attribution{per_cell(q, g), 2};
}

}  // namespace boundlight::sampled
