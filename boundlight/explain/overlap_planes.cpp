#include "boundlight/explain/overlap_planes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"

namespace boundlight {

CellOverlaps overlaps_of(const EvaQuestion& q, const double* plane, double offset) {
  const std::size_t n = q.x.size();
  CellOverlaps result;
  result.worst.resize(n);
  std::vector<double> change(static_cast<std::size_t>(q.cells), 0.0);
  double sum = -offset, magnitude = std::fabs(offset);
  for (std::size_t j = 0; j < n; ++j) {
    const double c = -plane[j], at = c >= 0 ? q.upper[j] : q.lower[j], term = c * at;
    result.worst[j] = c >= 0 ? q.inner_upper[j] : q.inner_lower[j];
    sum += term;
    magnitude += std::fabs(c) * std::max(std::fabs(q.lower[j]), std::fabs(q.upper[j]));
    change[static_cast<std::size_t>(q.cell[j])] += c * q.x[j] - term;
  }
  // Every bound is a sum of at most 3 n + 2 products; none of their sizes is counted less than once in 3 magnitudes.
  const double share = gamma_up<double>(static_cast<std::int64_t>(3 * n + 16));
  const double error = next_up(next_up(share * 4 * magnitude) + 1e-280);
  result.base = next_up(sum + error);
  if (std::isnan(result.base)) result.base = std::numeric_limits<double>::infinity();
  const float top = round_up_to<float>(result.base);
  for (const double less : change) {
    const float bound = round_up_to<float>(next_up(next_up(sum + less) + error));
    result.cell.push_back(bound <= top ? bound : top);  // NaN: the base's
  }
  return result;
}

}  // namespace boundlight
