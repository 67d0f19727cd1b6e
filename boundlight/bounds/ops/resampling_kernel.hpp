// Kernels of Resize and Upsample: a move where every output is one input element, else few weighted terms per output.
#pragma once

#include "boundlight/bounds/ops/moves.hpp"
#include "boundlight/bounds/ops/resampling.hpp"
#include "boundlight/bounds/ops/sparse.hpp"

namespace boundlight::BL_NS {

// Deployed evaluations interpolate axis by axis with weights in binary32: two products and a sum per axis and tap, and weights
// that err by a few units themselves (coordinates of positions up to 2^16 rounded once or twice).
template <class T, resampling::PlanOf plan_of>
Result<std::unique_ptr<Kernel<T>>> make_resampling(Device& d, const NodeView& node) {
  BL_TRY(plan, plan_of(node));
  if (const auto move = resampling::as_move(node.shape(0), plan)) return std::unique_ptr<Kernel<T>>(std::make_unique<MoveKernel<T>>(d, node, *move));
  SparseTerms terms;
  std::vector<Interval> offset;
  resampling::each_output(node.shape(0), plan, [&](std::int64_t, const auto& taps) {
    for (const auto& [element, weight] : taps) terms.add(0, element, weight);
    terms.end_output();
    offset.emplace_back(taps.empty() ? plan.fill : 0.0);
  });
  if (plan.fill == 0) offset.clear();
  std::vector<std::int64_t> in(node.inputs.size(), 0);
  in[0] = node.size(0);
  return std::unique_ptr<Kernel<T>>(std::make_unique<SparseKernel<T>>(d, in, terms, offset));
}

}  // namespace boundlight::BL_NS
