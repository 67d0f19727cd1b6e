// Not: 1 - x of a boolean.
#include "boundlight/bounds/ops/steps.hpp"
#include "boundlight/bounds/ops/truth.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::compare(*in[0], *in[0], [](auto a, auto) { return !a; });
}

}  // namespace

extern const OpInfo Not_op;
const OpInfo Not_op = {"Not", "", typed::logical, evaluate, "all", "yes", "zero", "exact range", "no: piecewise constant", "exact", 1, 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct NotFunction {
  template <class S> BL_HD S value(S a, S) const { return a != 0 ? S(0) : S(1); }
  BL_HD Interval range(Interval a, Interval) const { return truth(a.hi <= 0, a.lo > 0); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_STEP(Not, NotFunction)
