// BatchNormalization at inference: y = scale (x - mean) / sqrt(var + epsilon) + bias, per channel; linear in x.
//
// The factor s = scale / sqrt(var + epsilon) and the offset w = bias - mean s are enclosed; their radii are charged.
// Deployed evaluations covered: the formula as written in any order, and s x + w with s and w computed in binary32.
#include "boundlight/bounds/ops/scale.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& x = node.shape(0);
  if (node.integer("training_mode", 0) != 0) return refuse("training_mode is not supported; export the model for inference");
  if (node.integer("spatial", 1) != 1) return refuse("spatial 0 is not supported; export the model with statistics per channel");
  if (x.empty()) return refuse("needs an input with a channel axis");
  const std::int64_t channels = x.size() > 1 ? x[1] : 1;
  for (std::size_t k = 1; k < 5; ++k)
    if (node.shape(k) != Shape{channels}) return refuse("scale, bias, mean and variance need one number per channel (" + std::to_string(channels) + ")");
  return std::vector<TypedShape>{{node.inputs[0]->type, x}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->shape();
  const std::int64_t channels = shape.size() > 1 ? shape[1] : 1;
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    auto x = typed::elements<S>(*in[0]);
    const auto column = [&](std::size_t k) {  // the statistics may be of another type than x (opset 15)
      std::vector<S> v;
      for (const double e : in[k]->to_doubles()) v.push_back(static_cast<S>(e));
      return v;
    };
    const auto scale = column(1), bias = column(2), mean = column(3), var = column(4);
    const auto epsilon = static_cast<S>(node.real("epsilon", static_cast<double>(1e-5F)));
    const std::size_t cells = x.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, shape[0] * channels));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = shape.size() > 1 ? i / std::max<std::size_t>(1, cells) % static_cast<std::size_t>(channels) : 0;
      x[i] = scale[c] * (x[i] - mean[c]) / std::sqrt(var[c] + epsilon) + bias[c];
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), shape, x)};
  });
}

}  // namespace

extern const OpInfo BatchNormalization_op;
const OpInfo BatchNormalization_op = {"BatchNormalization", "epsilon:f momentum:f training_mode:i spatial:i", infer, evaluate, "none",
                                      "yes (inference)", "inputs and weights", "enclosure", "exact", "its formula in any order", 5, 5};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// The statistics of a node, and what follows from them.
struct Normalization {
  std::vector<double> scale, bias, mean, deviation;  // deviation: sqrt(var + epsilon), nearest
  std::vector<Interval> factor, offset;              // per channel
  std::vector<double> deployed;                      // error of binary32 evaluations beyond gamma_9 (|s| |x| + |w|), per channel
};

constexpr std::int64_t kDeployedTerms = 8;  // roundings in one deployed output, all formulas covered

template <class T>
class NormalizationKernel : public ScaleKernel<T> {
 public:
  NormalizationKernel(Device& d, const NodeView& node, const Normalization& n, std::int64_t channels, std::int64_t cells, const std::vector<Interval>& weight, const std::vector<Interval>& offset)
      : ScaleKernel<T>(d, {node.size(0), 0, 0, 0, 0}, 0, node.shape(0), {}, weight, offset), channels_(channels), cells_(cells), scale_(weights_of<T>(d, n.scale)),
        mean_(weights_of<T>(d, n.mean)), deviation_(weights_of<T>(d, n.deviation)) {
    std::vector<double> charge(static_cast<std::size_t>(node.size(0)));
    std::vector<double> plain(charge.size());
    if (const double* radius = ScaleKernel<T>::offset_radius(0, false)) d.download(plain.data(), radius, static_cast<std::int64_t>(plain.size()));
    for (std::size_t i = 0; i < charge.size(); ++i) charge[i] = add_up(plain[i], n.deployed[i / static_cast<std::size_t>(cells) % static_cast<std::size_t>(channels)]);
    charge_ = uploaded(d, charge);
  }
  const double* offset_radius(int slot, bool deployed) const override { return deployed ? charge_.data() : ScaleKernel<T>::offset_radius(slot, false); }
  std::int64_t deployed_terms() const override { return kDeployedTerms; }

