// Conv of samples side by side: the input is laid out once with its padding, then every position's sum reads it at fixed offsets
// (LaneProduct). No patches, no transforms: direct sums, as the charge of deployed networks covers them.
#pragma once

#include "boundlight/bounds/ops/conv_geometry.hpp"
#include "boundlight/bounds/ops/lane_forward.hpp"

namespace boundlight::BL_NS {

template <class T>
class ConvLanes {
 public:
  explicit ConvLanes(const ConvGeometry& g) : g_(g) {
    for (int a = 0; a < 3; ++a) {
      const std::int64_t reached = (g.at.out[a] - 1) * g.at.stride[a] + g.at.reach(a);
      const bool inside = g.at.pad[a] == 0 && reached <= g.at.in[a];
      laid_[a] = inside ? g.at.in[a] : reached;
      as_is_ = as_is_ && inside;
    }
    const auto cell = [&](std::int64_t z, std::int64_t y, std::int64_t x) { return static_cast<std::int32_t>((z * laid_[1] + y) * laid_[2] + x); };
    const std::int64_t *stride = g.at.stride, *dilation = g.at.dilation, *out = g.at.out, *kernel = g.at.kernel;
    if (g.group_in() * laid_size() > std::numeric_limits<std::int32_t>::max()) return;
    for (std::int64_t z = 0; z < out[0]; ++z)
      for (std::int64_t y = 0; y < out[1]; ++y)
        for (std::int64_t x = 0; x < out[2]; ++x) at_.push_back(cell(z * stride[0], y * stride[1], x * stride[2]));
    for (std::int64_t c = 0; c < g.group_in(); ++c)
      for (std::int64_t z = 0; z < kernel[0]; ++z)
        for (std::int64_t y = 0; y < kernel[1]; ++y)
          for (std::int64_t x = 0; x < kernel[2]; ++x)
            term_.push_back(static_cast<std::int32_t>(c * laid_size()) + cell(z * dilation[0], y * dilation[1], x * dilation[2]));
  }

  bool offered() const { return g_.samples == 1 && !at_.empty(); }

  // weights: [out_channels][terms]; bias [out_channels] or null.
  void run(Device& d, const T* weights, const T* bias, const T* x, T* y, bool rectify) const {
    if constexpr (HasRowLoops<Device>) {
      const std::int64_t terms = g_.terms(), channels = g_.group_out(), positions = g_.at.out_size(), lanes = device_cpu::kSampleLanes;
      const T* packed = packed_.packed(d, g_.groups, channels, terms, positions, [=](std::int64_t c, std::int64_t t) { return weights[c * terms + t]; });
      auto scratch = as_is_ ? Buffer<T>() : d.template buffer<T>(g_.in_channels * laid_size() * lanes);
      if (!as_is_) lay_out(x, scratch.data());
      const T* from = as_is_ ? x : scratch.data();
      for (std::int64_t group = 0; group < g_.groups; ++group)
        device_cpu::lane_loops<T>().multiply({channels, positions, terms, at_.data(), term_.data(), positions, 1}, from + group * g_.group_in() * laid_size() * lanes,
                                             packed + group * channels * terms, bias ? bias + group * channels : nullptr, rectify, y + group * channels * positions * lanes);
    }
  }

 private:
  std::int64_t laid_size() const { return laid_[0] * laid_[1] * laid_[2]; }

  // Cells that no kernel reaches behind the last position stay out.
  void lay_out(const T* x, T* to) const {
    const auto& at = g_.at;
    const std::int64_t lanes = device_cpu::kSampleLanes;
    const std::int64_t cells = std::min(at.in[2], laid_[2] - at.pad[2]);
    for (std::int64_t c = 0; c < g_.in_channels; ++c)
      for (std::int64_t z = 0; z < laid_[0]; ++z)
        for (std::int64_t y = 0; y < laid_[1]; ++y, to += laid_[2] * lanes) {
          const std::int64_t iz = z - at.pad[0], iy = y - at.pad[1];
          if (iz < 0 || iz >= at.in[0] || iy < 0 || iy >= at.in[1] || cells <= 0) {
            std::fill_n(to, laid_[2] * lanes, T(0));
            continue;
          }
          std::fill_n(to, at.pad[2] * lanes, T(0));
          std::copy_n(x + ((c * at.in[0] + iz) * at.in[1] + iy) * at.in[2] * lanes, cells * lanes, to + at.pad[2] * lanes);
          std::fill_n(to + (at.pad[2] + cells) * lanes, (laid_[2] - at.pad[2] - cells) * lanes, T(0));
        }
  }

  ConvGeometry g_;
  std::int64_t laid_[3] = {1, 1, 1};  // the input with its padding
  bool as_is_ = true;
  std::vector<std::int32_t> at_, term_;
  LaneWeights<T> packed_;
};

}  // namespace boundlight::BL_NS
