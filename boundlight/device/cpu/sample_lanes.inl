// The loops of device/sample_lanes.hpp. Included by one file per instruction set, with BL_SIMD naming it; nothing of the standard
// library is called here, whose inline functions the linker would share between instruction sets.
#include "boundlight/device/cpu/sample_lanes_set.hpp"

namespace boundlight::device_cpu::BL_SIMD {
namespace {

template <int... k>
struct Indices {};
template <int n, int... k>
struct IndicesTo : IndicesTo<n - 1, n - 1, k...> {};
template <int... k>
struct IndicesTo<0, k...> {
  using All = Indices<k...>;
};

template <class T>
struct LaneVector;
template <>
struct LaneVector<float> {
  using V = float __attribute__((vector_size(BL_SIMD_BYTES)));
};
template <>
struct LaneVector<double> {
  using V = double __attribute__((vector_size(BL_SIMD_BYTES)));
};
template <class T>
using LaneV = typename LaneVector<T>::V;
template <class T>
constexpr int kLaneWide = BL_SIMD_BYTES / static_cast<int>(sizeof(T));
constexpr int kManyPositions = BL_SIMD_BYTES == 64 ? 4 : 2;  // whose sums with 6 channels' stay in registers

template <class T>
inline LaneV<T> lane_load(const T* from) {
  LaneV<T> v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}
template <class T>
inline void lane_store(T* to, LaneV<T> v) { __builtin_memcpy(to, &v, sizeof(v)); }
template <class T>
inline LaneV<T> lane_all(T x) { return x - LaneV<T>{}; }
// NaN stays NaN, as in x < 0 ? 0 : x.
template <class T>
inline LaneV<T> lane_rectified(LaneV<T> v) { return v < LaneV<T>{} ? LaneV<T>{} : v; }

template <class T, int P, int C>
inline void lane_tile(const LaneProduct& p, const T* const* from, const T* packed, const T* bias, bool rectify, T* const* to) {
  using V = LaneV<T>;
  for (int part = 0; part < kSampleLanes; part += kLaneWide<T>) {
    V sum[P][C];
    const T* x[P];
    for (int q = 0; q < P; ++q) x[q] = from[q] + part;
    for (int c = 0; c < C; ++c) {
      const V start = lane_all<T>(bias ? bias[c] : T(0));
      for (int q = 0; q < P; ++q) sum[q][c] = start;
    }
    const T* w = packed;
    for (std::int64_t t = 0; t < p.terms; ++t, w += C) {
      const std::int64_t offset = p.term[t] * kSampleLanes;
      V value[P];
      for (int q = 0; q < P; ++q) value[q] = lane_load<T>(x[q] + offset);
      for (int c = 0; c < C; ++c) {
        const V weight = lane_all<T>(w[c]);
        for (int q = 0; q < P; ++q) sum[q][c] += value[q] * weight;
      }
    }
    for (int q = 0; q < P; ++q)
      for (int c = 0; c < C; ++c) lane_store<T>(to[q] + c * p.channel_step * kSampleLanes + part, rectify ? lane_rectified<T>(sum[q][c]) : sum[q][c]);
  }
}

template <class T, int P>
inline void lane_channels(std::int64_t channels, const LaneProduct& p, const T* const* from, const T* packed, const T* bias, bool rectify, T* const* to) {
  switch (channels) {
    case 1: return lane_tile<T, P, 1>(p, from, packed, bias, rectify, to);
    case 2: return lane_tile<T, P, 2>(p, from, packed, bias, rectify, to);
    case 3: return lane_tile<T, P, 3>(p, from, packed, bias, rectify, to);
    case 4: return lane_tile<T, P, 4>(p, from, packed, bias, rectify, to);
    case 5: return lane_tile<T, P, 5>(p, from, packed, bias, rectify, to);
    case 6: return lane_tile<T, P, 6>(p, from, packed, bias, rectify, to);
    default: break;
  }
  if constexpr (P == 1) {
    switch (channels) {
      case 7: return lane_tile<T, P, 7>(p, from, packed, bias, rectify, to);
      case 8: return lane_tile<T, P, 8>(p, from, packed, bias, rectify, to);
      case 9: return lane_tile<T, P, 9>(p, from, packed, bias, rectify, to);
      case 10: return lane_tile<T, P, 10>(p, from, packed, bias, rectify, to);
      case 11: return lane_tile<T, P, 11>(p, from, packed, bias, rectify, to);
      case 12: return lane_tile<T, P, 12>(p, from, packed, bias, rectify, to);
      default: break;
    }
  }
}

// All channels of a few positions after one another: what the positions read stays in the first-level cache.
template <class T, int P>
void lane_positions(const LaneProduct& p, std::int64_t first, const T* x, const T* packed, const T* bias, bool rectify, T* y) {
  const T* from[P];
  for (int q = 0; q < P; ++q) from[q] = x + p.at[first + q] * kSampleLanes;
  const std::int64_t blocks = lane_blocks(p.channels, p.positions);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t c = lane_block_start(p.channels, blocks, b), n = lane_block_start(p.channels, blocks, b + 1) - c;
    T* to[P];
    for (int q = 0; q < P; ++q) to[q] = y + ((p.to ? p.to[first + q] : (first + q) * p.position_step) + c * p.channel_step) * kSampleLanes;
    lane_channels<T, P>(n, p, from, packed + c * p.terms, bias ? bias + c : nullptr, rectify, to);
  }
}

template <class T>
void multiply(const LaneProduct& p, const T* x, const T* packed, const T* bias, bool rectify, T* y) {
  const std::int64_t tiles = (p.positions + kManyPositions - 1) / kManyPositions;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t first = i * p.positions / tiles, n = (i + 1) * p.positions / tiles - first;
    if (n == 1) lane_positions<T, 1>(p, first, x, packed, bias, rectify, y);
    if (n == 2) lane_positions<T, 2>(p, first, x, packed, bias, rectify, y);
    if constexpr (kManyPositions == 4) {
      if (n == 3) lane_positions<T, 3>(p, first, x, packed, bias, rectify, y);
      if (n == 4) lane_positions<T, 4>(p, first, x, packed, bias, rectify, y);
    }
  }
}

