// Tile: the whole tensor repeated along each axis.
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> tile(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(repeats, indices::integers(node, 1, "repeats"));
  Shape out = node.shape(0);
  if (repeats.size() != out.size()) return refuse("has " + std::to_string(repeats.size()) + " repeats for shape " + to_string(out));
  for (std::size_t a = 0; a < out.size(); ++a) {
    if (repeats[a] < 0) return refuse("has the negative repeat " + std::to_string(repeats[a]));
    // A product that does not fit is refused like any shape that is too large.
    if (__builtin_mul_overflow(out[a], repeats[a], &out[a])) out[a] = INT64_MAX;
  }
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

Result<moves::Move> moves::tile(const NodeView& node) {
  const Shape& in = node.shape(0);
  const auto stride = indices::strides(in);
  std::vector<std::int64_t> from;
  indices::for_each(node.outputs[0]->shape, [&](const std::vector<std::int64_t>& at) {
    std::int64_t e = 0;
    for (std::size_t a = 0; a < at.size(); ++a) e += stride[a] * (at[a] % in[a]);
    from.push_back(e);
  });
  return indices::from_first({from});
}

extern const OpInfo Tile_op;
const OpInfo Tile_op = {"Tile", "", infer, typed::moved<infer, moves::tile>, "all", "yes", "inputs", "exact range", "exact", "exact", 2, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Tile, moves::tile)
