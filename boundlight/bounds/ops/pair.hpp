// PairKernel: y[e] = f(a[..], b[..]) of two elements with numpy broadcasting, at least one of them variable: products,
// quotients and powers that are not linear. The functor F:
//   template <class S> S value(S a, S b), S by_first(S a, S b), S by_second(S a, S b)     f and its derivatives
//   template <class X> Interval range(X x)        encloses f over x[0], x[1] (x.count() == 1: both are the same element)
//   planes, deployed_error                        see planes.hpp
//   kPlanes                                       false: there are none
#pragma once

#include "boundlight/bounds/ops/entry_relaxation.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::BL_NS {

// u |y| + eta in binary32; infinite where a result may leave its range.
BL_HD inline double one_rounding(Interval y) {
  const double largest = static_cast<double>(std::numeric_limits<float>::max()) * (1 - 1e-7);
  if (!(y.magnitude() <= largest)) return std::numeric_limits<double>::infinity();
  return (y.magnitude() * static_cast<double>(unit_roundoff<float>) + static_cast<double>(smallest_normal<float>)) * (1 + 1e-14);
}

// The two index tables of numpy broadcasting as a list: entry 0 from input 0, entry 1 from input 1; one entry when both
// inputs are the same value.
inline EntryList pair_entries(const NodeView& node) {
  const Shape& out = node.outputs[0]->shape;
  const auto a = typed::broadcast_index(node.shape(0), out), b = typed::broadcast_index(node.shape(1), out);
  EntryList list;
  for (std::size_t e = 0; e < a.size(); ++e) {
    list.element.push_back(a[e]);
    if (node.inputs[0] != node.inputs[1]) list.element.push_back(node.size(0) + b[e]);
    list.end_output();
  }
  return list;
}

template <class T, class F>
class PairKernel : public Kernel<T> {
 public:
  PairKernel(Device& d, const NodeView& node, F f) : entries_(d, node, pair_entries(node)), f_(f) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const auto values = entries_.joined(d, {in[0], in[1]}, batch, 0);
    const T* x = values.data();
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const F f = f_;
    T* y = out[0];
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      y[b * outputs + e] = f.value(x[b * total + element[at[e]]], x[b * total + element[at[e + 1] - 1]]);
    });
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0]) return;
    const auto values = entries_.joined(d, {in[0], in[1]}, batch, 0);
    const T *x = values.data(), *g = grad_out[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element(), *owner = entries_.owner(), *readers_at = entries_.readers_at(), *readers = entries_.readers();
    const F f = f_;
    // Adds to `sum` what outputs that read element i of the concatenation send back to it in sample b.
    const auto collect = [=] BL_HD(std::int64_t b, std::int64_t i, T& sum) {
      for (std::int32_t q = readers_at[i]; q < readers_at[i + 1]; ++q) {
        const std::int32_t p = readers[q];
        const std::int64_t e = owner[p];
        const T demand = g[b * outputs + e], first = x[b * total + element[at[e]]], second = x[b * total + element[at[e + 1] - 1]];
        if (demand == 0) continue;
        const bool same = at[e + 1] - at[e] == 1;
        if (same || p == at[e]) sum += demand * f.by_first(first, second);
        if (same || p != at[e]) sum += demand * f.by_second(first, second);
      }
    };
    for (std::size_t k = 0; k < 2; ++k) {
      T* to = grad_in[k];
      if (!to) continue;
      const std::int64_t width = entries_.size(k), offset = entries_.offset(k);
      if (entries_.variable(k)) {
        d.map_rows(batch, width, [=] BL_HD(std::int64_t b, std::int64_t i) { collect(b, offset + i, to[b * width + i]); });
      } else {
        d.map(width, [=] BL_HD(std::int64_t i) {
          for (std::int64_t b = 0; b < batch; ++b) collect(b, offset + i, to[i]);
        });
      }
    }
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const JoinedBoxes<T> boxes(d, entries_, in, batch);
    const T *l = boxes.lower, *u = boxes.upper;
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool deployed = settings.deployed();
    const F f = f_;
    T *lo = lower[0], *hi = upper[0];
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
    if constexpr (F::kPlanes) return relax_entries<T>(d, entries_, f_, in, out[0], batch, settings, rule);
    else return nullptr;
  }
  bool linear() const override { return false; }

 private:
  Entries<T> entries_;
  F f_;
};

}  // namespace boundlight::BL_NS
