// Trilu: the upper or lower triangle of each matrix, from the k-th diagonal on; the rest is 0.
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> trilu(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::int64_t> diagonal(const NodeView& node) {
  if (!node.has(1)) return std::int64_t{0};
  BL_TRY(k, indices::integers(node, 1, "k"));
  if (k.size() != 1) return refuse("its k must be one number");
  return k[0];
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (node.shape(0).size() < 2) return refuse("needs matrices, got shape " + to_string(node.shape(0)));
  BL_TRY(k, diagonal(node));
  static_cast<void>(k);
  return typed::same_as_input(node);
}

}  // namespace

Result<moves::Move> moves::trilu(const NodeView& node) {
  BL_TRY(k, diagonal(node));
  const Shape& in = node.shape(0);
  const bool upper = node.integer("upper", 1) != 0;
  const std::int64_t across = in.back(), down = in[in.size() - 2];
  const std::int64_t from = std::clamp<std::int64_t>(k, -down, across);  // further out nothing changes any more
  moves::Move m;
  m.outputs.emplace_back();
  for (std::int64_t e = 0; e < node.size(0); ++e) {
    const std::int64_t past = e % across - e / across % down;  // which diagonal
    m.outputs[0].push_back((upper ? past >= from : past <= from) ? moves::Source{0, e} : moves::Source{moves::kConstant, 0});
  }
  return m;
}

extern const OpInfo Trilu_op;
const OpInfo Trilu_op = {"Trilu", "upper:i", infer, typed::moved<infer, moves::trilu>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Trilu, moves::trilu)
