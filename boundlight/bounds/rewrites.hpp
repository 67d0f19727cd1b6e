// Nodes whose kernels take some inputs as constants only, where these vary: the same values as a few other operators.
//   Conv, ConvTranspose with variable weights or bias: every output element is one sum of products, so the elements that x
//     contributes (0 in the padding, 1 for the bias) are gathered into columns and multiplied by the weights: Gather, MatMul.
//   LayerNormalization with variable scale or bias: normalised without them, then Mul and Add. Where its mean or its inverse
//     deviation 1 / sqrt(mean((x - mean)^2) + epsilon) is an output too: these operators one by one.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "boundlight/bounds/network.hpp"

namespace boundlight {

struct NodeView;

// How the network under construction is added to; ids are Network's.
struct Rewriting {
  using Attributes = std::map<std::string, Attribute, std::less<>>;
  std::function<Result<ValueId>(const char* op, std::vector<ValueId> inputs, Attributes attributes)> node;  // its one output
  std::function<ValueId(Tensor)> constant;
};

bool needs_rewriting(const NodeView& node);

// The values that stand for the node's outputs, kAbsent where it has none. `inputs`: the node's, as they are in the network.
// What `node` says of its inputs may be gone once `to` was used: it is asked before.
Result<std::vector<ValueId>> rewritten(const NodeView& node, const std::vector<ValueId>& inputs, const Rewriting& to);

}  // namespace boundlight
