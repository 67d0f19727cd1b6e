// LayerNormalization: every group of trailing axes centred, divided by its deviation, scaled and shifted (layernorm.hpp).
#include "boundlight/bounds/ops/layernorm.hpp"
#include "boundlight/bounds/ops/list_kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight {

struct LayerGroups {
  Shape groups_shape;                    // of the mean and the inverse deviation
  std::int64_t size = 1;                 // elements of a group
  std::vector<std::int64_t> scale, bias;  // for every output element, the element of scale and of bias
};
Result<LayerGroups> layer_groups(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {

Result<LayerGroups> layer_groups(const NodeView& node) {
  const Shape& x = node.shape(0);
  const auto axis = NodeView::axis(node.integer("axis", -1), x.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", -1)) + " is outside of shape " + to_string(x));
  LayerGroups g;
  g.groups_shape = x;
  for (auto a = static_cast<std::size_t>(*axis); a < x.size(); ++a) {
    g.size *= x[a];
    g.groups_shape[a] = 1;
  }
  if (g.size == 0) return refuse("groups of no elements have no mean");
  for (std::size_t k = 1; k < 3; ++k) {
    if (!node.has(k)) continue;
    if (typed::broadcast(node.shape(k), x) != x) return refuse((k == 1 ? "the scale's shape " : "the bias's shape ") + to_string(node.shape(k)) + " does not broadcast to " + to_string(x));
    (k == 1 ? g.scale : g.bias) = typed::broadcast_index(node.shape(k), x);
  }
  return g;
}

namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(g, layer_groups(node));
  const DataType type = node.inputs[0]->type, statistics = node.integer("stash_type", 1) == 1 ? DataType::float32 : type;
  return std::vector<TypedShape>{{type, node.shape(0)}, {statistics, g.groups_shape}, {statistics, g.groups_shape}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, layer_groups(node));
  BL_TRY(shapes, infer(node));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]), scale = typed::elements<S>(*in[1]);
    const auto bias = node.has(2) ? typed::elements<S>(*in[2]) : std::vector<S>();
    const auto epsilon = static_cast<S>(node.real("epsilon", static_cast<double>(1e-5F)));
    std::vector<S> y(x.size());
    std::vector<double> means, inverses;
    for (std::size_t first = 0; first < x.size(); first += static_cast<std::size_t>(g.size)) {
      const std::size_t last = first + static_cast<std::size_t>(g.size);
      S mean{}, squares{};
      for (std::size_t i = first; i < last; ++i) mean += x[i];
      mean /= static_cast<S>(g.size);
      for (std::size_t i = first; i < last; ++i) squares += (x[i] - mean) * (x[i] - mean);
      const S inverse = 1 / std::sqrt(squares / static_cast<S>(g.size) + epsilon);
      for (std::size_t i = first; i < last; ++i)
        y[i] = (x[i] - mean) * inverse * scale[static_cast<std::size_t>(g.scale[i])] + (bias.empty() ? S{} : bias[static_cast<std::size_t>(g.bias[i])]);
      means.push_back(static_cast<double>(mean));
      inverses.push_back(static_cast<double>(inverse));
    }
    return std::vector<Tensor>{typed::tensor_of<S>(shapes[0].type, shapes[0].shape, y), Tensor::from_doubles(shapes[1].type, shapes[1].shape, means),
                               Tensor::from_doubles(shapes[2].type, shapes[2].shape, inverses)};
  });
}

}  // namespace

