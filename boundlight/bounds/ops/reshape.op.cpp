// Reshape: the same elements in another shape.
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (node.variable(1)) return refuse("the new shape must be a constant");
  const Shape& in = node.shape(0);
  Shape out = node.inputs[1]->constant->to_int64s();
  const bool zero_copies = node.integer("allowzero", 0) == 0;
  std::int64_t known = 1, free = -1;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0 && zero_copies) {
      if (i >= in.size()) return refuse("dimension " + std::to_string(i) + " of the new shape copies one that shape " + to_string(in) + " does not have");
      out[i] = in[i];
    }
    if (out[i] == -1) {
      if (free >= 0) return refuse("the new shape " + to_string(out) + " leaves two dimensions open");
      free = static_cast<std::int64_t>(i);
    } else {
      if (out[i] < 0 || (out[i] > 0 && known > (std::int64_t{1} << 40) / out[i])) return refuse("the new shape " + to_string(out) + " is not possible");
      known *= out[i];
    }
  }
  if (free >= 0) {
    if (known == 0 || node.size(0) % known != 0) return refuse("shape " + to_string(in) + " cannot become " + to_string(out));
    out[static_cast<std::size_t>(free)] = node.size(0) / known;
    known *= out[static_cast<std::size_t>(free)];
  }
  if (known != node.size(0)) return refuse("shape " + to_string(in) + " cannot become " + to_string(out));
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

extern const OpInfo Reshape_op;
const OpInfo Reshape_op = {"Reshape", "allowzero:i", infer, typed::moved<infer, moves::in_order>, "all", "yes", "inputs", "exact range", "exact", "exact", 2, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Reshape, moves::in_order)
