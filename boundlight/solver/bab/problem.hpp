// A property made ready for a search: the disjuncts that share an input box, their constraints as rows of doubles.
//
// A counterexample x of a disjunct satisfies g_i(x) = a_i . x + b_i . f(x) - d_i <= 0 (< 0 where strict) for all i. A region holds
// none when for some lambda >= 0 the least value of sum_i lambda_i g_i over it is > 0 (>= 0 where a strict constraint has a share).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "boundlight/bounds/network.hpp"
#include "boundlight/core/interval.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight::bab {

// scale * (a . x + b . y) <= bound, coefficients exact: `scale` (a positive integer) clears their denominators.
struct ConstraintRow {
  std::vector<double> a, b;  // a is empty where no input occurs
  double bound = 0;          // rounded up
  double scale = 1;
  bool strict = false;
};

struct Target {
  std::size_t disjunct = 0;  // index in the property
  std::vector<ConstraintRow> rows;
};

// The disjuncts of one box.
struct Group {
  std::size_t box = 0;
  std::vector<double> lower, upper;        // outward
  std::vector<std::int64_t> varying;       // inputs with lower < upper
  std::vector<Target> targets;
};

struct Problem {
  std::vector<Group> groups;
  std::size_t vacuous = 0;                 // disjuncts whose box is empty
};

// Errors: sizes that do not fit, several outputs, a coefficient that no double holds even when scaled.
Result<Problem> make_problem(const Network& network, const Property& property);

// Least value of a . x over a box, rounded down.
double least(const std::vector<double>& a, const double* lower, const double* upper);

// Is `bound`, a lower bound of the row's left side, enough to exclude it?
inline bool excludes(const ConstraintRow& row, double bound) { return row.strict ? bound >= row.bound : bound > row.bound; }
// By how much, rounded down: > 0 proves (>= where strict).
inline double margin(const ConstraintRow& row, double bound) { return sub_down(bound, row.bound); }

}  // namespace boundlight::bab
