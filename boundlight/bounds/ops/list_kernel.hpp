// ListKernel: y[e] = f(the elements of input 0 that output e lists) for symmetric functions of many elements: norms over axes. The
// functor F states, beside planes and deployed_error (planes.hpp):
//   template <class V> S value(V x)                      f in S; x.count(), x[k]
//   template <class V, class S> S derivative(V x, std::int64_t k, S y)     d f / d x[k], y = f(x)
//   template <class X> Interval range(X x)               encloses f
#pragma once

#include "boundlight/bounds/ops/entry_relaxation.hpp"

namespace boundlight::BL_NS {

template <class T, class F>
class ListKernel : public Kernel<T> {
 public:
  ListKernel(Device& d, const NodeView& node, const EntryList& list, F f) : entries_(d, of_first_input(node), list), f_(f) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const T* x = in[0];
    T* y = out[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const F f = f_;
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      y[b * outputs + e] = f.value(EntryValues<T>{x + b * total, element + at[e], at[e + 1] - at[e]});
    });
  }
  void vjp(Device& d, const T* const* in, const T* const* out, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0] || !grad_in[0]) return;
    const T *x = in[0], *y = out[0], *g = grad_out[0];
    T* to = grad_in[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element(), *owner = entries_.owner(), *readers_at = entries_.readers_at(), *readers = entries_.readers();
    const F f = f_;
    d.map_rows(batch, total, [=] BL_HD(std::int64_t b, std::int64_t i) {
      for (std::int32_t q = readers_at[i]; q < readers_at[i + 1]; ++q) {
        const std::int64_t e = owner[readers[q]];
        if (g[b * outputs + e] != 0)
          to[b * total + i] += g[b * outputs + e] * f.derivative(EntryValues<T>{x + b * total, element + at[e], at[e + 1] - at[e]}, readers[q] - at[e], y[b * outputs + e]);
      }
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const T *l = in[0].lower, *u = in[0].upper;
    T *lo = lower[0], *hi = upper[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool deployed = settings.deployed();
    const F f = f_;
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const EntryBoxes<T> x{l + b * total, u + b * total, element + at[e], at[e + 1] - at[e]};
      Interval y = f.range(x);
      if (deployed) {
        const double error = f.deployed_error(e, x, y);
        y = Interval(sub_down(y.lo, error), add_up(y.hi, error));
      }
      lo[b * outputs + e] = round_down_to<T>(y.lo);
      hi[b * outputs + e] = round_up_to<T>(y.hi);
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    return relax_entries<T>(d, entries_, f_, in, out[0], batch, settings, rule);
  }
  bool linear() const override { return false; }

 protected:
  const Entries<T>& entries() const { return entries_; }
  const F& function() const { return f_; }

 private:
  Entries<T> entries_;
  F f_;
};

}  // namespace boundlight::BL_NS
