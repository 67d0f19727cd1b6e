#include "boundlight/bounds/ops/spatial.hpp"

#include <algorithm>

namespace boundlight::spatial {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;  // beyond it products of sizes could overflow

// An attribute with one number per spatial axis; every number in [least, 2^40].
Result<std::vector<std::int64_t>> per_axis(const NodeView& node, const char* name, std::size_t count, std::int64_t fallback, std::int64_t least) {
  auto values = node.integers(name, std::vector<std::int64_t>(count, fallback));
  if (values.size() != count)
    return refuse(std::string("attribute '") + name + "' needs " + std::to_string(count) + " numbers for this input, it has " + std::to_string(values.size()));
  for (const auto v : values)
    if (v < least || v > kLargest) return refuse(std::string("attribute '") + name + "' holds " + std::to_string(v) + "; numbers from " + std::to_string(least) + " up are possible");
  return values;
}

// Pads and output length of one axis.
Result<void> place_axis(Windows& w, int axis, const std::string& auto_pad, bool ceil) {
  const std::int64_t in = w.in[axis], stride = w.stride[axis], reach = w.reach(axis);
  std::int64_t& out = w.out[axis];
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    out = (in + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>((out - 1) * stride + reach - in, 0);
    w.pad[axis] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.pad_end[axis] = total - w.pad[axis];
  } else {
    const std::int64_t room = in + w.pad[axis] + w.pad_end[axis] - reach;
    if (room < 0) return refuse("a window of " + std::to_string(reach) + " does not fit into " + std::to_string(room + reach) + " padded elements");
    out = (room + (ceil ? stride - 1 : 0)) / stride + 1;
    // A window that would start behind the input and its front padding is left out.
    if (ceil && (out - 1) * stride >= in + w.pad[axis]) --out;
  }
  if (out < 1) return refuse("the output would have no elements");
  return {};
}

}  // namespace

Result<Windows> windows_of(const NodeView& node, std::vector<std::int64_t> kernel) {
  const Shape& shape = node.shape(0);
  if (shape.size() < 3 || shape.size() > 5) return refuse("needs an input N x C x one to three spatial axes, got shape " + to_string(shape));
  const std::size_t axes = shape.size() - 2, skip = 3 - axes;
  if (kernel.empty() && !node.has_attribute("kernel_shape")) return refuse("attribute 'kernel_shape' is missing");
  BL_TRY(given, per_axis(node, "kernel_shape", axes, 1, 1));
  if (kernel.empty()) kernel = given;
  else if (node.has_attribute("kernel_shape") && kernel != given) return refuse("attribute 'kernel_shape' " + to_string(given) + " differs from the weights' " + to_string(kernel));
  BL_TRY(strides, per_axis(node, "strides", axes, 1, 1));
  BL_TRY(dilations, per_axis(node, "dilations", axes, 1, 1));
  BL_TRY(pads, per_axis(node, "pads", 2 * axes, 0, 0));
  const std::string auto_pad = node.text("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER")
    return refuse("attribute 'auto_pad' is '" + auto_pad + "'; NOTSET, VALID, SAME_UPPER and SAME_LOWER are possible");
  const bool ceil = node.integer("ceil_mode", 0) != 0;
  Windows w;
  for (std::size_t a = 0; a < axes; ++a) {
    const std::size_t at = a + skip;
    w.in[at] = shape[a + 2];
    w.kernel[at] = kernel[a];
    w.stride[at] = strides[a];
    w.dilation[at] = dilations[a];
    if (kernel[a] > 1 && dilations[a] > kLargest / kernel[a]) return refuse("attribute 'dilations' is too large");
    if (auto_pad == "NOTSET") {
      w.pad[at] = pads[a];
      w.pad_end[at] = pads[a + axes];
    }
    BL_CHECK(place_axis(w, static_cast<int>(at), auto_pad, ceil));
  }
  return w;
}

Shape output_shape(const Shape& input, std::int64_t channels, const Windows& w) {
  Shape out{input[0], channels};
  for (std::size_t axis = 3 - (input.size() - 2); axis < 3; ++axis) out.push_back(w.out[axis]);
  return out;
}

}  // namespace boundlight::spatial
