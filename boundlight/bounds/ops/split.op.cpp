// Split: a tensor cut into pieces along an axis; sizes given (attribute until version 11, input since 13), or equal pieces.
#include <numeric>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> split(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  const auto axis = NodeView::axis(node.integer("axis", 0), in.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", 0)) + " is outside of shape " + to_string(in));
  const std::int64_t size = in[static_cast<std::size_t>(*axis)], pieces = static_cast<std::int64_t>(node.node->outputs.size());
  BL_TRY(given, indices::argument(node, "split", 1));
  std::vector<std::int64_t> sizes;
  if (given) {
    sizes = *given;
  } else {
    // Since version 18 the last piece may be smaller; before, the axis had to be divisible.
    if (node.integer("num_outputs", pieces) != pieces) return refuse("num_outputs differs from the number of its outputs");
    if (node.version() < 18 && size % pieces != 0) return refuse("an axis of " + std::to_string(size) + " cannot be split into " + std::to_string(pieces) + " equal pieces");
    const std::int64_t each = (size + pieces - 1) / pieces;
    for (std::int64_t p = 0; p < pieces; ++p) sizes.push_back(std::min(each, std::max<std::int64_t>(0, size - p * each)));
  }
  if (static_cast<std::int64_t>(sizes.size()) != pieces) return refuse("names " + std::to_string(sizes.size()) + " pieces for " + std::to_string(pieces) + " outputs");
  std::int64_t left = size;
  std::vector<TypedShape> out;
  for (const std::int64_t s : sizes) {
    if (s < 0 || s > left) return refuse("its pieces do not fill an axis of " + std::to_string(size));
    left -= s;
    out.push_back({node.inputs[0]->type, in});
    out.back().shape[static_cast<std::size_t>(*axis)] = s;
  }
  if (left != 0) return refuse("its pieces do not fill an axis of " + std::to_string(size));
  return out;
}

}  // namespace

// Unused outputs have no value; where they begin follows from infer.
Result<moves::Move> moves::split(const NodeView& node) {
  BL_TRY(shapes, infer(node));
  const auto along = static_cast<std::size_t>(*NodeView::axis(node.integer("axis", 0), node.shape(0).size()));
  const auto stride = indices::strides(node.shape(0));
  std::vector<std::vector<std::int64_t>> slots;
  std::int64_t start = 0;
  for (const auto& s : shapes) {
    slots.push_back(indices::walk(s.shape, start * stride[along], stride));
    start += s.shape[along];
  }
  for (std::size_t s = 0; s < slots.size(); ++s)
    if (!node.outputs[s]) slots[s].clear();
  return indices::from_first(slots);
}

extern const OpInfo Split_op;
const OpInfo Split_op = {"Split", "axis:i split:I num_outputs:i", infer, typed::moved<infer, moves::split>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Split, moves::split)
