// ConstantOfShape: a tensor of the shape that its input names, filled with one value.
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(shape, indices::integers(node, 0, "shape"));
  const Tensor* value = node.tensor("value");
  if (value && value->size() != 1) return refuse("its value must have one element, it has " + std::to_string(value->size()));
  return std::vector<TypedShape>{{value ? value->type() : DataType::float32, shape}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const>) {
  BL_TRY(shapes, infer(node));
  const Tensor* value = node.tensor("value");
  if (!value) return std::vector<Tensor>{Tensor(shapes[0].type, shapes[0].shape)};
  std::string bytes;
  for (std::int64_t i = 0, n = *element_count(shapes[0].shape); i < n; ++i) bytes += value->bytes();
  return std::vector<Tensor>{Tensor(shapes[0].type, shapes[0].shape, std::move(bytes))};
}

}  // namespace

extern const OpInfo ConstantOfShape_op;
const OpInfo ConstantOfShape_op = {"ConstantOfShape", "value:t", infer, evaluate, "all", "folded", "folded", "folded", "folded", nullptr, 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(ConstantOfShape)
