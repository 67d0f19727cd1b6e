// Reciprocal: 1 / x, convex on the positive and concave on the negative numbers. A box that holds 0 has no bound.
//
// Covered binary32 evaluations: those within 2 u of the result; none where the argument may be flushed to zero.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return 1 / x; });
}

}  // namespace

extern const OpInfo Reciprocal_op;
const OpInfo Reciprocal_op = {"Reciprocal", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 2 u of the result", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct ReciprocalFunction : Curve<ReciprocalFunction> {
  template <class S> BL_HD S value(S x) const { return 1 / x; }
  template <class S> BL_HD S derivative(S x) const { return -1 / (x * x); }
  BL_HD_CALL Interval at(double z) const {
    const Interval y = Interval(1) / Interval(z);
    return z > 0 ? Interval(fmax(y.lo, 0.0), y.hi) : Interval(y.lo, fmin(y.hi, 0.0));
  }
  BL_HD_CALL Interval slope(double z, Bend) const { return -square(at(z)); }
  BL_HD_CALL Interval range(Interval x) const {
    if (x.lo <= 0 && x.hi >= 0) return Interval::anything();
    return {at(x.hi).lo, at(x.lo).hi};
  }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    if (x.lo <= 0 && x.hi >= 0) return 0;
    return p[0] = {x.lo, x.hi, x.lo > 0 ? Bend::convex : Bend::concave}, 1;
  }
  BL_HD_CALL double stationary(double s, Piece p) const { return (p.from > 0 ? 1 : -1) / std::sqrt(-s); }
  BL_HD double deployed_error(Interval x, Interval y) const {
    const double nearest = fmin(fabs(x.lo), fabs(x.hi));
    return nearest < kFloatFloor ? std::numeric_limits<double>::infinity() : float_error(y, 2);
  }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Reciprocal, ReciprocalFunction)
