// One operator = one file boundlight/bounds/ops/<name>.op.cpp + one line in all_ops.def.
//
// A file has two sections:
//   #ifdef BL_ONCE  in namespace boundlight:         extern const OpInfo <Name>_op: shapes, typed values, what is supported
//   always          in namespace boundlight::BL_NS:  make_<Name>: the kernels of one node, compiled per back end (kernel.hpp)
// Law tests apply to every entry of the list by themselves (tests/bounds).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "boundlight/bounds/network.hpp"

namespace boundlight {

// What a node looks like to its operator: attributes, and its inputs with types, shapes and constants.
// Absent optional inputs are null.
struct NodeView {
  const Node* node = nullptr;
  std::vector<const NetworkValue*> inputs;
  std::vector<const NetworkValue*> outputs;  // empty during infer; null where an output is unused

  [[nodiscard]] bool has(std::size_t k) const { return k < inputs.size() && inputs[k] != nullptr; }
  [[nodiscard]] bool variable(std::size_t k) const { return has(k) && !inputs[k]->constant; }
  [[nodiscard]] const Shape& shape(std::size_t k) const { return inputs[k]->shape; }
  [[nodiscard]] std::int64_t size(std::size_t k) const { return inputs[k]->size; }

  // Attributes with their defaults. Their types were checked against OpInfo::attributes by prepare().
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback) const;
  [[nodiscard]] double real(std::string_view name, double fallback) const;
  [[nodiscard]] std::string text(std::string_view name, std::string_view fallback) const;
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> fallback = {}) const;
  [[nodiscard]] std::vector<double> reals(std::string_view name, std::vector<double> fallback = {}) const;
  [[nodiscard]] const Tensor* tensor(std::string_view name) const;  // null when absent
  [[nodiscard]] bool has_attribute(std::string_view name) const;
  [[nodiscard]] std::int64_t version() const { return node->version; }

  // An axis in [-rank, rank) made nonnegative, or nothing.
  static std::optional<std::int64_t> axis(std::int64_t a, std::size_t rank);
};

struct TypedShape {
  DataType type;
  Shape shape;
};

// A one-sentence refusal; prepare() adds file and node.
Error refuse(std::string message);

struct OpInfo {
  const char* name;
  // The attributes an operator accepts, with their types: "axis:i perm:I alpha:f scales:F mode:s value:t".
  // Unknown attributes and wrong types are refused by prepare().
  const char* attributes;
  // Output types and shapes (one per output of the node) from the inputs', and from constants (Reshape and its like).
  Result<std::vector<TypedShape>> (*infer)(const NodeView&);
  // Concrete value for every element type the operator has in the standard, on the host. Used for folding (where exact),
  // for integer and boolean parts of a graph, and by the conformance tests. float16 and bfloat16 compute in float and
  // round once. The view's inputs are constants with these values (but for "shape" and "alias").
  Result<std::vector<Tensor>> (*evaluate)(const NodeView&, std::span<const Tensor* const> inputs);
  // Where folding by `evaluate` is exact in real arithmetic, given constant inputs:
  //   "all"       always: elements are moved or compared, never rounded
  //   "integers"  integer and boolean elements
  //   "values"    where the result has the same values as input 0 (further inputs give a type), or is not floating
  //   "own"       integers; floating constants are left to the kernel, which is made with them and encloses
  //   "shape"     always, even of variable inputs (null in `evaluate`): the value follows from their shapes
  //   "alias"     output 0 is input 0 and the node disappears; further outputs follow from shapes
  //   "none"      never
  // A node of constants that is not folded is enclosed by its own kernel (engines/constant_node.hpp).
  const char* exact;
  // Shown by `boundlight ops`, with the reason where a verb is absent ("no: ...").
  const char* value;
  const char* gradient;
  const char* interval;
  const char* linear;  // "exact" (linear), "planes", or "no: <reason>": linear engines concretise there and say so
  // The binary32 evaluations that float32_any_order covers, with their error ("exact", "one rounding", "within 8 u ...").
  // Null or "no: <reason>": none; a graph with such an operator has bounds in `real` semantics only.
  const char* deployed = nullptr;
  // How many inputs a node has: the first `least` are there, the rest may be left out. prepare() checks it, so that infer,
  // evaluate and the kernels need not.
  int least = 1, most = 1 << 20;
  // The oldest opset with this meaning, as far as it was checked; nodes of older ones are refused.
  int oldest = 7;
};

// Whether float32_any_order covers the operator.
bool covers_deployment(const OpInfo& op);

// The list, and a look-up by name in the standard domain (null: not known).
std::span<const OpInfo* const> all_ops();
const OpInfo* find_op(std::string_view name);

}  // namespace boundlight
