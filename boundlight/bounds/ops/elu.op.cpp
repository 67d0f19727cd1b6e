// Elu: x for x >= 0, alpha (e^x - 1) below (alpha 1).
//
// Covered binary32 evaluations: alpha times an expm1 or an exponential less 1, each function within a few ulps: within 8 u |alpha|.
#include "boundlight/bounds/ops/exponential_linear.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", 1);
  return typed::floats(*in[0], [=](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x; });
}

}  // namespace

extern const OpInfo Elu_op;
const OpInfo Elu_op = {"Elu", "alpha:f", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u |alpha|", 1, 1, 6};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, ExponentialLinear(1, node.real("alpha", 1), 1));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Elu, make)
