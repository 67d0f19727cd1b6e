// The sums over rows of simd.hpp, written with the compiler's vector types. Included by one file per instruction set, with
// BL_SIMD naming it. Only plain loops: nothing here may be shared with code compiled for a smaller instruction set.
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
template <class T>
inline Vec<T> size_of(Vec<T> v) {
  return v < T(0) ? -v : v;
}

// Sums in 16 lanes: lane l takes entries l, l + 16, ... of every segment; then lanes 0 .. 15 in order.
struct Sum16 {
  Doubles lanes[kVectors] = {};
  double total() const {
    double sum = 0;
    for (int v = 0; v < kVectors; ++v)
      for (int i = 0; i < kWide; ++i) sum += lanes[v][i];
    return sum;
  }
};

// Sums of sizes in 16 lanes of T: charges, which need no more digits than T has. Every lane adds up at most n / 16 + segments
// terms, each a product that may have lost the smallest normal number: the total is increased by both.
template <class T>
struct Sizes16 {
  Vec<T> lanes[kVectors] = {};
  double total(std::int64_t n, std::int64_t segments) const {
    constexpr double kRoundoff = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53, kTiny = sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022;
    double sum = 0;
    for (int v = 0; v < kVectors; ++v)
      for (int i = 0; i < kWide; ++i) sum += static_cast<double>(lanes[v][i]);
    const double terms = static_cast<double>(n / 16 + segments + 24);
    return sum * (1 + 4 * terms * kRoundoff) + static_cast<double>(n) * kTiny;
  }
};

// A vector of entries, or the n < kWide that are left, zero filled: coefficients of zero add nothing.
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

// body(j, entries there, index of the lanes' vector) over a segment.
template <class Body>
inline __attribute__((always_inline)) void vectors(std::int64_t length, const Body& body) {
  std::int64_t j = 0;
  for (; j + 16 <= length; j += 16)
    for (int v = 0; v < kVectors; ++v) body(j + v * kWide, std::int64_t{kWide}, v);
  for (int v = 0; j < length; j += kWide, ++v) body(j, length - j, v);
}

template <class T, bool charged>
void substitute_rows(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  for (std::int64_t r = from; r < to; ++r) {
    Sum16 value;
    Sizes16<T> cost;
    for (std::int64_t s = 0; s < span.segments; ++s) {
      T* x = a + (r * span.segments + s) * span.length;
      const std::int64_t e = span.base[r] + s * span.pitch;
      vectors(span.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
        const Vec<T> v = part(x + j, n);
        const auto up = v >= T(0);
        const Vec<T> slope = up ? part(planes.lower_slope + e + j, n) : part(planes.upper_slope + e + j, n);
        const Vec<T> offset = up ? part(planes.lower_offset + e + j, n) : part(planes.upper_offset + e + j, n);
        value.lanes[at] += wide<T>(v) * wide<T>(offset);
        if constexpr (charged) cost.lanes[at] += size_of<T>(v) * part(planes.cost + e + j, n);
        put(x + j, v * slope, n);
      });
    }
    bias[r] += value.total();
    if constexpr (charged) charge[r] += cost.total(span.segments * span.length, span.segments);
  }
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
  for (std::int64_t r = from; r < to; ++r) {
    Sum16 value;
    Sizes16<T> paid;
    for (std::int64_t s = 0; s < span.segments; ++s) {
      const T* x = a + (r * span.segments + s) * span.length;
      const std::int64_t e = span.base[r] + s * span.pitch, q = span.base[r] % span.modulus + s * span.pitch;
      vectors(span.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
        const Vec<T> v = part(x + j, n);
        if constexpr (offset) value.lanes[at] += wide<T>(v) * wide<T>(part(w + q + j, n));
        if constexpr (charged) paid.lanes[at] += size_of<T>(v) * part(cost + e + j, n);
      });
    }
    if constexpr (offset) bias[r] += value.total();
    if constexpr (charged) charge[r] += paid.total(span.segments * span.length, span.segments);
  }
}

template <class T>
void dot(const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  if (w && cost) return dot_rows<T, true, true>(span, a, w, cost, bias, charge, from, to);
  if (w) return dot_rows<T, true, false>(span, a, w, cost, bias, charge, from, to);
  if (cost) dot_rows<T, false, true>(span, a, w, cost, bias, charge, from, to);
}

template <class T>
void minimum(const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge, std::int64_t from, std::int64_t to) {
  for (std::int64_t r = from; r < to; ++r) {
    Sum16 value, size;
    for (std::int64_t s = 0; s < span.segments; ++s) {
      const T* x = a + (r * span.segments + s) * span.length;
      const std::int64_t e = span.base[r] + s * span.pitch;
      vectors(span.length, [&](std::int64_t j, std::int64_t n, int at) __attribute__((always_inline)) {
        const Vec<T> v = part(x + j, n);
        const Vec<T> end = v >= T(0) ? part(lower + e + j, n) : part(upper + e + j, n);
        const Doubles product = wide<T>(v) * wide<T>(end);
        value.lanes[at] += product;
        if (charge) size.lanes[at] += product < 0.0 ? -product : product;
      });
    }
    bias[r] += value.total();
    if (charge) charge[r] += share * size.total();
  }
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
        const Vec<T> l = size_of<T>(part(lower + e + j, n)), h = size_of<T>(part(upper + e + j, n));
        size.lanes[at] += size_of<T>(v) * (l <= h ? h : l);  // NaN in l is kept by the product below
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
