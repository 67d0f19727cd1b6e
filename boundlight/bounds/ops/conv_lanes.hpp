// Conv of samples side by side: the input is laid out once with its padding, then every position's sum reads it at fixed offsets
// (LaneProduct). No patches, no transforms: direct sums, as the charge of deployed networks covers them.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "boundlight/bounds/ops/conv_geometry.hpp"
#include "boundlight/bounds/ops/lane_forward.hpp"

namespace boundlight::BL_NS {

// Channels of [in] cells laid out with zeros around them: [laid] cells, the first one at `before`.
struct LaneLayout {
  std::int64_t in[3] = {1, 1, 1}, before[3] = {0, 0, 0}, laid[3] = {1, 1, 1};
  std::int64_t size() const { return laid[0] * laid[1] * laid[2]; }
  std::int64_t cell(std::int64_t z, std::int64_t y, std::int64_t x) const { return (z * laid[1] + y) * laid[2] + x; }
  bool as_is() const { return std::equal(in, in + 3, laid) && before[0] == 0 && before[1] == 0 && before[2] == 0; }

  // Cells behind the last laid one stay out.
  template <class T>
  void fill(std::int64_t channels, const T* x, T* to) const {
    const std::int64_t lanes = device_cpu::kSampleLanes, cells = std::min(in[2], laid[2] - before[2]);
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t z = 0; z < laid[0]; ++z)
        for (std::int64_t y = 0; y < laid[1]; ++y, to += laid[2] * lanes) {
          const std::int64_t iz = z - before[0], iy = y - before[1];
          if (iz < 0 || iz >= in[0] || iy < 0 || iy >= in[1] || cells <= 0) {
            std::fill_n(to, laid[2] * lanes, T(0));
            continue;
          }
          std::fill_n(to, before[2] * lanes, T(0));
          std::copy_n(x + ((c * in[0] + iz) * in[1] + iy) * in[2] * lanes, cells * lanes, to + before[2] * lanes);
          std::fill_n(to + (before[2] + cells) * lanes, (laid[2] - before[2] - cells) * lanes, T(0));
        }
  }
};

constexpr std::int64_t kMostPadded = 4096;

template <class T>
class ConvLanes {
 public:
  explicit ConvLanes(const ConvGeometry& g) : g_(g) {
    const auto& w = g.at;
    for (int a = 0; a < 3; ++a) {
      const std::int64_t reached = (w.out[a] - 1) * w.stride[a] + w.reach(a);
      layout_.in[a] = w.in[a];
      layout_.before[a] = w.pad[a];
      layout_.laid[a] = w.pad[a] == 0 && reached <= w.in[a] ? w.in[a] : reached;
    }
    if (std::max(g.group_in() * layout_.size(), g.out_channels * w.out_size()) > std::numeric_limits<std::int32_t>::max()) return;
    const auto cell = [&](std::int64_t z, std::int64_t y, std::int64_t x) { return layout_.cell(z, y, x); };
    for (std::int64_t z = 0; z < w.out[0]; ++z)
      for (std::int64_t y = 0; y < w.out[1]; ++y)
        for (std::int64_t x = 0; x < w.out[2]; ++x) at_.push_back(static_cast<std::int32_t>(cell(z * w.stride[0], y * w.stride[1], x * w.stride[2])));
    for (std::int64_t c = 0; c < g.group_in(); ++c)
      for (std::int64_t z = 0; z < w.kernel[0]; ++z)
        for (std::int64_t y = 0; y < w.kernel[1]; ++y)
          for (std::int64_t x = 0; x < w.kernel[2]; ++x)
            term_.push_back(static_cast<std::int32_t>(c * layout_.size() + cell(z * w.dilation[0], y * w.dilation[1], x * w.dilation[2])));
  }

  // Not where the padding is far larger than the input: side by side it would take memory that rows do not.
  bool offered() const { return g_.samples == 1 && !at_.empty() && layout_.size() <= kMostPadded + 4 * g_.at.in_size(); }

  // weights: [out_channels][terms]; bias [out_channels] or null.
  void run(Device& d, const T* weights, const T* bias, const T* x, T* y, bool rectify) const {
    if constexpr (HasRowLoops<Device>) {
      const std::int64_t terms = g_.terms(), channels = g_.group_out(), positions = g_.at.out_size(), lanes = device_cpu::kSampleLanes;
      const T* packed = packed_.packed(d, g_.groups, channels, terms, positions, [=](std::int64_t c, std::int64_t t) { return weights[c * terms + t]; });
      auto scratch = layout_.as_is() ? Buffer<T>() : d.template buffer<T>(g_.in_channels * layout_.size() * lanes);
      if (scratch) layout_.fill(g_.in_channels, x, scratch.data());
      const T* from = scratch ? scratch.data() : x;
      for (std::int64_t group = 0; group < g_.groups; ++group)
        device_cpu::lane_loops<T>().multiply({channels, positions, terms, at_.data(), term_.data(), positions, 1}, from + group * g_.group_in() * layout_.size() * lanes,
                                             packed + group * channels * terms, bias ? bias + group * channels : nullptr, rectify, y + group * channels * positions * lanes);
    }
  }

 private:
  ConvGeometry g_;
  LaneLayout layout_;  // of the input
  std::vector<std::int32_t> at_, term_;
  LaneWeights<T> packed_;
};

