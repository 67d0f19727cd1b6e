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
//
// Soundness rests on range, low and high alone: slopes may be anything, the intercept is computed for the slope that is
// stored (in T). Only finite boxes get planes; others fall back to slope 0 and the range.
#pragma once

#include "boundlight/bounds/ops/elementwise_relaxation.hpp"

namespace boundlight::BL_NS {

template <class T, class F>
class ElementwiseKernel : public Kernel<T> {
 public:
  ElementwiseKernel(F f, Shape shape, std::int64_t size) : f_(f), shape_(std::move(shape)), size_(size) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const F f = f_;
    const T* x = in[0];
    T* y = out[0];
    d.map(batch * size_, [=] BL_HD(std::int64_t i) { y[i] = f.value(x[i]); });
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_in[0] || !grad_out[0]) return;
    const F f = f_;
    const T *x = in[0], *g = grad_out[0];
    T* to = grad_in[0];
    d.map(batch * size_, [=] BL_HD(std::int64_t i) {
      if (g[i] != 0) to[i] += g[i] * f.derivative(x[i]);  // an infinite slope times no demand is no gradient
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const F f = f_;
    const T *l = in[0].lower, *u = in[0].upper;
    T *lo = lower[0], *hi = upper[0];
    const bool deployed = settings.semantics == Semantics::float32_any_order;
    d.map(batch * size_, [=] BL_HD(std::int64_t i) {
      const Interval x(static_cast<double>(l[i]), static_cast<double>(u[i]));
      Interval y = f.range(x);
      if (deployed) {
        const double e = f.deployed_error(x, y);
        if (e != 0) y = Interval(sub_down(y.lo, e), add_up(y.hi, e));
      }
      lo[i] = round_down_to<T>(y.lo);
      hi[i] = round_up_to<T>(y.hi);
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    return std::make_unique<ElementwiseRelaxation<T, F>>(d, f_, size_, shape_, in[0], out[0], batch, settings, rule);
  }
  bool linear() const override { return false; }
  void refinable(Device& d, int, BoxView<T> in, std::uint8_t* mask, std::int64_t count) const override {
    const F f = f_;
    const T *l = in.lower, *u = in.upper;
    d.map(count, [=] BL_HD(std::int64_t i) { mask[i] = f.decided(Interval(static_cast<double>(l[i]), static_cast<double>(u[i]))) ? 0 : 1; });
  }
  bool refinable_alone() const override { return true; }

 private:
  F f_;
  Shape shape_;
  std::int64_t size_;
};

}  // namespace boundlight::BL_NS
