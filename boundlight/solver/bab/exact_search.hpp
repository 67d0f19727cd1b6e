// Verdicts without rounding, for small piecewise-linear networks: the box is followed through the network, cut wherever a ReLU or a
// maximum changes its piece, and on every piece the disjuncts' constraints are linear programs in exact rationals. Decides what bounds
// cannot: thresholds that are touched, strict and not, and ends of boxes that no double holds.
//
// Cost: pieces x linear programs, exponential in the inputs that vary at worst; limits end it as undecided.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "boundlight/core/stop.hpp"
#include "boundlight/solver/bab/exact_network.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight::bab {

struct ExactLimits {
  std::size_t inputs = 12;            // that vary
  std::size_t cost = 1'000'000;       // of the network (ExactNetwork::cost) times the varying inputs and 1
  std::int64_t programs = 20'000;     // linear programs; 0: any number
};

struct ExactAnswer {
  bool complete = false;              // every disjunct asked about was decided
  std::optional<std::size_t> disjunct;  // that is violated
  std::vector<Rational> point;        // there, exactly: not always a double
  std::optional<std::vector<double>> input;  // a point of doubles that violates (any disjunct), float32 numbers where they do
  std::int64_t pieces = 0, programs = 0;
  std::string reason;                 // not complete, or violated without an input
};

// Is one of the disjuncts `asked` (by index in the property) violated? Points: the middle of each piece's violating part, rounded into
// the box, and the vertices found on the way.
ExactAnswer decide_exactly(const ExactNetwork& network, const Property& property, const std::vector<std::size_t>& asked, const ExactLimits& limits, const StopToken& stop);

}  // namespace boundlight::bab
