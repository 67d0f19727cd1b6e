// Min: the smallest of its inputs, element by element, with broadcasting.
#include "boundlight/bounds/ops/broadcast_lists.hpp"
#include "boundlight/bounds/ops/extremum.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

// A NaN wins.
Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::fold_inputs(in, [](auto a, auto b) { return a != a || a < b ? a : b; });
}

}  // namespace

extern const OpInfo Min_op;
const OpInfo Min_op = {"Min", "", typed::broadcast_of_inputs, evaluate, "all", "yes", "inputs and weights", "exact range", "planes", "exact"};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return std::unique_ptr<Kernel<T>>(std::make_unique<ExtremumKernel<T>>(d, node, typed::broadcast_list(node), false));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Min, make)
