#include "boundlight/bounds/engines/typed_evaluate.hpp"

#include <algorithm>

#include "boundlight/bounds/ops/op.hpp"

namespace boundlight {
namespace {

std::string described(DataType type, const Shape& shape) { return std::string(name_of(type)) + " " + to_string(shape); }

// Runs one node; operators see constants only.
Result<void> evaluate_node(const Network& network, const NetworkNode& node, std::vector<std::optional<Tensor>>& values) {
  std::vector<NetworkValue> known(node.node.inputs.size());
  std::vector<const Tensor*> tensors;
  NodeView view;
  view.node = &node.node;
  for (std::size_t k = 0; k < known.size(); ++k) {
    const ValueId id = node.node.inputs[k];
    view.inputs.push_back(id == kAbsent ? nullptr : &known[k]);
    tensors.push_back(nullptr);
    if (id == kAbsent) continue;
    known[k] = network.values[static_cast<std::size_t>(id)];
    known[k].constant = values[static_cast<std::size_t>(id)];
    tensors[k] = &*known[k].constant;
  }
  for (const ValueId id : node.node.outputs) view.outputs.push_back(id == kAbsent ? nullptr : &network.values[static_cast<std::size_t>(id)]);
  auto result = node.op->evaluate(view, tensors);
  if (!result.ok()) {
    Error error = result.error();
    if (error.place.empty()) error.place = network.place(node.node);
    return error;
  }
  for (std::size_t s = 0; s < node.node.outputs.size(); ++s) {
    const ValueId id = node.node.outputs[s];
    if (id == kAbsent) continue;
    const NetworkValue& value = network.values[static_cast<std::size_t>(id)];
    const Tensor& t = (*result)[s];
    demand(t.type() == value.type && t.shape() == value.shape,
           network.place(node.node) + ": computed " + described(t.type(), t.shape()) + ", inferred " + described(value.type, value.shape));
    values[static_cast<std::size_t>(id)] = t;
  }
  return {};
}

}  // namespace

Result<std::vector<Tensor>> evaluate_typed(const Network& network, std::span<const Tensor> inputs, std::span<const ValueId> wanted) {
  demand(inputs.size() == network.inputs.size(), "evaluate_typed: " + std::to_string(inputs.size()) + " inputs for " + std::to_string(network.inputs.size()));
  std::vector<std::optional<Tensor>> values(network.values.size());
  for (std::size_t v = 0; v < values.size(); ++v) values[v] = network.values[v].constant;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const NetworkValue& value = network.values[static_cast<std::size_t>(network.inputs[k])];
    demand(inputs[k].type() == value.type && inputs[k].shape() == value.shape,
           "evaluate_typed: input " + value.name + " is " + described(value.type, value.shape) + ", got " + described(inputs[k].type(), inputs[k].shape()));
    values[static_cast<std::size_t>(network.inputs[k])] = inputs[k];
  }
  int last = -1;
  for (const ValueId v : wanted) last = std::max(last, network.values[static_cast<std::size_t>(v)].producer);
  for (int i = 0; i <= last; ++i) BL_CHECK(evaluate_node(network, network.nodes[static_cast<std::size_t>(i)], values));
  std::vector<Tensor> result;
  for (const ValueId v : wanted) result.push_back(*values[static_cast<std::size_t>(v)]);
  return result;
}

bool integer_arithmetic(const Network& network, const NetworkNode& node) {
  const std::string_view exact = node.op->exact;
  if (exact == "all" || exact == "values") return false;
  // Positions found in floating numbers (MaxPool) are no arithmetic on integers.
  if (std::none_of(node.node.inputs.begin(), node.node.inputs.end(), [&](ValueId id) {
        return id != kAbsent && is_integer(network.values[static_cast<std::size_t>(id)].type);
      }))
    return false;
  return std::any_of(node.node.outputs.begin(), node.node.outputs.end(), [&](ValueId id) {
    return id != kAbsent && is_integer(network.values[static_cast<std::size_t>(id)].type);
  });
}

bool needs_typed_values(const Network& network) {
  const auto value = [&](ValueId id) -> const NetworkValue& { return network.values[static_cast<std::size_t>(id)]; };
  for (const NetworkValue& v : network.values)
    if (!v.constant && (v.type == DataType::float16 || v.type == DataType::bfloat16)) return true;
  for (const ValueId id : network.inputs)
    if (is_integer(value(id).type)) return true;
  for (const NetworkNode& node : network.nodes) {
    if (integer_arithmetic(network, node)) return true;
    // Variable integers come from casts and positions, which float holds; constants beside them may be any.
    const auto variable_integer = [&](ValueId id) { return id != kAbsent && !value(id).constant && is_integer(value(id).type); };
    const auto any_of = [&](const std::vector<ValueId>& ids) { return std::any_of(ids.begin(), ids.end(), variable_integer); };
    if (!any_of(node.node.inputs) && !any_of(node.node.outputs)) continue;
    for (const ValueId id : node.node.inputs) {
      if (id == kAbsent || !value(id).constant || !is_integer(value(id).type)) continue;
      const auto big = value(id).constant->to_int64s();
      if (std::any_of(big.begin(), big.end(), [](std::int64_t x) { return x > (1 << 24) || x < -(1 << 24); })) return true;
    }
  }
  return false;
}

}  // namespace boundlight
