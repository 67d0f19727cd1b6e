// Sigmoid: 1 / (1 + e^-x). Convex below 0, concave above.
//
// Covered binary32 evaluations: those within 8 u = 4.8e-7 of the exact value: the quotient with an exponential of a few ulps,
// the tanh form, and the clamped rational approximations of common runtimes.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) {
    const auto e = std::exp(-std::fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
  });
}

}  // namespace

extern const OpInfo Sigmoid_op;
const OpInfo Sigmoid_op = {"Sigmoid", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SigmoidFunction : Curve<SigmoidFunction> {
  template <class S> BL_HD_CALL S value(S x) const {
    const S e = std::exp(-std::fabs(x));
    return (x < 0 ? e : S(1)) / (1 + e);
  }
  template <class S> BL_HD_CALL S derivative(S x) const {
    const S e = std::exp(-std::fabs(x));
    return e / ((1 + e) * (1 + e));
  }
  BL_HD_CALL Interval at(double z) const { return enclose_sigmoid(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return enclose_sigmoid_slope(z); }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return split_at_zero(x, Bend::convex, Bend::concave, p); }
  // y (1 - y) = s with y = (1 +- q) / 2.
  BL_HD_CALL double stationary(double s, Piece p) const {
    const double q = std::sqrt(fmax(0.0, 1 - 4 * s)), z = q == 0 ? 0.0 : 2 * std::log((1 + q) / (2 * std::sqrt(s)));
    return p.bend == Bend::convex ? -z : z;
  }
  BL_HD double deployed_error(Interval, Interval) const { return float_error(0, 8, 1); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Sigmoid, SigmoidFunction)
