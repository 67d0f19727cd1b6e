// ArgMax: the position of the largest element along an axis, the first or (select_last_index) the last of equals.
#include "boundlight/bounds/ops/arg_extreme.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) { return typed::arg_extreme_value(node, *in[0], true); }

}  // namespace

extern const OpInfo ArgMax_op;
const OpInfo ArgMax_op = {"ArgMax", "axis:i keepdims:i select_last_index:i", typed::arg_extreme_shape, evaluate, "all", "yes", "zero", "hull of the possible positions", "no: piecewise constant", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_ARG(ArgMax, true)
