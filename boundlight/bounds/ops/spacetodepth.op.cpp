// SpaceToDepth: blocks of pixels become blocks of channels: y[n][(i b + j) C + c][h][w] = x[n][c][h b + i][w b + j], b = blocksize.
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> space_to_depth(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  const std::int64_t b = node.integer("blocksize", 0);
  if (in.size() != 4) return refuse("needs a tensor N x C x H x W, got " + to_string(in));
  if (b <= 0 || b > (1 << 20)) return refuse("needs a positive blocksize");
  if (in[2] % b != 0 || in[3] % b != 0) return refuse("an image of " + std::to_string(in[2]) + "x" + std::to_string(in[3]) + " does not divide into blocks of " + std::to_string(b));
  return std::vector<TypedShape>{{node.inputs[0]->type, {in[0], in[1] * b * b, in[2] / b, in[3] / b}}};
}

}  // namespace

Result<moves::Move> moves::space_to_depth(const NodeView& node) {
  const std::int64_t b = node.integer("blocksize", 0);
  const Shape& in = node.shape(0);
  const auto stride = indices::strides(in);
  std::vector<std::int64_t> from;
  indices::for_each(node.outputs[0]->shape, [&](const std::vector<std::int64_t>& at) {
    const std::int64_t pixel = at[1] / in[1];
    from.push_back(at[0] * stride[0] + at[1] % in[1] * stride[1] + (at[2] * b + pixel / b) * stride[2] + at[3] * b + pixel % b);
  });
  return indices::from_first({from});
}

extern const OpInfo SpaceToDepth_op;
const OpInfo SpaceToDepth_op = {"SpaceToDepth", "blocksize:i", infer, typed::moved<infer, moves::space_to_depth>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(SpaceToDepth, moves::space_to_depth)
