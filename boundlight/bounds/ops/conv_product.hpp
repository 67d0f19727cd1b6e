// The products behind Conv and ConvTranspose. A fine side (Conv's input) of `in_channels` and a coarse side (its output) of
// `out_channels`, groups in between, weights [out_channels][in_channels / groups][kernel]:
//   correlate   coarse = W patches(fine)     patches [terms][positions] per sample, then one product
//   spread      fine = W^T coarse            one product, then every fine element collects the patch entries it is in
// Scratch is bounded, so that it stays near the cache.
#pragma once

#include <algorithm>

#include "boundlight/bounds/ops/conv_geometry.hpp"
#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

template <class T>
class ConvProduct {
 public:
  explicit ConvProduct(const ConvGeometry& g) : g_(g) {}
  const ConvGeometry& geometry() const { return g_; }

  // coarse[total][out_channels][positions] = W patches(fine[total][in_channels][cells]); overwrites.
  void correlate(Device& d, const T* w, const T* fine, T* coarse, std::int64_t total) const {
    each_patch_block(d, fine, total, [&](const PatchBlock& p) {
      d.gemm_batched(p.count, false, false, g_.group_out(), p.positions, g_.terms(), w + p.group * g_.group_out() * g_.terms(), g_.terms(), std::int64_t{0}, p.data, p.stride,
                     p.step, T(0), coarse + p.output, g_.at.out_size(), g_.out_channels * g_.at.out_size());
    });
  }

  // fine = W^T coarse; overwrites.
  void spread(Device& d, const T* w, const T* coarse, T* fine, std::int64_t total) const {
    const std::int64_t positions = g_.at.out_size(), kernel = g_.at.kernel_size(), cells = g_.at.in_size(), per_channel = kernel * positions;
    const std::int64_t channels = std::clamp<std::int64_t>(kScratch / per_channel, 1, g_.group_in());
    const std::int64_t chunk = std::clamp<std::int64_t>(kScratch / (per_channel * channels), 1, total);
    auto scratch = d.template buffer<T>(chunk * channels * per_channel);
    const spatial::Windows at = g_.at;
    const std::int64_t all_channels = g_.in_channels;
    for (std::int64_t group = 0; group < g_.groups; ++group)
      for (std::int64_t c0 = 0; c0 < g_.group_in(); c0 += channels)
        for (std::int64_t s0 = 0; s0 < total; s0 += chunk) {
          const std::int64_t n = std::min(chunk, total - s0), block = std::min(channels, g_.group_in() - c0), first = group * g_.group_in() + c0;
          d.gemm_batched(n, true, false, block * kernel, positions, g_.group_out(), w + group * g_.group_out() * g_.terms() + c0 * kernel, g_.terms(), std::int64_t{0},
                         coarse + (s0 * g_.out_channels + group * g_.group_out()) * positions, positions, g_.out_channels * positions, T(0), scratch.data(), positions,
                         block * per_channel);
          const T* from = scratch.data();
          T* to = fine + s0 * all_channels * cells;
          d.map_rows(n * block, cells, [=] BL_HD(std::int64_t r, std::int64_t i) {
            T sum = 0;
            for (std::int64_t k = 0; k < kernel; ++k) {
              const std::int64_t q = at.output_of(i, k);
              if (q >= 0) sum += from[(r * kernel + k) * positions + q];
            }
            to[(r / block * all_channels + first + r % block) * cells + i] = sum;
          });
        }
  }

  // to += sum over samples of coarse patches(fine)^T, in the layout of the weights.
  void weight_gradient(Device& d, const T* fine, const T* coarse, T* to, std::int64_t total) const {
    const std::int64_t positions = g_.at.out_size(), channels = g_.out_channels;
    each_patch_block(d, fine, total, [&](const PatchBlock& p) {
      for (std::int64_t s = 0; s < p.count; ++s)
        d.gemm(false, true, g_.group_out(), g_.terms(), p.positions, coarse + p.output + s * channels * positions, positions, p.data + s * p.step, p.stride, T(1),
               to + p.group * g_.group_out() * g_.terms(), g_.terms());
    });
  }

