// Search for an input that violates a property, and the proof that one does.
//
//   score of x for a disjunct = least over its constraints of (d - a.x - b.f(x)) / scale       > 0: violated
//
// Rounds of projected gradient ascent (ascent.hpp), every live disjunct in the batch: starts are the box's middle, random
// corners and uniform points; rounds take turns in the rule of their steps, and each doubles the starts of the one before.
// Points are proposals. A violation is claimed only when an outward enclosure of the outputs at that very point proves every
// constraint of a disjunct, and the point lies in the exact box.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/solver/attack/ascent.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight {

struct Violation {
  std::vector<double> input;     // exact as doubles, inside the disjunct's exact box
  std::vector<Interval> output;  // encloses f(input) in real arithmetic
  std::vector<double> replay;    // outputs of a float32 evaluation
  std::size_t disjunct = 0;
  bool float32_input = false;    // every coordinate is a float32 number
};

struct FalsifyOptions {
  int rounds = 4;
  std::int64_t starts = 2;        // per disjunct in the first round; doubled by every next one
  int steps = 30;
  StepRule first_rule = StepRule::adam;  // of the first round; the next take turns
  std::int64_t chunk = 128;       // samples per gradient call
  std::uint64_t seed = 1;
  std::vector<bool> skip;         // per disjunct: proved already; empty: none
  std::vector<std::vector<double>> points;  // proposals to look at and start from first (each of input size), e.g. of bounds
  StopToken stop;
};

struct Falsification {
  std::optional<Violation> violation;
  // No violation: a point that violates in floating point while the enclosure at it does not prove that (a tie, or rounding).
  std::optional<Violation> near_miss;
  double best = 0;                // largest score found, in units of the constraints as written
  std::vector<double> best_point;
  std::int64_t evaluations = 0;
};

// `output`: the value that Y_j means. Errors: of the engine; an error of kind bad_input when the property does not fit.
Result<Falsification> falsify(Engine& engine, ValueId output, const Property& property, const FalsifyOptions& options);

// Moves x into the disjunct's box and to float32 numbers where the box holds one, and proves there that the disjunct is violated;
// tries the doubles themselves next. Nothing when neither is proved.
Result<std::optional<Violation>> prove_violation(Engine& engine, ValueId output, const Property& property, std::size_t disjunct, const std::vector<double>& x);

// Outward enclosures of the outputs at x, in exact real arithmetic; and the outputs of a float32 evaluation.
Result<std::vector<Interval>> enclose_outputs(Engine& engine, ValueId output, const std::vector<double>& x);
Result<std::vector<double>> replay_outputs(Engine& engine, ValueId output, const std::vector<double>& x);

// The form of VNN-COMP: ((X_0 v) ... (Y_0 w) ...), decimals that read back as the same doubles; Y: the float32 replay.
std::string to_counterexample(const Violation& violation);

}  // namespace boundlight
