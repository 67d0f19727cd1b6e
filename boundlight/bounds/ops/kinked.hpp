// Kinked: f(z) = left z for z < 0, right z for z > 0; LeakyRelu, PRelu, Abs and (left = right) Neg.
//
// Convex when left <= right: every slope in [left, right] with intercept 0 is then a lower plane, and the upper plane is the
// chord; concave otherwise, with the sides exchanged. Covered binary32 evaluations: one rounding of the product.
#pragma once

#include "boundlight/bounds/ops/elementwise.hpp"

namespace boundlight::BL_NS {

struct Kinked : Straight<Kinked> {
  double left = 0, right = 1;
  Kinked() = default;
  BL_HD Kinked(double l, double r) : left(l), right(r) {}

  template <class S> BL_HD S value(S x) const { return x < 0 ? S(left) * x : S(right) * x; }
  template <class S> BL_HD S derivative(S x) const { return x > 0 ? S(right) : S(left); }
  BL_HD Interval range(Interval x) const {
    if (x.lo >= 0) return scaled(right, x);
    if (x.hi <= 0) return scaled(left, x);
    return hull(scaled(left, {x.lo, 0}), scaled(right, {0, x.hi}));
  }
  BL_HD int lines(Interval x, Line* line) const {
    if (x.lo >= 0 || left == right) return line[0] = {x.lo, x.hi, right, 0}, 1;
    if (x.hi <= 0) return line[0] = {x.lo, x.hi, left, 0}, 1;
    line[0] = {x.lo, 0, left, 0};
    line[1] = {0, x.hi, right, 0};
    return 2;
  }
  BL_HD Slopes slopes(Interval x, SlopeRule rule) const {
    if (x.lo >= 0 || left == right) return {right, right};
    if (x.hi <= 0) return {left, left};
    const double chord = (right * x.hi - left * x.lo) / (x.hi - x.lo);
    double inner = chord;
    if (rule == SlopeRule::zero) inner = left;
    if (rule == SlopeRule::one) inner = right;
    if (rule == SlopeRule::adaptive) inner = x.hi >= -x.lo ? right : left;
    return left <= right ? Slopes{inner, chord} : Slopes{chord, inner};
  }
  BL_HD bool free_slope(Interval x) const { return x.lo < 0 && x.hi > 0 && left < right; }
  BL_HD double free_low() const { return left; }
  BL_HD double free_high() const { return right; }
  BL_HD double deployed_error(Interval, Interval y) const { return exact(left) && exact(right) ? 0.0 : float_error(y, 1); }

 private:
  BL_HD static bool exact(double slope) { return slope == 0 || fabs(slope) == 1; }
  // slope * x over an interval on one side of 0, where 0 stays 0.
  BL_HD static Interval scaled(double slope, Interval x) {
    if (slope == 0) return 0;
    const double a = slope * x.lo, b = slope * x.hi;
    const double lo = fmin(a, b), hi = fmax(a, b);
    if (fabs(slope) == 1) return {lo, hi};
    return {x.lo == 0 && x.hi == 0 ? 0.0 : (lo == 0 && (x.lo == 0 || x.hi == 0) ? 0.0 : next_down(lo)),
            x.lo == 0 && x.hi == 0 ? 0.0 : (hi == 0 && (x.lo == 0 || x.hi == 0) ? 0.0 : next_up(hi))};
  }
};

}  // namespace boundlight::BL_NS
