// Interval: one closed real interval [lo, hi] with outward-rounded arithmetic; the scalar in which slopes, chords and
// envelopes are computed. Host and device (Boost.Interval switches rounding modes, which a GPU and task threads do not
// share; docs/decisions/0002-own-interval.md).
//
// Invariant: lo <= hi, or the interval is [-inf, inf] ("anything"). NaN in any operand gives [-inf, inf]:
// a lost bound is never a tight one.
#pragma once

#include "boundlight/core/rounding.hpp"

namespace boundlight {

struct Interval {
  double lo = 0;
  double hi = 0;

  Interval() = default;
  BL_HD Interval(double point) : Interval(point, point) {}  // NOLINT: implicit on purpose
  BL_HD Interval(double lower, double upper) : lo(lower), hi(upper) {
    if (!(lo <= hi)) *this = anything();
  }
  BL_HD static Interval anything() {
    Interval a;
    a.lo = -std::numeric_limits<double>::infinity();
    a.hi = std::numeric_limits<double>::infinity();
    return a;
  }
  BL_HD double width() const { return next_up(hi - lo); }
  BL_HD double magnitude() const { return fmax(fabs(lo), fabs(hi)); }
  BL_HD double middle() const { return lo + (hi - lo) / 2; }  // a number of the interval when both ends are finite
  BL_HD bool contains(double x) const { return lo <= x && x <= hi; }
  BL_HD bool contains(Interval x) const { return lo <= x.lo && x.hi <= hi; }
  BL_HD bool finite() const { return lo > -std::numeric_limits<double>::infinity() && hi < std::numeric_limits<double>::infinity(); }
};

BL_HD inline Interval operator-(Interval a) { return {-a.hi, -a.lo}; }
BL_HD inline Interval operator+(Interval a, Interval b) { return {add_down(a.lo, b.lo), add_up(a.hi, b.hi)}; }
BL_HD inline Interval operator-(Interval a, Interval b) { return {sub_down(a.lo, b.hi), sub_up(a.hi, b.lo)}; }
BL_HD inline Interval operator*(Interval a, Interval b) {
  // 0 * inf is NaN on purpose: the constructor turns it into "anything" (an overflowed factor has lost its bound).
  const double p = a.lo * b.lo, q = a.lo * b.hi, r = a.hi * b.lo, s = a.hi * b.hi;
  if (p != p || q != q || r != r || s != s) return Interval::anything();
  return {next_down(fmin(fmin(p, q), fmin(r, s))), next_up(fmax(fmax(p, q), fmax(r, s)))};
}
BL_HD inline Interval operator/(Interval a, Interval b) {
  if (b.lo <= 0 && b.hi >= 0) return Interval::anything();
  const double p = a.lo / b.lo, q = a.lo / b.hi, r = a.hi / b.lo, s = a.hi / b.hi;
  if (p != p || q != q || r != r || s != s) return Interval::anything();
  return {next_down(fmin(fmin(p, q), fmin(r, s))), next_up(fmax(fmax(p, q), fmax(r, s)))};
}
BL_HD inline Interval square(Interval a) {
  const double x = fabs(a.lo), y = fabs(a.hi), big = fmax(x, y), small = (a.lo <= 0 && a.hi >= 0) ? 0.0 : fmin(x, y);
  return {small == 0 ? 0.0 : fmax(0.0, next_down(small * small)), next_up(big * big)};
}
BL_HD inline Interval hull(Interval a, Interval b) { return {fmin(a.lo, b.lo), fmax(a.hi, b.hi)}; }
// Precondition: the two share a point (both enclose the same quantity); disjoint operands give "anything".
BL_HD inline Interval intersect(Interval a, Interval b) { return {fmax(a.lo, b.lo), fmin(a.hi, b.hi)}; }
BL_HD inline Interval min(Interval a, Interval b) { return {fmin(a.lo, b.lo), fmin(a.hi, b.hi)}; }
BL_HD inline Interval max(Interval a, Interval b) { return {fmax(a.lo, b.lo), fmax(a.hi, b.hi)}; }

// Widens a library result by `ulps` units in the last place, and by one normal step against underflow.
BL_HD inline Interval widened(double lower, double upper, int ulps) {
  const double e = ulps * std::numeric_limits<double>::epsilon();
  return {next_down(lower - fabs(lower) * e), next_up(upper + fabs(upper) * e)};
}

}  // namespace boundlight
