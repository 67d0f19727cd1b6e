// DepthToSpace: blocks of channels become blocks of pixels. With b = blocksize and C' output channels,
//   DCR: y[n][c][h b + i][w b + j] = x[n][(i b + j) C' + c][h][w]      CRD: ... = x[n][c b b + i b + j][h][w]
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> depth_to_space(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  const std::int64_t b = node.integer("blocksize", 0);
  const std::string mode = node.text("mode", "DCR");
  if (in.size() != 4) return refuse("needs a tensor N x C x H x W, got " + to_string(in));
  if (b <= 0 || b > (1 << 20)) return refuse("needs a positive blocksize");
  if (in[1] % (b * b) != 0) return refuse(std::to_string(in[1]) + " channels are not a multiple of blocksize squared, " + std::to_string(b * b));
  if (mode != "DCR" && mode != "CRD") return refuse("mode '" + mode + "' is not known; DCR and CRD are");
  return std::vector<TypedShape>{{node.inputs[0]->type, {in[0], in[1] / (b * b), in[2] * b, in[3] * b}}};
}

}  // namespace

Result<moves::Move> moves::depth_to_space(const NodeView& node) {
  const std::int64_t b = node.integer("blocksize", 0);
  const bool depth_first = node.text("mode", "DCR") == "DCR";
  const Shape& out = node.outputs[0]->shape;
  const auto stride = indices::strides(node.shape(0));
  std::vector<std::int64_t> from;
  indices::for_each(out, [&](const std::vector<std::int64_t>& at) {
    const std::int64_t pixel = at[2] % b * b + at[3] % b, channel = depth_first ? pixel * out[1] + at[1] : at[1] * b * b + pixel;
    from.push_back(at[0] * stride[0] + channel * stride[1] + at[2] / b * stride[2] + at[3] / b);
  });
  return indices::from_first({from});
}

extern const OpInfo DepthToSpace_op;
const OpInfo DepthToSpace_op = {"DepthToSpace", "blocksize:i mode:s", infer, typed::moved<infer, moves::depth_to_space>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(DepthToSpace, moves::depth_to_space)
