// Slice: starts, ends and steps along some axes (attributes until version 9, inputs since 10). Negative positions count from
// the end; positions beyond an end stop there; a negative step walks backwards.
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> slice(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

// Along every axis of the input: first position, step, count.
struct Cut {
  std::int64_t start = 0, step = 1, count = 0;
};

Cut cut_axis(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step) {
  // Extreme positions mean "to the end"; clamping before adding the size keeps them from overflowing.
  const std::int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  const auto place = [&](std::int64_t p) { return std::clamp(p < 0 ? std::max(p, -size - 1) + size : std::min(p, size), lowest, highest); };
  const std::int64_t from = place(start), to = place(end);
  const std::int64_t length = step > 0 ? to - from : from - to;
  const std::int64_t stride = step > 0 ? step : (step == INT64_MIN ? INT64_MAX : -step);
  return {from, step, length <= 0 ? 0 : (length - 1) / stride + 1};
}

Result<std::vector<Cut>> cuts(const NodeView& node) {
  const Shape& in = node.shape(0);
  BL_TRY(starts, indices::argument(node, "starts", 1));
  BL_TRY(ends, indices::argument(node, "ends", 2));
  BL_TRY(named, indices::argument(node, "axes", 3));
  if (!starts || !ends) return refuse("needs its starts and ends");
  const std::size_t n = starts->size();
  std::vector<std::int64_t> given, steps(n, 1);
  for (std::size_t i = 0; i < n; ++i) given.push_back(static_cast<std::int64_t>(i));
  if (named) given = *named;
  if (node.has(4)) {
    BL_TRY(s, indices::integers(node, 4, "steps"));
    steps = s;
  }
  if (ends->size() != n || given.size() != n || steps.size() != n) return refuse("its starts, ends, axes and steps differ in number");
  BL_TRY(axes, indices::axes(given, in.size()));
  std::vector<Cut> result;
  for (const std::int64_t d : in) result.push_back({0, 1, d});
  for (std::size_t i = 0; i < n; ++i) {
    if (steps[i] == 0) return refuse("has a step of 0");
    const auto a = static_cast<std::size_t>(axes[i]);
    result[a] = cut_axis(in[a], (*starts)[i], (*ends)[i], steps[i]);
  }
  return result;
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(c, cuts(node));
  Shape out;
  for (const Cut& cut : c) out.push_back(cut.count);
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

Result<moves::Move> moves::slice(const NodeView& node) {
  BL_TRY(c, cuts(node));
  auto stride = indices::strides(node.shape(0));
  std::int64_t base = 0;
  for (std::size_t a = 0; a < c.size(); ++a) {
    base += c[a].start * stride[a];
    stride[a] *= c[a].count > 1 ? c[a].step : 0;  // a step past the end of a single element may be huge
  }
  return indices::from_first({indices::walk(node.outputs[0]->shape, base, stride)});
}

extern const OpInfo Slice_op;
const OpInfo Slice_op = {"Slice", "starts:I ends:I axes:I", infer, typed::moved<infer, moves::slice>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 5};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Slice, moves::slice)
