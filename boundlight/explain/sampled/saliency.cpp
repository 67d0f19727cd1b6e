// Saliency (Simonyan et al. 2013, section 3): |gradient| of the logit, its largest channel per pixel, summed over the cell.
#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> saliency(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  BL_TRY(g, gradient(engine, q, q.region->x, 1));
  return Attribution{per_cell_magnitude(q, g), 2};
}

}  // namespace boundlight::sampled
