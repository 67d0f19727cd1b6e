// Staircase<F>: nondecreasing step functions with steps of 1 (Floor, Ceil, Round). F states
//   double step(double z) const       f in double, exact
//   double jump(double k) const       where f leaves the value k
//   kBelow, kAbove                    z - kBelow <= f(z) <= z + kAbove
// A box with up to three values gets exact envelopes, a wider one the better of the slanted and the flat lines.
#pragma once

#include "boundlight/bounds/ops/elementwise.hpp"

namespace boundlight::BL_NS {

template <class F>
struct Staircase : Straight<F> {
  template <class S> BL_HD S derivative(S) const { return S(0); }
  BL_HD Interval range(Interval x) const { return {this->self().step(x.lo), this->self().step(x.hi)}; }
  BL_HD int lines(Interval x, Line* line) const {
    const Interval y = range(x);
    if (!(x.magnitude() < 1e15) || y.hi - y.lo > 2) return 0;
    int n = 0;
    double from = x.lo;
    for (double k = y.lo; k <= y.hi; ++k) {
      const double to = fmin(this->self().jump(k), x.hi);
      line[n++] = {from, to, 0, k};
      from = to;
    }
    line[n - 1].to = x.hi;
    return n;
  }
  BL_HD double low(double s, Interval x) const {
    const double narrow = Straight<F>::low(s, x);
    const double flat = s == 0 ? range(x).lo : (Interval(range(x).lo) - Interval(s) * x).lo;
    const double slanted = s == 1 ? -F::kBelow : ((Interval(1) - Interval(s)) * x - Interval(F::kBelow)).lo;
    return fmax(narrow, fmax(flat, slanted));
  }
  BL_HD double high(double s, Interval x) const {
    const double narrow = Straight<F>::high(s, x);
    const double flat = s == 0 ? range(x).hi : (Interval(range(x).hi) - Interval(s) * x).hi;
    const double slanted = s == 1 ? F::kAbove : ((Interval(1) - Interval(s)) * x + Interval(F::kAbove)).hi;
    return fmin(narrow, fmin(flat, slanted));
  }
  BL_HD Slopes slopes(Interval x, SlopeRule rule) const {
    const Interval y = range(x);
    if (y.hi - y.lo <= 2 && x.magnitude() < 1e15) return Straight<F>::slopes(x, rule);
    const double m = x.middle();
    return {m - F::kBelow > y.lo ? 1.0 : 0.0, m + F::kAbove < y.hi ? 1.0 : 0.0};
  }
  BL_HD bool decided(Interval x) const { return range(x).lo == range(x).hi; }
  BL_HD double deployed_error(Interval, Interval) const { return 0; }
};

}  // namespace boundlight::BL_NS
