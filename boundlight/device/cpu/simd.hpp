// Loops over rows that the cpu back end runs with the widest vectors of the machine: compiled once per instruction set
// (simd_sums.inl, simd_products.inl), chosen at start. Sums have a fixed number of lanes, so their bits are the same on all.
#pragma once

#include "boundlight/device/row_span.hpp"
#include "boundlight/device/window_product.hpp"

namespace boundlight::device_cpu {

template <class T>
struct SimdLoops {
  // a *= slope of the plane that its sign picks; bias[r] += sum a offset, charge[r] += sum |a| cost (a before the product).
  void (*substitute)(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge, std::int64_t from, std::int64_t to);
  // bias[r] += sum a w (w read without batch), charge[r] += sum |a| cost; either null: left out.
  void (*dot)(const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge, std::int64_t from, std::int64_t to);
  // bias[r] += sum min(a lower, a upper), charge[r] += share * sum |min(...)|; charge null: left out.
  void (*minimum)(const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge, std::int64_t from, std::int64_t to);
  // sum[at(r, s) + j] += part[(r segments + s) length + j]; at(r, s) = start[r] + s * step.
  // charge[r] += u * sum |new entry| max(|lower|, |upper|); charge null: left out.
  void (*join)(const RowSpan& span, T* sum, const std::int64_t* start, std::int64_t step, const T* part, const T* lower, const T* upper, double u, double* charge,
               std::int64_t from, std::int64_t to);
  // into[into_h][into_w][C] = the row's entries times the weights; entry (dy, dx, o) meets position
  // (origin_y + dy stride_h + ky dilation_h, origin_x + ...), which is dropped when outside of `into`.
  // weights: packed (pack_weights); scratch: scratch_size elements.
  void (*window_back)(const WindowProduct& p, const T* row, const T* weights, std::int64_t origin_y, std::int64_t origin_x, T* scratch, T* into);
  // live[j] = 1 when some row has a nonzero (or NaN) entry in column j.
  void (*live_columns)(const T* a, std::int64_t rows, std::int64_t cols, std::int64_t stride, std::uint8_t* live);
};

template <class T>
const SimdLoops<T>& simd();

}  // namespace boundlight::device_cpu
