// The generic kernels of the cuda back end: one per verb of device/device.hpp, a functor as argument. Compiled by nvcc, and
// by the host compiler over the emulator. They use of the runtime layer (BL_RUNTIME_HEADER):
//   BL_KERNEL                           marks a kernel
//   thread_index(), threads()           place in the block, size of the block (a power of two)
//   block_index(), block_row()          place of the block in the grid of grid_width() x grid_height() blocks
//   shared_memory<double>()             the block's scratch, of the size given at the launch
//   barrier()                           all threads of the block wait for each other; every thread must get there
#pragma once

#include <cstdint>

#include "boundlight/core/rounding.hpp"
#include BL_RUNTIME_HEADER

namespace boundlight::BL_NS {

// The K running sums of one thread.
struct Sums {
  double* at;
  BL_HD void add(int k, double x) const { at[k] += x; }
};

template <int K>
struct SumTargets {
  double* at[K];
};

template <class F>
BL_KERNEL void map_kernel(std::int64_t n, F f) {
  const std::int64_t step = std::int64_t{grid_width()} * threads();
  for (std::int64_t i = std::int64_t{block_index()} * threads() + thread_index(); i < n; i += step) f(i);
}

// A block covers `across` columns (a power of two) of threads() / across rows: neighbours in a row are neighbours in memory.
template <class F>
BL_KERNEL void map_rows_kernel(std::int64_t rows, std::int64_t cols, std::uint32_t across, F f) {
  const std::uint32_t down = threads() / across, lane = thread_index() % across, line = thread_index() / across;
  for (std::int64_t r = std::int64_t{block_row()} * down + line; r < rows; r += std::int64_t{grid_height()} * down)
    for (std::int64_t c = std::int64_t{block_index()} * across + lane; c < cols; c += std::int64_t{grid_width()} * across) f(r, c);
}

// A block per row: every thread sums a strided part of it, then a tree through shared memory. Shared: K threads() doubles.
template <int K, class F>
BL_KERNEL void sum_rows_kernel(std::int64_t cols, F f, SumTargets<K> out) {
  double* const parts = shared_memory<double>();
  const std::uint32_t t = thread_index(), count = threads();
  const std::int64_t row = block_index();
  double own[K] = {};
  for (std::int64_t c = t; c < cols; c += count) f(row, c, Sums{own});
  for (int k = 0; k < K; ++k) parts[k * count + t] = own[k];
  barrier();
  for (std::uint32_t half = count / 2; half > 0; half /= 2) {
    if (t < half)
      for (int k = 0; k < K; ++k) parts[k * count + t] += parts[k * count + t + half];
    barrier();
  }
  if (t == 0)
    for (int k = 0; k < K; ++k) out.at[k][row] += parts[k * count];
}

// NaN wins, from either side.
BL_HD inline double larger_or_nan(double a, double b) { return a != a ? a : (b <= a ? a : b); }

template <class F>
BL_KERNEL void max_rows_kernel(std::int64_t cols, F f, double* out) {
  double* const parts = shared_memory<double>();
  const std::uint32_t t = thread_index(), count = threads();
  const std::int64_t row = block_index();
  double best = -std::numeric_limits<double>::infinity();
  for (std::int64_t c = t; c < cols; c += count) best = larger_or_nan(best, f(row, c));
  parts[t] = best;
  barrier();
  for (std::uint32_t half = count / 2; half > 0; half /= 2) {
    if (t < half) parts[t] = larger_or_nan(parts[t], parts[t + half]);
    barrier();
  }
  if (t == 0) out[row] = parts[0];
}

}  // namespace boundlight::BL_NS
