// Linear bounds of an overlap on a part of a region, read off for every cell at once.
//
// On a part P of the box B (cut out by splits) the overlap of a rival is at most  a.x + b,  and every point of P satisfies
// n_h.x <= o_h for some half-spaces h. For every lambda >= 0
//   overlap <= b + sum_h lambda_h o_h + max over the box of (a - sum_h lambda_h n_h).x,
// and for a cell u, whose inputs are held at x0, the maximum is taken over B_u instead: only the cell's own terms change, so
// one choice of lambda serves all cells in O(inputs).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "boundlight/explain/eva.hpp"

namespace boundlight {

struct HalfSpace {
  std::vector<double> normal;  // normal . x <= offset
  double offset = 0;
};

struct OverlapPlane {
  const double* coefficient = nullptr;  // [inputs]
  double offset = 0;
  std::vector<std::shared_ptr<const HalfSpace>> faces;
};

struct CellOverlaps {
  double base = 0;            // on B
  std::vector<float> cell;    // on every B_u, rounded upward; never above base (rounded upward)
  std::vector<double> worst;  // [inputs]: the corner of B that attains the maximum
};

// Sound upper bounds: every rounding of this computation is charged. lambda is found by cyclic exact line searches.
CellOverlaps overlaps_of(const EvaQuestion& q, const OverlapPlane& plane);

}  // namespace boundlight
