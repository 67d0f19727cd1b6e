// A property: the set of input-output pairs that would violate a requirement, as a disjunction of disjuncts.
//
//   disjunct = an input box  and  every one of its linear constraints  sum a_i x_i + sum b_j y_j <= d  (< where strict)
//
// A *violating* input x of a network f lies in the box of some disjunct and satisfies all constraints of that disjunct
// at y = f(x) (the VNN-LIB convention: the assertions describe the counterexamples). A tie satisfies "<=" and therefore
// violates. "unsat" means that no disjunct holds anywhere.
//
// Numbers are exact: a decimal of a file is the rational it spells. Proofs use the outward doubles of a box, witnesses
// the inward ones (design: numerics, "The region itself is part of the promise").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "boundlight/core/interval.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/core/result.hpp"

namespace boundlight {

struct LinearTerm {
  std::int64_t index = 0;  // of the input or output, flat in row order
  Rational coefficient;    // not 0
};

// sum inputs + sum outputs <= bound, or < where strict. Terms rise by index. A constraint without terms is the constant
// 0 <= bound: always true or never.
struct LinearConstraint {
  std::vector<LinearTerm> inputs, outputs;
  Rational bound;
  bool strict = false;
};

// lower[i] <= x_i <= upper[i] (< where strict). The doubles are derived by PropertyBuilder.
struct InputBox {
  std::vector<Rational> lower, upper;
  std::vector<bool> lower_strict, upper_strict;

  // The closed box of doubles around the exact one: for proofs.
  std::vector<double> lower_outward, upper_outward;
  // The doubles inside the exact one: for witnesses. Crossed (lower > upper) where it holds no double.
  std::vector<double> lower_inward, upper_inward;

  bool empty = false;  // holds no point at all: its disjuncts are vacuous
};

struct Disjunct {
  std::size_t box = 0;  // index into Property::boxes; disjuncts share boxes
  std::vector<LinearConstraint> constraints;
};

struct Property {
  std::int64_t inputs = 0, outputs = 0;  // numbers of elements, flat
  std::vector<InputBox> boxes;
  std::vector<Disjunct> disjuncts;  // none: nothing violates
  std::string source;               // file as the user wrote it, or what built it; for messages
  std::string sha256;               // of the file's bytes; empty for a property that came from no file

  [[nodiscard]] const InputBox& box_of(const Disjunct& d) const { return boxes[d.box]; }
  // True when every disjunct's box is empty: verified, but about nothing.
  [[nodiscard]] bool vacuous() const;
};

// Makes a Property; derives doubles and emptiness. Preconditions (contract violations): equal lengths, indices in
// range, boxes finite.
class PropertyBuilder {
 public:
  PropertyBuilder(std::int64_t inputs, std::int64_t outputs);

  // Returns the index of the new box.
  std::size_t box(std::vector<Rational> lower, std::vector<Rational> upper);
  std::size_t box(const std::vector<double>& lower, const std::vector<double>& upper);
  std::size_t box(InputBox exact_part);  // with strictness; the doubles are filled in
  PropertyBuilder& disjunct(std::size_t box, std::vector<LinearConstraint> constraints);
  PropertyBuilder& named(std::string source, std::string sha256 = {});
  [[nodiscard]] Property build() &&;

 private:
  Property property_;
};

// y_k - y_c >= at_least (> where strict): "class k reaches class c".
LinearConstraint margin_constraint(std::int64_t k, std::int64_t c, const Rational& at_least = 0, bool strict = false);

// Exact: does the pair (x, y) satisfy the constraint / lie in the box / violate the property (then: which disjunct)?
bool holds(const LinearConstraint& constraint, const std::vector<Rational>& x, const std::vector<Rational>& y);
bool contains(const InputBox& box, const std::vector<Rational>& x);
std::optional<std::size_t> violated_disjunct(const Property& property, const std::vector<Rational>& x,
                                             const std::vector<Rational>& y);

// The disjunct that x violates whatever y in the given enclosures is, or nothing. Infinite enclosures prove nothing.
// This is what a `sat` must show: x exact, y an outward enclosure of f(x).
std::optional<std::size_t> surely_violated_disjunct(const Property& property, const std::vector<double>& x,
                                                    const std::vector<Interval>& y);

// The property as VNN-LIB 1.0 text that reads back equal: one assertion, a disjunction of conjunctions.
std::string to_vnnlib(const Property& property);

}  // namespace boundlight
