// Loops over rows that the cpu back end runs with the widest vectors of the machine: compiled once per instruction set
// (simd_sums.inl, simd_products.inl), chosen at start. Sums have a fixed number of lanes, so their bits are the same on all.
#pragma once

#include "boundlight/device/row_span.hpp"

namespace boundlight::device_cpu {

// Windows of rows through a convolution, back to its input (channels last); see window_back.
struct WindowProduct {
  std::int64_t window_h, window_w, out_channels;   // rows: [window_h][window_w][out_channels]
  std::int64_t stride_h, stride_w, dilation_h, dilation_w, kernel_h, kernel_w;
  std::int64_t group_in, group_out, groups;        // input channels: groups * group_in
  std::int64_t into_h, into_w;                     // result: [into_h][into_w][groups * group_in]
};

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

// Sizes and packing for window_back. weights(o, c, ky, kx) with c within the group.

// A run of consecutive result entries that one row entry adds to: kernel_w * group_in of them, or group_in where the kernel's
// columns are apart (dilation, groups). Padded to whole vectors of kWindowVector entries.
static constexpr std::int64_t kWindowVector = 16;
static inline bool runs_joined(const WindowProduct& p) { return p.dilation_w == 1 && p.groups == 1; }
static inline std::int64_t run_length(const WindowProduct& p) { return (runs_joined(p) ? p.kernel_w : 1) * p.group_in; }
static inline std::int64_t run_vectors(const WindowProduct& p) { return (run_length(p) + kWindowVector - 1) / kWindowVector; }
static inline std::int64_t run_count(const WindowProduct& p) { return p.kernel_h * (runs_joined(p) ? 1 : p.kernel_w); }
static inline std::int64_t reach_h(const WindowProduct& p) { return (p.window_h - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1; }
static inline std::int64_t reach_w(const WindowProduct& p) { return (p.window_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1; }

static inline std::int64_t window_scratch_size(const WindowProduct& p) {
  return reach_h(p) * reach_w(p) * p.groups * p.group_in + 2 * kWindowVector;
}
static inline std::int64_t packed_weights_size(const WindowProduct& p) { return p.groups * p.group_out * run_count(p) * run_vectors(p) * kWindowVector; }

// [group][out channel in group][run][vector entries]
template <class T, class Weights>
void pack_weights(const WindowProduct& p, Weights weights, T* to) {
  const std::int64_t padded = run_vectors(p) * kWindowVector, runs = run_count(p), per_ky = runs_joined(p) ? 1 : p.kernel_w;
  for (std::int64_t o = 0; o < p.groups * p.group_out; ++o)
    for (std::int64_t run = 0; run < runs; ++run) {
      T* at = to + (o * runs + run) * padded;
      for (std::int64_t j = 0; j < padded; ++j) at[j] = T(0);
      const std::int64_t ky = run / per_ky;
      for (std::int64_t j = 0; j < run_length(p); ++j)
        at[j] = static_cast<T>(weights(o, j % p.group_in, ky, runs_joined(p) ? j / p.group_in : run % per_ky));
    }
}

}  // namespace boundlight::device_cpu
