// The one linear form per target that a search over ReLU signs bounds: sum_i lambda_i b_i . y with fixed lambda.
#pragma once

#include <limits>
#include <vector>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/bab/problem.hpp"

namespace boundlight::bab {

class ReluTargets {
 public:
  ReluTargets() = default;
  // lambda[t]: multipliers of target t, taken where sum lambda_i b_i is exact in double; else the constraint of the largest one.
  // slack: how far beyond its threshold a bound must be, relative to the form's size (for certificates).
  ReluTargets(const Group& group, const std::vector<bool>& open, const std::vector<std::vector<double>>& lambda, double slack);

  const std::vector<double>& coefficient(std::size_t t) const { return at_[t].form; }
  const std::vector<double>& lambda(std::size_t t) const { return at_[t].lambda; }
  double threshold(std::size_t t) const { return at_[t].threshold; }  // sum lambda_i d_i, rounded up
  double enough(std::size_t t) const { return at_[t].enough; }
  // Does a lower bound of the form exclude every counterexample?
  bool closes(std::size_t t, double lower) const { return at_[t].strict ? lower >= at_[t].enough : lower > at_[t].enough; }
  std::size_t open() const { return open_; }

 private:
  struct One {
    std::vector<double> form, lambda;
    double threshold = 0, enough = std::numeric_limits<double>::infinity();
    bool strict = false;
  };
  std::vector<One> at_;
  std::size_t open_ = 0;
};

}  // namespace boundlight::bab
