// Size: the number of elements of a tensor. Known before anything is computed.
#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView&) { return std::vector<TypedShape>{{DataType::int64, {}}}; }

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const>) {
  return std::vector<Tensor>{Tensor::from_int64s(DataType::int64, {}, {node.size(0)})};
}

}  // namespace

extern const OpInfo Size_op;
const OpInfo Size_op = {"Size", "", infer, evaluate, "shape", "folded", "folded", "folded", "folded", nullptr, 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(Size)
