// LogSoftmax: x - log sum exp(x) over an axis (softmax.hpp).
#include "boundlight/bounds/ops/softmax.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) { return softmax_evaluate(node, in, true); }

}  // namespace

extern const OpInfo LogSoftmax_op;
const OpInfo LogSoftmax_op = {"LogSoftmax", "axis:i", softmax_infer, evaluate, "none", "yes", "yes", "enclosure", "planes", "(x - max) - log sum exp(x - max), exp and log within 4 ulp", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(groups, softmax_groups(node));
  return std::unique_ptr<Kernel<T>>(std::make_unique<SoftmaxKernel<T>>(d, node, groups, true));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(LogSoftmax, make)
