// ThresholdedRelu: x for x > alpha, else 0 (alpha 1); jumps at alpha. Exact in every arithmetic.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", 1);
  return typed::floats(*in[0], [=](auto x) { return x > static_cast<decltype(x)>(alpha) || x != x ? x : decltype(x)(0); });
}

}  // namespace

extern const OpInfo ThresholdedRelu_op;
const OpInfo ThresholdedRelu_op = {"ThresholdedRelu", "alpha:f", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "exact range", "planes", "exact", 1, 1, 10};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct ThresholdedReluFunction : Straight<ThresholdedReluFunction> {
  double alpha;
  BL_HD explicit ThresholdedReluFunction(double a) : alpha(a) {}

  template <class S> BL_HD S value(S x) const { return x <= S(alpha) ? S(0) : x; }
  template <class S> BL_HD S derivative(S x) const { return x <= S(alpha) ? S(0) : S(1); }
  BL_HD Interval range(Interval x) const {
    if (x.hi <= alpha) return 0;
    return x.lo > alpha ? x : hull(0, {alpha, x.hi});
  }
  BL_HD int lines(Interval x, Line* line) const {
    int n = 0;
    if (x.lo <= alpha) line[n++] = {x.lo, fmin(x.hi, alpha), 0, 0};
    if (x.hi > alpha) line[n++] = {fmax(x.lo, alpha), x.hi, 1, 0};
    return n;
  }
  BL_HD double deployed_error(Interval, Interval) const { return 0; }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, ThresholdedReluFunction(node.real("alpha", 1)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ThresholdedRelu, make)
