// Flatten: the same elements as a matrix.
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  const std::int64_t given = node.integer("axis", 1), rank = static_cast<std::int64_t>(in.size());
  if (given < -rank || given > rank) return refuse("axis " + std::to_string(given) + " is outside of shape " + to_string(in));
  const std::int64_t axis = given < 0 ? given + rank : given;
  Shape out{1, 1};
  for (std::int64_t i = 0; i < rank; ++i) out[i < axis ? 0 : 1] *= in[static_cast<std::size_t>(i)];
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

extern const OpInfo Flatten_op;
const OpInfo Flatten_op = {"Flatten", "axis:i", infer, typed::moved<infer, moves::in_order>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Flatten, moves::in_order)
