#include <algorithm>
#include <limits>

#include "boundlight/core/interval.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// 1 / (1 + exp(-x)); glibc's exp errs by less than 1 ulp, 4 are allowed.
Interval sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  const Interval power = widened(e, e + smallest_normal<double>, 4), positive(std::max(0.0, power.lo - smallest_normal<double>), power.hi);
  const Interval small = positive / (Interval(1) + positive), value = x < 0 ? small : Interval(1) - small;
  return {std::max(0.0, value.lo), std::min(1.0, value.hi)};
}

// The slope of the lower convex hull of the sigmoid over [l, u] at its middle, where a line below the function leaves the
// least area; only a choice, needs no care.
double hull_slope(double l, double u) {
  const auto f = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto slope = [&](double x) { return f(x) * f(-x); };
  const double middle = l + (u - l) / 2, chord = u - l > 1e-6 ? (f(u) - f(l)) / (u - l) : slope(middle);
  if (u <= 0) return slope(middle);
  const auto above = [&](double d) { return slope(d) * (u - d) >= f(u) - f(d); };
  if (l >= 0 || above(l)) return chord;
  double low = l, high = 0;
  for (int i = 0; i < 40; ++i) (above((low + high) / 2) ? high : low) = (low + high) / 2;
  return slope(std::min(high, middle));
}

// The least (lower) or greatest value of sigmoid(x) - s x over [l, u], outward: at an end, or where sigmoid' = s: at -z
// (least) or z (greatest) with p (1 - p) = s, p = sigmoid(z) = (1 + sqrt(1 - 4 s)) / 2.
double sigmoid_shift(double l, double u, double s, bool lower) {
  const Interval at_l = sigmoid(l) - Interval(s) * Interval(l), at_u = sigmoid(u) - Interval(s) * Interval(u);
  const double best = lower ? std::min(at_l.lo, at_u.lo) : std::max(at_l.hi, at_u.hi);
  if (s <= 0 || s >= 0.25) return best;
  const Interval square = Interval(1) - Interval(4) * Interval(s);
  const Interval root(next_down(std::sqrt(std::max(0.0, square.lo))), next_up(std::sqrt(square.hi)));
  const Interval p = (Interval(1) + root) / Interval(2), q = Interval(s) / p, odds = p / q;
  const Interval z = widened(std::log(odds.lo), std::log(odds.hi), 4);
  if ((lower ? -z.hi : z.lo) > u || (lower ? -z.lo : z.hi) < l) return best;
  return lower ? std::min(best, (q + Interval(s) * z).lo) : std::max(best, (p - Interval(s) * z).hi);
}

void sigmoid_plane(double l, double u, const double* slopes, Plane& p) {
  p.lower_shift = 0;
  p.upper_shift = 1;
  if (!std::isfinite(l) || !std::isfinite(u)) return;
  p.lower[0] = std::clamp(slopes ? slopes[0] : hull_slope(l, u), 0.0, 0.25);
  p.upper[0] = std::clamp(slopes ? slopes[1] : hull_slope(-u, -l), 0.0, 0.25);
  p.lower_shift = sigmoid_shift(l, u, p.lower[0], true);
  p.upper_shift = sigmoid_shift(l, u, p.upper[0], false);
}

void relu_plane(double l, double u, const double* slopes, Plane& p) {
  p.lower[0] = p.upper[0] = l >= 0;
  if (l >= 0 || u <= 0) return;
  p.lower[0] = slopes ? slopes[0] : u > -l;
  p.upper_shift = kUnbounded;
  if (!std::isfinite(l) || !std::isfinite(u)) return;
  const double s = u / (u - l);
  p.upper[0] = std::isfinite(s) ? std::clamp(s, 0.0, 1.0) : 0;
  p.upper_shift = std::max({0.0, mul_up(-l, p.upper[0]), mul_up(sub_up(1.0, p.upper[0]), u)});  // at 0, at l, at u
}

// Below: sum a_k y_k <= (sum a) max y, so the constant is the least of (1 - sum a) max y.
// Above: max_k [(1 - s_k) u_k + s_k l_k] - sum s_j l_j, attained where y_k is the maximum.
void window_plane(const std::uint32_t* inputs, std::size_t per, const Box& box, const double* slopes, Plane& p) {
  std::size_t best = 0;
  double upper = -kUnbounded, others = -kUnbounded, ceiling = -kUnbounded;  // greatest upper ends: of all, of all but the best
  for (std::size_t k = 0; k < p.lower.size(); ++k) {
    const double u = box.upper[inputs[k]];
    const bool better = box.lower[inputs[k]] > box.lower[inputs[best]];
    if (k > 0) others = std::max(others, better ? box.upper[inputs[best]] : u);
    if (better) best = k;
    upper = std::max(upper, u);
  }
  const double lower = box.lower[inputs[best]];
  Interval total(0), floor(0);
  for (std::size_t k = 0; k < p.lower.size(); ++k) {
    p.lower[k] = slopes ? slopes[k] : k == best;
    p.upper[k] = slopes ? slopes[per + k] : k == best && lower >= others;
    const Interval s(p.upper[k]), l(box.lower[inputs[k]]), u(box.upper[inputs[k]]);
    total = total + Interval(p.lower[k]);
    if (p.upper[k] != 0) floor = floor + s * l;
    ceiling = std::max(ceiling, p.upper[k] == 0 ? u.hi : ((Interval(1) - s) * u + s * l).hi);
  }
  if (slopes) p.lower_shift = ((Interval(1) - total) * Interval(lower, upper)).lo;
  if (slopes || lower < others) p.upper_shift = sub_up(ceiling, floor.lo);
}

}  // namespace

void plane_of(const Op& op, std::size_t o, const Box& box, const double* slopes, int sign, Plane& p) {
  const Sparse* windows = op.form == Form::max_pool ? &op.parts[0].by_output : nullptr;
  const std::size_t inputs = windows ? windows->start[o + 1] - windows->start[o] : 1;
  p.lower.assign(inputs, 0);
  p.upper.assign(inputs, 0);
  p.lower_shift = p.upper_shift = 0;
  if (slopes && std::isnan(slopes[0])) slopes = nullptr;
  if (windows) return window_plane(&windows->index[windows->start[o]], op.numbers / 2, box, slopes, p);
  const double l = sign > 0 ? std::max(0.0, box.lower[o]) : box.lower[o], u = sign < 0 ? std::min(0.0, box.upper[o]) : box.upper[o];
  if (!(l <= u)) return;  // the split leaves no point: any plane holds
  if (op.form == Form::relu) relu_plane(l, u, slopes, p);
  else sigmoid_plane(l, u, slopes, p);
}

void Propagation::forward(const Op& op, Boxes& b) const {
  Box& box = b.of[op.output];
  const Box& in = b.of[op.input];
  for (std::size_t o = 0; o < box.lower.size(); ++o) {
    if (op.form == Form::relu) box.lower[o] = std::max(0.0, in.lower[o]), box.upper[o] = std::max(0.0, in.upper[o]);
    if (op.form == Form::sigmoid) box.lower[o] = sigmoid(in.lower[o]).lo, box.upper[o] = sigmoid(in.upper[o]).hi;
    if (op.form != Form::max_pool) continue;
    const Sparse& windows = op.parts[0].by_output;
    box.upper[o] = -kUnbounded;  // as the lower end is
    for (std::uint32_t k = windows.start[o]; k < windows.start[o + 1]; ++k)
      box.lower[o] = std::max(box.lower[o], in.lower[windows.index[k]]), box.upper[o] = std::max(box.upper[o], in.upper[windows.index[k]]);
  }
}

}  // namespace boundlight::check
