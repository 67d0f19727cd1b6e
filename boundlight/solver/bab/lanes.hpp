// Inner loops of dual_ascent.cpp over kLanes parts side by side, arrays [..][kLanes], once per instruction set (lanes.inl). Products
// may be fused: what they compute are estimates.
#pragma once

#include <cstddef>
#include <cstdint>

namespace boundlight::bab {

inline constexpr std::size_t kLanes = 32;
// Adam's (Kingma and Ba 2015).
inline constexpr double kAdamMomentum = 0.9, kAdamEnergy = 0.999;

struct NeuronLines {  // [neurons][kLanes]
  const float *slope, *upper_slope, *upper_offset, *shift;
  float *coefficient, *onward, *z, *y;
  const float* constant;  // [neurons]
};

struct AdamLines {
  float *at, *momentum, *energy;
  float first, second;  // corrections of the running means
};

struct LaneLoops {
  // out[r] += sum over line r of value * x[index].
  void (*add_products)(const std::int32_t* start, const std::int32_t* index, const float* value, std::size_t from, std::size_t to, const float* x, float* out);
  // Coefficients of y become those of z (`onward`); constants go to the sums [kLanes].
  void (*take_back)(NeuronLines n, std::size_t from, std::size_t to, float* sum);
  // y from z by the planes that the coefficients chose.
  void (*take_forward)(NeuronLines n, std::size_t from, std::size_t to);
  // x: the corner of the box that minimises q x, which is added to the sums.
  void (*minimise)(const float* q, const float* lower, const float* upper, std::size_t inputs, float* x, float* sum);
  // Uphill by c z where c >= 0, inside [0, 1]; `free` is 0 where the slope is fixed. n numbers.
  void (*climb_slopes)(AdamLines s, const float* coefficient, const float* z, const float* free, float rate, std::size_t n);
  // One line. Uphill by sign z (sign: -1 on z >= 0, 1 on z <= 0, 0 where not split), inside [0, inf); shift = sign beta.
  void (*climb_multipliers)(AdamLines s, const float* sign, const float* z, const float* scale, float rate, float* shift);
  // to[j] = from[j] in the lanes where better > 0.
  void (*keep_lanes)(const float* better, const float* from, std::size_t n, float* to);
};

// Those of the best instruction set that the processor has.
const LaneLoops& lane_loops();

}  // namespace boundlight::bab
