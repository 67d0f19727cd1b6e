// Typed side of Cast and CastLike.
#pragma once

#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::typed {

// Floating targets: rounded once, to nearest even. Integers: fraction dropped, then (as hardware does; the standard leaves
// it open) saturated to 64 bits and wrapped to the target's width; NaN is 0. boolean: nonzero is true.
Tensor cast(const Tensor& x, DataType to);

// Every value of type `from` is one of type `to`.
bool holds_all(DataType to, DataType from);

}  // namespace boundlight::typed
