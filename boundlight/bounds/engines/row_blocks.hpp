// Blocks of rows as passes need them: dense or windowed, joined where branches meet, without the rows that are done.
#pragma once

#include "boundlight/bounds/engines/relaxations.hpp"

namespace boundlight::BL_NS {

// Windowed rows of a 1 x C x H x W value as dense ones.
template <class T>
void densify(Device& d, const Shape& shape, RowBlock<T>& rows);

// Dense rows of a 1 x C x H x W value as windows that cover it.
template <class T>
void windowify(Device& d, const Shape& shape, RowBlock<T>& rows);

// Rows sign[r] * value[element[r]] (arrays on the device): dense, and as windows of one cell of a 1 x C x H x W value.
template <class T>
RowBlock<T> selected_entries(Device& d, std::int64_t size, const std::int32_t* element, const T* sign, std::int64_t rows);
template <class T>
RowBlock<T> selected_cells(Device& d, const Shape& shape, const std::int32_t* element, const T* sign, std::int64_t rows);

// sum += part, both on `value`; windows are united. The rounding of the sums is charged by the value's box.
template <class T>
void join_blocks(Device& d, Relaxations<T>& boxes, ValueId value, RowBlock<T>& sum, RowBlock<T>&& part, RowAccounts accounts);

// Keeps the rows named.
template <class T>
RowBlock<T> keep_rows(Device& d, const RowBlock<T>& rows, const std::int32_t* which, std::int64_t count);

// from[which[r]] for every r.
template <class U>
Buffer<U> keep_numbers(Device& d, const U* from, const std::int32_t* which, std::int64_t count) {
  auto made = d.buffer<U>(count);
  U* to = made.data();
  d.map(count, [=] BL_HD(std::int64_t r) { to[r] = from[which[r]]; });
  return made;
}

}  // namespace boundlight::BL_NS
