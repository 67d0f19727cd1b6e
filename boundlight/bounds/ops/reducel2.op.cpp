// ReduceL2: the Euclidean norm over axes, a convex function of its elements.
//   lower plane   q.x for any q with |q| <= 1 (Cauchy and Schwarz); q = the direction of the box's middle
//   upper plane   sqrt(S) <= (S + t^2) / (2 t) for any t > 0 (the tangent of the root), S = sum x^2 below its chords
#include "boundlight/bounds/ops/curves.hpp"
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
    const auto squares = reduction::fold<double>(g, 0.0, [&](double sum, std::size_t i) { return sum + static_cast<double>(x[i]) * static_cast<double>(x[i]); });
    std::vector<S> y;
    for (const double s : squares) y.push_back(static_cast<S>(std::sqrt(s)));
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), g.shape, y)};
  });
}

}  // namespace

extern const OpInfo ReduceL2_op;
const OpInfo ReduceL2_op = {"ReduceL2", "axes:I keepdims:i noop_with_empty_axes:i", reduction::infer_reduction, evaluate, "none", "yes", "yes", "enclosure", "planes",
                            "the root of a sum of squares in any order", 1, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct Norm {
  template <class V>
  BL_HD auto value(V x) const {
    auto sum = x[0] * 0;
    for (std::int64_t k = 0; k < x.count(); ++k) sum += x[k] * x[k];
    return std::sqrt(sum);
  }
  template <class V, class S>
  BL_HD S derivative(V x, std::int64_t k, S y) const {
    return y > 0 ? x[k] / y : S(0);
  }
  template <class X>
  BL_HD static Interval squares(X x) {
    Interval sum = square(x[0]);
    for (std::int64_t k = 1; k < x.count(); ++k) sum = sum + square(x[k]);
    return {fmax(sum.lo, 0.0), sum.hi};
  }
  template <class X>
  BL_HD Interval range(X x) const {
    const Interval s = squares(x);
    return {s.lo > 0 ? enclose_sqrt(s.lo).lo : 0.0, s.hi > 0 ? enclose_sqrt(s.hi).hi : s.hi};
  }
  // gamma_(n+1) of the sum gives half of it under the root, which adds one; squares below eta lose up to sqrt(n eta).
  template <class X>
  BL_HD double deployed_error(std::int64_t, X x, Interval) const {
    const double largest = static_cast<double>(std::numeric_limits<float>::max()) * (1 - 1e-6), n = static_cast<double>(x.count());
    const Interval s = squares(x);
    if (!(s.hi <= largest)) return std::numeric_limits<double>::infinity();
    return (gamma_up<float>(x.count() + 3) * sqrt(s.hi) + sqrt(n * static_cast<double>(smallest_normal<float>))) * (1 + 1e-6);
  }
  template <class X, class P>
  BL_HD void planes(std::int64_t, X x, Interval known, SlopeRule, P& p) const {
    double size = 0, at_middle = 0;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const double c = x[k].middle(), r = x[k].hi / 2 - x[k].lo / 2;
      size += c * c;
      at_middle += c * c + r * r;
    }
    size = sqrt(size);
    at_middle = sqrt(at_middle);
    if (size > 1e-150 && size < 1e150) lower_plane(x, size, p);
    else p.low = fmax(known.lo, 0.0);
    if (at_middle > 1e-150 && at_middle < 1e150) upper_plane(x, at_middle, p);
  }

 private:
  template <class X, class P>
  BL_HD static void lower_plane(X x, double size, P& p) {
    double length = 0, reach = 0;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      p.lower(k, x[k].middle() / size * (1 - 4e-16));
      length = add_up(length, mul_up(p.lower(k), p.lower(k)));
      reach = add_up(reach, mul_up(x[k].magnitude(), x[k].magnitude()));
    }
    // |x| - q.x >= -(|q| - 1) |x| when rounding made |q| exceed 1
    p.low = length <= 1 ? 0.0 : -mul_up(sub_up(next_up(sqrt(length)), 1.0), next_up(sqrt(reach)));
  }
  template <class X, class P>
  BL_HD static void upper_plane(X x, double t, P& p) {
    p.high = t / 2;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const Interval z = x[k];
      p.upper(k, (z.lo / 2 + z.hi / 2) / t);
      const auto rest = [&](double c) { return (square(Interval(c)) / Interval(2 * t) - Interval(p.upper(k)) * Interval(c)).hi; };
      p.high = add_up(p.high, fmax(rest(z.lo), rest(z.hi)));
    }
  }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(g, reduction::groups_of(node));
  if (g.count == 0) return refuse("a norm of no elements is 0; fold it in the model");
  return std::unique_ptr<Kernel<T>>(std::make_unique<ListKernel<T, Norm>>(d, node, g.list, Norm{}));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ReduceL2, make)
