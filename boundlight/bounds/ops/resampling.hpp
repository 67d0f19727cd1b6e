// Resize and Upsample, host side: per axis, which input positions every output position mixes and with what weight. All
// coordinates are exact rationals of the node's numbers (a float32 scale is the number it is), so that floors and ties are
// decided as the standard's formulas say.
#pragma once

#include <optional>

#include "boundlight/bounds/ops/move_map.hpp"
#include "boundlight/bounds/ops/op.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::resampling {

struct Tap {
  std::int64_t position;
  Interval weight;  // a point where the exact weight is a double
};
// One axis: taps per output position; no taps: outside of the input (the extrapolation value).
using Axis = std::vector<std::vector<Tap>>;

struct Plan {
  Shape shape;             // of the output
  std::vector<Axis> axes;  // empty for an axis that stays as it is
  double fill = 0;         // extrapolation value
};

Result<Plan> resize_plan(const NodeView& node);
Result<Plan> upsample_plan(const NodeView& node);

using PlanOf = Result<Plan> (*)(const NodeView&);

// Calls visit(output element, taps: vector of (input element, weight)) for every output; no taps: the fill.
template <class Visit>
void each_output(const Shape& in, const Plan& plan, const Visit& visit);

// When every output is one input element or the fill: the move; nothing else.
std::optional<moves::Move> as_move(const Shape& in, const Plan& plan);

template <PlanOf plan_of>
Result<std::vector<TypedShape>> infer_sizes(const NodeView& node) {
  BL_TRY(plan, plan_of(node));
  return std::vector<TypedShape>{{node.inputs[0]->type, plan.shape}};
}
Result<std::vector<Tensor>> evaluate_plan(const NodeView& node, const Plan& plan, const Tensor& x);
template <PlanOf plan_of>
Result<std::vector<Tensor>> evaluate_sized(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(plan, plan_of(node));
  return evaluate_plan(node, plan, *in[0]);
}

// ---- details --------------------------------------------------------------------------------------------------------------

// a * b as a point when that is exact.
inline Interval product(Interval a, Interval b) {
  if (a.lo == a.hi && b.lo == b.hi) {
    const double p = a.lo * b.lo;
    if (p - p == 0 && std::fma(a.lo, b.lo, -p) == 0 && (p == 0 || std::fabs(p) > 1e-290)) return p;
  }
  return a * b;
}

template <class Visit>
void each_output(const Shape& in, const Plan& plan, const Visit& visit) {
  const std::int64_t n = element_count(plan.shape).value_or(0);
  std::vector<std::int64_t> stride(in.size(), 1);
  for (std::size_t a = in.size(); a-- > 1;) stride[a - 1] = stride[a] * in[a];
  std::vector<std::pair<std::int64_t, Interval>> taps, next;
  for (std::int64_t e = 0; e < n; ++e) {
    taps.assign(1, {0, Interval(1)});
    std::int64_t rest = e;
    for (std::size_t a = in.size(); a-- > 0;) {
      const auto at = static_cast<std::size_t>(rest % plan.shape[a]);
      rest /= plan.shape[a];
      if (plan.axes[a].empty()) {
        for (auto& tap : taps) tap.first += static_cast<std::int64_t>(at) * stride[a];
        continue;
      }
      next.clear();
      for (const auto& tap : taps)
        for (const Tap& t : plan.axes[a][at]) next.emplace_back(tap.first + t.position * stride[a], product(tap.second, t.weight));
      taps.swap(next);
    }
    visit(e, taps);
  }
}

}  // namespace boundlight::resampling
