// How far a property is certified around a sample: the largest radius with a proof, the smallest with a counterexample.
#pragma once

#include <functional>
#include <limits>
#include <optional>

#include "boundlight/core/stop.hpp"
#include "boundlight/solver/bab/verify.hpp"

namespace boundlight {

struct RadiusOptions {
  double start = 1.0 / 256;    // first radius asked
  double relative = 0.05;      // ends when the gap is at most this share of the certified radius
  double largest = 1;          // no radius above is asked
  double smallest = 1e-6;      // below, the certified radius is 0
  StopToken stop;
};

struct Radius {
  double certified = 0;                                            // proved at this radius
  double falsified = std::numeric_limits<double>::infinity();      // a counterexample exists at this radius
  std::optional<Counterexample> counterexample;                    // at `falsified`
  int queries = 0;
  bool complete = false;                                           // false: stopped, or an undecided radius in between
};

// A radius is a double, taken exactly. `ask` decides one radius. Doubles from `start` while proved, halves while not, then
// bisects. A proof at a radius holds at every smaller one, a counterexample at every larger one; an undecided radius narrows the
// search from above but claims nothing.
Result<Radius> certified_radius(const std::function<Result<VerifyResult>(double radius)>& ask, const RadiusOptions& options);

}  // namespace boundlight
