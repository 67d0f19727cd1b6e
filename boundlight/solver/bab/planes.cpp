#include "boundlight/solver/bab/planes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"

namespace boundlight::bab {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
constexpr int kSteps = 24;
constexpr double kWorthCutting = 0.01;

// g_i at a point by its plane, rounded to nearest.
double value(const Target& target, const Planes& p, std::size_t i, const std::vector<double>& x) {
  double sum = p.offset[i] - target.rows[i].bound;
  for (std::size_t k = 0; k < p.inputs; ++k) sum += p.slope[i * p.inputs + k] * x[k];
  return sum;
}

}  // namespace

void Planes::add(const ConstraintRow& row, const double* plane, double offset_of_outputs, const double* lower, const double* upper) {
  const std::size_t at = slope.size();
  slope.insert(slope.end(), plane, plane + inputs);
  double lost = 0;
  for (std::size_t k = 0; k < row.a.size(); ++k) {
    if (row.a[k] == 0) continue;
    slope[at + k] += row.a[k];
    lost += std::fabs(slope[at + k]) * unit_roundoff<double> * std::max(std::fabs(lower[k]), std::fabs(upper[k]));
  }
  offset.push_back(lost == 0 ? offset_of_outputs : sub_down(offset_of_outputs, next_up(lost * inflation<double>(static_cast<std::int64_t>(inputs)))));
}

std::vector<double> Planes::combined(const std::vector<double>& lambda) const {
  std::vector<double> q(inputs, 0.0);
  for (std::size_t i = 0; i < rows(); ++i)
    if (lambda[i] != 0)
      for (std::size_t k = 0; k < inputs; ++k) q[k] += lambda[i] * slope[i * inputs + k];
  return q;
}

// sum_k min over [l_k, u_k] of q_k x_k in double. Errors: q_k is off by at most gamma_(m+1) sum_i lambda_i |slope_ik| =: gamma Q_k, and
// the sums add gamma_(n+m+4) of all terms' sizes; both are covered by one gamma over sum_k Q_k max|x_k| + sum_i lambda_i (|offset_i| + |d_i|).
Multipliers judged(const Target& target, const Planes& p, std::vector<double> lambda, const double* lower, const double* upper) {
  Multipliers m;
  double sum = 0, size = 0, reach = 1;
  bool strict = false, known = true;
  std::vector<double> q(p.inputs, 0.0), absolute(p.inputs, 0.0);
  for (std::size_t i = 0; i < p.rows(); ++i) {
    if (!(lambda[i] > 0)) continue;
    strict = strict || target.rows[i].strict;
    known = known && std::isfinite(p.offset[i]);
    sum += lambda[i] * p.offset[i];
    sum -= lambda[i] * target.rows[i].bound;
    size += lambda[i] * (std::fabs(p.offset[i]) + std::fabs(target.rows[i].bound));
    for (std::size_t k = 0; k < p.inputs; ++k) {
      q[k] += lambda[i] * p.slope[i * p.inputs + k];
      absolute[k] += lambda[i] * std::fabs(p.slope[i * p.inputs + k]);
    }
  }
  for (std::size_t k = 0; k < p.inputs; ++k) {
    sum += q[k] * (q[k] >= 0 ? lower[k] : upper[k]);
    size += absolute[k] * std::max(std::fabs(lower[k]), std::fabs(upper[k]));
    reach = std::max({reach, std::fabs(lower[k]), std::fabs(upper[k])});
  }
  const auto terms = static_cast<std::int64_t>(p.inputs + 4 * p.rows()) + 8;
  const double error = gamma_up<double>(2 * terms) * size * inflation<double>(terms) + static_cast<double>(terms) * reach * smallest_normal<double>;  // the last: products that vanish
  m.margin = known ? sub_down(sum, next_up(error)) : -kUnbounded;
  if (std::isnan(m.margin)) m.margin = -kUnbounded;
  m.proves = strict ? m.margin >= 0 : m.margin > 0;
  m.lambda = std::move(lambda);
  return m;
}

Multipliers best_combination(const Target& target, const Planes& p, const double* lower, const double* upper) {
  const std::size_t m = p.rows();
  Multipliers best = judged(target, p, std::vector<double>(m, 0.0), lower, upper);
  best.margin = -kUnbounded;
  best.proves = false;
  if (m < 2) return best;
  // Every constraint counts in units of its own range over the box.
  std::vector<double> unit(m), weight(m, 1.0 / static_cast<double>(m));
  for (std::size_t i = 0; i < m; ++i) {
    double range = 0;
    for (std::size_t k = 0; k < p.inputs; ++k) range += std::fabs(p.slope[i * p.inputs + k]) * (upper[k] - lower[k]);
    if (!std::isfinite(p.offset[i]) || !std::isfinite(range)) return best;
    unit[i] = 1 / std::max(range, 1e-300);
    if (!std::isfinite(unit[i])) unit[i] = 1;
  }
  std::vector<double> x(p.inputs), lambda(m), q, chosen;
  double most = -kUnbounded;
  for (int s = 0; s < kSteps; ++s) {
    for (std::size_t i = 0; i < m; ++i) lambda[i] = weight[i] * unit[i];
    q = p.combined(lambda);
    for (std::size_t k = 0; k < p.inputs; ++k) x[k] = q[k] >= 0 ? lower[k] : upper[k];
    double now = 0, total = 0;
    std::vector<double> g(m);
    for (std::size_t i = 0; i < m; ++i) now += weight[i] * (g[i] = value(target, p, i, x) * unit[i]);
    if (now > most) most = now, chosen = lambda;
    if (now > 0) break;
    const double rate = 4 / std::sqrt(1.0 + s);
    for (std::size_t i = 0; i < m; ++i) total += weight[i] *= std::exp(std::clamp(rate * g[i], -20.0, 20.0));
    for (double& w : weight) w = std::max(w / total, 1e-9);
  }
  if (chosen.empty()) return best;
  double largest = 0;
  for (const double l : chosen) largest = std::max(largest, l);
  for (double& l : chosen) l = l < 1e-6 * largest ? 0.0 : l / largest;
  return judged(target, p, std::move(chosen), lower, upper);
}

std::vector<Slab> cuts(const Target& target, const Planes& p, const std::vector<double>& lambda, const std::vector<std::int64_t>& varying, std::vector<double> lower,
                       std::vector<double> upper) {
  std::vector<Slab> made;
  const std::vector<double> q = p.combined(lambda);
  double rest = 0;  // least value of the combined form, thresholds included
  for (std::size_t i = 0; i < p.rows(); ++i)
    if (lambda[i] != 0) rest += lambda[i] * (p.offset[i] - target.rows[i].bound);
  for (std::size_t k = 0; k < p.inputs; ++k) rest += q[k] == 0 ? 0.0 : q[k] * (q[k] > 0 ? lower[k] : upper[k]);
  if (!std::isfinite(rest) || rest >= 0) return made;
  for (const std::int64_t input : varying) {
    const auto k = static_cast<std::size_t>(input);
    const double width = upper[k] - lower[k];
    if (q[k] == 0 || !(width > 0)) continue;
    const double room = -rest / std::fabs(q[k]) + 1e-4 * width;  // so far from the end where q x is least
    if (!(room < (1 - kWorthCutting) * width)) continue;
    const Slab slab{k, q[k] > 0, q[k] > 0 ? lower[k] + room : upper[k] - room};
    if (!(slab.at > lower[k] && slab.at < upper[k])) continue;
    made.push_back(slab);
    (slab.above ? upper[k] : lower[k]) = slab.at;
  }
  return made;
}

}  // namespace boundlight::bab
