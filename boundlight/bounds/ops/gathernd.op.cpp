// GatherND: each row of the indices names a slice of the data behind batch_dims common axes.
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> gather_nd(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape &data = node.shape(0), &index = node.shape(1);
  const std::int64_t common = node.integer("batch_dims", 0);
  const bool fits = !index.empty() && common >= 0 && common < static_cast<std::int64_t>(std::min(data.size(), index.size())) &&
                    index.back() + common <= static_cast<std::int64_t>(data.size()) && std::equal(data.begin(), data.begin() + common, index.begin());
  if (!fits) return refuse("indices of shape " + to_string(index) + " do not fit data of shape " + to_string(data));
  Shape out(index.begin(), index.end() - 1);
  out.insert(out.end(), data.begin() + common + index.back(), data.end());
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

Result<moves::Move> moves::gather_nd(const NodeView& node) {
  const Shape &data = node.shape(0), &index = node.shape(1);
  const auto common = static_cast<std::size_t>(node.integer("batch_dims", 0)), depth = static_cast<std::size_t>(index.back());
  const auto pick = node.inputs[1]->constant->to_int64s();
  const auto stride = indices::strides(data);
  const std::int64_t slice = common + depth == 0 ? node.size(0) : stride[common + depth - 1];
  const std::int64_t rows = node.size(1) / std::max<std::int64_t>(1, index.back());
  const std::int64_t samples = *element_count(Shape(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(common)));
  std::vector<std::int64_t> from;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t base = common == 0 ? 0 : r / (rows / samples) * stride[common - 1];
    for (std::size_t i = 0; i < depth; ++i) {
      BL_TRY(p, indices::wrapped(pick[static_cast<std::size_t>(r) * depth + i], data[common + i]));
      base += p * stride[common + i];
    }
    for (std::int64_t i = 0; i < slice; ++i) from.push_back(base + i);
  }
  return indices::from_first({from});
}

extern const OpInfo GatherND_op;
const OpInfo GatherND_op = {"GatherND", "batch_dims:i", infer, typed::moved<infer, moves::gather_nd>, "all", "yes", "inputs", "exact range", "exact", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(1)) return refuse("its indices must be constant for gradients and bounds; fix them to values in the model");
  return make_move<T, moves::gather_nd>(d, node);
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(GatherND, make)
