#include "boundlight/bounds/ops/arg_extreme_value.hpp"

namespace boundlight::typed {

Result<ArgExtreme> arg_extreme(const NodeView& node) {
  const Shape& in = node.shape(0);
  const auto axis = NodeView::axis(node.integer("axis", 0), in.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", 0)) + " is outside of shape " + to_string(in));
  ArgExtreme a;
  a.last = node.integer("select_last_index", 0) != 0;
  a.size = in[static_cast<std::size_t>(*axis)];
  if (a.size == 0) return refuse("has no element to choose along axis " + std::to_string(*axis) + " of shape " + to_string(in));
  a.outer = a.inner = 1;
  for (std::size_t i = 0; i < in.size(); ++i) (static_cast<std::int64_t>(i) < *axis ? a.outer : a.inner) *= static_cast<std::int64_t>(i) == *axis ? 1 : in[i];
  a.shape = in;
  if (node.integer("keepdims", 1) != 0) a.shape[static_cast<std::size_t>(*axis)] = 1;
  else a.shape.erase(a.shape.begin() + *axis);
  return a;
}

Result<std::vector<TypedShape>> arg_extreme_shape(const NodeView& node) {
  BL_TRY(a, arg_extreme(node));
  return std::vector<TypedShape>{{DataType::int64, a.shape}};
}

Result<std::vector<Tensor>> arg_extreme_value(const NodeView& node, const Tensor& x, bool largest) {
  BL_TRY(a, arg_extreme(node));
  return with_type(x.type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto v = elements<S>(x);
    std::vector<std::int64_t> positions;
    for (std::int64_t e = 0; e < a.outer * a.inner; ++e) {
      const auto at = [&](std::int64_t j) { return static_cast<S>(v[static_cast<std::size_t>((e / a.inner * a.size + j) * a.inner + e % a.inner)]); };
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < a.size; ++j)
        if ((largest ? at(best) < at(j) : at(j) < at(best)) || (a.last && at(j) == at(best))) best = j;
      positions.push_back(best);
    }
    return std::vector<Tensor>{Tensor::from_int64s(DataType::int64, a.shape, positions)};
  });
}

}  // namespace boundlight::typed
