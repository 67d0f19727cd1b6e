// The region around an image, in the network's own units, with directed rounding.
//
// Pixels p, radius eps and the clipping range are given in pixel units; the network sees (p - mean) / std per element. The
// region is { (z - mean) / std : |z - p| <= eps, clip_low <= z <= clip_high }. Its enclosure serves proofs, what lies surely
// inside serves witnesses.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight {

struct PixelBall {
  std::vector<double> pixel, mean, deviation;  // per input element; mean empty: 0, deviation empty: 1
  double eps = 0;
  std::optional<std::pair<double, double>> clip;  // nothing: no clipping
};

struct PixelRegion {
  std::vector<double> x;                         // the input itself: nearest float32 numbers, moved inside where they are not
  std::vector<double> lower, upper;              // encloses the region, and x
  std::vector<double> inner_lower, inner_upper;  // inside the region, around x (equal to x where nothing else is surely inside)
};

// Errors: eps negative, infinite or NaN; a pixel outside of the clipping range by more than eps (empty region); a deviation
// that is not positive.
Result<PixelRegion> pixel_region(const PixelBall& ball);

}  // namespace boundlight
