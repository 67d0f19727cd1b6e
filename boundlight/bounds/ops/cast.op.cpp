// Cast: the same number in another element type.
#include "boundlight/bounds/ops/cast.hpp"
#include "boundlight/models/onnx.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (!node.has_attribute("to")) return refuse("needs the attribute 'to'");
  const auto to = onnx_element_type(node.integer("to", 0));
  if (!to) return refuse("casts to element type " + onnx_element_type_name(node.integer("to", 0)) + ", which is not supported; floating, integer and boolean types are");
  return std::vector<TypedShape>{{*to, node.shape(0)}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(shapes, infer(node));
  return std::vector<Tensor>{typed::cast(*in[0], shapes[0].type)};
}

}  // namespace

extern const OpInfo Cast_op;
const OpInfo Cast_op = {"Cast", "to:i saturate:i", infer, evaluate, "values", "yes", "inputs; to integers: zero", "exact range", "exact; to integers: no: piecewise constant", "one rounding", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER(Cast, make_cast)
