// Exp. Convex everywhere.
//
// Covered binary32 evaluations: those within 8 u of the result, or flushed to zero where it is below the normal numbers; none
// where the result may overflow.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::exp(x); });
}

}  // namespace

extern const OpInfo Exp_op;
const OpInfo Exp_op = {"Exp", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u of the result", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct ExpFunction : Curve<ExpFunction> {
  template <class S> BL_HD S value(S x) const { return std::exp(x); }
  template <class S> BL_HD S derivative(S x) const { return std::exp(x); }
  BL_HD_CALL Interval at(double z) const { return enclose_exp(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return enclose_exp(z); }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return p[0] = {x.lo, x.hi, Bend::convex}, 1; }
  BL_HD_CALL double stationary(double s, Piece) const { return std::log(s); }
  BL_HD double deployed_error(Interval, Interval y) const { return float_error(y, 8); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Exp, ExpFunction)
