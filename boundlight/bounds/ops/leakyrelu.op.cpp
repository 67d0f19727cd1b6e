// LeakyRelu: x for x >= 0, alpha x below (alpha 0.01).
#include "boundlight/bounds/ops/kinked.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", static_cast<double>(0.01F));
  return typed::floats(*in[0], [=](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * x : x; });
}

}  // namespace

extern const OpInfo LeakyRelu_op;
const OpInfo LeakyRelu_op = {"LeakyRelu", "alpha:f", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes",
                             "one rounding of the product", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, Kinked(node.real("alpha", static_cast<double>(0.01F)), 1));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(LeakyRelu, make)
