// LaneForward: what a kernel also is when it can compute concrete values of kSampleLanes samples side by side
// (device/sample_lanes.hpp), on a back end with loops of its own. Arrays are [element][kSampleLanes]. Values and gradients in the
// inputs only: bounds never go this way. Kernels without it take and give rows; engines turn arrays in between (engines/lane_pass.hpp).
#pragma once

#include <mutex>

#include "boundlight/bounds/ops/row_math.hpp"
#include "boundlight/device/sample_lanes.hpp"

namespace boundlight::BL_NS {

using device_cpu::kSampleLanes;

template <class T>
class LaneForward {
 public:
  virtual ~LaneForward() = default;

  // Offered for this node's shapes and attributes.
  virtual bool lanes() const = 0;
  // The one output, max(., 0) of it with `rectify`. in: null for constants.
  virtual void forward_lanes(Device& d, const T* const* in, T* out, bool rectify) const = 0;
  // parts[k] = (d out / d in_k)^T g, overwritten; null: not wanted. out: the value (not rectified on the way).
  virtual void back_lanes(Device& d, const T* out, const T* g, T* const* parts) const = 0;
  // The node is max(., 0) of its one input, so that what makes that input can do it on the way.
  virtual bool rectifies() const { return false; }
};

// Weights of a LaneProduct in the order in which its loops read them, made when first used.
template <class T>
class LaneWeights {
 public:
  // groups x channels x terms weights, weight(c, t) for channel c of all; positions: LaneProduct's.
  template <class Weight>
  const T* packed(Device& d, std::int64_t groups, std::int64_t channels, std::int64_t terms, std::int64_t positions, Weight weight) const {
    std::call_once(made_, [&] {
      data_ = d.template buffer<T>(groups * channels * terms);
      for (std::int64_t g = 0; g < groups; ++g)
        device_cpu::pack_lane_weights(channels, positions, terms, [&](std::int64_t c, std::int64_t t) { return weight(g * channels + c, t); }, data_.data() + g * channels * terms);
    });
    return data_.data();
  }

 private:
  mutable std::once_flag made_;
  mutable Buffer<T> data_;
};

// Rows of length `terms` times weights [channels][terms], one row per sample, plus a bias (null: none).
template <class T, class Weight>
void multiply_lanes(Device& d, const LaneWeights<T>& weights, std::int64_t channels, std::int64_t terms, Weight weight, const T* bias, const T* x, T* y, bool rectify) {
  if constexpr (HasRowLoops<Device>) {
    std::vector<std::int32_t> term(static_cast<std::size_t>(terms));
    for (std::size_t t = 0; t < term.size(); ++t) term[t] = static_cast<std::int32_t>(t);
    const std::int32_t at = 0;
    device_cpu::lane_loops<T>().multiply({channels, 1, terms, &at, term.data(), 1, 0}, x, weights.packed(d, 1, channels, terms, 1, weight), bias, rectify, y);
  }
}

}  // namespace boundlight::BL_NS
