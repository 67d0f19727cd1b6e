// Sub: a - b with broadcasting; linear in both.
#include "boundlight/bounds/ops/sum.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::binary(*in[0], *in[1], [](auto a, auto b) { return typed::wrapping(a, b, [](auto x, auto y) { return x - y; }); });
}

}  // namespace

extern const OpInfo Sub_op;
const OpInfo Sub_op = {"Sub", "", typed::broadcast_of_inputs, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact", "sums in any order", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_signed_sum<T>(d, node, {1, -1});
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Sub, make)
