// Unsqueeze: the same elements with new axes of size 1; axes count in the output's shape.
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  BL_TRY(given, indices::argument(node, "axes", 1));
  if (!given) return refuse("needs its axes");
  BL_TRY(axes, indices::axes(*given, in.size() + given->size()));
  Shape out;
  for (std::size_t a = 0, from = 0; a < in.size() + axes.size(); ++a)
    out.push_back(std::count(axes.begin(), axes.end(), static_cast<std::int64_t>(a)) > 0 ? 1 : in[from++]);
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

extern const OpInfo Unsqueeze_op;
const OpInfo Unsqueeze_op = {"Unsqueeze", "axes:I", infer, typed::moved<infer, moves::in_order>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Unsqueeze, moves::in_order)
