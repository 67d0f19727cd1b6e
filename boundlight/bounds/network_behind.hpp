// The part of a network that lies behind one of its values.
#pragma once

#include <memory>
#include <string>

#include "boundlight/bounds/network.hpp"

namespace boundlight {

// A network whose only input is `cut` and whose only output are the logits: f = g o h, with h up to the cut, returns g.
// Names stay. Errors: the cut is an input, a constant or the logits; they do not depend on it; a node behind the cut also
// reads a value that does not pass through it (a skip connection), named.
Result<std::shared_ptr<const Network>> network_behind(const Network& network, ValueId cut);

}  // namespace boundlight
