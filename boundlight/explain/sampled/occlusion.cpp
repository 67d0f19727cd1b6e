// Occlusion (Zeiler and Fergus 2014): drop of the logit when one cell is replaced by the baseline.
#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> occlusion(Engine& engine, const SamplingQuestion& q, const SamplingOptions&) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  std::vector<double> keep((cells + 1) * cells, 1.0);
  for (std::size_t c = 0; c < cells; ++c) keep[(c + 1) * cells + c] = 0;
  BL_TRY(y, masked_logit(engine, q, keep, q.region->cells + 1));
  Attribution a;
  for (std::size_t c = 0; c < cells; ++c) a.cell.push_back(y[0] - y[c + 1]);
  a.evaluations = q.region->cells + 1;
  return a;
}

}  // namespace boundlight::sampled
