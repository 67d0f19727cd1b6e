// Less: a < b, with broadcasting.
#include "boundlight/bounds/ops/steps.hpp"
#include "boundlight/bounds/ops/truth.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::compare(*in[0], *in[1], [](auto a, auto b) { return a < b; });
}

}  // namespace

extern const OpInfo Less_op;
const OpInfo Less_op = {"Less", "", typed::compared, evaluate, "all", "yes", "zero", "exact range", "no: piecewise constant", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct LessFunction {
  template <class S> BL_HD S value(S a, S b) const { return a < b ? S(1) : S(0); }
  BL_HD Interval range(Interval a, Interval b) const { return truth(a.hi < b.lo, a.lo >= b.hi); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_STEP(Less, LessFunction)
