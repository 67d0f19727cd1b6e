#include "boundlight/solver/bab/relu_targets.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/core/rational.hpp"

namespace boundlight::bab {
namespace {

// sum_i lambda_i b_i where no rounding happens; empty otherwise.
std::vector<double> exact_form(const Target& target, const std::vector<double>& lambda) {
  std::vector<double> form;
  for (std::size_t j = 0; !target.rows.empty() && j < target.rows[0].b.size(); ++j) {
    Rational sum = 0;
    for (std::size_t i = 0; i < target.rows.size(); ++i)
      if (lambda[i] != 0 && target.rows[i].b[j] != 0) sum += exact(lambda[i]) * exact(target.rows[i].b[j]);
    form.push_back(sum == 0 ? 0.0 : round_down(sum));
    if (!std::isfinite(form.back()) || exact(form.back()) != sum) return {};
  }
  return form;
}

}  // namespace

ReluTargets::ReluTargets(const Group& group, const std::vector<bool>& open, const std::vector<std::vector<double>>& lambda, double slack) : at_(group.targets.size()) {
  for (std::size_t t = 0; t < at_.size(); ++t) {
    const Target& target = group.targets[t];
    if (!open[t] || target.rows.empty()) continue;
    ++open_;
    One& one = at_[t];
    one.lambda = lambda[t];
    for (double& l : one.lambda) l = std::ldexp(std::nearbyint(std::ldexp(l, 12)), -12);  // few bits: sums stay exact
    one.form = exact_form(target, one.lambda);
    if (one.form.empty() || std::all_of(one.form.begin(), one.form.end(), [](double x) { return x == 0; })) {
      const auto most = static_cast<std::size_t>(std::max_element(lambda[t].begin(), lambda[t].end()) - lambda[t].begin());
      one.lambda.assign(target.rows.size(), 0.0);
      one.lambda[most] = 1;
      one.form = target.rows[most].b;
    }
    double size = 0;
    for (const double x : one.form) size = std::max(size, std::fabs(x));
    for (std::size_t i = 0; i < target.rows.size(); ++i) {
      if (one.lambda[i] == 0) continue;
      one.strict = one.strict || target.rows[i].strict;
      one.threshold = add_up(one.threshold, mul_up(one.lambda[i], target.rows[i].bound));
    }
    one.enough = slack == 0 ? one.threshold : add_up(one.threshold, slack * size);
  }
}

}  // namespace boundlight::bab
