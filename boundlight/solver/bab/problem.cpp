#include "boundlight/solver/bab/problem.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"

namespace boundlight::bab {
namespace {

constexpr double kLargestInteger = 9007199254740992.0;  // 2^53

// The coefficients times `scale`, when every one is a double; else nothing.
bool exact_terms(const std::vector<LinearTerm>& terms, const Rational& scale, std::vector<double>& to) {
  for (const LinearTerm& t : terms) {
    const Rational c = t.coefficient * scale;
    const double rounded = round_down(c);
    if (!std::isfinite(rounded) || exact(rounded) != c) return false;
    to[static_cast<std::size_t>(t.index)] = rounded;
  }
  return true;
}

Result<ConstraintRow> row_of(const Property& property, const LinearConstraint& c) {
  using boost::multiprecision::denominator;
  boost::multiprecision::cpp_int common = 1;
  for (const auto* terms : {&c.inputs, &c.outputs})
    for (const LinearTerm& t : *terms) common = lcm(common, boost::multiprecision::cpp_int(denominator(t.coefficient)));
  ConstraintRow row;
  row.strict = c.strict;
  for (const Rational& scale : {Rational(1), Rational(common)}) {
    row.a.assign(c.inputs.empty() ? 0 : static_cast<std::size_t>(property.inputs), 0.0);
    row.b.assign(static_cast<std::size_t>(property.outputs), 0.0);
    if (!exact_terms(c.inputs, scale, row.a) || !exact_terms(c.outputs, scale, row.b)) continue;
    row.scale = scale.convert_to<double>();
    row.bound = round_up(c.bound * scale);
    if (row.scale < kLargestInteger && std::isfinite(row.bound)) return row;
  }
  return Error{ErrorKind::unsupported, property.source, "a constraint's coefficients have too many digits for exact work in doubles; write them shorter"};
}

}  // namespace

Result<Problem> make_problem(const Network& network, const Property& property) {
  const auto name = [&] { return property.source.empty() ? std::string("property") : property.source; };
  if (network.outputs.size() != 1)
    return Error{ErrorKind::unsupported, network.source, "verdicts need a model with one output, this one has " + std::to_string(network.outputs.size())};
  const auto& out = network.values[static_cast<std::size_t>(network.outputs[0])];
  if (property.inputs != network.input_size() || property.outputs != out.size)
    return Error{ErrorKind::bad_input, name(), "speaks about " + std::to_string(property.inputs) + " inputs and " + std::to_string(property.outputs) +
                                                   " outputs, the model has " + std::to_string(network.input_size()) + " and " + std::to_string(out.size)};
  if (out.constant) return Error{ErrorKind::unsupported, network.source, "the output does not depend on the inputs"};
  Problem problem;
  std::vector<std::int64_t> group_of(property.boxes.size(), -1);
  for (std::size_t d = 0; d < property.disjuncts.size(); ++d) {
    const Disjunct& disjunct = property.disjuncts[d];
    const InputBox& box = property.box_of(disjunct);
    if (box.empty) {
      ++problem.vacuous;
      continue;
    }
    if (group_of[disjunct.box] < 0) {
      group_of[disjunct.box] = static_cast<std::int64_t>(problem.groups.size());
      Group& g = problem.groups.emplace_back();
      g.box = disjunct.box;
      g.lower = box.lower_outward;
      g.upper = box.upper_outward;
      for (std::size_t i = 0; i < g.lower.size(); ++i)
        if (g.lower[i] < g.upper[i]) g.varying.push_back(static_cast<std::int64_t>(i));
    }
    Target target;
    target.disjunct = d;
    for (const LinearConstraint& c : disjunct.constraints) {
      BL_TRY(row, row_of(property, c));
      target.rows.push_back(std::move(row));
    }
    problem.groups[static_cast<std::size_t>(group_of[disjunct.box])].targets.push_back(std::move(target));
  }
  return problem;
}

double least(const std::vector<double>& a, const double* lower, const double* upper) {
  double sum = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == 0) continue;
    const double term = a[i] * (a[i] > 0 ? lower[i] : upper[i]);
    sum += term;
    size += std::fabs(term);
  }
  const auto n = static_cast<std::int64_t>(a.size()) + 2;
  return sub_down(sum, next_up(gamma_up<double>(n) * size * inflation<double>(n) + static_cast<double>(n) * smallest_normal<double>));
}

}  // namespace boundlight::bab
