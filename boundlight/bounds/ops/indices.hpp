// Index arithmetic of operators that move elements: constant arguments (axes, starts, repeats ...), strides, walks.
#pragma once

#include "boundlight/bounds/ops/move_map.hpp"

namespace boundlight::indices {

// Input k as integers. It has to be constant: the shapes of a network are fixed before anything is computed. `what` names
// it in the refusal.
Result<std::vector<std::int64_t>> integers(const NodeView& node, std::size_t k, std::string_view what);

// An argument that older operator versions take as an attribute and newer ones as input k; nothing when neither is there.
Result<std::optional<std::vector<std::int64_t>>> argument(const NodeView& node, const char* attribute, std::size_t k);

// Axes in [-rank, rank) made nonnegative; refuses one that is outside or named twice.
Result<std::vector<std::int64_t>> axes(const std::vector<std::int64_t>& given, std::size_t rank);

// Elements between neighbours along each axis, in row order.
std::vector<std::int64_t> strides(const Shape& shape);

// f(at) for every index of `shape`, in row order; at[a] is the position along axis a.
template <class F>
void for_each(const Shape& shape, const F& f) {
  for (const auto d : shape)
    if (d == 0) return;
  std::vector<std::int64_t> at(shape.size(), 0);
  for (bool more = true; more;) {
    f(at);
    more = false;
    for (std::size_t a = shape.size(); a-- > 0;) {
      if (++at[a] < shape[a]) {
        more = true;
        break;
      }
      at[a] = 0;
    }
  }
}

// base + sum_a stride[a] at[a] for every index `at` of `shape`.
std::vector<std::int64_t> walk(const Shape& shape, std::int64_t base, const std::vector<std::int64_t>& stride);

// Output slots[s] element e is input 0's element slots[s][e].
moves::Move from_first(const std::vector<std::vector<std::int64_t>>& slots);

// An index in [-size, size) made nonnegative; refuses one outside.
Result<std::int64_t> wrapped(std::int64_t index, std::int64_t size);

}  // namespace boundlight::indices
