// Sqrt: concave on the nonnegative numbers. A box that reaches below 0 has no bound.
//
// Covered binary32 evaluations: those within 2 u of the result; arguments below the normal numbers may be flushed.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::sqrt(x); });
}

}  // namespace

extern const OpInfo Sqrt_op;
const OpInfo Sqrt_op = {"Sqrt", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 2 u of the result", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SqrtFunction : Curve<SqrtFunction> {
  template <class S> BL_HD S value(S x) const { return std::sqrt(x); }
  template <class S> BL_HD S derivative(S x) const { return S(0.5) / std::sqrt(x); }
  BL_HD_CALL Interval at(double z) const { return enclose_sqrt(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return Interval(0.5) / enclose_sqrt(z); }
  BL_HD_CALL Interval range(Interval x) const { return x.lo < 0 ? Interval::anything() : rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    if (x.lo < 0) return 0;
    return p[0] = {x.lo, x.hi, Bend::concave}, 1;
  }
  BL_HD_CALL double stationary(double s, Piece) const { return 0.25 / (s * s); }
  BL_HD double deployed_error(Interval x, Interval y) const { return float_error(y, 2) + (x.lo < kFloatFloor ? 0x1p-63 : 0.0); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Sqrt, SqrtFunction)
