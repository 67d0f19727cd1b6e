// Kernels of Cast and CastLike. To a floating type: the same number (in the deployed network rounded once, where the target
// does not hold every value of the source). To integers and booleans: piecewise constant.
#pragma once

#include "boundlight/bounds/ops/cast_value.hpp"
#include "boundlight/bounds/ops/moves.hpp"
#include "boundlight/bounds/ops/steps.hpp"

namespace boundlight::BL_NS {

// Identity whose deployed evaluation rounds: charged like a sum of one term (16-bit targets have no float32 evaluation, a
// network with those has bounds in real arithmetic only).
template <class T>
class NarrowKernel : public MoveKernel<T> {
 public:
  using MoveKernel<T>::MoveKernel;
  bool moves_only() const override { return false; }
};

struct TruthFunction {
  template <class S> BL_HD S value(S a, S) const { return a != 0 ? S(1) : S(0); }
  BL_HD Interval range(Interval a, Interval) const { return truth(a.lo > 0 || a.hi < 0, a.lo == 0 && a.hi == 0); }
};

// Fraction dropped; outside of the target's range [low, high] its period is taken off.
struct IntegerFunction {
  double low = 0, high = 0;
  template <class S> BL_HD S value(S a, S) const {
    const auto t = static_cast<double>(trunc(a)), period = high - low + 1;
    if (t >= low && t <= high) return static_cast<S>(t);
    return static_cast<S>(t - floor((t - low) / period) * period);
  }
  BL_HD Interval range(Interval a, Interval) const {
    const double l = trunc(a.lo), u = trunc(a.hi);
    return l >= low && u <= high ? Interval(l, u) : Interval(low, high);
  }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make_cast(Device& d, const NodeView& node) {
  using Made = std::unique_ptr<Kernel<T>>;
  const DataType from = node.inputs[0]->type, to = node.outputs[0]->type;
  if (is_floating(to) || typed::holds_all(to, from)) {
    BL_TRY(move, moves::in_order(node));
    if (typed::holds_all(to, from)) return Made(std::make_unique<MoveKernel<T>>(d, node, move));
    return Made(std::make_unique<NarrowKernel<T>>(d, node, move));
  }
  if (to == DataType::boolean) return Made(std::make_unique<StepKernel<T, TruthFunction>>(d, node, TruthFunction{}));
  const double bits = static_cast<double>(size_of(to)) * 8, whole = exp2(bits);
  const bool sign = to <= DataType::int64;
  const IntegerFunction f{sign ? -whole / 2 : 0.0, sign ? whole / 2 - 1 : whole - 1};
  return Made(std::make_unique<StepKernel<T, IntegerFunction>>(d, node, f));
}

}  // namespace boundlight::BL_NS
