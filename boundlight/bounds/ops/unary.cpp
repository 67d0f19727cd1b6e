#include "boundlight/bounds/ops/unary.hpp"

namespace boundlight::typed {

Result<std::vector<TypedShape>> like_input(const NodeView& node, Kinds kinds) {
  if (!node.has(0)) return refuse("has no input");
  const DataType type = node.inputs[0]->type;
  const bool is_signed = type >= DataType::int8 && type <= DataType::int64;
  const bool good = kinds == Kinds::any || is_floating(type) || (kinds == Kinds::numbers && is_integer(type)) || (kinds == Kinds::floating_or_signed && is_signed);
  if (!good) return refuse("has no meaning for elements of type " + std::string(name_of(type)));
  for (const auto& [name, value] : node.node->attributes)
    if (const auto* number = std::get_if<double>(&value); number && !std::isfinite(*number)) return refuse("attribute '" + name + "' is not a finite number");
  return same_as_input(node);
}

}  // namespace boundlight::typed
