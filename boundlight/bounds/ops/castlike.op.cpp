// CastLike: the first input in the element type of the second.
#include "boundlight/bounds/ops/cast.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) { return std::vector<TypedShape>{{node.inputs[1]->type, node.shape(0)}}; }

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return std::vector<Tensor>{typed::cast(*in[0], node.inputs[1]->type)};
}

}  // namespace

extern const OpInfo CastLike_op;
const OpInfo CastLike_op = {"CastLike", "saturate:i", infer, evaluate, "values", "yes", "inputs; to integers: zero", "exact range", "exact; to integers: no: piecewise constant", "one rounding", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// The second input gives its type only.
template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  NodeView first = node;
  first.inputs.resize(1);
  return make_cast<T>(d, first);
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(CastLike, make)
