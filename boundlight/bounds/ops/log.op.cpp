// Log: the natural logarithm, concave on the positive numbers. A box that reaches below 0 has no bound; 0 itself has -infinity.
//
// Covered binary32 evaluations: those within 8 u max(|log x|, 1); none for boxes with subnormal numbers, which may be flushed.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::log(x); });
}

}  // namespace

extern const OpInfo Log_op;
const OpInfo Log_op = {"Log", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u max(|y|, 1)", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct LogFunction : Curve<LogFunction> {
  template <class S> BL_HD S value(S x) const { return std::log(x); }
  template <class S> BL_HD S derivative(S x) const { return 1 / x; }
  BL_HD_CALL Interval at(double z) const { return enclose_log(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return Interval(1) / Interval(z); }
  BL_HD_CALL Interval range(Interval x) const { return x.lo < 0 ? Interval::anything() : rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    if (x.lo <= 0) return 0;
    return p[0] = {x.lo, x.hi, Bend::concave}, 1;
  }
  BL_HD_CALL double stationary(double s, Piece) const { return 1 / s; }
  BL_HD double deployed_error(Interval x, Interval y) const { return x.lo < kFloatFloor ? std::numeric_limits<double>::infinity() : float_error(y, 8, 1); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Log, LogFunction)
