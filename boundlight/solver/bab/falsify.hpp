// Points that violate a property: snapped into its exact boxes, confirmed by an outward enclosure, searched for by ascent.
#pragma once

#include <optional>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/solver/bab/problem.hpp"
#include "boundlight/solver/bab/verify.hpp"

namespace boundlight::bab {

class ExactNetwork;
class LazyExactNetwork;

// The point moved to float32 numbers inside the exact box where there are some, else to doubles inside; empty: the box holds no
// double.
std::vector<double> snapped(const InputBox& box, const double* x);

// What candidate points are shown to be.
struct Found {
  std::optional<Counterexample> proved;     // the first whose enclosure violates a disjunct
  std::optional<Counterexample> near_miss;  // the first that violates in plain double arithmetic only
};
// points: [count][inputs]. exact (optional): says the last word where an enclosure cannot, as at a tie.
Result<Found> confirm(Engine& engine, const Property& property, const std::vector<double>& points, std::int64_t count, LazyExactNetwork* exact = nullptr);

// How far outputs y at x violate a target: least over its rows of bound - (a . x + b . y); > 0 violates. Rounded to nearest.
// weight (optional): its gradient in y is added there.
double violation(const Target& target, const double* x, const double* y, double* weight);

// A point that was shown to violate a disjunct without rounding.
Result<Counterexample> exact_counterexample(Engine& engine, const ExactNetwork& network, std::vector<double> input, std::size_t disjunct);

struct AttackPlan {
  std::int64_t starts = 32;   // per target
  int steps = 40;
  double first_step = 1.0;
  std::uint64_t seed = 0;
};
// Ascent of every target's violation from the middle, corners and random points of its box.
// open[g][t]: attack that target.
Result<Found> attack(Engine& engine, const Property& property, const Problem& problem, const std::vector<std::vector<bool>>& open, const AttackPlan& plan,
                     const StopToken& stop, LazyExactNetwork* exact = nullptr);

}  // namespace boundlight::bab
