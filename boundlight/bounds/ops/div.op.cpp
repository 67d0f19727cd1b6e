// Div: a / b with broadcasting. Linear when b is constant; else planes over the box of both, where b cannot be 0.
#include "boundlight/bounds/ops/pair.hpp"
#include "boundlight/bounds/ops/scale.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

// Integers are cut toward zero; a quotient that does not exist is refused.
Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  if (is_integer(in[1]->type()))
    for (const auto x : in[1]->to_int64s())
      if (x == 0) return refuse("divides an integer by 0");
  return typed::binary(*in[0], *in[1], [](auto a, auto b) {
    using S = decltype(a);
    if constexpr (std::is_signed_v<S> && std::is_integral_v<S>) {
      if (b == S(-1)) return typed::wrapping(S(0), a, [](auto x, auto y) { return x - y; });  // the lowest number has no negative
    }
    if constexpr (std::is_same_v<S, bool>) return a;
    else return static_cast<S>(a / b);
  });
}

}  // namespace

extern const OpInfo Div_op;
const OpInfo Div_op = {"Div", "", typed::broadcast_of_inputs, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact; planes when the divisor varies", "one rounding", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct Slopes2 {
  double first, second;
};

// a / b with b of one sign. Written for b > 0; a negative b is (-a) / (-b).
struct Quotient {
  static constexpr bool kPlanes = true;
  template <class S> BL_HD S value(S a, S b) const { return a / b; }
  template <class S> BL_HD S by_first(S, S b) const { return 1 / b; }
  template <class S> BL_HD S by_second(S a, S b) const { return -a / b / b; }
  template <class X>
  BL_HD Interval range(X x) const {
    return x.count() == 1 ? x[0] / x[0] : x[0] / x[1];
  }
  template <class X>
  BL_HD double deployed_error(std::int64_t, X x, Interval) const {
    return one_rounding(range(x));
  }
  template <class X, class P>
  BL_HD void planes(std::int64_t, X x, Interval, SlopeRule, P& p) const {
    if (x.count() == 1) return;
    const double sign = x[1].lo > 0 ? 1 : -1;
    const Interval a = sign > 0 ? x[0] : -x[0], b = sign > 0 ? x[1] : -x[1];
    if (!(b.lo > 0)) return;
    // Upper planes of a / b are minus lower planes of (-a) / b.
    for (int side = 0; side < 2; ++side) {
      const bool upper = side == 1;
      const Interval top = upper ? -a : a;
      double best = -std::numeric_limits<double>::infinity();
      int chosen = 0;
      for (int c = 0; c < kCandidates; ++c) {
        const double value = try_candidate(c, upper, sign, top, b, p);
        if (value > best) best = value, chosen = c;
      }
      try_candidate(chosen, upper, sign, top, b, p);
    }
  }

 private:
  static constexpr int kCandidates = 3;
  // Slopes of a lower plane of a / b: the tangent at the middle, or McCormick's planes of a w with w = 1 / b replaced by its
  // tangent or chord.
  BL_HD static Slopes2 candidate(int c, Interval a, Interval b) {
    const double middle = 1 / b.middle();
    if (c == 0) return {middle, -a.middle() * middle * middle};
    const double end = c == 1 ? a.lo : a.hi;
    return {c == 1 ? 1 / b.hi : 1 / b.lo, -end * (end >= 0 ? middle * middle : 1 / b.lo / b.hi)};
  }
  // Sets the plane; returns its value at the middle (of the plane below; both are measured from below).
  template <class P>
  BL_HD static double try_candidate(int c, bool upper, double sign, Interval a, Interval b, P& p) {
    const Slopes2 s = candidate(c, a, b);
    // back from (top, b) to the operator's own inputs: top = +-sign x0, b = sign x1
    const double turn = upper ? -sign : sign, value_sign = upper ? -1 : 1;
    double first, second;
    if (upper) {
      p.upper(0, -turn * s.first);
      p.upper(1, -sign * s.second);
      first = -turn * p.upper(0);
      second = -sign * p.upper(1);
    } else {
      p.lower(0, turn * s.first);
      p.lower(1, sign * s.second);
      first = turn * p.lower(0);
      second = sign * p.lower(1);
    }
    const double low = fmin(least(a.lo, first, second, b), least(a.hi, first, second, b));
    (upper ? p.high : p.low) = value_sign * low;
    return low + first * a.middle() + second * b.middle();
  }
  // min over b of c / b - s c - t b, rounded down. Stationary where c / b^2 = -t.
  BL_HD static double least(double c, double s, double t, Interval b) {
    const auto at = [&](double z) { return (Interval(c) / Interval(z) - Interval(s) * Interval(c) - Interval(t) * Interval(z)).lo; };
    double low = fmin(at(b.lo), at(b.hi));
    if (c > 0 && t < 0) {
      const Interval where = Interval(c) / Interval(-t), squares = square(b);
      const double root = next_down(sqrt(mul_down(c, -t)));
      if (where.hi >= squares.lo && where.lo <= squares.hi) low = fmin(low, sub_down(2 * root, mul_up(s, c)));
    }
    return low;
  }
};

