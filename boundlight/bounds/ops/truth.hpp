// Typed side of operators with boolean results: comparisons of any element type, logic of booleans.
#pragma once

#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::typed {

// Broadcast shape, boolean.
Result<std::vector<TypedShape>> compared(const NodeView& node);
// The same for boolean operands only.
Result<std::vector<TypedShape>> logical(const NodeView& node);

// f(a, b) -> bool with broadcasting, in the operands' own type.
template <class F>
Result<std::vector<Tensor>> compare(const Tensor& a, const Tensor& b, F f) {
  const auto shape = broadcast(a.shape(), b.shape());
  if (!shape) return refuse("shapes " + to_string(a.shape()) + " and " + to_string(b.shape()) + " do not broadcast");
  return with_type(a.type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = elements<S>(a), y = elements<S>(b);
    const auto ix = broadcast_index(a.shape(), *shape), iy = broadcast_index(b.shape(), *shape);
    Tensor t(DataType::boolean, *shape);
    auto* to = t.mutable_data<std::uint8_t>();
    for (std::size_t i = 0; i < ix.size(); ++i)
      to[i] = f(static_cast<S>(x[static_cast<std::size_t>(ix[i])]), static_cast<S>(y[static_cast<std::size_t>(iy[i])])) ? 1 : 0;
    return std::vector<Tensor>{std::move(t)};
  });
}

}  // namespace boundlight::typed
