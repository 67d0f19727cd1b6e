// ElementwiseKernel<T, F>: y = f(x) for one variable input. The functor F states f's mathematics, everything else is here:
//
//   template <class S> S value(S x) const            f in S (float or double), as a runtime would compute it
//   template <class S> S derivative(S x) const       f' (any subgradient at a kink)
//   Interval range(Interval x) const                 encloses f over x, outward
//   Slopes slopes(Interval x, SlopeRule) const       any two numbers: suggested slopes of the lower and upper plane
//   double low(double s, Interval x) const           <= min over z in x of f(z) - s z
//   double high(double s, Interval x) const          >= max over z in x of f(z) - s z
//   bool decided(Interval x) const                   tightening x cannot tighten the planes (linear there)
//   bool free_slope(Interval x) const                every slope in [free_low(), free_high()] with intercept 0 is a lower plane
//   double deployed_error(Interval x, Interval y) const   |binary32 evaluation - f| over x, any covered evaluation
//                                                         (OpInfo::deployed says which); infinite where none is covered
//   F element(std::int64_t i) const                  optional: f for element i of the value, where elements differ (PRelu)
//   bool linear() const                              optional: f is linear (Neg)
//
// Soundness rests on range, low and high alone: slopes may be anything, the intercept is computed for the slope that is
// stored (in T). Only finite boxes get planes; others fall back to slope 0 and the range. curves.hpp has low, high and
// slopes for curves and for functions made of straight lines.
//
// A constant input (a node that folding would round) is kept as the numbers of T around it.
#pragma once

#include "boundlight/bounds/ops/elementwise_relaxation.hpp"

namespace boundlight::BL_NS {

template <class T>
class ElementwiseBase : public Kernel<T> {
 public:
  ElementwiseBase(Shape shape, std::int64_t size) : shape_(std::move(shape)), size_(size) {}
  // Keeps the values of a constant input.
  ElementwiseBase(Device& d, const NodeView& node);

 protected:
  std::int64_t size() const { return size_; }
  std::unique_ptr<Relaxation<T>> relaxation(Device& d, PlaneTable<T> table, BoxView<T> in, std::int64_t batch, const BoundSettings& settings, double free_low,
                                            double free_high) const;

  Shape shape_;
  std::int64_t size_;
  Buffer<T> near_, low_, high_;  // a constant input
};

extern template class ElementwiseBase<float>;
extern template class ElementwiseBase<double>;

template <class T, class F>
class ElementwiseKernel : public ElementwiseBase<T> {
 public:
  ElementwiseKernel(F f, Shape shape, std::int64_t size) : ElementwiseBase<T>(std::move(shape), size), f_(f) {}
  ElementwiseKernel(Device& d, const NodeView& node, F f) : ElementwiseBase<T>(d, node), f_(f) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const F every = f_;
    const std::int64_t size = size_;
    const bool variable = in[0] != nullptr;
    const T* x = variable ? in[0] : near_.data();
    T* y = out[0];
    d.map(batch * size_, [=] BL_HD(std::int64_t i) { y[i] = element_of(every, i, size).value(x[variable ? i : i % size]); });
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!in[0] || !grad_in[0] || !grad_out[0]) return;
    const F every = f_;
    const std::int64_t size = size_;
    const T *x = in[0], *g = grad_out[0];
    T* to = grad_in[0];
    d.map(batch * size_, [=] BL_HD(std::int64_t i) {
      if (g[i] != 0) to[i] += g[i] * element_of(every, i, size).derivative(x[i]);  // an infinite slope times no demand is no gradient
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const F every = f_;
    const bool variable = in[0].lower != nullptr;
    const T *l = variable ? in[0].lower : low_.data(), *u = variable ? in[0].upper : high_.data();
    const std::int64_t size = size_;
    T *lo = lower[0], *hi = upper[0];
    const bool deployed = settings.semantics == Semantics::float32_any_order;
    d.map(batch * size_, [=] BL_HD(std::int64_t i) {
      const auto f = element_of(every, i, size);
      const std::int64_t from = variable ? i : i % size;
      const Interval x(static_cast<double>(l[from]), static_cast<double>(u[from]));
      Interval y = f.range(x);
      if (deployed) {
        const double e = deployment(f, x, y);
        if (e != 0) y = Interval(sub_down(y.lo, e), add_up(y.hi, e));
      }
      lo[i] = round_down_to<T>(y.lo);
      hi[i] = round_up_to<T>(y.hi);
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    if (!in[0].lower) return nullptr;  // a constant: rows stop at its box
    PlaneTable<T> table;
    make_planes(d, f_, in[0], out[0], batch * size_, size_, settings, rule, table);
    return this->relaxation(d, std::move(table), in[0], batch, settings, f_.free_low(), f_.free_high());
  }
  bool linear() const override {
    if constexpr (requires { f_.linear(); }) return f_.linear();
    else return false;
  }
  void refinable(Device& d, int, BoxView<T> in, std::uint8_t* mask, std::int64_t count) const override {
    const F every = f_;
    const std::int64_t size = size_;
    const T *l = in.lower, *u = in.upper;
    d.map(count, [=] BL_HD(std::int64_t i) { mask[i] = element_of(every, i, size).decided(Interval(static_cast<double>(l[i]), static_cast<double>(u[i]))) ? 0 : 1; });
  }
  bool refinable_alone() const override { return !requires { f_.element(0); }; }
  bool one_to_one() const override { return linear(); }

 protected:
  const F& function() const { return f_; }

 private:
  using ElementwiseBase<T>::size_;
  using ElementwiseBase<T>::near_;
  using ElementwiseBase<T>::low_;
  using ElementwiseBase<T>::high_;
  F f_;
};

template <class T, class F>
Result<std::unique_ptr<Kernel<T>>> make_elementwise(Device& d, const NodeView& node, F f) {
  return std::unique_ptr<Kernel<T>>(std::make_unique<ElementwiseKernel<T, F>>(d, node, f));
}
// For functors without parameters; see BL_REGISTER_ELEMENTWISE.
template <class T, class F>
Result<std::unique_ptr<Kernel<T>>> make_plain(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, F{});
}

}  // namespace boundlight::BL_NS

#define BL_REGISTER_ELEMENTWISE(name, functor)                                                                          \
  namespace boundlight::BL_NS {                                                                                         \
  extern const KernelMakers name##_makers;                                                                              \
  const KernelMakers name##_makers = {#name, &make_plain<float, functor>, &make_plain<double, functor>};                \
  }
