// Directed rounding without rounding modes: every helper returns a number on the named side of the exact result.
//
// The processor's rounding mode is thread-global state that does not travel with a task, and a GPU has none, so
// directed results are made from round-to-nearest ones by one step outward (next_up / next_down), exactly where the
// nearest result is already exact the step is wasted: one ulp. Sources: numerics of the project, docs/soundness.md;
// Jeannerod and Rump 2013 for the sum bound n u |a|.|b|.
//
// BL_HD marks what runs on the host and on a device.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__CUDACC__)
#define BL_HD __host__ __device__
#else
#define BL_HD
#endif

namespace boundlight {

// Unit roundoff u (half of epsilon) and the smallest normal number eta: results below eta may be flushed to zero, so an
// absolute error of eta per operation covers gradual underflow and flushing alike.
template <class T>
inline constexpr T unit_roundoff = std::numeric_limits<T>::epsilon() / 2;
template <class T>
inline constexpr T smallest_normal = std::numeric_limits<T>::min();

// The neighbour above / below. next_up(+inf) = +inf, next_up(NaN) = NaN, next_up(-0) = next_up(+0) = smallest subnormal.
BL_HD inline double next_up(double x) {
  if (!(x < std::numeric_limits<double>::infinity())) return x;
  if (x == 0) x = 0.0;
  std::int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += x >= 0 ? 1 : -1;
  memcpy(&x, &bits, sizeof bits);
  return x;
}
BL_HD inline float next_up(float x) {
  if (!(x < std::numeric_limits<float>::infinity())) return x;
  if (x == 0) x = 0.0F;
  std::int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += x >= 0 ? 1 : -1;
  memcpy(&x, &bits, sizeof bits);
  return x;
}
BL_HD inline double next_down(double x) { return -next_up(-x); }
BL_HD inline float next_down(float x) { return -next_up(-x); }

// Outward by a normal step: safe when subnormal results may have been flushed to zero by the device.
template <class T> BL_HD T add_up(T a, T b) { return next_up(a + b); }
template <class T> BL_HD T add_down(T a, T b) { return next_down(a + b); }
template <class T> BL_HD T sub_up(T a, T b) { return next_up(a - b); }
template <class T> BL_HD T sub_down(T a, T b) { return next_down(a - b); }
template <class T> BL_HD T mul_up(T a, T b) { return next_up(a * b); }
template <class T> BL_HD T mul_down(T a, T b) { return next_down(a * b); }
template <class T> BL_HD T div_up(T a, T b) { return next_up(a / b); }
template <class T> BL_HD T div_down(T a, T b) { return next_down(a / b); }

// double -> T on the named side (identity for double).
template <class T> BL_HD T round_up_to(double x) {
  if constexpr (std::is_same_v<T, double>) return x;
  T y = static_cast<T>(x);
  return static_cast<double>(y) < x ? next_up(y) : y;
}
template <class T> BL_HD T round_down_to(double x) {
  if constexpr (std::is_same_v<T, double>) return x;
  T y = static_cast<T>(x);
  return static_cast<double>(y) > x ? next_down(y) : y;
}

// gamma_n = n u / (1 - n u), rounded up, as a double. Infinite once n u reaches 1/8 (the caller must split its sum):
// an infinite charge makes the bound infinite and the verdict unknown, never wrong.
template <class T>
BL_HD inline double gamma_up(std::int64_t n) {
  const double nu = static_cast<double>(n) * static_cast<double>(unit_roundoff<T>);
  if (!(nu < 0.125)) return std::numeric_limits<double>::infinity();
  return next_up(next_up(nu) / next_down(1.0 - next_up(nu)));
}

// 1 + 2 (n + 8) u: multiplies a computed sum of n nonnegative terms so that it is not below the exact sum.
template <class T>
BL_HD inline double inflation(std::int64_t n) {
  const double nu = 2.0 * static_cast<double>(n + 8) * static_cast<double>(unit_roundoff<T>);
  if (!(nu < 0.25)) return std::numeric_limits<double>::infinity();
  return next_up(1.0 + next_up(nu));
}

}  // namespace boundlight
