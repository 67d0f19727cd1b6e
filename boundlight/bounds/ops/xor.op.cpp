// Xor: exactly one true, with broadcasting.
#include "boundlight/bounds/ops/steps.hpp"
#include "boundlight/bounds/ops/truth.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::compare(*in[0], *in[1], [](auto a, auto b) { return a != b; });
}

}  // namespace

extern const OpInfo Xor_op;
const OpInfo Xor_op = {"Xor", "", typed::logical, evaluate, "all", "yes", "zero", "exact range", "no: piecewise constant", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct XorFunction {
  template <class S> BL_HD S value(S a, S b) const { return a != b ? S(1) : S(0); }
  BL_HD Interval range(Interval a, Interval b) const { return truth(a.lo > b.hi || a.hi < b.lo, a.lo == a.hi && b.lo == b.hi && a.lo == b.lo); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_STEP(Xor, XorFunction)
