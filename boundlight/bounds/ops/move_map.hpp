// Which element goes where: the host side of operators that only move elements (moves.hpp has the kernels).
#pragma once

#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::moves {

// For output element e of slot s: source[s][e] = index into the input `from`, in elements; kConstant: `fill`.
inline constexpr std::int64_t kConstant = -1;
struct Source {
  std::int32_t input;   // which input, or kConstant
  std::int64_t element;
};
struct Move {
  bool identity = false;                     // one input, one output, element e comes from e (no table needed)
  std::vector<std::vector<Source>> outputs;  // per slot
  double fill = 0;
};
// Needs outputs (shapes) in the view.
using MoveOf = Result<Move> (*)(const NodeView&);

Result<Move> in_order(const NodeView& node);

}  // namespace boundlight::moves

namespace boundlight::typed {

Result<std::vector<Tensor>> move_tensors(const NodeView& node, std::span<const Tensor* const> inputs, const std::vector<TypedShape>& shapes,
                                         moves::MoveOf move_of);

// OpInfo::evaluate of an operator that moves: shapes by `infer`, elements by the map.
template <Result<std::vector<TypedShape>> (*infer)(const NodeView&), moves::MoveOf move_of>
Result<std::vector<Tensor>> moved(const NodeView& node, std::span<const Tensor* const> inputs) {
  BL_TRY(shapes, infer(node));
  return move_tensors(node, inputs, shapes, move_of);
}

}  // namespace boundlight::typed

