// The host side of Softmax and LogSoftmax: groups of elements, shapes, typed values.
#pragma once

#include "boundlight/bounds/ops/entry_list.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight {

// Groups that are normalised together: the axis from opset 13, everything from the axis on before.
struct SoftmaxGroups {
  EntryList list;                 // per output element its whole group
  std::vector<std::int64_t> own;    // where in the group the output element is
  std::vector<std::int64_t> group;  // number of its group
  std::vector<std::int64_t> first;  // per group: one of its elements
};
Result<SoftmaxGroups> softmax_groups(const NodeView& node);
Result<std::vector<TypedShape>> softmax_infer(const NodeView& node);
Result<std::vector<Tensor>> softmax_evaluate(const NodeView& node, std::span<const Tensor* const> in, bool log);

}  // namespace boundlight
