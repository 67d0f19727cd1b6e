// Projected gradient ascent (PGD; Madry et al. 2018; steps by sign, by length or by Adam's moments, Kingma and Ba 2015) of any
// score of a network's value over boxes, batched: every sample of the batch has its own box, start and score. The points
// found are concrete inputs inside their boxes; their scores here are float evaluations, so a caller that claims anything
// re-evaluates the point soundly.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

// The score of sample b from the value's numbers, and its gradient in them (weight is zeroed before the call).
using Score = std::function<double(std::int64_t b, const double* value, double* weight)>;
// The same of a score that speaks of the input x as well; input_weight is the gradient in x of that part, zeroed too.
using InputScore = std::function<double(std::int64_t b, const double* x, const double* value, double* weight, double* input_weight)>;

struct AscentProblem {
  ValueId value = kAbsent;
  std::int64_t batch = 0;
  std::vector<double> lower, upper;  // [batch][input size], or [1][input size] shared by all samples
  std::vector<double> start;         // [batch][input size], inside
  Score score;
  InputScore input_score;            // instead of `score`, when set
};

// The direction of a step from a gradient g, in units of the box's half-widths r:
enum class StepRule : std::uint8_t {
  adam,    // moments of g; near a kink they come to rest where signs keep jumping
  sign,    // sign(g_j) r_j
  length,  // g_j r_j^2 / sqrt(sum (g_i r_i)^2 / n): inputs that matter more move more
};

struct AscentOptions {
  int steps = 40;
  double first_step = 1.0;  // of the box's half-width, per element; decays geometrically to last_step
  double last_step = 0.1;
  StepRule rule = StepRule::adam;
  double enough = std::numeric_limits<double>::infinity();  // a chunk ends when one of its scores is above this
  Precision precision = Precision::single;
  std::int64_t chunk = 256;  // samples per gradient call
  StopToken stop;
};

struct AscentResult {
  std::vector<double> point;  // [batch][input size]: the best visited, the start included
  std::vector<double> score;  // [batch]; -infinity where a chunk was not reached
  std::int64_t evaluations = 0;
};

// Cost: (steps + 1) gradients of the batch. A stop request ends the steps early; the best so far is returned.
Result<AscentResult> ascend(Engine& engine, const AscentProblem& problem, const AscentOptions& options);

// `count` starts in a box: the middle, random corners and uniform points in turn, from a seed. [count][size].
std::vector<double> random_starts(const std::vector<double>& lower, const std::vector<double>& upper, std::int64_t count, std::uint64_t seed);

}  // namespace boundlight
