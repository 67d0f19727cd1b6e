// Sum: the sum of its inputs with broadcasting; linear in all.
#include "boundlight/bounds/ops/broadcast_lists.hpp"
#include "boundlight/bounds/ops/sum.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::fold_inputs(in, [](auto a, auto b) { return typed::wrapping(a, b, [](auto x, auto y) { return x + y; }); });
}

}  // namespace

extern const OpInfo Sum_op;
const OpInfo Sum_op = {"Sum", "", typed::broadcast_of_inputs, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact", "sums in any order"};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_signed_sum<T>(d, node, std::vector<int>(node.inputs.size(), 1));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Sum, make)
