// Saliency (Simonyan et al. 2013): |gradient| of the logit, summed over the cell.
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> saliency(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  BL_TRY(g, gradient(engine, q, q.region->x, 1));
  for (auto& v : g) v = std::fabs(v);
  return Attribution{per_cell(q, g), 2, 0};
}

}  // namespace boundlight::sampled
