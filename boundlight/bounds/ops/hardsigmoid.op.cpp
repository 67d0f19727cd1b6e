// HardSigmoid: max(0, min(1, alpha x + beta)) (alpha 0.2, beta 0.5).
//
// Covered binary32 evaluations: the formula, fused or not. Where the result is not saturated |alpha x| <= 1 + |beta|, so its
// error is within 4 u (1 + |beta|).
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

namespace boundlight {
inline constexpr float kHardSigmoidAlpha = 0.2F;
}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", kHardSigmoidAlpha), beta = node.real("beta", 0.5);
  return typed::floats(*in[0], [=](auto x) {
    using S = decltype(x);
    const S y = static_cast<S>(alpha) * x + static_cast<S>(beta);
    return y < 0 ? S(0) : (y > 1 ? S(1) : y);
  });
}

}  // namespace

extern const OpInfo HardSigmoid_op;
const OpInfo HardSigmoid_op = {"HardSigmoid", "alpha:f beta:f", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes",
                               "within 4 u (1 + |beta|)", 1, 1, 6};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct HardSigmoidFunction : Straight<HardSigmoidFunction> {
  double alpha, beta;
  BL_HD HardSigmoidFunction(double a, double b) : alpha(a), beta(b) {}

  template <class S> BL_HD S value(S x) const {
    const S y = S(alpha) * x + S(beta);
    return y < 0 ? S(0) : (y > 1 ? S(1) : y);
  }
  template <class S> BL_HD S derivative(S x) const {
    const S y = S(alpha) * x + S(beta);
    return y > 0 && y < 1 ? S(alpha) : S(0);
  }
  BL_HD Interval range(Interval x) const { return clamped(alpha == 0 ? Interval(beta) : Interval(alpha) * x + Interval(beta), 0, 1); }
  // The kinks are quotients, known up to an ulp: the flat and the slanted lines overlap there.
  BL_HD int lines(Interval x, Line* line) const {
    if (alpha == 0) return line[0] = {x.lo, x.hi, 0, fmin(fmax(beta, 0.0), 1.0)}, 1;
    const Interval zero = Interval(-beta) / Interval(alpha), one = (Interval(1) - Interval(beta)) / Interval(alpha);
    const Interval left = alpha > 0 ? zero : one, right = alpha > 0 ? one : zero;
    int n = 0;
    if (x.lo <= left.hi) line[n++] = {x.lo, fmin(x.hi, left.hi), 0, alpha > 0 ? 0.0 : 1.0};
    if (x.hi >= left.lo && x.lo <= right.hi) line[n++] = {fmax(x.lo, left.lo), fmin(x.hi, right.hi), alpha, beta};
    if (x.hi >= right.lo) line[n++] = {fmax(x.lo, right.lo), x.hi, 0, alpha > 0 ? 1.0 : 0.0};
    return n;
  }
  BL_HD double deployed_error(Interval, Interval) const { return float_error(0, 4, 1 + fabs(beta)); }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, HardSigmoidFunction(node.real("alpha", kHardSigmoidAlpha), node.real("beta", 0.5)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(HardSigmoid, make)
