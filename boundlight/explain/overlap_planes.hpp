// Linear bounds of an overlap on a part of a region, read off for every cell at once.
//
// On a part of the box B the overlap of a rival is at most  a.x + b. Over B_u, where the inputs of cell u are held at x0, only the
// cell's own terms of the maximum of a.x change: every cell costs its own inputs.
#pragma once

#include <vector>

#include "boundlight/explain/eva.hpp"

namespace boundlight {

struct CellOverlaps {
  double base = 0;            // on B
  std::vector<float> cell;    // on every B_u, rounded upward; never above base (rounded upward)
  std::vector<double> worst;  // [inputs]: the corner of B (as far as it is surely inside) that attains the maximum
};

// overlap <= -plane . x - offset. Sound: every rounding of this computation is charged. offset -inf: nothing is known.
CellOverlaps overlaps_of(const EvaQuestion& q, const double* plane, double offset);

}  // namespace boundlight
