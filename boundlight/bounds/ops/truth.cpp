#include "boundlight/bounds/ops/truth.hpp"

namespace boundlight::typed {

Result<std::vector<TypedShape>> compared(const NodeView& node) {
  BL_TRY(shapes, broadcast_of_inputs(node));
  shapes[0].type = DataType::boolean;
  return shapes;
}

Result<std::vector<TypedShape>> logical(const NodeView& node) {
  for (const auto* in : node.inputs)
    if (in->type != DataType::boolean) return refuse("needs boolean inputs, got " + std::string(name_of(in->type)));
  return broadcast_of_inputs(node);
}

}  // namespace boundlight::typed
