// Blocks of rows over companion arrays: the shape in which linear forms meet the planes, costs and boxes of a value.
//
// Row r consists of `segments` runs of `length` consecutive entries, stored without gaps: entry (s, j) is
// a[(r * segments + s) * length + j], and meets element base[r] + s * pitch + j of a companion array.
//   dense rows of a value:        segments 1, length = its size, base[r] = box of the row * size
//   windows, channels last:       segments = window height, length = window width * channels, pitch = width * channels
#pragma once

#include <cstdint>

namespace boundlight {

struct RowSpan {
  std::int64_t rows = 0, segments = 1, length = 0, pitch = 0;
  const std::int64_t* base = nullptr;
  std::int64_t modulus = 0;  // companions without a batch dimension (weights) are read at (base[r] % modulus) + s * pitch + j
};

// Planes per element of a companion array: the lower one replaces an element with a nonnegative coefficient, the upper one
// an element with a negative coefficient. cost null: no charges.
template <class T>
struct SubstitutionPlanes {
  const T *lower_slope = nullptr, *lower_offset = nullptr, *upper_slope = nullptr, *upper_offset = nullptr, *cost = nullptr;
  // Other lower slopes for elements with free[e] != 0: row r takes line own_row[r] (null: r) of [..][segments * length].
  const std::uint8_t* free = nullptr;
  const T* own_slope = nullptr;
  const std::int32_t* own_row = nullptr;
};

}  // namespace boundlight
