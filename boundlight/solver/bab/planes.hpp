// Affine lower bounds of a disjunct's constraints over a box, what they exclude together, and where they let the box be cut.
#pragma once

#include <cstdint>
#include <vector>

#include "boundlight/solver/bab/problem.hpp"

namespace boundlight::bab {

// slope_i . x + offset_i <= a_i . x + b_i . f(x) on the box, for every constraint i of a target.
struct Planes {
  std::size_t inputs = 0;
  std::vector<double> slope;   // [rows][inputs]
  std::vector<double> offset;  // [rows]; -inf: nothing is known
  std::size_t rows() const { return offset.size(); }

  // The plane of b . f(x) becomes that of a row, inputs included. lower, upper: the box.
  void add(const ConstraintRow& row, const double* plane, double offset_of_outputs, const double* lower, const double* upper);
  // sum_i lambda_i slope_i, rounded to nearest.
  std::vector<double> combined(const std::vector<double>& lambda) const;
};

struct Multipliers {
  std::vector<double> lambda;
  double margin = 0;    // sum lambda_i (g_i) is at least this, rounded down
  bool proves = false;  // no counterexample is in the box
};

// Is there no counterexample in the box, by these multipliers? Rounded outward.
Multipliers judged(const Target& target, const Planes& planes, std::vector<double> lambda, const double* lower, const double* upper);

// Multipliers with a large margin, by exponentiated gradient from equal shares (scaled by the constraints' own ranges).
Multipliers best_combination(const Target& target, const Planes& planes, const double* lower, const double* upper);

// Beyond `at` (above, or below) the combined plane exceeds what a counterexample may have; nearest estimate, to be verified.
struct Slab {
  std::size_t input = 0;
  bool above = false;
  double at = 0;
};
// Cuts worth making: every one removes at least 1 % of its side. Each is computed for the box left by those before it.
std::vector<Slab> cuts(const Target& target, const Planes& planes, const std::vector<double>& lambda, const std::vector<std::int64_t>& varying,
                       std::vector<double> lower, std::vector<double> upper);

}  // namespace boundlight::bab
