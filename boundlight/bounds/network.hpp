// Network: a Graph made ready for computing. Every shape is known (free dimensions set to 1), every operator is known and
// supported, constants are folded where that is exact, Identity and Dropout are gone, dead nodes too.
//
// Values are per *sample*: engines put a batch dimension of their own in front (arrays are [batch][value size]), so the
// file's conventions about its first dimension never matter.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/models/graph.hpp"

namespace boundlight {

struct OpInfo;

struct NetworkValue {
  std::string name;
  DataType type = DataType::float32;
  Shape shape;
  std::int64_t size = 0;           // element count of shape
  std::optional<Tensor> constant;  // else the value is variable
  int producer = -1;               // index into Network::nodes; -1: an input or a constant
  int output_slot = 0;             // which output of the producer
  std::vector<int> consumers;      // node indices, ascending
};

struct NetworkNode {
  Node node;  // inputs and outputs index Network::values
  const OpInfo* op = nullptr;
};

struct NetworkOptions {
  // Sizes of free input dimensions by position over all inputs (default 1 each).
  std::vector<std::int64_t> free_dimensions;
  // Inputs kept at a value, by name: they become constants. (Shapes must not depend on variable inputs.)
  std::map<std::string, Tensor, std::less<>> fixed;
};

struct Network {
  std::string source, sha256, name;
  std::int64_t opset = 0, ir_version = 0;
  std::vector<NetworkValue> values;
  std::vector<NetworkNode> nodes;  // topological order
  std::vector<ValueId> inputs, outputs;
  std::vector<std::string> notes;  // what was folded, removed, assumed
  // The value before a trailing Softmax / LogSoftmax of outputs[0] (else outputs[0]); explanations and verdicts use it.
  ValueId logits = kAbsent;
  std::vector<std::pair<std::string, ValueId>> aliases;  // names of values that were merged away (Identity)

  // Position of inputs[k] in the concatenated input vector of one sample, and that vector's length.
  [[nodiscard]] std::int64_t input_offset(std::size_t k) const;
  [[nodiscard]] std::int64_t input_size() const;
  [[nodiscard]] std::optional<ValueId> find(std::string_view value_name) const;
  [[nodiscard]] std::string place(const Node& node) const;  // "model.onnx: node conv_3 (Conv)"
};

// Errors: an operator outside the list, an attribute or shape an operator refuses, each by name and node.
Result<std::shared_ptr<const Network>> prepare(const Graph& graph, const NetworkOptions& options = {});

}  // namespace boundlight
