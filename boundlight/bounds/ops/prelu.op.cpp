// PRelu: x for x >= 0, slope x below, with a constant slope that broadcasts to x's shape.
#include "boundlight/bounds/ops/kinked.hpp"
#include "boundlight/bounds/ops/sum.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (!node.has(0) || !node.has(1)) return refuse("needs two inputs, x and slope");
  if (node.inputs[1]->type != node.inputs[0]->type) return refuse("x and slope have different element types");
  if (typed::broadcast(node.shape(0), node.shape(1)) != node.shape(0))
    return refuse("slope of shape " + to_string(node.shape(1)) + " does not broadcast to x of shape " + to_string(node.shape(0)));
  return typed::like_input(node, typed::Kinds::numbers);
}

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::binary(*in[0], *in[1], [](auto x, auto slope) { return x < decltype(x)(0) ? slope * x : x; });
}

}  // namespace

extern const OpInfo PRelu_op;
const OpInfo PRelu_op = {"PRelu", "", infer, evaluate, "integers", "yes", "inputs and weights", "enclosure", "planes", "one rounding of the product", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct PReluTable {
  const double* left;  // per element of x
  double free_from;    // the greatest slope below 1: from there to 1 every slope is free for all elements that have free ones
  BL_HD Kinked element(std::int64_t i) const { return {left[i], 1}; }
  BL_HD double free_low() const { return free_from; }
  BL_HD double free_high() const { return 1; }
};

struct PReluSlopes {
  Buffer<double> left_;  // per element of x
};

template <class T>
class PReluKernel : private PReluSlopes, public ElementwiseKernel<T, PReluTable> {
 public:
  PReluKernel(Device& d, const NodeView& node, Buffer<double> left, double free_from)
      : PReluSlopes{std::move(left)}, ElementwiseKernel<T, PReluTable>(d, node, {this->left_.data(), free_from}) {
    const auto readers = readers_of(typed::broadcast_index(node.shape(1), node.shape(0)), node.size(1));
    at_ = uploaded(d, readers.at);
    readers_ = uploaded(d, readers.list);
  }

  void vjp(Device& d, const T* const* in, const T* const* out, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    ElementwiseKernel<T, PReluTable>::vjp(d, in, out, grad_out, grad_in, batch);
    if (!in[0] || !grad_out[0] || !grad_in[1]) return;
    const T *x = in[0], *g = grad_out[0];
    T* to = grad_in[1];
    const std::int32_t *at = at_.data(), *readers = readers_.data();
    const std::int64_t size = this->size();
    d.map(at_.size() - 1, [=] BL_HD(std::int64_t k) {
      T sum = 0;
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int32_t p = at[k]; p < at[k + 1]; ++p) {
          const T z = x[b * size + readers[p]];
          if (z < 0) sum += g[b * size + readers[p]] * z;
        }
      to[k] += sum;
    });
  }

 private:
  Buffer<std::int32_t> at_, readers_;  // which elements each slope belongs to
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(1)) return refuse("slope must be a constant");
  const auto slope = node.inputs[1]->constant->to_doubles();
  double free_from = -std::numeric_limits<double>::infinity();
  for (const double s : slope) {
    if (!std::isfinite(s)) return refuse("a slope is infinite or no number");
    if (s < 1) free_from = std::max(free_from, s);
  }
  std::vector<double> left;
  for (const auto k : typed::broadcast_index(node.shape(1), node.shape(0))) left.push_back(slope[static_cast<std::size_t>(k)]);
  return std::unique_ptr<Kernel<T>>(std::make_unique<PReluKernel<T>>(d, node, uploaded(d, left), std::isfinite(free_from) ? free_from : 1.0));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(PRelu, make)
