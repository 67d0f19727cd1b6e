#include "boundlight/bounds/ops/softmax_groups.hpp"

#include <cmath>
#include <limits>

#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight {
namespace {

// The shape as outer x middle x inner, groups running along the middle.
struct SoftmaxLayout {
  std::int64_t outer = 1, middle = 1, inner = 1;
};

Result<SoftmaxLayout> layout_of(const NodeView& node) {
  const Shape& shape = node.shape(0);
  const bool along_axis = node.node->version >= 13;
  const std::int64_t given = node.integer("axis", along_axis ? -1 : 1);
  SoftmaxLayout l;
  if (shape.empty() && along_axis && (given == -1 || given == 0)) return l;
  const auto rank = static_cast<std::int64_t>(shape.size());
  // Before opset 13 the axis may also be the rank: groups of one element.
  if (given < -rank || given > rank || (along_axis && given == rank)) return refuse("axis " + std::to_string(given) + " is outside of shape " + to_string(shape));
  const std::int64_t axis = given < 0 ? given + rank : given;
  for (std::int64_t a = 0; a < rank; ++a) {
    const std::int64_t size = shape[static_cast<std::size_t>(a)];
    if (a < axis) l.outer *= size;
    else if (a == axis || !along_axis) l.middle *= size;
    else l.inner *= size;
  }
  return l;
}

}  // namespace

Result<SoftmaxGroups> softmax_groups(const NodeView& node) {
  BL_TRY(l, layout_of(node));
  SoftmaxGroups g;
  for (std::int64_t o = 0; o < l.outer; ++o)
    for (std::int64_t m = 0; m < l.middle; ++m)
      for (std::int64_t i = 0; i < l.inner; ++i) {
        for (std::int64_t k = 0; k < l.middle; ++k) g.list.element.push_back((o * l.middle + k) * l.inner + i);
        g.list.end_output();
        g.own.push_back(m);
        g.group.push_back(o * l.inner + i);
      }
  for (std::int64_t o = 0; o < l.outer; ++o)
    for (std::int64_t i = 0; i < l.inner; ++i) g.first.push_back(o * l.middle * l.inner + i);
  return g;
}

Result<std::vector<TypedShape>> softmax_infer(const NodeView& node) {
  BL_CHECK(layout_of(node));
  return typed::same_as_input(node);
}

Result<std::vector<Tensor>> softmax_evaluate(const NodeView& node, std::span<const Tensor* const> in, bool log) {
  BL_TRY(l, layout_of(node));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    auto x = typed::elements<S>(*in[0]);
    for (std::int64_t o = 0; o < l.outer; ++o)
      for (std::int64_t i = 0; i < l.inner; ++i) {
        const auto at = [&](std::int64_t k) -> S& { return x[static_cast<std::size_t>((o * l.middle + k) * l.inner + i)]; };
        S most = -std::numeric_limits<S>::infinity(), sum{};
        for (std::int64_t k = 0; k < l.middle; ++k) most = at(k) > most || at(k) != at(k) ? at(k) : most;
        for (std::int64_t k = 0; k < l.middle; ++k) sum += std::exp(at(k) - most);
        for (std::int64_t k = 0; k < l.middle; ++k) at(k) = log ? at(k) - most - std::log(sum) : std::exp(at(k) - most) / sum;
      }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), in[0]->shape(), x)};
  });
}

}  // namespace boundlight
