// A polytope { t : 0 <= t_i <= width_i, row . t + constant >= 0 for every row } in integers, and the greatest value of a linear form
// over it, exactly: the simplex method with Bland's rule on an integer dictionary with one common denominator (Edmonds; Bareiss 1968), as
// lrs has it (Avis 2000). For few variables and rows.
#pragma once

#include <optional>
#include <vector>

#include "boundlight/core/rational.hpp"

namespace boundlight::bab {

using IntegerForm = std::vector<boost::multiprecision::cpp_int>;  // coefficients of t, then the constant

class ExactPolytope {
 public:
  explicit ExactPolytope(std::vector<boost::multiprecision::cpp_int> width) : width_(std::move(width)) {}

  // form >= 0 from now on; pop takes the latest back.
  void push(IntegerForm form);
  void pop() { rows_.pop_back(); }

  struct Most {
    Rational value;
    std::vector<Rational> point;  // where it is attained
  };
  // Nothing where the polytope is empty.
  [[nodiscard]] std::optional<Most> most(const IntegerForm& form) const;

  // The greatest value over the box alone, over a positive denominator: cheap, and enough to decide most signs.
  [[nodiscard]] bool may_be_positive(const IntegerForm& form) const;

  [[nodiscard]] std::size_t variables() const { return width_.size(); }
  [[nodiscard]] std::int64_t solved() const { return solved_; }  // programs so far

 private:
  std::vector<boost::multiprecision::cpp_int> width_;
  std::vector<IntegerForm> rows_;
  mutable std::int64_t solved_ = 0;
};

// The form over the greatest common divisor of its numbers: the same sign everywhere.
IntegerForm reduced(IntegerForm form);

}  // namespace boundlight::bab