template <class T, bool rectify>
void combine_as(std::int64_t n, T sign_a, const T* a, T sign_b, const T* b, const T* w, T* y) {
  using V = LaneV<T>;
  const V sa = lane_all<T>(sign_a), sb = lane_all<T>(sign_b);
  for (std::int64_t e = 0; e < n; ++e)
    for (int part = 0; part < kSampleLanes; part += kLaneWide<T>) {
      const std::int64_t i = e * kSampleLanes + part;
      V v = sa * lane_load<T>(a + i);
      if (b) v += sb * lane_load<T>(b + i);
      if (w) v += lane_all<T>(w[e]);
      lane_store<T>(y + i, rectify ? lane_rectified<T>(v) : v);
    }
}
template <class T>
void combine(std::int64_t n, T sign_a, const T* a, T sign_b, const T* b, const T* w, bool rectify, T* y) {
  if (rectify) combine_as<T, true>(n, sign_a, a, sign_b, b, w, y);
  else combine_as<T, false>(n, sign_a, a, sign_b, b, w, y);
}

template <class T>
void rectify_back(std::int64_t n, const T* y, const T* g, T* to) {
  for (std::int64_t i = 0; i < n * kSampleLanes; i += kLaneWide<T>) lane_store<T>(to + i, lane_load<T>(y + i) > LaneV<T>{} ? lane_load<T>(g + i) : LaneV<T>{});
}

// Rows i and i + s exchange what lies off the diagonal, blocks of s.
template <class T, int s, int... l>
inline void exchange(LaneV<T>& a, LaneV<T>& b, Indices<l...>) {
  constexpr int wide = kLaneWide<T>;
  const LaneV<T> low = __builtin_shufflevector(a, b, ((l & s) ? wide + l - s : l)...);
  const LaneV<T> high = __builtin_shufflevector(a, b, ((l & s) ? wide + l : l + s)...);
  a = low;
  b = high;
}
template <class T, int s>
inline void turn_steps(LaneV<T>* v) {
  if constexpr (s < kLaneWide<T>) {
    for (int i = 0; i < kLaneWide<T>; ++i)
      if ((i & s) == 0) exchange<T, s>(v[i], v[i + s], typename IndicesTo<kLaneWide<T>>::All{});
    turn_steps<T, 2 * s>(v);
  }
}

template <class T, class From>
void turn_in(std::int64_t n, const From* rows, std::int64_t stride, std::int64_t count, T* lanes) {
  constexpr int wide = kLaneWide<T>;
  const From* row[kSampleLanes];
  for (std::int64_t i = 0; i < kSampleLanes; ++i) row[i] = rows + (i < count ? i : count - 1) * stride;
  const std::int64_t whole = n / wide * wide;
  for (std::int64_t e = 0; e < whole; e += wide)
    for (int part = 0; part < kSampleLanes; part += wide) {
      LaneV<T> v[wide];
      for (int i = 0; i < wide; ++i) {
        T near[wide];
        for (int j = 0; j < wide; ++j) near[j] = static_cast<T>(row[part + i][e + j]);
        v[i] = lane_load<T>(near);
      }
      turn_steps<T, 1>(v);
      for (int j = 0; j < wide; ++j) lane_store<T>(lanes + (e + j) * kSampleLanes + part, v[j]);
    }
  for (std::int64_t e = whole; e < n; ++e)
    for (std::int64_t i = 0; i < kSampleLanes; ++i) lanes[e * kSampleLanes + i] = static_cast<T>(row[i][e]);
}

template <class T>
void from_doubles(std::int64_t n, const double* rows, std::int64_t stride, std::int64_t count, T* lanes) { turn_in<T, double>(n, rows, stride, count, lanes); }
template <class T>
void from_rows(std::int64_t n, const T* rows, std::int64_t stride, std::int64_t count, T* lanes) { turn_in<T, T>(n, rows, stride, count, lanes); }

template <class T>
void to_rows(std::int64_t n, const T* lanes, std::int64_t count, T* rows, std::int64_t stride) {
  constexpr int wide = kLaneWide<T>;
  const std::int64_t whole = n / wide * wide;
  for (std::int64_t e = 0; e < whole; e += wide)
    for (int part = 0; part < count; part += wide) {
      LaneV<T> v[wide];
      for (int j = 0; j < wide; ++j) v[j] = lane_load<T>(lanes + (e + j) * kSampleLanes + part);
      turn_steps<T, 1>(v);
      for (int i = 0; i < wide && part + i < count; ++i) lane_store<T>(rows + (part + i) * stride + e, v[i]);
    }
  for (std::int64_t e = whole; e < n; ++e)
    for (std::int64_t i = 0; i < count; ++i) rows[i * stride + e] = lanes[e * kSampleLanes + i];
}

}  // namespace

template <class T>
void set_lanes(LaneLoops<T>& loops) {
  loops.multiply = &multiply<T>;
  loops.combine = &combine<T>;
  loops.rectify_back = &rectify_back<T>;
  loops.from_doubles = &from_doubles<T>;
  loops.from_rows = &from_rows<T>;
  loops.to_rows = &to_rows<T>;
}
template void set_lanes(LaneLoops<float>&);
template void set_lanes(LaneLoops<double>&);

}  // namespace boundlight::device_cpu::BL_SIMD
