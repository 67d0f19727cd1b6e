// ConvTranspose: the transpose of a convolution over one to three spatial axes, with groups and output padding. Linear in x;
// Conv's two products change places (conv_product.hpp): x is the coarse side, y the fine one.
#include "boundlight/bounds/ops/conv_product.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight {

Result<ConvGeometry> conv_transpose_geometry(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 30;  // sizes and attributes beyond it are refused

Result<std::vector<std::int64_t>> per_axis(const NodeView& node, const char* name, std::size_t count, std::int64_t fallback, std::int64_t least) {
  auto values = node.integers(name, std::vector<std::int64_t>(count, fallback));
  if (values.size() != count)
    return refuse(std::string("attribute '") + name + "' needs " + std::to_string(count) + " numbers for this input, it has " + std::to_string(values.size()));
  for (const auto v : values)
    if (v < least || v > kLargest) return refuse(std::string("attribute '") + name + "' holds " + std::to_string(v) + ", which is not possible");
  return values;
}

// Output length and padding of one axis (w.out is x's length, w.in becomes y's).
Result<void> place_axis(spatial::Windows& w, int axis, const std::string& auto_pad, std::int64_t output_padding, std::optional<std::int64_t> wanted) {
  const std::int64_t full = w.stride[axis] * (w.out[axis] - 1) + output_padding + w.reach(axis);
  if (wanted || auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    w.in[axis] = wanted ? *wanted : w.out[axis] * w.stride[axis];
    const std::int64_t total = std::max<std::int64_t>(full - w.in[axis], 0);
    w.pad[axis] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.pad_end[axis] = total - w.pad[axis];
  } else {
    w.in[axis] = full - w.pad[axis] - w.pad_end[axis];
  }
  if (w.in[axis] < 1 || w.in[axis] > kLargest) return refuse("the output would have " + std::to_string(w.in[axis]) + " elements on an axis");
  return {};
}

}  // namespace

Result<ConvGeometry> conv_transpose_geometry(const NodeView& node) {
  const Shape &x = node.shape(0), &w = node.shape(1);
  if (x.size() < 3 || x.size() > 5) return refuse("needs an input N x C x one to three spatial axes, got shape " + to_string(x));
  if (w.size() != x.size()) return refuse("the weights' shape " + to_string(w) + " does not fit an input of shape " + to_string(x));
  const std::size_t axes = x.size() - 2, skip = 3 - axes;
  ConvGeometry g;
  g.samples = x[0];
  g.out_channels = x[1];
  g.groups = node.integer("group", 1);
  if (g.groups < 1 || x[1] % g.groups != 0 || w[0] != x[1]) return refuse("group " + std::to_string(g.groups) + " does not fit weights of shape " + to_string(w) + " and an input of shape " + to_string(x));
  g.in_channels = w[1] * g.groups;
  if (node.has(2) && node.shape(2) != Shape{g.in_channels}) return refuse("the bias has shape " + to_string(node.shape(2)) + ", needed is " + std::to_string(g.in_channels));
  const Shape kernel(w.begin() + 2, w.end());
  if (node.has_attribute("kernel_shape") && node.integers("kernel_shape") != kernel) return refuse("attribute 'kernel_shape' differs from the weights' " + to_string(kernel));
  BL_TRY(strides, per_axis(node, "strides", axes, 1, 1));
  BL_TRY(dilations, per_axis(node, "dilations", axes, 1, 1));
  BL_TRY(pads, per_axis(node, "pads", 2 * axes, 0, 0));
  BL_TRY(padding, per_axis(node, "output_padding", axes, 0, 0));
  auto wanted = node.integers("output_shape");
  if (wanted.size() == axes + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);  // some exporters write the whole shape
  if (!wanted.empty() && wanted.size() != axes) return refuse("attribute 'output_shape' needs " + std::to_string(axes) + " numbers");
  const std::string auto_pad = node.text("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER")
    return refuse("attribute 'auto_pad' is '" + auto_pad + "'; NOTSET, VALID, SAME_UPPER and SAME_LOWER are possible");
  for (std::size_t a = 0; a < axes; ++a) {
    const std::size_t at = a + skip;
    if (x[a + 2] < 1 || x[a + 2] > kLargest || kernel[a] < 1 || kernel[a] > kLargest) return refuse("an axis is empty or too long");
    g.at.out[at] = x[a + 2];
    g.at.kernel[at] = kernel[a];
    g.at.stride[at] = strides[a];
    g.at.dilation[at] = dilations[a];
    if (auto_pad == "NOTSET") {
      g.at.pad[at] = pads[a];
      g.at.pad_end[at] = pads[a + axes];
    }
    BL_CHECK(place_axis(g.at, static_cast<int>(at), auto_pad, padding[a], wanted.empty() ? std::nullopt : std::optional(wanted[a])));
  }
  return g;
}

