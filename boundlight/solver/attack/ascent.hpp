// Projected gradient ascent (PGD; Madry et al. 2018; steps scaled by Adam's moments, Kingma and Ba 2015) of any score of a network's value over boxes, batched: every
// sample of the batch has its own box, start and score. The points found are concrete inputs inside their boxes; their
// scores here are float evaluations, so a caller that claims anything re-evaluates the point soundly.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

// The score of sample b from the value's numbers, and its gradient in them (weight is zeroed before the call).
using Score = std::function<double(std::int64_t b, const double* value, double* weight)>;

struct AscentProblem {
  ValueId value = kAbsent;
  std::int64_t batch = 0;
  std::vector<double> lower, upper;  // [batch][input size], or [1][input size] shared by all samples
  std::vector<double> start;         // [batch][input size], inside
  Score score;
};

struct AscentOptions {
  int steps = 40;
  double first_step = 1.0;  // of the box's half-width, per element; decays geometrically to last_step
  double last_step = 0.1;
  Precision precision = Precision::single;
  std::int64_t chunk = 512;  // samples per gradient call
  StopToken stop;
};

struct AscentResult {
  std::vector<double> point;  // [batch][input size]: the best visited, the start included
  std::vector<double> score;  // [batch]
  std::int64_t evaluations = 0;
};

// Cost: (steps + 1) gradients of the batch. A stop request ends the steps early; the best so far is returned.
Result<AscentResult> ascend(Engine& engine, const AscentProblem& problem, const AscentOptions& options);

// `count` starts in a box: the middle, random corners and uniform points in turn, from a seed. [count][size].
std::vector<double> random_starts(const std::vector<double>& lower, const std::vector<double>& upper, std::int64_t count, std::uint64_t seed);

}  // namespace boundlight
