// GatherElements: y[i..] = x[i.. with the position along the axis replaced by the index at i..].
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> gather_elements(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape &data = node.shape(0), &index = node.shape(1);
  const auto axis = NodeView::axis(node.integer("axis", 0), data.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", 0)) + " is outside of shape " + to_string(data));
  bool fits = index.size() == data.size();
  for (std::size_t a = 0; fits && a < data.size(); ++a) fits = static_cast<std::int64_t>(a) == *axis || index[a] <= data[a];
  if (!fits) return refuse("indices of shape " + to_string(index) + " do not fit data of shape " + to_string(data));
  return std::vector<TypedShape>{{node.inputs[0]->type, index}};
}

}  // namespace

Result<moves::Move> moves::gather_elements(const NodeView& node) {
  const Shape& data = node.shape(0);
  const auto axis = static_cast<std::size_t>(*NodeView::axis(node.integer("axis", 0), data.size()));
  const auto pick = node.inputs[1]->constant->to_int64s();
  const auto stride = indices::strides(data);
  auto along = stride;
  along[axis] = 0;  // the index replaces the position
  auto from = indices::walk(node.shape(1), 0, along);
  for (std::size_t e = 0; e < from.size(); ++e) {
    BL_TRY(p, indices::wrapped(pick[e], data[axis]));
    from[e] += p * stride[axis];
  }
  return indices::from_first({from});
}

extern const OpInfo GatherElements_op;
const OpInfo GatherElements_op = {"GatherElements", "axis:i", infer, typed::moved<infer, moves::gather_elements>, "all", "yes", "inputs", "exact range", "exact", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(1)) return refuse("its indices must be constant for gradients and bounds; fix them to values in the model");
  return make_move<T, moves::gather_elements>(d, node);
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(GatherElements, make)
