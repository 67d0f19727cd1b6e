// Typed side of ArgMax and ArgMin.
#pragma once

#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::typed {

struct ArgExtreme {
  std::int64_t outer = 0, size = 0, inner = 0;  // the data as [outer][size][inner]
  bool last = false;
  Shape shape;  // of the result
};
Result<ArgExtreme> arg_extreme(const NodeView& node);
Result<std::vector<TypedShape>> arg_extreme_shape(const NodeView& node);
Result<std::vector<Tensor>> arg_extreme_value(const NodeView& node, const Tensor& x, bool largest);

}  // namespace boundlight::typed
