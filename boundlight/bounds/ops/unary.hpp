// Typed values and checks of operators with one input.
#pragma once

#include <cmath>
#include <utility>

#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::typed {

// One output like the only input, of any type / of a floating type / of a floating or signed type; finite parameters.
enum class Kinds { any, numbers, floating, floating_or_signed };
Result<std::vector<TypedShape>> like_input(const NodeView& node, Kinds kinds);
template <Kinds kinds>
Result<std::vector<TypedShape>> like_input(const NodeView& node) {
  return like_input(node, kinds);
}

// f applied to every element of a floating tensor.
template <class F>
Result<std::vector<Tensor>> floats(const Tensor& x, F f) {
  const auto run = [&]<class S>(S) -> Result<std::vector<Tensor>> {
    auto v = elements<S>(x);
    for (auto& e : v) e = static_cast<S>(f(e));
    return std::vector<Tensor>{tensor_of<S>(x.type(), x.shape(), v)};
  };
  if (!is_floating(x.type())) return refuse("has no meaning for elements of type " + std::string(name_of(x.type())));
  return x.type() == DataType::float64 ? run(double{}) : run(float{});
}

}  // namespace boundlight::typed
