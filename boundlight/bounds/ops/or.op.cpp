// Or: at least one true, with broadcasting.
#include "boundlight/bounds/ops/steps.hpp"
#include "boundlight/bounds/ops/truth.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::compare(*in[0], *in[1], [](auto a, auto b) { return a || b; });
}

}  // namespace

extern const OpInfo Or_op;
const OpInfo Or_op = {"Or", "", typed::logical, evaluate, "all", "yes", "zero", "exact range", "no: piecewise constant", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct OrFunction {
  template <class S> BL_HD S value(S a, S b) const { return a || b ? S(1) : S(0); }
  BL_HD Interval range(Interval a, Interval b) const { return truth(a.lo > 0 || b.lo > 0, a.hi <= 0 && b.hi <= 0); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_STEP(Or, OrFunction)
