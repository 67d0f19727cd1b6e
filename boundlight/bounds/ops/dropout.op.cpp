// Dropout: at inference its input, and a mask that keeps everything. Networks are made without it.
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const bool certain = node.has(2) && !node.variable(2), training = node.has(2) && (!certain || node.inputs[2]->constant->to_int64s() != std::vector<std::int64_t>{0});
  const bool keeps_all = node.has(1) && !node.variable(1) && node.inputs[1]->constant->to_doubles() == std::vector<double>{0};
  if (training && !keeps_all) return refuse("runs in training mode, which drops at random; export the model for inference");
  const DataType mask = node.version() < 10 ? node.inputs[0]->type : DataType::boolean;
  return std::vector<TypedShape>{{node.inputs[0]->type, node.shape(0)}, {mask, node.shape(0)}};
}

// The data may be unknown (null): the mask is not.
Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(shapes, infer(node));
  const std::vector<double> ones(static_cast<std::size_t>(node.size(0)), 1.0);
  return std::vector<Tensor>{in[0] ? *in[0] : Tensor(), Tensor::from_doubles(shapes[1].type, shapes[1].shape, ones)};
}

}  // namespace

extern const OpInfo Dropout_op;
const OpInfo Dropout_op = {"Dropout", "ratio:f seed:i is_test:i", infer, evaluate, "alias", "removed", "removed", "removed", "removed", "exact", 1, 3};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(Dropout)
