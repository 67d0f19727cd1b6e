// Expand: a tensor repeated along axes of size 1 until it fits a shape (broadcasting both ways).
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> expand(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(shape, indices::integers(node, 1, "shape"));
  const auto out = typed::broadcast(node.shape(0), shape);
  if (!out) return refuse("shape " + to_string(node.shape(0)) + " does not expand to " + to_string(shape));
  return std::vector<TypedShape>{{node.inputs[0]->type, *out}};
}

}  // namespace

Result<moves::Move> moves::expand(const NodeView& node) { return indices::from_first({typed::broadcast_index(node.shape(0), node.outputs[0]->shape)}); }

extern const OpInfo Expand_op;
const OpInfo Expand_op = {"Expand", "", infer, typed::moved<infer, moves::expand>, "all", "yes", "inputs", "exact range", "exact", "exact", 2, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Expand, moves::expand)
