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

#include "boundlight/bounds/ops/curves.hpp"
#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

template <class F>
BL_HD auto element_of(const F& f, std::int64_t i, std::int64_t size) {
  if constexpr (requires { f.element(i); }) return f.element(i % size);
  else return f;
}

// |binary32 evaluation - f|; infinite where an input or a result is out of binary32's range.
template <class F>
BL_HD double deployment(const F& f, Interval x, Interval y) {
  const double largest = static_cast<double>(std::numeric_limits<float>::max());
  if (!(x.magnitude() <= largest && y.magnitude() <= largest)) return std::numeric_limits<double>::infinity();
  return f.deployed_error(x, y);
}

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
    free_ = {mask_.data(), lower_slope_.data(), round_up_to<T>(f.free_low()), round_down_to<T>(f.free_high())};
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
  // The slope as T holds it; 0 for one that is infinite or no number.
  BL_HD static double stored_slope(double s) {
    const auto stored = static_cast<double>(static_cast<T>(s));
    return stored - stored == 0 ? stored : 0.0;
  }
  void planes(Device& d, F every, BoxView<T> in, BoxView<T> out, std::int64_t n, const BoundSettings& settings, SlopeRule rule) {
    const T *l = in.lower, *u = in.upper, *ol = out.lower, *ou = out.upper;
    T *ls = lower_slope_.data(), *lt = lower_offset_.data(), *us = upper_slope_.data(), *ut = upper_offset_.data(), *cost = cost_.data();
    std::uint8_t* mask = mask_.data();
    const std::int64_t size = size_;
    const bool sound = settings.sound, deployed = settings.semantics == Semantics::float32_any_order;
    const double unit = static_cast<double>(unit_roundoff<T>), dot = gamma_up<double>(size + 3);
    d.map(n, [=] BL_HD(std::int64_t i) {
      const auto f = element_of(every, i, size);
      Interval x(static_cast<double>(l[i]), static_cast<double>(u[i]));
      Slopes s{0, 0};
      double low, high;
      if (x.finite()) {
        s = f.slopes(x, rule);
        s.lower = stored_slope(s.lower);
        s.upper = stored_slope(s.upper);
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
      if (deployed) c += deployment(f, x, Interval(static_cast<double>(ol[i]), static_cast<double>(ou[i])));
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
  // Keeps the values of a constant input.
  ElementwiseKernel(Device& d, const NodeView& node, F f) : ElementwiseKernel(f, node.shape(0), node.size(0)) {
    if (node.variable(0)) return;
    std::vector<T> near, low, high;
    for (const double x : node.inputs[0]->constant->to_doubles()) {
      near.push_back(static_cast<T>(x));
      low.push_back(round_down_to<T>(x));
      high.push_back(round_up_to<T>(x));
    }
    const std::vector<T>* const from[] = {&near, &low, &high};
    Buffer<T>* const to[] = {&near_, &low_, &high_};
    for (int k = 0; k < 3; ++k) {
      *to[k] = d.template buffer<T>(size_);
      d.upload(to[k]->data(), from[k]->data(), size_);
    }
  }

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
    return std::make_unique<ElementwiseRelaxation<T, F>>(d, f_, size_, shape_, in[0], out[0], batch, settings, rule);
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

 protected:
  const F& function() const { return f_; }
  std::int64_t size() const { return size_; }

 private:
  F f_;
  Shape shape_;
  std::int64_t size_;
  Buffer<T> near_, low_, high_;  // a constant input
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
