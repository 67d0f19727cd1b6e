// StepKernel<T, F>: y = f(a) or f(a, b) for a piecewise constant f, with broadcasting: comparisons, logic, conversions to
// integers. Booleans are the numbers 0 and 1. The functor F states
//   template <class S> S value(S a, S b) const      concrete, in S (float or double); one input: b is 0
//   Interval range(Interval a, Interval b) const    encloses f, outward
// The gradient is zero, and there are no planes but the interval's.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

// One operand: its array (or a constant's, rounded outward for bounds) and which element each output reads.
template <class T>
struct StepOperand {
  std::int64_t width = 0;         // per sample; 0: a constant
  Buffer<std::int32_t> source;    // [output size]
  Buffer<T> near, low, high;      // constants only

  StepOperand() = default;
  StepOperand(Device& d, const NodeView& node, std::size_t k) : width(node.variable(k) ? node.size(k) : 0) {
    const auto index = typed::broadcast_index(node.shape(k), node.outputs[0]->shape);
    source = uploaded(d, std::vector<std::int32_t>(index.begin(), index.end()));
    if (node.variable(k)) return;
    std::vector<T> n, l, h;
    for (const double x : node.inputs[k]->constant->to_doubles()) n.push_back(static_cast<T>(x)), l.push_back(round_down_to<T>(x)), h.push_back(round_up_to<T>(x));
    near = uploaded(d, n), low = uploaded(d, l), high = uploaded(d, h);
  }
  template <class U>
  static Buffer<U> uploaded(Device& d, const std::vector<U>& host) {
    auto b = d.buffer<U>(static_cast<std::int64_t>(host.size()));
    d.upload(b.data(), host.data(), b.size());
    return b;
  }
};

template <class T, class F>
class StepKernel : public Kernel<T> {
 public:
  StepKernel(Device& d, const NodeView& node, F f) : f_(f), size_(node.outputs[0]->size), two_(node.has(1)), a_(d, node, 0) {
    if (two_) b_ = StepOperand<T>(d, node, 1);
  }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const F f = f_;
    const T *a = in[0] ? in[0] : a_.near.data(), *b = !two_ ? nullptr : in[1] ? in[1] : b_.near.data();
    const std::int32_t *ia = a_.source.data(), *ib = b_.source.data();
    const std::int64_t size = size_, wa = a_.width, wb = b_.width;
    T* y = out[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t s, std::int64_t e) { y[s * size + e] = f.value(a[s * wa + ia[e]], b ? b[s * wb + ib[e]] : T(0)); });
  }
  void vjp(Device&, const T* const*, const T* const*, const T* const*, T* const*, std::int64_t) const override {}
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings&) const override {
    const F f = f_;
    const T *al = in[0].lower ? in[0].lower : a_.low.data(), *au = in[0].lower ? in[0].upper : a_.high.data();
    const T *bl = !two_ ? nullptr : in[1].lower ? in[1].lower : b_.low.data(), *bu = !two_ ? nullptr : in[1].lower ? in[1].upper : b_.high.data();
    const std::int32_t *ia = a_.source.data(), *ib = b_.source.data();
    const std::int64_t size = size_, wa = a_.width, wb = b_.width;
    T *lo = lower[0], *hi = upper[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t s, std::int64_t e) {
      const std::int64_t i = s * wa + ia[e], j = bl ? s * wb + ib[e] : 0;
      const Interval y = f.range(Interval(static_cast<double>(al[i]), static_cast<double>(au[i])), bl ? Interval(static_cast<double>(bl[j]), static_cast<double>(bu[j])) : Interval(0));
      lo[s * size + e] = round_down_to<T>(y.lo);
      hi[s * size + e] = round_up_to<T>(y.hi);
    });
  }
  bool linear() const override { return false; }

 private:
  F f_;
  std::int64_t size_;
  bool two_;
  StepOperand<T> a_, b_;
};

// The truth values possible.
BL_HD inline Interval truth(bool surely, bool surely_not) { return {surely ? 1.0 : 0.0, surely_not ? 0.0 : 1.0}; }

template <class T, class F>
Result<std::unique_ptr<Kernel<T>>> make_step(Device& d, const NodeView& node) {
  return std::unique_ptr<Kernel<T>>(std::make_unique<StepKernel<T, F>>(d, node, F{}));
}

}  // namespace boundlight::BL_NS

// A boolean operator with a stateless functor of this back end's namespace.
#define BL_REGISTER_STEP(name, functor)                                                                                \
  namespace boundlight::BL_NS {                                                                                        \
  extern const KernelMakers name##_makers;                                                                             \
  const KernelMakers name##_makers = {#name, &make_step<float, functor>, &make_step<double, functor>};                 \
  }