// A constant divisor. Values are quotients; bounds use the enclosed reciprocal.
template <class T>
class DivScale : public ScaleKernel<T> {
 public:
  DivScale(Device& d, std::vector<std::int64_t> in, const Shape& shape, const std::vector<std::int64_t>& source, const std::vector<Interval>& weight, const std::vector<double>& constant,
           const std::vector<std::int64_t>& constant_index)
      : ScaleKernel<T>(d, std::move(in), 0, shape, source, weight, {}), constant_size_(static_cast<std::int64_t>(constant.size())), divisor_(weights_of<T>(d, constant)),
        index_(uploaded_indices(d, constant_index)) {
    const Readers readers = readers_of(constant_index, constant_size_);
    at_ = uploaded(d, readers.at);
    list_ = uploaded(d, readers.list);
  }
  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[0];
    const T *x = in[0], *c = divisor_.data.data();
    const std::int32_t *source = this->source(), *index = index_.data();
    T* y = out[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) { y[b * size + e] = x[b * width + (source ? source[e] : e)] / c[index[e]]; });
  }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    T* to = grad_in[1];
    if (!to) return;
    const T *x = in[0], *g = grad_out[0], *c = divisor_.data.data();
    const std::int32_t *at = at_.data(), *list = list_.data(), *source = this->source();
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[0];
    d.map(constant_size_, [=] BL_HD(std::int64_t i) {
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int32_t q = at[i]; q < at[i + 1]; ++q) to[i] -= g[b * size + list[q]] * x[b * width + (source ? source[list[q]] : list[q])] / c[i] / c[i];
    });
  }

 private:
  std::int64_t constant_size_;
  Weights<T> divisor_;
  Buffer<std::int32_t> index_, at_, list_;
};

Interval reciprocal(double c) {
  int exponent;
  const bool exact = std::fabs(std::frexp(c, &exponent)) == 0.5 && std::fabs(c) > 1e-300 && std::fabs(c) < 1e300;
  return exact ? Interval(1 / c) : Interval(1) / Interval(c);
}

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(1)) return std::unique_ptr<Kernel<T>>(std::make_unique<PairKernel<T, Quotient>>(d, node, Quotient{}));
  const Shape& shape = node.outputs[0]->shape;
  const auto index = typed::broadcast_index(node.shape(1), shape);
  const auto constant = node.inputs[1]->constant->to_doubles();
  std::vector<Interval> weight;
  for (const auto i : index) {
    if (constant[static_cast<std::size_t>(i)] == 0) return refuse("divides by a constant 0");
    weight.push_back(reciprocal(constant[static_cast<std::size_t>(i)]));
  }
  const auto source = node.shape(0) == shape ? std::vector<std::int64_t>() : typed::broadcast_index(node.shape(0), shape);
  return std::unique_ptr<Kernel<T>>(std::make_unique<DivScale<T>>(d, std::vector<std::int64_t>{node.size(0), 0}, shape, source, weight, constant, index));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Div, make)
