// Transpose: axes in another order (by default reversed).
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight {

Result<moves::Move> transpose_move(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<std::int64_t>> axes_of(const NodeView& node) {
  const auto rank = static_cast<std::int64_t>(node.shape(0).size());
  std::vector<std::int64_t> reversed;
  for (std::int64_t a = rank; a-- > 0;) reversed.push_back(a);
  auto perm = node.integers("perm", reversed);
  auto sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  std::sort(reversed.begin(), reversed.end());
  if (sorted != reversed) return refuse("attribute 'perm' " + to_string(perm) + " does not name every axis of shape " + to_string(node.shape(0)) + " once");
  return perm;
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(perm, axes_of(node));
  Shape out;
  for (const auto a : perm) out.push_back(node.shape(0)[static_cast<std::size_t>(a)]);
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

Result<moves::Move> transpose_move(const NodeView& node) {
  BL_TRY(perm, axes_of(node));
  const Shape &in = node.shape(0), &out = node.outputs[0]->shape;
  std::vector<std::int64_t> in_stride(in.size(), 1), stride, at(out.size(), 0);
  for (std::size_t a = in.size(); a-- > 1;) in_stride[a - 1] = in_stride[a] * in[a];
  for (const auto a : perm) stride.push_back(in_stride[static_cast<std::size_t>(a)]);
  moves::Move m;
  m.outputs.resize(1);
  std::int64_t from = 0;
  for (std::int64_t e = 0; e < node.outputs[0]->size; ++e) {
    m.outputs[0].push_back({0, from});
    for (std::size_t a = out.size(); a-- > 0;) {
      from += stride[a];
      if (++at[a] < out[a]) break;
      from -= stride[a] * out[a];
      at[a] = 0;
    }
  }
  return m;
}

extern const OpInfo Transpose_op;
const OpInfo Transpose_op = {"Transpose", "perm:I", infer, typed::moved<infer, transpose_move>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Transpose, transpose_move)
