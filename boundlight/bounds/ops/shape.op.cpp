// Shape: the dimensions of a tensor, or (since version 15) those from start to end. Known before anything is computed.
#include <algorithm>

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

std::vector<std::int64_t> dimensions(const NodeView& node) {
  const Shape& in = node.shape(0);
  const auto rank = static_cast<std::int64_t>(in.size());
  const auto place = [&](std::int64_t p) { return std::clamp<std::int64_t>(p < 0 ? std::max(p, -rank) + rank : p, 0, rank); };
  const std::int64_t start = place(node.integer("start", 0)), end = place(node.integer("end", rank));
  return start < end ? std::vector<std::int64_t>(in.begin() + start, in.begin() + end) : std::vector<std::int64_t>();
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  return std::vector<TypedShape>{{DataType::int64, {static_cast<std::int64_t>(dimensions(node).size())}}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const>) {
  const auto d = dimensions(node);
  return std::vector<Tensor>{Tensor::from_int64s(DataType::int64, {static_cast<std::int64_t>(d.size())}, d)};
}

}  // namespace

extern const OpInfo Shape_op;
const OpInfo Shape_op = {"Shape", "start:i end:i", infer, evaluate, "shape", "folded", "folded", "folded", "folded", nullptr, 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(Shape)
