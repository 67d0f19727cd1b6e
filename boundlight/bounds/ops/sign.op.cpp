// Sign: -1, 0 or 1. Exact in every arithmetic; NaN stays NaN.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return typed::unary(node, *in[0], [](auto x) -> decltype(x) {
    using S = decltype(x);
    if (x != x) return x;
    return static_cast<S>(static_cast<S>(x > S(0) ? 1 : 0) - static_cast<S>(x < S(0) ? 1 : 0));
  });
}

}  // namespace

extern const OpInfo Sign_op;
const OpInfo Sign_op = {"Sign", "", typed::like_input<typed::Kinds::numbers>, evaluate, "all", "yes", "zero", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SignFunction : Straight<SignFunction> {
  template <class S> BL_HD S value(S x) const { return x != x ? x : (x > 0 ? S(1) : (x < 0 ? S(-1) : S(0))); }
  template <class S> BL_HD S derivative(S) const { return S(0); }
  BL_HD Interval range(Interval x) const { return {value(x.lo), value(x.hi)}; }
  BL_HD int lines(Interval x, Line* line) const {
    int n = 0;
    if (x.lo < 0) line[n++] = {x.lo, fmin(x.hi, 0.0), 0, -1};
    if (x.lo <= 0 && x.hi >= 0) line[n++] = {0, 0, 0, 0};
    if (x.hi > 0) line[n++] = {fmax(x.lo, 0.0), x.hi, 0, 1};
    return n;
  }
  BL_HD double deployed_error(Interval, Interval) const { return 0; }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Sign, SignFunction)
