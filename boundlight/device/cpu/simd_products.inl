// Windows of rows through a convolution (simd.hpp: window_back). Compiled with fused multiply-add where the instruction set
// has it: the charge of a product covers both. Included by one file per instruction set, with BL_SIMD naming it.
#include "boundlight/device/cpu/simd_set.hpp"

namespace boundlight::device_cpu::BL_SIMD {
namespace {

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  using V = float __attribute__((vector_size(BL_SIMD_BYTES)));
  static constexpr int kWide = BL_SIMD_BYTES / 4, kParts = kWindowVector / kWide;
};
template <>
struct Lanes<double> {
  using V = double __attribute__((vector_size(BL_SIMD_BYTES)));
  static constexpr int kWide = BL_SIMD_BYTES / 8, kParts = kWindowVector / kWide;
};
// Accumulators that stay in registers.
constexpr int kAtOnce = BL_SIMD_BYTES == 64 ? 24 : 12;

// into[0 .. n vectors) += sum over o of a[at[o]] * w[at[o] * step ..]: n accumulators stay in registers.
template <class T, int n>
inline void add_run(const T* a, const std::int32_t* at, std::int64_t count, const T* w, std::int64_t step, T* into) {
  using V = typename Lanes<T>::V;
  constexpr std::int64_t kWide = Lanes<T>::kWide;
  V sum[n];
  for (int i = 0; i < n; ++i) __builtin_memcpy(&sum[i], into + i * kWide, sizeof(V));
  for (std::int64_t k = 0; k < count; ++k) {
    const T x = a[at[k]];
    const T* from = w + at[k] * step;
    for (int i = 0; i < n; ++i) {
      V v;
      __builtin_memcpy(&v, from + i * kWide, sizeof(V));
      sum[i] += x * v;
    }
  }
  for (int i = 0; i < n; ++i) __builtin_memcpy(into + i * kWide, &sum[i], sizeof(V));
}

template <class T>
void add_vectors(std::int64_t n, const T* a, const std::int32_t* at, std::int64_t count, const T* w, std::int64_t step, T* into) {
  constexpr std::int64_t kWide = Lanes<T>::kWide;
  for (; n > 8; n -= 8, w += 8 * kWide, into += 8 * kWide) add_run<T, 8>(a, at, count, w, step, into);
  switch (n) {
    case 1: return add_run<T, 1>(a, at, count, w, step, into);
    case 2: return add_run<T, 2>(a, at, count, w, step, into);
    case 3: return add_run<T, 3>(a, at, count, w, step, into);
    case 4: return add_run<T, 4>(a, at, count, w, step, into);
    case 5: return add_run<T, 5>(a, at, count, w, step, into);
    case 6: return add_run<T, 6>(a, at, count, w, step, into);
    case 7: return add_run<T, 7>(a, at, count, w, step, into);
    case 8: return add_run<T, 8>(a, at, count, w, step, into);
    default: return;
  }
}

// Three runs of m vectors each at once (a 3 x k kernel): the entries are broadcast once for all of them.
template <class T, int m>
inline void add_three(const T* a, const std::int32_t* at, std::int64_t count, const T* w, std::int64_t run, std::int64_t step, T* i0, T* i1, T* i2) {
  using V = typename Lanes<T>::V;
  constexpr std::int64_t kWide = Lanes<T>::kWide;
  V sum[3 * m];
  T* const into[3] = {i0, i1, i2};
  for (int q = 0; q < 3; ++q)
    for (int i = 0; i < m; ++i) __builtin_memcpy(&sum[q * m + i], into[q] + i * kWide, sizeof(V));
  for (std::int64_t k = 0; k < count; ++k) {
    const T x = a[at[k]];
    const T* from = w + at[k] * step;
    for (int q = 0; q < 3; ++q)
      for (int i = 0; i < m; ++i) {
        V v;
        __builtin_memcpy(&v, from + q * run + i * kWide, sizeof(V));
        sum[q * m + i] += x * v;
      }
  }
  for (int q = 0; q < 3; ++q)
    for (int i = 0; i < m; ++i) __builtin_memcpy(into[q] + i * kWide, &sum[q * m + i], sizeof(V));
}

template <class T>
bool three_runs(std::int64_t n, const T* a, const std::int32_t* at, std::int64_t count, const T* w, std::int64_t run, std::int64_t step, T* i0, T* i1, T* i2) {
  switch (n) {
    case 1: add_three<T, 1>(a, at, count, w, run, step, i0, i1, i2); return true;
    case 2: add_three<T, 2>(a, at, count, w, run, step, i0, i1, i2); return true;
    case 3: add_three<T, 3>(a, at, count, w, run, step, i0, i1, i2); return true;
    case 4: add_three<T, 4>(a, at, count, w, run, step, i0, i1, i2); return true;
    case 6: add_three<T, 6>(a, at, count, w, run, step, i0, i1, i2); return true;
    default: return false;
  }
}

template <class T>
void window_back(const WindowProduct& p, const T* row, const T* weights, std::int64_t origin_y, std::int64_t origin_x, T* scratch, T* into) {
  const std::int64_t channels = p.groups * p.group_in, high = reach_h(p), across = reach_w(p), pitch = across * channels;
  const std::int64_t vectors = run_vectors(p) * Lanes<T>::kParts, padded = run_vectors(p) * kWindowVector, runs = run_count(p), step = runs * padded;
  const std::int64_t per_ky = runs_joined(p) ? 1 : p.kernel_w;
  for (std::int64_t i = 0; i < high * pitch + 2 * kWindowVector; ++i) scratch[i] = T(0);
  constexpr std::int64_t kMost = 512;  // channels listed at once
  std::int32_t at[kMost];
  // Columns outside: runs of neighbouring columns overlap in part, and must not be read back right after they were written.
  for (std::int64_t dx = 0; dx < p.window_w; ++dx)
    for (std::int64_t dy = 0; dy < p.window_h; ++dy)
      for (std::int64_t g = 0; g < p.groups; ++g)
        for (std::int64_t o0 = 0; o0 < p.group_out; o0 += kMost) {
          const T* a = row + (dy * p.window_w + dx) * p.out_channels + g * p.group_out + o0;
          const std::int64_t n = p.group_out - o0 < kMost ? p.group_out - o0 : kMost;
          std::int64_t count = 0;  // entries of zero (inactive ReLUs) are left out
          for (std::int64_t o = 0; o < n; ++o) {
            at[count] = static_cast<std::int32_t>(o);
            count += a[o] != T(0);
          }
          if (count == 0) continue;
          const T* w = weights + (g * p.group_out + o0) * step;
          T* corner = scratch + dy * p.stride_h * pitch + dx * p.stride_w * channels + g * p.group_in;
          // The padding of a run must not reach into the next of three that are in registers together.
          if (runs == 3 && per_ky == 1 && pitch >= padded && 3 * vectors <= kAtOnce) {
            T *i0 = corner, *i1 = corner + p.dilation_h * pitch, *i2 = corner + 2 * p.dilation_h * pitch;
            if (three_runs(vectors, a, at, count, w, padded, step, i0, i1, i2)) continue;
          }
          for (std::int64_t run = 0; run < runs; ++run) {
            T* to = corner + run / per_ky * p.dilation_h * pitch + run % per_ky * p.dilation_w * channels;
            add_vectors(vectors, a, at, count, w + run * padded, step, to);
          }
        }
  const std::int64_t size = p.into_h * p.into_w * channels;
  const bool fits = origin_y == 0 && origin_x == 0 && high >= p.into_h && across == p.into_w;
  if (fits) {
    for (std::int64_t i = 0; i < size; ++i) into[i] = scratch[i];
    return;
  }
  for (std::int64_t y = 0; y < p.into_h; ++y)
    for (std::int64_t x = 0; x < p.into_w; ++x) {
      const std::int64_t v = y - origin_y, h = x - origin_x;
      const bool inside = v >= 0 && v < high && h >= 0 && h < across;
      const T* from = scratch + v * pitch + h * channels;
      T* to = into + (y * p.into_w + x) * channels;
      for (std::int64_t c = 0; c < channels; ++c) to[c] = inside ? from[c] : T(0);
    }
}

}  // namespace

template <class T>
void set_products(SimdLoops<T>& loops) {
  loops.window_back = &window_back<T>;
}
template void set_products(SimdLoops<float>&);
template void set_products(SimdLoops<double>&);

}  // namespace boundlight::device_cpu::BL_SIMD
