// What averages share: the weight 1 / count as an enclosure.
#pragma once

#include "boundlight/core/interval.hpp"

namespace boundlight {

// A point where the division is exact (powers of two).
inline Interval one_over(std::int64_t count) {
  const bool exact = (count & (count - 1)) == 0;
  return exact ? Interval(1.0 / static_cast<double>(count)) : Interval(1.0) / Interval(static_cast<double>(count));
}

}  // namespace boundlight
