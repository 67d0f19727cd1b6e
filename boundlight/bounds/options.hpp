// What a bound means and how it is computed: shared by operators, engines and everybody above.
#pragma once

#include <cstdint>

namespace boundlight {

enum class Semantics : std::uint8_t {
  // For every real input of the region, the network in exact real arithmetic with the file's weights lies in the bound.
  real,
  // In addition every IEEE binary32 evaluation of the graph's own nodes, any order of summation, fused or not.
  float32_any_order,
};

// The kinds of rounding charges (docs/soundness.md). Bits, so that tests can leave single ones out.
enum class Charge : std::uint32_t {
  product = 1 << 0,      // rows through a linear operator: gamma_k |A||W| m
  slope = 1 << 1,        // rows times slopes: u |A s| m
  intercept = 1 << 2,    // intercepts rounded outward into the working precision, and their sum
  join = 1 << 3,         // sums where branches meet: u |A1 + A2| m
  concretise = 1 << 4,   // the sum over the inputs' box
  underflow = 1 << 5,    // eta per operation
  offset = 1 << 6,       // constants of linear operators added to the bias
  interval = 1 << 7,     // interval steps
  conversion = 1 << 8,   // coefficients that the working precision cannot hold
};

struct BoundSettings {
  Semantics semantics = Semantics::real;
  // false: leave out every rounding charge, to measure their price. Results are then not bounds and are marked so.
  bool sound = true;
  std::uint32_t without = 0;  // bits of Charge left out: planted errors of tests; results are then not bounds

  bool charges(Charge c) const { return sound && (without & static_cast<std::uint32_t>(c)) == 0; }
  bool deployed() const { return sound && semantics == Semantics::float32_any_order; }
};

// How the lower plane of an undecided ReLU (and its like) is chosen where nothing optimises it.
enum class SlopeRule : std::uint8_t {
  adaptive,  // 1 where u >= -l, else 0 (CROWN; Zhang et al. 2018, section 3.2)
  parallel,  // the upper plane's slope (Fast-Lin; Weng et al. 2018)
  zero,
  one,
};

}  // namespace boundlight
