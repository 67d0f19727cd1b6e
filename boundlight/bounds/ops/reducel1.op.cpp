// ReduceL1: the sum of absolute values over axes. Planes element by element: |z| lies above s z for any s in [-1, 1], and
// below its chord.
#include "boundlight/bounds/ops/list_kernel.hpp"
#include "boundlight/bounds/ops/reduction.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, reduction::groups_of(node));
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    const auto y = reduction::fold<S>(g, S{}, [&](S sum, std::size_t i) {
      const S size = x[i] < S{} ? typed::wrapping(S{}, static_cast<S>(x[i]), [](auto a, auto b) { return a - b; }) : static_cast<S>(x[i]);
      return typed::wrapping(sum, size, [](auto a, auto b) { return a + b; });
    });
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), g.shape, y)};
  });
}

}  // namespace

extern const OpInfo ReduceL1_op;
const OpInfo ReduceL1_op = {"ReduceL1", "axes:I keepdims:i noop_with_empty_axes:i", reduction::infer_reduction, evaluate, "integers", "yes", "yes", "enclosure", "planes",
                            "sums in any order", 1, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SumOfSizes {
  template <class V>
  BL_HD auto value(V x) const {
    auto sum = x[0] - x[0];
    for (std::int64_t k = 0; k < x.count(); ++k) sum += x[k] < 0 ? -x[k] : x[k];
    return sum;
  }
  template <class V, class S>
  BL_HD S derivative(V x, std::int64_t k, S) const {
    return x[k] > 0 ? S(1) : x[k] < 0 ? S(-1) : S(0);
  }
  BL_HD static Interval size(Interval z) { return z.contains(0.0) ? Interval(0, z.magnitude()) : z.lo > 0 ? z : -z; }
  template <class X>
  BL_HD Interval range(X x) const {
    Interval sum = size(x[0]);
    for (std::int64_t k = 1; k < x.count(); ++k) sum = sum + size(x[k]);
    return {fmax(sum.lo, 0.0), sum.hi};
  }
  template <class X>
  BL_HD double deployed_error(std::int64_t, X x, Interval) const {
    const double largest = static_cast<double>(std::numeric_limits<float>::max()) * (1 - 1e-6), y = range(x).hi;
    return y <= largest ? gamma_up<float>(x.count() + 1) * y * (1 + 1e-12) : std::numeric_limits<double>::infinity();
  }
  template <class X, class P>
  BL_HD void planes(std::int64_t, X x, Interval, SlopeRule, P& p) const {
    p.low = 0;
    p.high = 0;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const Interval z = x[k];
      p.lower(k, z.middle() >= 0 ? 1 : -1);
      // one line, or the chord
      p.upper(k, z.lo >= 0 ? 1 : z.hi <= 0 ? -1 : (z.hi + z.lo) / (z.hi - z.lo));
      const double low = fmin(fmin(gap(p.lower(k), z.lo).lo, gap(p.lower(k), z.hi).lo), z.contains(0.0) ? 0.0 : std::numeric_limits<double>::infinity());
      const double high = fmax(gap(p.upper(k), z.lo).hi, gap(p.upper(k), z.hi).hi);
      if (low != 0) p.low = add_down(p.low, low);
      if (high != 0) p.high = add_up(p.high, high);
    }
  }

 private:
  // |c| - s c
  BL_HD static Interval gap(double s, double c) {
    if (c == 0 || (s == 1 && c > 0) || (s == -1 && c < 0)) return 0;
    return Interval(fabs(c)) - Interval(s) * Interval(c);
  }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(g, reduction::groups_of(node));
  if (g.count == 0) return refuse("a sum over no elements is 0; fold it in the model");
  return std::unique_ptr<Kernel<T>>(std::make_unique<ListKernel<T, SumOfSizes>>(d, node, g.list, SumOfSizes{}));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ReduceL1, make)
