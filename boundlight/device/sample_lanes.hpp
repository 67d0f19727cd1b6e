// Values of kSampleLanes samples side by side, arrays [element][kSampleLanes]: every product then meets whole vectors, whatever a
// layer's sizes, strides and dilations are, and a weight is read once for all of them. Loops of the cpu back end, compiled once per
// instruction set (device/cpu/sample_lanes.inl), chosen at start. Products may be fused; sums run in the order of their terms on
// every instruction set.
//
// Included by code of every instruction set, so nothing here but the table's accessor has linkage.
#pragma once

#include <cstdint>

namespace boundlight::device_cpu {

static constexpr std::int64_t kSampleLanes = 16;

// y[c][to[p]] = bias[c] + sum_t w[c][t] x[at[p] + term[t]], then max(., 0) if `rectify`; offsets and steps in elements.
struct LaneProduct {
  std::int64_t channels, positions, terms;
  const std::int32_t *at, *term;             // [positions], [terms]
  std::int64_t channel_step, position_step;  // of y
  const std::int32_t* to = nullptr;          // [positions]; null: to[p] = p position_step
};

// Channels are multiplied in even blocks, whose sums stay in registers. Packed weights: [block][term][channel of the block].
static inline std::int64_t lane_blocks(std::int64_t channels, std::int64_t positions) {
  const std::int64_t most = positions == 1 ? 12 : 6;
  return (channels + most - 1) / most;
}
static inline std::int64_t lane_block_start(std::int64_t channels, std::int64_t blocks, std::int64_t block) { return block * channels / blocks; }

// weight(c, t) in T.
template <class T, class Weight>
void pack_lane_weights(std::int64_t channels, std::int64_t positions, std::int64_t terms, Weight weight, T* to) {
  const std::int64_t blocks = lane_blocks(channels, positions);
  for (std::int64_t b = 0; b < blocks; ++b)
    for (std::int64_t t = 0; t < terms; ++t)
      for (std::int64_t c = lane_block_start(channels, blocks, b); c < lane_block_start(channels, blocks, b + 1); ++c) *to++ = weight(c, t);
}

template <class T>
struct LaneLoops {
  // bias null: none.
  void (*multiply)(const LaneProduct& p, const T* x, const T* packed, const T* bias, bool rectify, T* y);
  // y[e] = sign_a a[e] + sign_b b[e] + w[e] (w without lanes); b, w null: left out. Signs are +-1.
  void (*combine)(std::int64_t n, T sign_a, const T* a, T sign_b, const T* b, const T* w, bool rectify, T* y);
  // to[i] = y[i] > 0 ? g[i] : 0 for all lanes; `to` may be g.
  void (*rectify_back)(std::int64_t n, const T* y, const T* g, T* to);
  // [count][stride] -> [n][kSampleLanes] and back, 1 <= count <= kSampleLanes. Lanes from `count` on repeat the last sample, so that
  // they meet no numbers that the samples do not.
  void (*from_doubles)(std::int64_t n, const double* rows, std::int64_t stride, std::int64_t count, T* lanes);
  void (*from_rows)(std::int64_t n, const T* rows, std::int64_t stride, std::int64_t count, T* lanes);
  void (*to_rows)(std::int64_t n, const T* lanes, std::int64_t count, T* rows, std::int64_t stride);
};

template <class T>
const LaneLoops<T>& lane_loops();

}  // namespace boundlight::device_cpu
