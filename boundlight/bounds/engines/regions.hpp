// What is asked of an engine: regions of inputs and linear forms of a value.
#pragma once

#include <cstdint>
#include <vector>

#include "boundlight/models/graph.hpp"

namespace boundlight {

// A batch of input regions. Every region is a box [lower, upper] per input element; `norm` other than linf cuts a ball out
// of it: { x in box : ||(x - centre) ./ scale||_p <= 1 }.
struct Regions {
  std::int64_t batch = 0;
  std::vector<double> lower, upper;  // [batch][input size]; lower > upper anywhere: an empty region
  enum class Norm : std::uint8_t { linf, l2, l1 } norm = Norm::linf;
  std::vector<double> centre;  // [batch][input size]; only for l2 and l1
  std::vector<double> scale;   // [batch][input size]: eps in units of each element
  // Half-spaces  sum_i normal[i] x_i <= offset  that every point of region `box` satisfies; used to tighten.
  struct HalfSpace { std::int64_t box; std::vector<double> normal; double offset; };
  std::vector<HalfSpace> half_spaces;
  // Low-dimensional edits: x = anchor + sum_j direction_j p_j with p in [p_lower, p_upper] (per region). When `directions` > 0
  // the box above must contain every such x; planes are then expressed in p as well.
  std::int64_t directions = 0;
  std::vector<double> anchor;             // [batch][input size]
  std::vector<double> direction;          // [batch][directions][input size]
  std::vector<double> p_lower, p_upper;   // [batch][directions]
};

// Linear forms of one value: form r is sum_j coefficient[r][j] value[j] + constant[r]. The same forms for every region, or
// (per_region) forms [batch][rows] of their own.
struct Forms {
  ValueId value = kAbsent;
  std::int64_t rows = 0;
  std::vector<double> coefficient;  // [rows][size], or [batch][rows][size] when per_region
  std::vector<double> constant;     // empty: 0
  bool per_region = false;
  bool want_lower = true, want_upper = true;  // leaving one out halves the work
  // Only the largest upper bound over the rows matters (families): rows that cannot be it keep a cheaper bound.
  bool largest_only = false;
};

struct Counters {
  std::int64_t rows = 0;          // linear forms taken back
  std::int64_t retired = 0;       // of these, dropped early
  std::int64_t multiply_adds = 0;
  std::int64_t concretised = 0;   // nodes where rows had to stop at the interval (operators without planes)
};

}  // namespace boundlight
