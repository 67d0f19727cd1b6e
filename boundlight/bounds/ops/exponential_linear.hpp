// ExponentialLinear: f(z) = rise z for z >= 0, scale (e^(rate z) - 1) below; Elu, Selu and Celu. scale and rate are known as
// enclosures (they are products and quotients of attributes).
//
// The exponential side bends with the sign of scale (rate^2 > 0); at 0 the derivative jumps from scale rate to rise.
#pragma once

#include "boundlight/bounds/ops/elementwise.hpp"

namespace boundlight::BL_NS {

struct ExponentialLinear : Curve<ExponentialLinear> {
  double rise;
  Interval scale, rate;
  BL_HD ExponentialLinear(double rise_, Interval scale_, Interval rate_) : rise(rise_), scale(scale_), rate(rate_) {}

  template <class S> BL_HD_CALL S value(S x) const {
    return x < 0 ? S(scale.middle()) * std::expm1(S(rate.middle()) * x) : S(rise) * x;
  }
  template <class S> BL_HD_CALL S derivative(S x) const {
    return x > 0 ? S(rise) : S(scale.middle() * rate.middle()) * std::exp(S(rate.middle()) * x);
  }
  BL_HD_CALL Interval at(double z) const {
    if (z == 0) return 0;
    if (z > 0) return rise == 1 ? Interval(z) : Interval(rise) * Interval(z);
    const Interval exponent = unit(rate) ? Interval(z) : rate * Interval(z);
    const Interval e(enclose_expm1(exponent.lo).lo, enclose_expm1(exponent.hi).hi);
    return unit(scale) ? e : scale * e;
  }
  BL_HD_CALL Interval slope(double z, Bend bend) const {
    if (bend == Bend::straight) return rise;
    const Interval exponent = rate * Interval(z);
    return scale * rate * Interval(enclose_exp(exponent.lo).lo, enclose_exp(exponent.hi).hi);
  }
  // Both sides are monotone (rate < 0 turns the left one; its sign and scale's decide the direction).
  BL_HD_CALL Interval range(Interval x) const {
    const Interval ends = hull(at(x.lo), at(x.hi));
    return x.lo < 0 && x.hi > 0 ? hull(ends, 0) : ends;
  }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return split_at_zero(x, scale.lo >= 0 ? Bend::convex : Bend::concave, Bend::straight, p); }
  BL_HD_CALL double stationary(double s, Piece) const { return std::log(s / (scale.middle() * rate.middle())) / rate.middle(); }
  // Below 0 |f| <= |scale| when rate > 0; the product, the exponential and the subtraction each lose some u of it.
  BL_HD double deployed_error(Interval x, Interval y) const {
    if (rate.lo < 0) return std::numeric_limits<double>::infinity();
    const double above = rise == 1 ? 0.0 : 12 * kFloatUnit * y.magnitude() + kFloatFloor;
    return fmax(x.lo < 0 ? float_error(0, unit(rate) && rise == 1 ? 8 : 12, scale.magnitude()) : 0.0, x.hi > 0 ? above : 0.0);
  }

 private:
  BL_HD static bool unit(Interval a) { return a.lo == 1 && a.hi == 1; }
};

}  // namespace boundlight::BL_NS
