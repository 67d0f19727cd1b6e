// Tanh. Convex below 0, concave above.
//
// Covered binary32 evaluations: those within 8 u = 4.8e-7 of the exact value: libraries' tanh, forms by exponentials of a few
// ulps, and the clamped rational approximations of common runtimes.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::tanh(x); });
}

}  // namespace

extern const OpInfo Tanh_op;
const OpInfo Tanh_op = {"Tanh", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct TanhFunction : Curve<TanhFunction> {
  template <class S> BL_HD_CALL S value(S x) const { return std::tanh(x); }
  template <class S> BL_HD_CALL S derivative(S x) const {
    const S e = std::exp(-2 * std::fabs(x));
    return 4 * e / ((1 + e) * (1 + e));
  }
  BL_HD_CALL Interval at(double z) const { return enclose_tanh(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return clamped(Interval(4) * enclose_sigmoid_slope(2 * z), 0, 1); }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return split_at_zero(x, Bend::convex, Bend::concave, p); }
  // 1 - y^2 = s.
  BL_HD_CALL double stationary(double s, Piece p) const {
    const double y = std::sqrt(fmax(0.0, 1 - s)), z = y == 0 ? 0.0 : std::log((1 + y) / std::sqrt(s));
    return p.bend == Bend::convex ? -z : z;
  }
  BL_HD double deployed_error(Interval, Interval) const { return float_error(0, 8, 1); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Tanh, TanhFunction)
