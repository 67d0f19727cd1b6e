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

struct BoundSettings {
  Semantics semantics = Semantics::real;
  // false: leave out every rounding charge, to measure their price. Results are then not bounds and are marked so.
  bool sound = true;
};

// How the lower plane of an undecided ReLU (and its like) is chosen where nothing optimises it.
enum class SlopeRule : std::uint8_t {
  adaptive,  // 1 where u >= -l, else 0 (CROWN; Zhang et al. 2018, section 3.2)
  parallel,  // the upper plane's slope (Fast-Lin; Weng et al. 2018)
  zero,
  one,
};

}  // namespace boundlight
