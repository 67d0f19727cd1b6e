// LIME (Ribeiro et al. 2016): random cells removed, a ridge regression of the logit on the kept cells, weighted by closeness
// sqrt(exp(-d^2 / width^2)) with d the cosine distance to the full image and width 0.25 (the authors' code for images), ridge
// 1. The first sample is the image itself.
#include <cmath>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> lime(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  std::mt19937_64 random(o.seed);
  std::vector<double> keep(static_cast<std::size_t>(o.budget) * cells), weight;
  for (std::size_t r = 0; r < static_cast<std::size_t>(o.budget); ++r) {
    double kept = 0;
    for (std::size_t c = 0; c < cells; ++c) kept += keep[r * cells + c] = r == 0 || (random() & 1) ? 1.0 : 0.0;
    const double distance = 1 - std::sqrt(kept / static_cast<double>(cells));
    weight.push_back(std::exp(-distance * distance / (2 * 0.25 * 0.25)));
  }
  BL_TRY(y, masked_logit(engine, q, keep, o.budget));
  return Attribution{fit_masks(keep, y, weight, q.region->cells, 1.0), o.budget};
}

}  // namespace boundlight::sampled