namespace {

Shape output_shape(const NodeView& node, const ConvGeometry& g) {
  Shape out{g.samples, g.in_channels};
  for (std::size_t axis = 3 - (node.shape(0).size() - 2); axis < 3; ++axis) out.push_back(g.at.in[axis]);
  return out;
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(g, conv_transpose_geometry(node));
  return std::vector<TypedShape>{{node.inputs[0]->type, output_shape(node, g)}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, conv_transpose_geometry(node));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]), w = typed::elements<S>(*in[1]);
    const std::int64_t cells = g.at.in_size(), positions = g.at.out_size(), kernel = g.at.kernel_size();
    std::vector<S> y(static_cast<std::size_t>(g.samples * g.in_channels * cells));
    if (node.has(2)) {
      const auto bias = typed::elements<S>(*in[2]);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = bias[i / static_cast<std::size_t>(cells) % bias.size()];
    }
    for (std::int64_t n = 0; n < g.samples; ++n)
      for (std::int64_t c = 0; c < g.out_channels; ++c)
        for (std::int64_t o = 0; o < g.group_in(); ++o)
          for (std::int64_t q = 0; q < positions; ++q)
            for (std::int64_t k = 0; k < kernel; ++k) {
              const std::int64_t p = g.at.input_of(q, k);
              if (p >= 0)
                y[static_cast<std::size_t>((n * g.in_channels + c / g.group_out() * g.group_in() + o) * cells + p)] +=
                    x[static_cast<std::size_t>((n * g.out_channels + c) * positions + q)] * w[static_cast<std::size_t>((c * g.group_in() + o) * kernel + k)];
            }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), output_shape(node, g), y)};
  });
}

}  // namespace

extern const OpInfo ConvTranspose_op;
const OpInfo ConvTranspose_op = {"ConvTranspose", "kernel_shape:I strides:I pads:I dilations:I group:i auto_pad:s output_padding:I output_shape:I", infer, evaluate, "none",
                                 "yes", "inputs and weights", "enclosure", "exact", "direct sums in any order (not Winograd, not FFT)", 2, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
class ConvTransposeKernel : public LinearKernel<T> {
 public:
  ConvTransposeKernel(Device& d, const ConvGeometry& g, std::vector<std::int64_t> in, const std::vector<double>& w, const std::vector<double>& bias)
      : LinearKernel<T>(std::move(in), {g.samples * g.in_channels * g.at.in_size()}), product_(g), w_(weights_of<T>(d, w)), bias_(weights_of<T>(d, bias)),
        offset_(weights_of<T>(d, expanded(g, bias))) {}

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const ConvGeometry& g = product_.geometry();
    product_.spread(d, mode == LinearMode::absolute ? w_.absolute.data() : w_.data.data(), x[0], y[0], batch * g.samples);
    if (mode == LinearMode::affine && bias_.data.size() > 0) add_bias(d, bias_.data.data(), batch * g.samples, g.in_channels, g.at.in_size(), y[0]);
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    if (in[0]) product_.correlate(d, w_.data.data(), rows, in[0], count * product_.geometry().samples);
  }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const ConvGeometry& g = product_.geometry();
    if (grad_in[1]) product_.weight_gradient(d, grad_out[0], in[0], grad_in[1], batch * g.samples);
    if (this->in_sizes().size() > 2 && grad_in[2]) bias_gradient(d, grad_out[0], batch * g.samples, g.in_channels, g.at.in_size(), grad_in[2]);
  }
  const T* offset(int) const override { return offset_.data.size() ? offset_.data.data() : nullptr; }
  std::int64_t terms_ahead() const override { return product_.geometry().group_out() * product_.geometry().at.most_readers(); }
  std::int64_t terms_back() const override { return product_.geometry().terms(); }
  double relative_error() const override { return std::max(w_.relative, bias_.relative); }

 private:
  static std::vector<double> expanded(const ConvGeometry& g, const std::vector<double>& bias) {
    std::vector<double> all;
    for (std::int64_t s = 0; s < g.samples && !bias.empty(); ++s)
      for (const double b : bias) all.insert(all.end(), static_cast<std::size_t>(g.at.in_size()), b);
    return all;
  }
  ConvProduct<T> product_;
  Weights<T> w_, bias_, offset_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0) || node.variable(1) || node.variable(2)) return refuse("only the input may be variable, weights and bias must be constants");
  BL_TRY(g, conv_transpose_geometry(node));
  std::vector<std::int64_t> in(node.inputs.size(), 0);
  in[0] = node.size(0);
  return std::unique_ptr<Kernel<T>>(std::make_unique<ConvTransposeKernel<T>>(d, g, std::move(in), node.inputs[1]->constant->to_doubles(),
                                                                             node.has(2) ? node.inputs[2]->constant->to_doubles() : std::vector<double>()));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ConvTranspose, make)
