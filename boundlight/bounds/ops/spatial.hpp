// Sliding windows over up to three spatial axes: what Conv, ConvTranspose and the pools share. Shapes are N x C x spatial;
// fewer than three spatial axes are filled up in front with axes of length 1, so that every kernel is written once.
#pragma once

#include "boundlight/bounds/ops/op.hpp"
#include "boundlight/core/rounding.hpp"

namespace boundlight::spatial {

// Output position o and kernel position k meet input position  o stride - pad + k dilation  on every axis. Trivially
// copyable: functors capture it by value.
struct Windows {
  std::int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  std::int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad[3] = {0, 0, 0}, pad_end[3] = {0, 0, 0};

  BL_HD std::int64_t in_size() const { return in[0] * in[1] * in[2]; }
  BL_HD std::int64_t out_size() const { return out[0] * out[1] * out[2]; }
  BL_HD std::int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
  // Input cells that a kernel covers on one axis, holes of a dilation included.
  BL_HD std::int64_t reach(int axis) const { return (kernel[axis] - 1) * dilation[axis] + 1; }

  // Input element (within a channel) under kernel element k of output element o, or -1 in the padding.
  BL_HD std::int64_t input_of(std::int64_t o, std::int64_t k) const {
    std::int64_t index = 0, o_rest = o, k_rest = k, step = 1;
    for (int axis = 2; axis >= 0; --axis) {
      const std::int64_t at = o_rest % out[axis] * stride[axis] - pad[axis] + k_rest % kernel[axis] * dilation[axis];
      if (at < 0 || at >= in[axis]) return -1;
      index += at * step;
      step *= in[axis];
      o_rest /= out[axis];
      k_rest /= kernel[axis];
    }
    return index;
  }
  // Output element whose kernel element k lies on input element i, or -1.
  BL_HD std::int64_t output_of(std::int64_t i, std::int64_t k) const {
    std::int64_t index = 0, i_rest = i, k_rest = k, step = 1;
    for (int axis = 2; axis >= 0; --axis) {
      const std::int64_t at = i_rest % in[axis] + pad[axis] - k_rest % kernel[axis] * dilation[axis];
      if (at < 0 || at % stride[axis] != 0 || at / stride[axis] >= out[axis]) return -1;
      index += at / stride[axis] * step;
      step *= out[axis];
      i_rest /= in[axis];
      k_rest /= kernel[axis];
    }
    return index;
  }
  // Most outputs that one input element can meet.
  std::int64_t most_readers() const {
    std::int64_t n = 1;
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t overlap = dilation[axis] == 1 ? (kernel[axis] + stride[axis] - 1) / stride[axis] : kernel[axis];
      n *= overlap < out[axis] ? overlap : out[axis];
    }
    return n;
  }
};

// A window operator as its node states it: attributes kernel_shape, strides, dilations, pads, auto_pad, ceil_mode.
// `kernel`: spatial sizes of the weights when there are some (else from kernel_shape). Refusals: shapes and attributes that
// do not fit, negative pads, an output without elements.
Result<Windows> windows_of(const NodeView& node, std::vector<std::int64_t> kernel = {});

// The output's shape: N x channels x the windows' output, with as many spatial axes as `input` has.
Shape output_shape(const Shape& input, std::int64_t channels, const Windows& w);

}  // namespace boundlight::spatial
