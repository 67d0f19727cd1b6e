// Erf: the error function. Convex below 0, concave above.
//
// Covered binary32 evaluations: those within 8 u = 4.8e-7 of the exact value: libraries' erf and the clamped polynomial
// approximations of common runtimes.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  if (is_floating(in[0]->type())) return typed::floats(*in[0], [](auto x) { return std::erf(x); });
  // Integers are allowed by the standard; the result is truncated.
  return typed::unary(node, *in[0], [](auto x) { return std::erf(static_cast<double>(x)); });
}

}  // namespace

extern const OpInfo Erf_op;
const OpInfo Erf_op = {"Erf", "", typed::like_input<typed::Kinds::numbers>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct ErfFunction : Curve<ErfFunction> {
  template <class S> BL_HD_CALL S value(S x) const { return std::erf(x); }
  template <class S> BL_HD_CALL S derivative(S x) const { return S(1.1283791670955126) * std::exp(-x * x); }
  BL_HD_CALL Interval at(double z) const { return enclose_erf(z); }
  BL_HD_CALL Interval slope(double z, Bend) const {
    const Interval exponent = -square(Interval(z));
    return enclosed_two_over_sqrt_pi() * Interval(enclose_exp(exponent.lo).lo, enclose_exp(exponent.hi).hi);
  }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return split_at_zero(x, Bend::convex, Bend::concave, p); }
  BL_HD_CALL double stationary(double s, Piece p) const {
    const double z = std::sqrt(fmax(0.0, std::log(1.1283791670955126 / s)));
    return p.bend == Bend::convex ? -z : z;
  }
  BL_HD double deployed_error(Interval, Interval) const { return float_error(0, 8, 1); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Erf, ErfFunction)
