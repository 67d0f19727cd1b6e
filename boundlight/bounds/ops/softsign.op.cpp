// Softsign: x / (1 + |x|). Convex below 0, concave above.
//
// Covered binary32 evaluations: the formula, each operation rounded.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return x / (1 + std::fabs(x)); });
}

}  // namespace

extern const OpInfo Softsign_op;
const OpInfo Softsign_op = {"Softsign", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 4 u of the result", 1, 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SoftsignFunction : Curve<SoftsignFunction> {
  template <class S> BL_HD S value(S x) const { return x / (1 + std::fabs(x)); }
  template <class S> BL_HD S derivative(S x) const {
    const S d = 1 + std::fabs(x);
    return 1 / (d * d);
  }
  BL_HD_CALL Interval at(double z) const {
    if (z > 1e300) return {1 - 1e-15, 1};
    if (z < -1e300) return {-1, -1 + 1e-15};
    if (z == 0) return 0;
    return clamped(Interval(z) / (Interval(1) + Interval(fabs(z))), -1, 1);
  }
  BL_HD_CALL Interval slope(double z, Bend) const { return clamped(Interval(1) / square(Interval(1) + Interval(fabs(z))), 0, 1); }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return split_at_zero(x, Bend::convex, Bend::concave, p); }
  BL_HD_CALL double stationary(double s, Piece p) const {
    const double z = 1 / std::sqrt(s) - 1;
    return p.bend == Bend::convex ? -z : z;
  }
  BL_HD double deployed_error(Interval, Interval y) const { return float_error(y, 4); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Softsign, SoftsignFunction)