extern const OpInfo LayerNormalization_op;
const OpInfo LayerNormalization_op = {"LayerNormalization", "axis:i epsilon:f stash_type:i", infer, evaluate, "none", "yes", "inputs and weights", "enclosure", "planes",
                                      "(x - mean) / sqrt(variance + epsilon) * scale + bias, variance by E[(x - mean)^2] or E[x^2] - mean^2, sums in any order", 2, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
class LayerNormKernel : public Kernel<T> {
 public:
  LayerNormKernel(Device& d, const NodeView& node, const EntryList& list, const LayerGroups& g)
      : entries_(d, of_first_input(node), list), size_(node.size(0)), group_(g.size), epsilon_(node.real("epsilon", static_cast<double>(1e-5F))),
        scale_(expanded(d, node, 1, g.scale, 1.0)), bias_(expanded(d, node, 2, g.bias, 0.0)) {
    for (std::size_t k = 1; k < 3; ++k)
      if (node.has(k)) {
        const Readers r = readers_of(k == 1 ? g.scale : g.bias, node.size(k));
        (k == 1 ? scale_at_ : bias_at_) = uploaded(d, r.at);
        (k == 1 ? scale_list_ : bias_list_) = uploaded(d, r.list);
      }
    if (node.has(1)) scale_count_ = node.size(1);
    if (node.has(2)) bias_count_ = node.size(2);
  }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const auto s = statistics(d, in[0], batch);
    const T *x = in[0], *mean = s.mean.data(), *inverse = s.inverse.data();
    const double *scale = scale_.data(), *bias = bias_.data();
    const std::int64_t size = size_, group = group_;
    T* y = out[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t q = (b * size + e) / group;
      y[b * size + e] = (x[b * size + e] - mean[q]) * inverse[q] * static_cast<T>(scale[e]) + static_cast<T>(bias[e]);
    });
  }
  // With n = (x - mean) inverse and h = g scale:  d x = inverse (h - mean(h) - n mean(h n)).
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0]) return;
    const auto s = statistics(d, in[0], batch);
    const T *x = in[0], *g = grad_out[0], *mean = s.mean.data(), *inverse = s.inverse.data();
    const double* scale = scale_.data();
    const std::int64_t size = size_, group = group_;
    if (T* to = grad_in[0])
      d.map(batch * size / group, [=] BL_HD(std::int64_t q) {
        T first = 0, second = 0;
        for (std::int64_t i = q * group; i < (q + 1) * group; ++i) {
          const T h = g[i] * static_cast<T>(scale[i % size]);
          first += h;
          second += h * (x[i] - mean[q]) * inverse[q];
        }
        first /= static_cast<T>(group);
        second /= static_cast<T>(group);
        for (std::int64_t i = q * group; i < (q + 1) * group; ++i)
          to[i] += inverse[q] * (g[i] * static_cast<T>(scale[i % size]) - first - (x[i] - mean[q]) * inverse[q] * second);
      });
    if (T* to = grad_in[1]) {
      const std::int32_t *at = scale_at_.data(), *list = scale_list_.data();
      d.map(scale_count_, [=] BL_HD(std::int64_t j) {
        for (std::int64_t b = 0; b < batch; ++b)
          for (std::int32_t r = at[j]; r < at[j + 1]; ++r) {
            const std::int64_t i = b * size + list[r];
            to[j] += g[i] * (x[i] - mean[i / group]) * inverse[i / group];
          }
      });
    }
    if (T* to = bias_count_ > 0 ? grad_in[2] : nullptr) {
      const std::int32_t *at = bias_at_.data(), *list = bias_list_.data();
      d.map(bias_count_, [=] BL_HD(std::int64_t j) {
        for (std::int64_t b = 0; b < batch; ++b)
          for (std::int32_t r = at[j]; r < at[j + 1]; ++r) to[j] += g[b * size + list[r]];
      });
    }
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const T *l = in[0].lower, *u = in[0].upper;
    T *lo = lower[0], *hi = upper[0];
    const std::int64_t size = size_;
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool deployed = settings.deployed();
    const LayerNormPlanes f = planes();
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const EntryBoxes<T> x{l + b * size, u + b * size, element + at[e], at[e + 1] - at[e]};
      Interval y = f.range(e, x);
      if (deployed) {
        const double error = f.deployed_error(e, x, y);
        y = Interval(sub_down(y.lo, error), add_up(y.hi, error));
      }
      lo[b * size + e] = round_down_to<T>(y.lo);
      hi[b * size + e] = round_up_to<T>(y.hi);
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    return relax_entries<T>(d, entries_, planes(), in, out[0], batch, settings, rule);
  }
  bool linear() const override { return false; }

  // Public, as is every member with a device lambda (device/device.hpp).
  struct Statistics {
    Buffer<T> mean, inverse;
  };
  Statistics statistics(Device& d, const T* x, std::int64_t batch) const {
    const std::int64_t groups = batch * size_ / group_, group = group_;
    Statistics s{d.template buffer<T>(groups), d.template buffer<T>(groups)};
    T *mean = s.mean.data(), *inverse = s.inverse.data();
    const T epsilon = static_cast<T>(epsilon_);
    d.map(groups, [=] BL_HD(std::int64_t q) {
      T sum = 0, squares = 0;
      for (std::int64_t i = q * group; i < (q + 1) * group; ++i) sum += x[i];
      const T m = sum / static_cast<T>(group);
      for (std::int64_t i = q * group; i < (q + 1) * group; ++i) squares += (x[i] - m) * (x[i] - m);
      mean[q] = m;
      inverse[q] = 1 / std::sqrt(squares / static_cast<T>(group) + epsilon);
    });
    return s;
  }

 private:
  LayerNormPlanes planes() const { return {scale_.data(), bias_.data(), group_, epsilon_}; }
  static Buffer<double> expanded(Device& d, const NodeView& node, std::size_t k, const std::vector<std::int64_t>& index, double fallback) {
    std::vector<double> all(static_cast<std::size_t>(node.size(0)), fallback);
    if (node.has(k)) {
      const auto values = node.inputs[k]->constant->to_doubles();
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = values[static_cast<std::size_t>(index[i])];
    }
    return uploaded(d, all);
  }

  Entries<T> entries_;
  std::int64_t size_, group_, scale_count_ = 0, bias_count_ = 0;
  double epsilon_;
  Buffer<double> scale_, bias_;
  Buffer<std::int32_t> scale_at_, scale_list_, bias_at_, bias_list_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0) || node.variable(1) || node.variable(2)) return refuse("only x may be variable, scale and bias must be constants");
  for (std::size_t s = 1; s < node.outputs.size(); ++s)
    if (node.outputs[s]) return refuse("its mean and deviation outputs have no kernels; leave them out of the model");
  BL_TRY(g, layer_groups(node));
  EntryList list;
  for (std::int64_t e = 0; e < node.size(0); ++e) {
    for (std::int64_t k = 0; k < g.size; ++k) list.element.push_back(e / g.size * g.size + k);
    list.end_output();
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<LayerNormKernel<T>>(d, node, list, g));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(LayerNormalization, make)