  // By the formula: d scale = g (x - mean) / sd, d bias = g, d mean = -g scale / sd, d var = -g scale (x - mean) / (2 sd^3).
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const T *x = in[0], *g = grad_out[0], *scale = scale_.data.data(), *mean = mean_.data.data(), *deviation = deviation_.data.data();
    const std::int64_t channels = channels_, cells = cells_, size = this->out_sizes()[0], samples = batch * size / (channels * cells);
    T *to_scale = grad_in[1], *to_bias = grad_in[2], *to_mean = grad_in[3], *to_var = grad_in[4];
    d.map(channels, [=] BL_HD(std::int64_t c) {
      T sum = 0, moment = 0;
      for (std::int64_t s = 0; s < samples; ++s)
        for (std::int64_t i = 0; i < cells; ++i) {
          const std::int64_t e = (s * channels + c) * cells + i;
          sum += g[e];
          moment += g[e] * (x[e] - mean[c]) / deviation[c];
        }
      if (to_scale) to_scale[c] += moment;
      if (to_bias) to_bias[c] += sum;
      if (to_mean) to_mean[c] -= sum * scale[c] / deviation[c];
      if (to_var) to_var[c] -= moment * scale[c] / (2 * deviation[c] * deviation[c]);
    });
  }

 private:
  std::int64_t channels_, cells_;
  Weights<T> scale_, mean_, deviation_;
  Buffer<double> charge_;
};

// Magnitudes outside of which a binary32 evaluation may lose more than its relative errors.
bool ordinary(double x) { return x == 0 || (std::fabs(x) > 1e-30 && std::fabs(x) < 1e30); }

Result<Normalization> normalization_of(const NodeView& node) {
  Normalization n;
  n.scale = node.inputs[1]->constant->to_doubles();
  n.bias = node.inputs[2]->constant->to_doubles();
  n.mean = node.inputs[3]->constant->to_doubles();
  const auto var = node.inputs[4]->constant->to_doubles();
  const double epsilon = node.real("epsilon", static_cast<double>(1e-5F));
  for (std::size_t c = 0; c < n.scale.size(); ++c) {
    const Interval sum = Interval(var[c]) + Interval(epsilon);
    if (!(sum.lo > 0)) return refuse("variance + epsilon of channel " + std::to_string(c) + " is not positive");
    const Interval root(next_down(std::sqrt(sum.lo)), next_up(std::sqrt(sum.hi)));
    const Interval s = n.scale[c] == 0 ? Interval(0) : Interval(n.scale[c]) / root;
    const Interval shift = n.mean[c] == 0 || n.scale[c] == 0 ? Interval(0) : Interval(n.mean[c]) * s;
    n.deviation.push_back(std::sqrt(var[c] + epsilon));
    n.factor.push_back(s);
    n.offset.push_back(shift.lo == 0 && shift.hi == 0 ? Interval(n.bias[c]) : Interval(n.bias[c]) - shift);
    // gamma_9 (|s| (|x| + |mean|) + |bias|): the part that |w| = |bias - mean s| may have cancelled; underflows scale with |s|
    // and |scale|.
    double extra = gamma_up<float>(kDeployedTerms + 1) * (shift.magnitude() + std::fabs(n.bias[c])) + 8 * static_cast<double>(smallest_normal<float>) * (1 + s.magnitude() + std::fabs(n.scale[c]));
    if (!ordinary(n.scale[c]) || !ordinary(s.magnitude()) || !ordinary(n.deviation[c]) || !ordinary(n.mean[c])) extra = std::numeric_limits<double>::infinity();
    n.deployed.push_back(extra * (1 + 1e-12));
  }
  return n;
}

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  for (std::size_t k = 1; k < 5; ++k)
    if (node.variable(k)) return refuse("only x may be variable, scale, bias, mean and variance must be constants");
  if (!node.variable(0)) return refuse("x is a constant; fold the node in the model");
  BL_TRY(n, normalization_of(node));
  const auto channels = static_cast<std::int64_t>(n.scale.size()), cells = node.size(0) / std::max<std::int64_t>(1, node.shape(0)[0] * channels);
  std::vector<Interval> weight, offset;
  for (std::int64_t i = 0; i < node.size(0); ++i) {
    const auto c = static_cast<std::size_t>(node.shape(0).size() > 1 ? i / cells % channels : 0);
    weight.push_back(n.factor[c]);
    offset.push_back(n.offset[c]);
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<NormalizationKernel<T>>(d, node, n, channels, node.shape(0).size() > 1 ? cells : 1, weight, offset));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(BatchNormalization, make)
