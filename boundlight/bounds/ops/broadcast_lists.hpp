// Variadic operators with numpy broadcasting: shapes, typed folds, and what every output reads.
#pragma once

#include "boundlight/bounds/ops/entry_list.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::typed {

// Entry k of every output is its element of input k.
inline EntryList broadcast_list(const NodeView& node) {
  const Shape& out = node.outputs[0]->shape;
  std::vector<std::vector<std::int64_t>> index;
  std::int64_t offset = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    index.push_back(broadcast_index(node.shape(k), out));
    for (auto& i : index.back()) i += offset;
    offset += node.size(k);
  }
  EntryList list;
  for (std::size_t e = 0; e < index[0].size(); ++e) {
    for (const auto& i : index) list.element.push_back(i[e]);
    list.end_output();
  }
  return list;
}

// f(f(x0, x1), x2) ... with broadcasting.
template <class F>
Result<std::vector<Tensor>> fold_inputs(std::span<const Tensor* const> in, F f) {
  Tensor sum = *in[0];
  for (std::size_t k = 1; k < in.size(); ++k) {
    BL_TRY(next, binary(sum, *in[k], f));
    sum = next[0];
  }
  return std::vector<Tensor>{sum};
}

}  // namespace boundlight::typed
