// The sums over rows of simd.hpp, written with the compiler's vector types. Included by one file per instruction set, with
// BL_SIMD naming it. Only plain loops: nothing here may be shared with code compiled for a smaller instruction set.
#if BL_SIMD_BYTES == 64 && defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include "boundlight/device/cpu/simd_set.hpp"

namespace boundlight::device_cpu::BL_SIMD {
namespace {

// One vector of doubles as wide as the instruction set's registers, and as many entries of T.
constexpr int kWide = BL_SIMD_BYTES / 8, kVectors = 16 / kWide;
using Doubles = double __attribute__((vector_size(BL_SIMD_BYTES)));
template <class T>
struct Entries;
template <>
struct Entries<float> {
  using V = float __attribute__((vector_size(BL_SIMD_BYTES / 2)));
};
template <>
struct Entries<double> {
  using V = Doubles;
};
template <class T>
using Vec = typename Entries<T>::V;

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline Doubles wide(Vec<T> v) {
  return __builtin_convertvector(v, Doubles);
}
// |v|, by its bits: a comparison and a choice cost three times as much.
template <class V>
inline V size_of(V v) {
  using Bits = decltype(v < v);  // integers as wide
  if constexpr (sizeof(v[0]) == 4) return reinterpret_cast<V>(reinterpret_cast<Bits>(v) & 0x7fffffff);
  else return reinterpret_cast<V>(reinterpret_cast<Bits>(v) & 0x7fffffffffffffff);
}

// A vector's lanes added up by halves, lane i and lane i + n / 2: with the folding of vectors in total() the same tree for every
// instruction set, so the bits are the same on all.
inline double folded(const Doubles& v) {
#if BL_SIMD_BYTES == 64
  using Quarter = double __attribute__((vector_size(32)));
  const Quarter q = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#elif BL_SIMD_BYTES == 32
  const Doubles q = v;
#endif
#if BL_SIMD_BYTES >= 32
  using Two = double __attribute__((vector_size(16)));
  const Two t = __builtin_shufflevector(q, q, 0, 1) + __builtin_shufflevector(q, q, 2, 3);
  return t[0] + t[1];
#else
  return v[0] + v[1];
#endif
}

// Sums in 16 lanes: lane l takes entries l, l + 16, ... of every segment.
struct Sum16 {
  Doubles lanes[kVectors] = {};
  double total() const {
    Doubles sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = lanes[v];
    for (int n = kVectors / 2; n > 0; n /= 2)
      for (int v = 0; v < n; ++v) sum[v] += sum[v + n];
    return folded(sum[0]);
  }
};

// Sums of sizes in 16 lanes of T: charges, which need no more digits than T has. Every lane adds up at most n / 16 + segments
// terms, each a product that may have lost the smallest normal number: the total is increased by both.
template <class T>
struct Sizes16 {
  Vec<T> lanes[kVectors] = {};
  double total(std::int64_t n, std::int64_t segments) const {
    constexpr double kRoundoff = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53, kTiny = sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022;
    Doubles sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = wide<T>(lanes[v]);
    for (int half = kVectors / 2; half > 0; half /= 2)
      for (int v = 0; v < half; ++v) sum[v] += sum[v + half];
    const double terms = static_cast<double>(n / 16 + segments + 24);
    return folded(sum[0]) * (1 + 4 * terms * kRoundoff) + static_cast<double>(n) * kTiny;
  }
};

// A vector of entries, or the n < kWide that are left, zero filled: coefficients of zero add nothing.
#if BL_SIMD_BYTES == 64 && defined(__AVX512VL__)
inline __mmask8 first(std::int64_t n) { return static_cast<__mmask8>((1U << n) - 1); }
inline Vec<float> part(const float* p, std::int64_t n) { return n >= kWide ? load(p) : _mm256_maskz_loadu_ps(first(n), p); }
inline Vec<double> part(const double* p, std::int64_t n) { return n >= kWide ? load(p) : _mm512_maskz_loadu_pd(first(n), p); }
inline void put(float* p, Vec<float> v, std::int64_t n) { n >= kWide ? _mm256_storeu_ps(p, v) : _mm256_mask_storeu_ps(p, first(n), v); }
inline void put(double* p, Vec<double> v, std::int64_t n) { n >= kWide ? _mm512_storeu_pd(p, v) : _mm512_mask_storeu_pd(p, first(n), v); }
#else
template <class T>
inline Vec<T> part(const T* p, std::int64_t n) {
  if (n >= kWide) return load(p);
  Vec<T> v = {};
  for (std::int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
template <class T>
inline void put(T* p, Vec<T> v, std::int64_t n) {
  if (n >= kWide) {
    __builtin_memcpy(p, &v, sizeof v);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) p[i] = v[i];
}
#endif

// body(j, entries there, index of the lanes' vector) over a segment.
template <class Body>
inline __attribute__((always_inline)) void vectors(std::int64_t length, const Body& body) {
  std::int64_t j = 0;
  for (; j + 16 <= length; j += 16)
    for (int v = 0; v < kVectors; ++v) body(j + v * kWide, std::int64_t{kWide}, v);
  for (int v = 0; j < length; j += kWide, ++v) body(j, length - j, v);
}

// The running sums of one row.
template <class Value, class Size>
struct RowSums {
  Value value;
  Size size;
};
// A run of entries: where it starts in the rows, and in companion arrays (base + shift).
struct Run {
  std::int64_t a, base, shift, length;
};

// body(sums, run) for every run of entries, then done(r, sums) for every row. Long rows are taken a few at a time, run by run of
// kColumns: what they meet (planes, costs, weights) is then read from the nearest cache and not again and again from afar.
template <class Sums, class Body, class Done>
inline __attribute__((always_inline)) void row_runs(const RowSpan& span, std::int64_t from, std::int64_t to, const Body& body, const Done& done) {
  constexpr std::int64_t kColumns = 512, kTogether = 16;
  if (span.segments != 1 || span.length <= kColumns || to - from < 2) {
    for (std::int64_t r = from; r < to; ++r) {
      Sums sums;
      for (std::int64_t s = 0; s < span.segments; ++s) body(sums, Run{(r * span.segments + s) * span.length, span.base[r], s * span.pitch, span.length});
      done(r, sums);
    }
    return;
  }
  for (std::int64_t first = from; first < to; first += kTogether) {
    const std::int64_t n = to - first < kTogether ? to - first : kTogether;
    Sums sums[kTogether];
    for (std::int64_t j = 0; j < span.length; j += kColumns)
      for (std::int64_t k = 0; k < n; ++k) {
        Sums here = sums[k];
        const std::int64_t r = first + k;
        body(here, Run{r * span.length + j, span.base[r], j, span.length - j < kColumns ? span.length - j : kColumns});
        sums[k] = here;
      }
    for (std::int64_t k = 0; k < n; ++k) done(first + k, sums[k]);
  }
}

template <class T, bool charged>
void substitute_rows(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  using Sums = RowSums<Sum16, Sizes16<T>>;
  const T *ls = planes.lower_slope, *us = planes.upper_slope, *lo = planes.lower_offset, *uo = planes.upper_offset, *price = planes.cost;
  row_runs<Sums>(span, from, to, [=](Sums& sums, const Run& run) __attribute__((always_inline)) {
    T* x = a + run.a;
    const std::int64_t e = run.base + run.shift;
    vectors(run.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
      const Vec<T> v = part(x + j, n);
      const auto up = v >= T(0);
      const Vec<T> slope = up ? part(ls + e + j, n) : part(us + e + j, n);
      const Vec<T> offset = up ? part(lo + e + j, n) : part(uo + e + j, n);
      sums.value.lanes[at] += wide<T>(v) * wide<T>(offset);
      if constexpr (charged) sums.size.lanes[at] += size_of(v) * part(price + e + j, n);
      put(x + j, v * slope, n);
    });
  }, [&](std::int64_t r, const Sums& sums) {
    bias[r] += sums.value.total();
    if constexpr (charged) charge[r] += sums.size.total(span.segments * span.length, span.segments);
  });
}

// With slopes chosen from outside: one entry at a time (optimisation only).
template <class T>
void substitute_own(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  for (std::int64_t r = from; r < to; ++r) {
    double value = 0, cost = 0;
    for (std::int64_t s = 0; s < span.segments; ++s) {
      const std::int64_t line = planes.own_row ? planes.own_row[r] : r, own = (line * span.segments + s) * span.length, e0 = span.base[r] + s * span.pitch;
      T* x = a + (r * span.segments + s) * span.length;
      for (std::int64_t j = 0; j < span.length; ++j) {
        const std::int64_t e = e0 + j;
        const T v = x[j];
        const bool up = v >= T(0);
        T slope = up ? planes.lower_slope[e] : planes.upper_slope[e];
        if (up && planes.free[e]) slope = planes.own_slope[own + j];
        value += static_cast<double>(v) * static_cast<double>(up ? planes.lower_offset[e] : planes.upper_offset[e]);
        if (planes.cost) cost += static_cast<double>(v < T(0) ? -v : v) * static_cast<double>(planes.cost[e]);
        x[j] = v * slope;
      }
    }
    bias[r] += value;
    if (planes.cost) charge[r] += cost;
  }
}

template <class T>
void substitute(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  if (planes.own_slope) return substitute_own(span, a, planes, bias, charge, from, to);
  if (planes.cost) return substitute_rows<T, true>(span, a, planes, bias, charge, from, to);
  substitute_rows<T, false>(span, a, planes, bias, charge, from, to);
}

template <class T, bool offset, bool charged>
void dot_rows(const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  using Sums = RowSums<Sum16, Sizes16<T>>;
  row_runs<Sums>(span, from, to, [=](Sums& sums, const Run& run) __attribute__((always_inline)) {
    const std::int64_t e = run.base + run.shift, q = offset ? run.base % span.modulus + run.shift : 0;
    vectors(run.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
      const Vec<T> v = part(a + run.a + j, n);
      if constexpr (offset) sums.value.lanes[at] += wide<T>(v) * wide<T>(part(w + q + j, n));
      if constexpr (charged) sums.size.lanes[at] += size_of(v) * part(cost + e + j, n);
    });
  }, [&](std::int64_t r, const Sums& sums) {
    if constexpr (offset) bias[r] += sums.value.total();
    if constexpr (charged) charge[r] += sums.size.total(span.segments * span.length, span.segments);
  });
}

template <class T>
void dot(const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  if (w && cost) return dot_rows<T, true, true>(span, a, w, cost, bias, charge, from, to);
  if (w) return dot_rows<T, true, false>(span, a, w, cost, bias, charge, from, to);
  if (cost) dot_rows<T, false, true>(span, a, w, cost, bias, charge, from, to);
}

template <class T, bool charged>
void minimum_rows(const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  using Sums = RowSums<Sum16, Sum16>;
  row_runs<Sums>(span, from, to, [=](Sums& sums, const Run& run) __attribute__((always_inline)) {
    const std::int64_t e = run.base + run.shift;
    vectors(run.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
      const Vec<T> v = part(a + run.a + j, n);
      const Vec<T> end = v >= T(0) ? part(lower + e + j, n) : part(upper + e + j, n);
      const Doubles product = wide<T>(v) * wide<T>(end);
      sums.value.lanes[at] += product;
      if constexpr (charged) sums.size.lanes[at] += size_of(product);
    });
  }, [&](std::int64_t r, const Sums& sums) {
    bias[r] += sums.value.total();
    if constexpr (charged) charge[r] += share * sums.size.total();
  });
}

template <class T>
void minimum(const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  if (charge) return minimum_rows<T, true>(span, a, lower, upper, share, bias, charge, from, to);
  minimum_rows<T, false>(span, a, lower, upper, share, bias, charge, from, to);
}

template <class T>
void join(const RowSpan& span, T* sum, const std::int64_t* start, std::int64_t step, const T* add, const T* lower, const T* upper, double u, double* charge,
          std::int64_t from, std::int64_t to) {
  for (std::int64_t r = from; r < to; ++r) {
    Sizes16<T> size;
    for (std::int64_t s = 0; s < span.segments; ++s) {
      const T* x = add + (r * span.segments + s) * span.length;
      T* into = sum + start[r] + s * step;
      const std::int64_t e = span.base[r] + s * span.pitch;
      vectors(span.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
        const Vec<T> v = part(into + j, n) + part(x + j, n);
        put(into + j, v, n);
        if (!charge) return;
        const Vec<T> l = size_of(part(lower + e + j, n)), h = size_of(part(upper + e + j, n));
        size.lanes[at] += size_of(v) * (l <= h ? h : l);  // NaN in l is kept by the product below
      });
    }
    if (charge) charge[r] += u * size.total(span.segments * span.length, span.segments);
  }
}

template <class T>
void live_columns(const T* a, std::int64_t rows, std::int64_t cols, std::int64_t stride, std::uint8_t* live) {
  for (std::int64_t j = 0; j < cols; ++j) live[j] = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* x = a + r * stride;
    for (std::int64_t j = 0; j < cols; ++j) live[j] |= static_cast<std::uint8_t>(x[j] != T(0));
  }
}

}  // namespace

template <class T>
void set_sums(SimdLoops<T>& loops) {
  loops.substitute = &substitute<T>;
  loops.dot = &dot<T>;
  loops.minimum = &minimum<T>;
  loops.join = &join<T>;
  loops.live_columns = &live_columns<T>;
}
template void set_sums(SimdLoops<float>&);
template void set_sums(SimdLoops<double>&);

}  // namespace boundlight::device_cpu::BL_SIMD
