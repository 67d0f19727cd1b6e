// HardSwish: x max(0, min(1, x / 6 + 1/2)): 0 up to -3, x (x + 3) / 6 between -3 and 3, x from 3 on.
//
// Covered binary32 evaluations: the formula with x / 6 as a quotient or a product by the nearest float, or x min(max(x + 3, 0), 6) / 6,
// each operation rounded: within 8 u max(|y|, 3). None for |x| > 2^125, where a product by 6 may overflow.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return x * std::fmax(decltype(x)(0), std::fmin(decltype(x)(1), x / 6 + decltype(x)(0.5))); });
}

}  // namespace

extern const OpInfo HardSwish_op;
const OpInfo HardSwish_op = {"HardSwish", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u max(|y|, 3)", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct HardSwishFunction : Curve<HardSwishFunction> {
  template <class S> BL_HD S value(S x) const { return x <= -3 ? S(0) : (x >= 3 ? x : x * (x / 6 + S(0.5))); }
  template <class S> BL_HD S derivative(S x) const { return x <= -3 ? S(0) : (x >= 3 ? S(1) : x / 3 + S(0.5)); }
  BL_HD_CALL Interval at(double z) const {
    if (z <= -3 || z == 0) return 0;
    if (z >= 3) return z;
    return Interval(z) * (Interval(z) + Interval(3)) / Interval(6);
  }
  BL_HD_CALL Interval slope(double z, Bend) const { return (Interval(2) * Interval(z) + Interval(3)) / Interval(6); }
  // Falls from -3 to -1.5, where it is -3/8, and rises from there on.
  BL_HD_CALL Interval range(Interval x) const {
    if (x.lo >= -1.5) return rising(x);
    if (x.hi <= -1.5) return {at(x.hi).lo, at(x.lo).hi};
    return {-0.375, fmax(at(x.lo).hi, at(x.hi).hi)};
  }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    int n = 0;
    if (x.lo < -3) p[n++] = {x.lo, fmin(x.hi, -3.0), Bend::straight};
    if (x.hi > -3 && x.lo < 3) p[n++] = {fmax(x.lo, -3.0), fmin(x.hi, 3.0), Bend::convex};
    if (x.hi > 3) p[n++] = {fmax(x.lo, 3.0), x.hi, Bend::straight};
    if (n == 0) p[n++] = {x.lo, x.hi, Bend::straight};
    return n;
  }
  BL_HD_CALL double stationary(double s, Piece) const { return 3 * s - 1.5; }
  BL_HD double deployed_error(Interval x, Interval y) const { return x.magnitude() > 0x1p125 ? std::numeric_limits<double>::infinity() : float_error(y, 8, 3); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(HardSwish, HardSwishFunction)
