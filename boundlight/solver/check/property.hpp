// The checker's own reading of a property file (VNN-LIB 1.0): shares no code with solver/spec. The order of disjuncts
// and constraints is the one that docs/specs.md fixes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/core/rational.hpp"

namespace boundlight::check {

struct Box {  // closed, of doubles
  std::vector<double> lower, upper;
};

struct Region {  // the exact box, and the doubles around it
  std::vector<Rational> lower, upper;
  Box outward;
  bool empty = false;
};

// sum inputs + sum outputs <= bounds[member] (one bound: the same for all), or < where strict. Terms are (index, coefficient).
struct Constraint {
  std::vector<std::pair<std::uint32_t, Rational>> inputs, outputs;
  std::vector<Rational> bounds;
  bool strict = false;
};

struct Disjunct {
  std::size_t region = 0;
  std::vector<Constraint> constraints;
};

struct Range {
  std::uint32_t dimension = 0;
  double lower = 0, upper = 0;
};

// One statement as the checker understands it. A member narrows some sides of the region's box; without any there is one,
// the box itself. One tree may prove all of them.
struct Requirement {
  std::size_t inputs = 0, outputs = 0;
  std::vector<Region> regions;
  std::vector<Disjunct> disjuncts;
  std::vector<std::vector<Range>> members = {{}};
  std::string words;  // what is proved
};

// Throws Refusal with the byte at which the text stops making sense.
Requirement read_requirement(std::string_view text);

void round_outward(Region& region);  // fills `outward` and `empty` (empty stays when set)

}  // namespace boundlight::check
