// Windows of rows through a convolution, back to its input, channels last on both sides: what device/cpu/simd.hpp computes and
// how its weights are packed. Plain numbers; included by code of every instruction set, so nothing here has linkage.
#pragma once

#include <cstdint>

namespace boundlight {

struct WindowProduct {
  std::int64_t window_h, window_w, out_channels;   // rows: [window_h][window_w][out_channels]
  std::int64_t stride_h, stride_w, dilation_h, dilation_w, kernel_h, kernel_w;
  std::int64_t group_in, group_out, groups;        // input channels: groups * group_in
  std::int64_t into_h, into_w;                     // result: [into_h][into_w][groups * group_in]
};

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

}  // namespace boundlight
