// Wave<F>: sine and cosine. With phase 0 (sine) or 1/2 (cosine), f(z) = sin(z + phase pi) bends where z = (k - phase) pi and has
// its extremes +-1 where z = (k + 1/2 - phase) pi; both are enclosed by interval multiples of pi.
#pragma once

#include "boundlight/bounds/ops/elementwise.hpp"

namespace boundlight::BL_NS {

template <class F>
struct Wave : Curve<F> {
  // Beyond this, boxes get the interval [-1, 1] and no planes.
  static constexpr double kFar = 1e8;

  BL_HD static Interval multiple(double halves) { return Interval(halves * 0.5) * enclosed_pi(); }  // halves: a small integer
  BL_HD static double shift() { return F::kCosine ? 1 : 0; }                                          // in halves of pi
  BL_HD static bool odd(double k) { return fabs(fmod(k, 2.0)) == 1; }

  BL_HD_CALL Interval range(Interval x) const {
    if (!(x.magnitude() < kFar) || !(x.hi - x.lo < 6.3)) return {-1, 1};
    Interval y = hull(this->self().at(x.lo), this->self().at(x.hi));
    const double first = std::floor(x.lo / 3.141592653589793) - 2;
    for (int i = 0; i < 7; ++i) {
      const double k = first + i;
      const Interval peak = multiple(2 * k + 1 - shift());
      if (peak.hi >= x.lo && peak.lo <= x.hi) y = hull(y, odd(k) ? -1.0 : 1.0);
    }
    return y;
  }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    if (!(x.magnitude() < kFar) || !(x.hi - x.lo < 6)) return 0;
    const double first = std::floor(x.lo / 3.141592653589793) - 2;
    double from = x.lo;
    int n = 0;
    for (int i = 0; i < 7; ++i) {
      // Between turns k - 1 and k the sign of f is that of (-1)^(k - 1): positive is concave.
      const double k = first + i;
      const Interval turn = multiple(2 * k - shift());
      if (turn.hi < from) continue;
      const Bend before = odd(k) ? Bend::concave : Bend::convex;
      if (turn.lo > from) p[n++] = {from, fmin(turn.lo, x.hi), before};
      if (turn.lo >= x.hi) return n;
      p[n++] = {fmax(turn.lo, from), fmin(turn.hi, x.hi), Bend::unknown};
      if (turn.hi >= x.hi) return n;
      from = turn.hi;
    }
    return 0;
  }
  // f' = cos(z + phase pi) = s within the piece's half period.
  BL_HD_CALL double stationary(double s, Piece p) const {
    const double pi = 3.141592653589793, phase = shift() * pi / 2, k = std::floor((p.from + (p.to - p.from) / 2 + phase) / pi);
    const double angle = std::acos(s);
    return (odd(k) ? (k + 1) * pi - angle : k * pi + angle) - phase;
  }
  BL_HD double deployed_error(Interval x, Interval) const { return x.magnitude() <= 8192 ? float_error(0, 8, 1) : 2.0; }
};

}  // namespace boundlight::BL_NS