// Back to the input: cell i of an axis meets output q under kernel position k where i + pad = q stride + k dilation. Cells of one
// remainder of i + pad modulo the stride (a phase) meet the same kernel positions, at outputs a fixed distance from
// j = (i + pad) / stride (rounded down): q = j - k dilation / stride (rounded down).
template <class T>
class ConvLanesBack {
 public:
  explicit ConvLanesBack(const ConvGeometry& g) : g_(g) {}

  // x = W^T y; overwrites.
  void run(Device& d, const T* weights, const T* y, T* x) const {
    if constexpr (HasRowLoops<Device>) {
      std::call_once(made_, [&] { make(d, weights); });
      const std::int64_t lanes = device_cpu::kSampleLanes, cells = g_.at.in_size(), channels = g_.group_in();
      auto scratch = layout_.as_is() ? Buffer<T>() : d.template buffer<T>(g_.out_channels * layout_.size() * lanes);
      if (scratch) layout_.fill(g_.out_channels, y, scratch.data());
      const T* from = scratch ? scratch.data() : y;
      for (const Phase& p : phases_)
        for (std::int64_t group = 0; group < g_.groups; ++group) {
          const auto terms = static_cast<std::int64_t>(p.term.size());
          device_cpu::lane_loops<T>().multiply({channels, static_cast<std::int64_t>(p.at.size()), terms, p.at.data(), p.term.data(), cells, 0, p.to.data()},
                                               from + group * g_.group_out() * layout_.size() * lanes, p.packed.data() + group * channels * terms, nullptr, false,
                                               x + group * channels * cells * lanes);
        }
    }
  }

 private:
  struct Phase {
    std::vector<std::int32_t> at, to, term;
    Buffer<T> packed;
  };

  void make(Device& d, const T* weights) const {
    const auto& w = g_.at;
    for (int a = 0; a < 3; ++a) {
      const std::int64_t lowest = w.pad[a] / w.stride[a] - (w.kernel[a] - 1) * w.dilation[a] / w.stride[a], highest = (w.in[a] - 1 + w.pad[a]) / w.stride[a];
      layout_.in[a] = w.out[a];
      layout_.before[a] = std::max<std::int64_t>(0, -lowest);
      layout_.laid[a] = layout_.before[a] + std::max(highest + 1, w.out[a]);
    }
    for (std::int64_t z = 0; z < w.stride[0]; ++z)
      for (std::int64_t y = 0; y < w.stride[1]; ++y)
        for (std::int64_t x = 0; x < w.stride[2]; ++x) add_phase(d, weights, {z, y, x});
  }

  // Indices of an axis that are of the phase, and what they are divided by the stride.
  static std::vector<std::pair<std::int64_t, std::int64_t>> of_phase(std::int64_t count, std::int64_t step, std::int64_t start, std::int64_t stride, std::int64_t phase) {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (std::int64_t i = 0; i < count; ++i)
      if ((start + i * step) % stride == phase) found.emplace_back(i, (start + i * step) / stride);
    return found;
  }

  void add_phase(Device& d, const T* weights, const std::array<std::int64_t, 3>& phase) const {
    const auto& w = g_.at;
    std::vector<std::pair<std::int64_t, std::int64_t>> cells[3], kernel[3];
    for (int a = 0; a < 3; ++a) {
      cells[a] = of_phase(w.in[a], 1, w.pad[a], w.stride[a], phase[static_cast<std::size_t>(a)]);
      kernel[a] = of_phase(w.kernel[a], w.dilation[a], 0, w.stride[a], phase[static_cast<std::size_t>(a)]);
    }
    Phase p;
    const std::int64_t* b = layout_.before;
    for (const auto& [z, jz] : cells[0])
      for (const auto& [y, jy] : cells[1])
        for (const auto& [x, jx] : cells[2]) {
          p.at.push_back(static_cast<std::int32_t>(layout_.cell(jz + b[0], jy + b[1], jx + b[2])));
          p.to.push_back(static_cast<std::int32_t>((z * w.in[1] + y) * w.in[2] + x));
        }
    if (p.at.empty()) return;
    std::vector<std::int64_t> met;  // weight of a term: output channel in its group x terms + kernel position
    for (std::int64_t o = 0; o < g_.group_out(); ++o)
      for (const auto& [z, mz] : kernel[0])
        for (const auto& [y, my] : kernel[1])
          for (const auto& [x, mx] : kernel[2]) {
            p.term.push_back(static_cast<std::int32_t>(o * layout_.size() - layout_.cell(mz, my, mx)));
            met.push_back(o * g_.terms() + (z * w.kernel[1] + y) * w.kernel[2] + x);
          }
    const auto terms = static_cast<std::int64_t>(met.size());
    const std::int64_t channels = g_.group_in(), kernel_size = w.kernel_size(), per_group = g_.group_out() * g_.terms();
    p.packed = d.template buffer<T>(g_.groups * channels * terms + 1);
    for (std::int64_t group = 0; group < g_.groups; ++group)
      device_cpu::pack_lane_weights(channels, static_cast<std::int64_t>(p.at.size()), terms,
                                    [&](std::int64_t c, std::int64_t t) { return weights[group * per_group + met[static_cast<std::size_t>(t)] + c * kernel_size]; },
                                    p.packed.data() + group * channels * terms);
    phases_.push_back(std::move(p));
  }

  ConvGeometry g_;
  mutable std::once_flag made_;
  mutable LaneLayout layout_;  // of the output
  mutable std::vector<Phase> phases_;
};

}  // namespace boundlight::BL_NS
