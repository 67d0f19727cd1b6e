// Concat: tensors one after the other along an axis.
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> concat(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (!node.has_attribute("axis")) return refuse("needs its axis");
  Shape out = node.shape(0);
  const auto axis = NodeView::axis(node.integer("axis", 0), out.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", 0)) + " is outside of shape " + to_string(out));
  const auto along = static_cast<std::size_t>(*axis);
  for (std::size_t k = 1; k < node.inputs.size(); ++k) {
    if (!node.has(k)) return refuse("input " + std::to_string(k + 1) + " is missing");
    if (node.inputs[k]->type != node.inputs[0]->type) return refuse("its inputs have different element types; insert a Cast");
    Shape next = node.shape(k);
    bool fits = next.size() == out.size();
    for (std::size_t a = 0; fits && a < out.size(); ++a) fits = a == along || next[a] == out[a];
    if (!fits) return refuse("shapes " + to_string(node.shape(0)) + " and " + to_string(next) + " cannot be joined along axis " + std::to_string(along));
    out[along] += next[along];
  }
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

namespace moves {

Result<Move> concat(const NodeView& node) {
  const Shape& out = node.outputs[0]->shape;
  const auto along = static_cast<std::size_t>(*NodeView::axis(node.integer("axis", 0), out.size()));
  const auto stride = indices::strides(out);
  Move m;
  m.outputs.emplace_back(static_cast<std::size_t>(node.outputs[0]->size));
  std::int64_t start = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const auto to = indices::walk(node.shape(k), start * stride[along], stride);
    for (std::size_t e = 0; e < to.size(); ++e) m.outputs[0][static_cast<std::size_t>(to[e])] = {static_cast<std::int32_t>(k), static_cast<std::int64_t>(e)};
    start += node.shape(k)[along];
  }
  return m;
}

}  // namespace moves

extern const OpInfo Concat_op;
const OpInfo Concat_op = {"Concat", "axis:i", infer, typed::moved<infer, moves::concat>, "all", "yes", "inputs and weights", "exact range", "exact", "exact"};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Concat, moves::concat)
