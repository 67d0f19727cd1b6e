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

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

struct Slopes {
  double lower, upper;
};

template <class T>
struct PlanePointers {
  T *lower_slope, *lower_offset, *upper_slope, *upper_offset;
};

template <class T, class F>
class ElementwiseRelaxation : public Relaxation<T> {
 public:
  ElementwiseRelaxation(Device& d, const F& f, std::int64_t size, Shape shape, BoxView<T> in, BoxView<T> out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule)
      : size_(size), shape_(std::move(shape)), sound_(settings.sound) {
    const std::int64_t n = batch * size;
    for (Buffer<T>* b : {&lower_slope_, &lower_offset_, &upper_slope_, &upper_offset_, &cost_}) *b = d.buffer<T>(n);
    mask_ = d.buffer<std::uint8_t>(n);
    planes(d, f, in, out, n, settings, rule);
    cost0_ = d.buffer<double>(batch);
    d.fill(cost0_.data(), 0.0, batch);
    if (sound_) charge_underflow(d, in, batch);
    free_ = {mask_.data(), lower_slope_.data(), static_cast<T>(f.free_low()), static_cast<T>(f.free_high())};
  }

  void backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    T* a = rows.a.data();
    const T *ls = lower_slope_.data(), *lt = lower_offset_.data(), *us = upper_slope_.data(), *ut = upper_offset_.data(), *cost = cost_.data();
    const T* own = row_alpha_;
    const std::uint8_t* mask = mask_.data();
    const std::int64_t size = size_, width = rows.width;
    const std::int32_t* box = accounts.box;
    double* const sums[2] = {accounts.bias, accounts.charge};
    if (!rows.windowed) {
      d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
        const std::int64_t e = box[r] * size + j;
        const T x = a[r * width + j];
        T slope = x >= 0 ? ls[e] : us[e];
        const T offset = x >= 0 ? lt[e] : ut[e];
        if (own && mask[e] && x >= 0) slope = own[r * width + j];
        sum.add(0, static_cast<double>(x) * static_cast<double>(offset));
        sum.add(1, fabs(static_cast<double>(x)) * static_cast<double>(cost[e]));
        a[r * width + j] = x * slope;
      }, sums);
    } else {
      const std::int64_t channels = shape_[1], height = shape_[2], across = shape_[3], ww = rows.window_w;
      const std::int32_t *top = rows.top.data(), *left = rows.left.data();
      d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
        const std::int64_t c = j % channels, q = left[r] + j / channels % ww, y = top[r] + j / (channels * ww);
        if (q < 0 || y < 0 || q >= across || y >= height) return;
        const std::int64_t e = box[r] * size + (c * height + y) * across + q;
        const T x = a[r * width + j];
        sum.add(0, static_cast<double>(x) * static_cast<double>(x >= 0 ? lt[e] : ut[e]));
        sum.add(1, fabs(static_cast<double>(x)) * static_cast<double>(cost[e]));
        a[r * width + j] = x * (x >= 0 ? ls[e] : us[e]);
      }, sums);
    }
    if (sound_) {
      const double* cost0 = cost0_.data();
      double *bias = accounts.bias, *charge = accounts.charge;
      d.map(rows.rows, [=] BL_HD(std::int64_t r) { charge[r] += cost0[box[r]] + fabs(bias[r]) * 3e-16; });
    }
    out[0] = std::move(rows);
  }

  bool takes_windows() const override { return shape_.size() == 4 && shape_[0] == 1; }
  const FreeSlopes<T>* free_slopes() const override { return &free_; }
  void use_row_slopes(const T* alpha) override { row_alpha_ = alpha; }

  // Public because they hold device lambdas (device/device.hpp).
  void charge_underflow(Device& d, BoxView<T> in, std::int64_t batch) {
    const T *l = in.lower, *u = in.upper;
    const double eta = static_cast<double>(smallest_normal<T>);
    const std::int64_t size = size_;
    double* const sums[1] = {cost0_.data()};
    d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) {
      sum.add(0, eta * fmax(fabs(static_cast<double>(l[b * size + j])), fabs(static_cast<double>(u[b * size + j]))));
    }, sums);
  }
  void planes(Device& d, F f, BoxView<T> in, BoxView<T> out, std::int64_t n, const BoundSettings& settings, SlopeRule rule) {
    const T *l = in.lower, *u = in.upper, *ol = out.lower, *ou = out.upper;
    T *ls = lower_slope_.data(), *lt = lower_offset_.data(), *us = upper_slope_.data(), *ut = upper_offset_.data(), *cost = cost_.data();
    std::uint8_t* mask = mask_.data();
    const std::int64_t size = size_;
    const bool sound = settings.sound, deployed = settings.semantics == Semantics::float32_any_order;
    const double unit = static_cast<double>(unit_roundoff<T>), dot = gamma_up<double>(size + 3);
    d.map(n, [=] BL_HD(std::int64_t i) {
      Interval x(static_cast<double>(l[i]), static_cast<double>(u[i]));
      Slopes s{0, 0};
      double low, high;
      if (x.finite()) {
        s = f.slopes(x, rule);
        s.lower = static_cast<double>(static_cast<T>(s.lower));
        s.upper = static_cast<double>(static_cast<T>(s.upper));
        low = f.low(s.lower, x);
        high = f.high(s.upper, x);
      } else {
        const Interval y = f.range(x);
        low = y.lo;
        high = y.hi;
      }
      // A constant plane can use what is already known of the output.
      const bool free = x.finite() && f.free_slope(x);
      if (!free && s.lower == 0 && static_cast<double>(ol[i]) > low) low = static_cast<double>(ol[i]);
      if (s.upper == 0 && static_cast<double>(ou[i]) < high) high = static_cast<double>(ou[i]);
      ls[i] = static_cast<T>(s.lower);
      us[i] = static_cast<T>(s.upper);
      lt[i] = sound ? round_down_to<T>(low) : static_cast<T>(low);
      ut[i] = sound ? round_up_to<T>(high) : static_cast<T>(high);
      mask[i] = free ? 1 : 0;
      if (!sound) {
        cost[i] = 0;
        return;
      }
      // Slopes 0, 1 and -1 multiply exactly; a free slope may be anything in its range.
      const bool exact_slopes = !mask[i] && (s.lower == 0 || fabs(s.lower) == 1) && (s.upper == 0 || fabs(s.upper) == 1);
      const double steepest = fmax(fmax(fabs(s.lower), fabs(s.upper)), mask[i] ? fmax(fabs(f.free_low()), fabs(f.free_high())) : 0.0);
      double c = dot * fmax(fabs(static_cast<double>(lt[i])), fabs(static_cast<double>(ut[i])));
      if (!exact_slopes) c += unit * steepest * x.magnitude() * (1 + 4 * unit);
      if (deployed) c += f.deployed_error(x, Interval(static_cast<double>(ol[i]), static_cast<double>(ou[i])));
      cost[i] = c == 0 ? T(0) : round_up_to<T>(c * (1 + 1e-14));
    });
  }

 private:
  std::int64_t size_;
  Shape shape_;
  bool sound_;
  Buffer<T> lower_slope_, lower_offset_, upper_slope_, upper_offset_, cost_;
  Buffer<double> cost0_;
  Buffer<std::uint8_t> mask_;
  FreeSlopes<T> free_;
  const T* row_alpha_ = nullptr;
};

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

 private:
  F f_;
  Shape shape_;
  std::int64_t size_;
};

}  // namespace boundlight::BL_NS
