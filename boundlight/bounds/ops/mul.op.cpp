// Mul: a * b with broadcasting. Linear when one factor is constant; a square when both are the same value; else the planes
// of McCormick 1976 over the box of both factors.
#include "boundlight/bounds/ops/pair.hpp"
#include "boundlight/bounds/ops/scale.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::binary(*in[0], *in[1], [](auto a, auto b) { return typed::wrapping(a, b, [](auto x, auto y) { return x * y; }); });
}

}  // namespace

extern const OpInfo Mul_op;
const OpInfo Mul_op = {"Mul", "", typed::broadcast_of_inputs, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact; planes when both sides vary", "one rounding", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct Product {
  static constexpr bool kPlanes = true;
  template <class S> BL_HD S value(S a, S b) const { return a * b; }
  template <class S> BL_HD S by_first(S, S b) const { return b; }
  template <class S> BL_HD S by_second(S a, S) const { return a; }
  template <class X>
  BL_HD Interval range(X x) const {
    return x.count() == 1 ? square(x[0]) : x[0] * x[1];
  }
  template <class X>
  BL_HD double deployed_error(std::int64_t, X x, Interval) const {
    return one_rounding(range(x));
  }
  template <class X, class P>
  BL_HD void planes(std::int64_t, X x, Interval, SlopeRule, P& p) const {
    if (x.count() == 1) return square_planes(x[0], p);
    const Interval a = x[0], b = x[1];
    p.lower(0, b.lo);
    p.lower(1, a.lo);
    p.upper(0, b.hi);
    p.upper(1, a.lo);
    // a b - s a - t b is linear in each factor: its extremes are at the corners of the box.
    p.low = std::numeric_limits<double>::infinity();
    p.high = -p.low;
    for (int corner = 0; corner < 4; ++corner) {
      const double v = corner & 1 ? a.hi : a.lo, w = corner & 2 ? b.hi : b.lo;
      p.low = fmin(p.low, at(p.lower(0), p.lower(1), v, w).lo);
      p.high = fmax(p.high, at(p.upper(0), p.upper(1), v, w).hi);
    }
  }

 private:
  // v w - s v - t w
  BL_HD static Interval at(double s, double t, double v, double w) { return Interval(v) * Interval(w) - Interval(s) * Interval(v) - Interval(t) * Interval(w); }
  // z^2: the tangent at the middle below, the chord above.
  template <class P>
  BL_HD static void square_planes(Interval z, P& p) {
    p.lower(0, z.lo + z.hi);
    p.upper(0, z.lo + z.hi);
    const auto rest = [](double s, double c) { return Interval(c) * Interval(c) - Interval(s) * Interval(c); };
    const double s = p.lower(0), half = s / 2;
    p.low = z.contains(half) ? -mul_up(half, half) : fmin(rest(s, z.lo).lo, rest(s, z.hi).lo);
    const double t = p.upper(0);
    p.high = fmax(rest(t, z.lo).hi, rest(t, z.hi).hi);
  }
};

// One constant factor.
template <class T>
class MulScale : public ScaleKernel<T> {
 public:
  // constant_index: for every output element the element of the constant that it reads.
  MulScale(Device& d, std::vector<std::int64_t> in, std::size_t variable, const Shape& shape, const std::vector<std::int64_t>& source, const std::vector<Interval>& weight,
           const std::vector<std::int64_t>& constant_index, std::int64_t constant_size)
      : ScaleKernel<T>(d, std::move(in), variable, shape, source, weight, {}), constant_size_(constant_size) {
    const Readers readers = readers_of(constant_index, constant_size);
    at_ = uploaded(d, readers.at);
    list_ = uploaded(d, readers.list);
  }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    T* to = grad_in[1 - this->variable()];
    if (!to) return;
    const T *x = in[this->variable()], *g = grad_out[0];
    const std::int32_t *at = at_.data(), *list = list_.data(), *source = this->source();
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[this->variable()];
    d.map(constant_size_, [=] BL_HD(std::int64_t i) {
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int32_t q = at[i]; q < at[i + 1]; ++q) to[i] += g[b * size + list[q]] * x[b * width + (source ? source[list[q]] : list[q])];
    });
  }

 private:
  std::int64_t constant_size_;
  Buffer<std::int32_t> at_, list_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(0) && node.variable(1)) return std::unique_ptr<Kernel<T>>(std::make_unique<PairKernel<T, Product>>(d, node, Product{}));
  const std::size_t x = node.variable(0) ? 0 : 1, c = 1 - x;
  const Shape& shape = node.outputs[0]->shape;
  const auto index = typed::broadcast_index(node.shape(c), shape);
  const auto constant = node.inputs[c]->constant->to_doubles();
  std::vector<Interval> weight;
  for (const auto i : index) weight.emplace_back(constant[static_cast<std::size_t>(i)]);
  std::vector<std::int64_t> in(2, 0);
  in[x] = node.size(x);
  const auto source = node.shape(x) == shape ? std::vector<std::int64_t>() : typed::broadcast_index(node.shape(x), shape);
  return std::unique_ptr<Kernel<T>>(std::make_unique<MulScale<T>>(d, in, x, shape, source, weight, index, node.size(c)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Mul, make)
