// Box families: one base region and many members of it that differ from it on few inputs. Explanations ask about
// B_u = { z in B : z_u = x_u } for every cell u; a search asks about a box cut at an input.
//
// Every member is contained in the base, so whatever holds on the base holds on each member: planes, boxes, magnitudes and
// rounding charges of the base are reused and only what differs is recomputed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/regions.hpp"

namespace boundlight {

// { z in base : lower[i] <= z[inputs[i]] <= upper[i] }; each range lies in the base's.
struct FamilyMember {
  std::vector<std::int64_t> inputs;
  std::vector<double> lower, upper;
};

struct BoxFamily {
  Regions base;  // batch 1
  std::vector<FamilyMember> members;
};

// The members that hold the inputs of one cell each at `point`. Precondition: point lies in the base's box on those inputs.
BoxFamily frozen_family(Regions base, const std::vector<double>& point, const std::vector<std::vector<std::int64_t>>& cells);

// Members [from, to) as regions: the base with their ranges put in.
Regions member_regions(const BoxFamily& family, std::size_t from, std::size_t to);

// How much is recomputed per member; each tier is intersected with the cheaper ones, hence with the base.
enum class Tier : std::uint8_t {
  shared,   // the base's planes of the forms, concretised on every member: O(inputs) for all members together
  refined,  // every member's own boxes from the base's planes of every neuron (rank updates), own final rows
  full,     // every member bounded from nothing
};

struct FamilyResult {
  std::int64_t members = 0, rows = 0;
  std::vector<double> base_lower, base_upper, base_charge;  // [rows]
  std::vector<double> lower, upper, charge;                 // [members][rows]; never outside of the base's
  bool complete = true;                                     // false: stopped early; still sound
  std::vector<std::string> notes;
  Counters counters;
};

}  // namespace boundlight
