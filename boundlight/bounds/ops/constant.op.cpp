// Constant: a tensor given by one of its attributes.
#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<Tensor> tensor(const NodeView& node) {
  if (node.node->attributes.size() != 1) return refuse("needs exactly one of the attributes value, value_float, value_floats, value_int and value_ints");
  if (const Tensor* t = node.tensor("value")) return *t;
  if (node.has_attribute("value_float")) return Tensor::from_doubles(DataType::float32, {}, {node.real("value_float", 0)});
  if (node.has_attribute("value_int")) return Tensor::from_int64s(DataType::int64, {}, {node.integer("value_int", 0)});
  if (node.has_attribute("value_floats")) {
    const auto v = node.reals("value_floats");
    return Tensor::from_doubles(DataType::float32, {static_cast<std::int64_t>(v.size())}, v);
  }
  if (node.has_attribute("value_ints")) {
    const auto v = node.integers("value_ints");
    return Tensor::from_int64s(DataType::int64, {static_cast<std::int64_t>(v.size())}, v);
  }
  return refuse("holds text, which is not supported; floating, integer and boolean tensors are");
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(t, tensor(node));
  return std::vector<TypedShape>{{t.type(), t.shape()}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const>) {
  BL_TRY(t, tensor(node));
  return std::vector<Tensor>{t};
}

}  // namespace

extern const OpInfo Constant_op;
const OpInfo Constant_op = {"Constant", "value:t value_float:f value_floats:F value_int:i value_ints:I value_string:s value_strings:S", infer, evaluate, "all",
                            "folded", "folded", "folded", "folded", "exact", 0, 0};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(Constant)
