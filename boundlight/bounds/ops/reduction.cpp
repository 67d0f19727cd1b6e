#include "boundlight/bounds/ops/reduction.hpp"

#include <algorithm>

namespace boundlight::reduction {
namespace {

// Which axes of the input are summed over.
Result<std::vector<bool>> reduced_axes(const NodeView& node) {
  const Shape& in = node.shape(0);
  std::vector<std::int64_t> axes;
  if (node.has(1)) {
    if (node.variable(1)) return refuse("the axes must be constants");
    axes = node.inputs[1]->constant->to_int64s();
  } else {
    axes = node.integers("axes");
  }
  std::vector<bool> reduced(in.size(), axes.empty() && node.integer("noop_with_empty_axes", 0) == 0);
  for (const auto given : axes) {
    const auto axis = NodeView::axis(given, in.size());
    if (!axis) return refuse("axis " + std::to_string(given) + " is outside of shape " + to_string(in));
    if (reduced[static_cast<std::size_t>(*axis)]) return refuse("axis " + std::to_string(given) + " is named twice");
    reduced[static_cast<std::size_t>(*axis)] = true;
  }
  return reduced;
}

Result<Shape> output_shape(const NodeView& node, const std::vector<bool>& reduced) {
  const bool keep = node.integer("keepdims", 1) != 0;
  Shape out;
  for (std::size_t a = 0; a < reduced.size(); ++a) {
    if (!reduced[a]) out.push_back(node.shape(0)[a]);
    else if (keep) out.push_back(1);
  }
  return out;
}

}  // namespace

Result<std::vector<TypedShape>> infer_reduction(const NodeView& node) {
  BL_TRY(reduced, reduced_axes(node));
  BL_TRY(shape, output_shape(node, reduced));
  return std::vector<TypedShape>{{node.inputs[0]->type, shape}};
}

Result<Groups> groups_of(const NodeView& node) {
  BL_TRY(reduced, reduced_axes(node));
  BL_TRY(shape, output_shape(node, reduced));
  const Shape& in = node.shape(0);
  Groups g;
  g.shape = shape;
  // Strides of kept and of reduced axes; elements of one group follow in row order.
  std::vector<std::int64_t> kept{0}, inside{0};
  std::int64_t stride = 1;
  for (std::size_t a = in.size(); a-- > 0;) {
    auto& offsets = reduced[a] ? inside : kept;
    std::vector<std::int64_t> next;
    for (std::int64_t i = 0; i < in[a]; ++i)
      for (const auto o : offsets) next.push_back(i * stride + o);
    offsets = std::move(next);
    stride *= in[a];
  }
  g.count = static_cast<std::int64_t>(inside.size());
  for (const auto k : kept) {
    for (const auto i : inside) g.list.element.push_back(k + i);
    g.list.end_output();
  }
  return g;
}

}  // namespace boundlight::reduction
