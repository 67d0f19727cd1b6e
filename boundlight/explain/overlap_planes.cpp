#include "boundlight/explain/overlap_planes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"

namespace boundlight {
namespace {

constexpr int kRounds = 2, kHalvings = 24;

// d/d lambda of the maximum over the box along face n, at coefficients c - t n: offset - sum n_j x_j(t).
double slope_at(const EvaQuestion& q, const std::vector<double>& c, const HalfSpace& face, double t) {
  double sum = face.offset;
  const double *n = face.normal.data(), *lo = q.lower.data(), *hi = q.upper.data();
  for (std::size_t j = 0; j < c.size(); ++j) sum -= n[j] * (c[j] - t * n[j] >= 0 ? hi[j] : lo[j]);
  return sum;
}

// The multiplier that minimises along one face: the slope in it is increasing, so halving finds its sign change.
double line_search(const EvaQuestion& q, const std::vector<double>& c, const HalfSpace& face) {
  if (slope_at(q, c, face, 0) >= 0) return 0;
  double low = 0, high = 1;
  for (int k = 0; k < 12 && slope_at(q, c, face, high) < 0; ++k) low = high, high *= 4;
  for (int k = 0; k < kHalvings; ++k) {
    const double middle = (low + high) / 2;
    (slope_at(q, c, face, middle) < 0 ? low : high) = middle;
  }
  return high;
}

std::vector<double> multipliers(const EvaQuestion& q, const OverlapPlane& plane, std::vector<double>& c) {
  std::vector<double> lambda(plane.faces.size(), 0.0);
  for (int round = 0; round < kRounds && !lambda.empty(); ++round)
    for (std::size_t h = plane.faces.size(); h-- > 0;) {  // the newest split first
      const HalfSpace& face = *plane.faces[h];
      for (std::size_t j = 0; j < c.size(); ++j) c[j] += lambda[h] * face.normal[j];
      lambda[h] = line_search(q, c, face);
      for (std::size_t j = 0; j < c.size(); ++j) c[j] -= lambda[h] * face.normal[j];
    }
  return lambda;
}

}  // namespace

CellOverlaps overlaps_of(const EvaQuestion& q, const OverlapPlane& plane) {
  const std::size_t n = q.x.size();
  std::vector<double> c(plane.coefficient, plane.coefficient + n);
  const std::vector<double> lambda = multipliers(q, plane, c);
  // c anew from lambda, with the sizes of its terms: what the charge is made of.
  std::vector<double> size(n);
  for (std::size_t j = 0; j < n; ++j) c[j] = plane.coefficient[j], size[j] = std::fabs(c[j]);
  double constant = plane.offset, constant_size = std::fabs(plane.offset);
  for (std::size_t h = 0; h < lambda.size(); ++h) {
    if (lambda[h] == 0) continue;
    const HalfSpace& face = *plane.faces[h];
    for (std::size_t j = 0; j < n; ++j) {
      const double part = lambda[h] * face.normal[j];
      c[j] -= part;
      size[j] += std::fabs(part);
    }
    const double part = lambda[h] * face.offset;
    constant += part;
    constant_size += std::fabs(part);
  }
  CellOverlaps result;
  result.worst.resize(n);
  std::vector<double> change(static_cast<std::size_t>(q.cells), 0.0);
  double sum = 0, magnitude = 0;
  for (std::size_t j = 0; j < n; ++j) {
    const double at = c[j] >= 0 ? q.upper[j] : q.lower[j], term = c[j] * at;
    result.worst[j] = c[j] >= 0 ? q.inner_upper[j] : q.inner_lower[j];
    sum += term;
    magnitude += size[j] * std::max(std::fabs(q.lower[j]), std::fabs(q.upper[j]));
    change[static_cast<std::size_t>(q.cell[j])] += c[j] * q.x[j] - term;
  }
  // Every number above is a sum of at most n + faces products with sizes counted in `magnitude`, twice for a changed cell.
  const double share = gamma_up<double>(static_cast<std::int64_t>(2 * n + 4 * lambda.size() + 16));
  const double error = next_up(next_up(share * 4 * (magnitude + constant_size)) + 1e-280);
  result.base = next_up(next_up(sum + constant) + error);
  if (std::isnan(result.base)) result.base = std::numeric_limits<double>::infinity();
  result.cell.resize(change.size());
  const float top = round_up_to<float>(result.base);
  for (std::size_t u = 0; u < change.size(); ++u) {
    const float bound = round_up_to<float>(next_up(next_up(next_up(sum + constant) + change[u]) + error));
    result.cell[u] = bound <= top ? bound : top;  // NaN: the base's
  }
  return result;
}

}  // namespace boundlight
