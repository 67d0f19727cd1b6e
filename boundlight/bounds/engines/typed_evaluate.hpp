// Concrete values in the graph's own element types, on the host: integers and booleans exactly, 16-bit floats rounded once
// per operator. For networks with variable parts that are not float32 or float64 (engines compute those in float or double),
// and for the conformance tests. One sample; seconds rather than milliseconds for image networks.
#pragma once

#include <span>
#include <vector>

#include "boundlight/bounds/network.hpp"

namespace boundlight {

// Values of `wanted`; inputs[k] has the type and shape of network.inputs[k] (a contract). Errors: an operator that refuses
// what it meets (an index outside of its axis), by node.
Result<std::vector<Tensor>> evaluate_typed(const Network& network, std::span<const Tensor> inputs, std::span<const ValueId> wanted);

// True for a node that does arithmetic on variable integers: it wraps and truncates, which kernels (in reals) do not. They
// move, compare and choose integers only.
bool integer_arithmetic(const Network& network, const NetworkNode& node);

// True when an engine's values are not the graph's own: 16-bit floats round at every operator, integers may be larger than
// float holds or be computed with.
bool needs_typed_values(const Network& network);

}  // namespace boundlight