  // to[s][term][q] for n samples (one group's channels, from `from` on), positions [q0, q0 + wide). Public for its device lambda.
  void fill_patches(Device& d, const T* from, std::int64_t n, std::int64_t q0, std::int64_t wide, T* to) const {
    const std::int64_t terms = g_.terms(), cells = g_.at.in_size(), channels = g_.group_in(), in_channels = g_.in_channels, kernel = g_.at.kernel_size();
    const spatial::Windows at = g_.at;
    d.map_rows(n * terms, wide, [=] BL_HD(std::int64_t r, std::int64_t q) {
      const std::int64_t k = r % kernel, c = r / kernel % channels, s = r / terms, p = at.input_of(q0 + q, k);
      to[r * wide + q] = p < 0 ? T(0) : from[(s * in_channels + c) * cells + p];
    });
  }

  // Elements of scratch per step: with the product's other operands about what a second-level cache holds.
  static constexpr std::int64_t kScratch = std::int64_t{1} << 18;

 private:
  // Patches of samples [.., .. + count), group `group`, `positions` output positions: entry (s, term, q) at
  // data[s * step + term * stride + q]; the output they make starts at `output`.
  struct PatchBlock {
    const T* data;
    std::int64_t group, count, positions, step, stride, output;
  };

  template <class Body>
  void each_patch_block(Device& d, const T* x, std::int64_t total, const Body& body) const {
    const std::int64_t all = g_.at.out_size(), terms = g_.terms(), cells = g_.at.in_size(), channels = g_.group_in(), in_channels = g_.in_channels, kernel = g_.at.kernel_size();
    bool as_is = kernel == 1;
    for (int a = 0; a < 3; ++a) as_is = as_is && g_.at.stride[a] == 1 && g_.at.pad[a] == 0 && g_.at.in[a] == g_.at.out[a];
    if (as_is) {
      for (std::int64_t group = 0; group < g_.groups; ++group)
        body(PatchBlock{x + group * channels * cells, group, total, all, in_channels * cells, cells, group * g_.group_out() * all});
      return;
    }
    const std::int64_t positions = std::clamp<std::int64_t>(kScratch / terms, 1, all);
    const std::int64_t chunk = std::clamp<std::int64_t>(kScratch / (terms * positions), 1, total);
    auto scratch = d.template buffer<T>(chunk * terms * positions);
    T* to = scratch.data();
    for (std::int64_t group = 0; group < g_.groups; ++group)
      for (std::int64_t s0 = 0; s0 < total; s0 += chunk)
        for (std::int64_t q0 = 0; q0 < all; q0 += positions) {
          const std::int64_t n = std::min(chunk, total - s0), wide = std::min(positions, all - q0);
          fill_patches(d, x + (s0 * in_channels + group * channels) * cells, n, q0, wide, to);
          body(PatchBlock{to, group, n, wide, terms * wide, wide, (s0 * g_.out_channels + group * g_.group_out()) * all + q0});
        }
  }

  ConvGeometry g_;
};

// Adds up gradients of a bias per channel over samples and positions.
template <class T>
void bias_gradient(Device& d, const T* g, std::int64_t samples, std::int64_t channels, std::int64_t positions, T* to) {
  d.map(channels, [=] BL_HD(std::int64_t c) {
    for (std::int64_t s = 0; s < samples; ++s)
      for (std::int64_t q = 0; q < positions; ++q) to[c] += g[(s * channels + c) * positions + q];
  });
}
// y[sample][channel][position] += bias[channel].
template <class T>
void add_bias(Device& d, const T* bias, std::int64_t samples, std::int64_t channels, std::int64_t positions, T* y) {
  d.map_rows(samples * channels, positions, [=] BL_HD(std::int64_t r, std::int64_t q) { y[r * positions + q] += bias[r % channels]; });
}

}  // namespace boundlight::BL_NS
