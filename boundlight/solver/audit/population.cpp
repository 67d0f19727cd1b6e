#include "boundlight/solver/audit/population.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>

#include "boundlight/core/contract.hpp"

namespace boundlight {

ShareBounds clopper_pearson(std::int64_t hits, std::int64_t drawn, double confidence) {
  demand(drawn > 0 && hits >= 0 && hits <= drawn, "clopper_pearson: hits must lie between 0 and the number drawn");
  demand(confidence > 0 && confidence < 1, "clopper_pearson: the confidence must lie between 0 and 1");
  const double tail = (1 - confidence) / 2, k = static_cast<double>(hits), n = static_cast<double>(drawn);
  ShareBounds s;
  if (hits > 0) s.lower = std::max(0.0, boost::math::ibeta_inv(k, n - k + 1, tail) * (1 - 1e-9));
  if (hits < drawn) s.upper = 1 - std::max(0.0, boost::math::ibeta_inv(n - k, k + 1, tail) * (1 - 1e-9));  // the mirror image: no cancellation
  return s;
}

}  // namespace boundlight
