// Reductions over axes: which input elements every output element sums up, as a list; host side of the Reduce operators.
#pragma once

#include "boundlight/bounds/ops/entry_list.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::reduction {

struct Groups {
  Shape shape;             // of the output
  std::int64_t count = 1;  // elements per output
  EntryList list;          // elements of input 0, in row order, per output
};

// Axes from the attribute or the second input, `keepdims`, `noop_with_empty_axes`. Refusals: axes that are no constants, twice
// the same axis, an axis outside of the shape, a reduction of nothing.
Result<Groups> groups_of(const NodeView& node);

// OpInfo::infer of a reduction (the output has the input's type).
Result<std::vector<TypedShape>> infer_reduction(const NodeView& node);

// Folds every group from `start`: f(so far, position of an element in input 0).
template <class S, class F>
std::vector<S> fold(const Groups& g, S start, F f) {
  std::vector<S> y;
  for (std::size_t e = 0; e + 1 < g.list.at.size(); ++e) {
    S sum = start;
    for (auto p = g.list.at[e]; p < g.list.at[e + 1]; ++p) sum = f(sum, static_cast<std::size_t>(g.list.element[static_cast<std::size_t>(p)]));
    y.push_back(sum);
  }
  return y;
}

}  // namespace boundlight::reduction
