#include "boundlight/solver/spec/property.hpp"

#include <cmath>
#include <tuple>

namespace boundlight {
namespace {

using BigInt = boost::multiprecision::cpp_int;

// The doubles on both sides of q: equal when q is one.
std::pair<double, double> neighbours(const Rational& q) {
  const double down = round_down(q);
  if (std::isfinite(down) && exact(down) == q) return {down, down};
  return {down, next_up(down)};
}

void fill_doubles(InputBox& box) {
  const std::size_t n = box.lower.size();
  for (auto* v : {&box.lower_outward, &box.upper_outward, &box.lower_inward, &box.upper_inward}) v->resize(n);
  box.empty = false;
  for (std::size_t i = 0; i < n; ++i) {
    const Rational &lo = box.lower[i], &hi = box.upper[i];
    std::tie(box.lower_outward[i], box.lower_inward[i]) = neighbours(lo);
    std::tie(box.upper_inward[i], box.upper_outward[i]) = neighbours(hi);
    // A strict end that is a double itself is not inside.
    if (box.lower_strict[i] && box.lower_inward[i] == box.lower_outward[i]) box.lower_inward[i] = next_up(box.lower_inward[i]);
    if (box.upper_strict[i] && box.upper_inward[i] == box.upper_outward[i]) box.upper_inward[i] = next_down(box.upper_inward[i]);
    if (lo > hi || (lo == hi && (box.lower_strict[i] || box.upper_strict[i]))) box.empty = true;
  }
}

std::vector<Rational> exact_all(const std::vector<double>& v) {
  std::vector<Rational> r;
  r.reserve(v.size());
  for (const double x : v) r.push_back(exact(x));
  return r;
}

void check_terms(const std::vector<LinearTerm>& terms, std::int64_t n, const char* what) {
  std::int64_t last = -1;
  for (const LinearTerm& t : terms) {
    demand(t.index > last && t.index < n, std::string("PropertyBuilder: ") + what + " index " + std::to_string(t.index) +
                                              " is out of range or not rising");
    demand(t.coefficient != 0, "PropertyBuilder: a coefficient is 0");
    last = t.index;
  }
}

std::string number(const Rational& q) {
  const BigInt top = abs(boost::multiprecision::numerator(q)), bottom = boost::multiprecision::denominator(q);
  const std::string magnitude = bottom == 1 ? top.str() : "(/ " + top.str() + " " + bottom.str() + ")";
  return q < 0 ? "(- " + magnitude + ")" : magnitude;
}

void append_constraint(std::string& text, const LinearConstraint& c) {
  text += c.strict ? " (< (+ 0" : " (<= (+ 0";  // the zero: a sum needs an argument, a constant constraint has no term
  for (const LinearTerm& t : c.inputs) text += " (* " + number(t.coefficient) + " X_" + std::to_string(t.index) + ")";
  for (const LinearTerm& t : c.outputs) text += " (* " + number(t.coefficient) + " Y_" + std::to_string(t.index) + ")";
  text += ") " + number(c.bound) + ")";
}

// The largest value of the terms over the enclosures; nothing when one is infinite.
std::optional<Rational> greatest(const std::vector<LinearTerm>& terms, const std::vector<Interval>& y) {
  Rational sum = 0;
  for (const LinearTerm& t : terms) {
    const Interval v = y[t.index];
    if (!v.finite()) return std::nullopt;
    sum += t.coefficient * exact(t.coefficient > 0 ? v.hi : v.lo);
  }
  return sum;
}

Rational value_of(const std::vector<LinearTerm>& terms, const std::vector<Rational>& v) {
  Rational sum = 0;
  for (const LinearTerm& t : terms) sum += t.coefficient * v[t.index];
  return sum;
}

}  // namespace

bool Property::vacuous() const {
  for (const Disjunct& d : disjuncts)
    if (!boxes[d.box].empty) return false;
  return true;
}

PropertyBuilder::PropertyBuilder(std::int64_t inputs, std::int64_t outputs) {
  demand(inputs > 0 && outputs > 0, "PropertyBuilder: a property needs at least one input and one output");
  property_.inputs = inputs;
  property_.outputs = outputs;
}

std::size_t PropertyBuilder::box(InputBox b) {
  const std::size_t n = static_cast<std::size_t>(property_.inputs);
  demand(b.lower.size() == n && b.upper.size() == n && b.lower_strict.size() == n && b.upper_strict.size() == n,
         "PropertyBuilder: a box needs " + std::to_string(n) + " lower and upper ends");
  fill_doubles(b);
  property_.boxes.push_back(std::move(b));
  return property_.boxes.size() - 1;
}

std::size_t PropertyBuilder::box(std::vector<Rational> lower, std::vector<Rational> upper) {
  InputBox b;
  b.lower_strict.assign(lower.size(), false);
  b.upper_strict.assign(upper.size(), false);
  b.lower = std::move(lower);
  b.upper = std::move(upper);
  return box(std::move(b));
}

std::size_t PropertyBuilder::box(const std::vector<double>& lower, const std::vector<double>& upper) {
  return box(exact_all(lower), exact_all(upper));
}

PropertyBuilder& PropertyBuilder::disjunct(std::size_t index, std::vector<LinearConstraint> constraints) {
  demand(index < property_.boxes.size(), "PropertyBuilder: no such box");
  for (const LinearConstraint& c : constraints) {
    check_terms(c.inputs, property_.inputs, "input");
    check_terms(c.outputs, property_.outputs, "output");
  }
  property_.disjuncts.push_back({index, std::move(constraints)});
  return *this;
}

PropertyBuilder& PropertyBuilder::named(std::string source, std::string sha256) {
  property_.source = std::move(source);
  property_.sha256 = std::move(sha256);
  return *this;
}

Property PropertyBuilder::build() && { return std::move(property_); }

LinearConstraint margin_constraint(std::int64_t k, std::int64_t c, const Rational& at_least, bool strict) {
  demand(k != c, "margin_constraint: the two classes are the same");
  LinearConstraint r;  // y_c - y_k <= -at_least
  r.outputs = {{k, -1}, {c, 1}};
  if (c < k) std::swap(r.outputs[0], r.outputs[1]);
  r.bound = -at_least;
  r.strict = strict;
  return r;
}

bool holds(const LinearConstraint& c, const std::vector<Rational>& x, const std::vector<Rational>& y) {
  const Rational sum = value_of(c.inputs, x) + value_of(c.outputs, y);
  return c.strict ? sum < c.bound : sum <= c.bound;
}

bool contains(const InputBox& box, const std::vector<Rational>& x) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] < box.lower[i] || (box.lower_strict[i] && x[i] == box.lower[i])) return false;
    if (x[i] > box.upper[i] || (box.upper_strict[i] && x[i] == box.upper[i])) return false;
  }
  return true;
}

std::optional<std::size_t> violated_disjunct(const Property& p, const std::vector<Rational>& x,
                                             const std::vector<Rational>& y) {
  for (std::size_t d = 0; d < p.disjuncts.size(); ++d) {
    bool all = contains(p.box_of(p.disjuncts[d]), x);
    for (const LinearConstraint& c : p.disjuncts[d].constraints) all = all && holds(c, x, y);
    if (all) return d;
  }
  return std::nullopt;
}

std::optional<std::size_t> surely_violated_disjunct(const Property& p, const std::vector<double>& x,
                                                    const std::vector<Interval>& y) {
  demand(x.size() == static_cast<std::size_t>(p.inputs) && y.size() == static_cast<std::size_t>(p.outputs),
         "surely_violated_disjunct: the point does not fit the property");
  for (const double v : x)
    if (!std::isfinite(v)) return std::nullopt;
  const std::vector<Rational> point = exact_all(x);
  for (std::size_t d = 0; d < p.disjuncts.size(); ++d) {
    bool all = contains(p.box_of(p.disjuncts[d]), point);
    for (const LinearConstraint& c : p.disjuncts[d].constraints) {
      if (!all) break;
      const std::optional<Rational> most = greatest(c.outputs, y);
      if (!most) { all = false; break; }
      const Rational sum = value_of(c.inputs, point) + *most;
      all = c.strict ? sum < c.bound : sum <= c.bound;
    }
    if (all) return d;
  }
  return std::nullopt;
}

std::string to_vnnlib(const Property& p) {
  std::string text;
  for (std::int64_t i = 0; i < p.inputs; ++i) text += "(declare-const X_" + std::to_string(i) + " Real)\n";
  for (std::int64_t i = 0; i < p.outputs; ++i) text += "(declare-const Y_" + std::to_string(i) + " Real)\n";
  if (p.disjuncts.empty()) {  // never violated; the format has no empty disjunction
    for (std::int64_t i = 0; i < p.inputs; ++i) text += "(assert (= X_" + std::to_string(i) + " 0))\n";
    return text + "(assert (<= 1 0))\n";
  }
  text += "(assert (or\n";
  for (const Disjunct& d : p.disjuncts) {
    const InputBox& box = p.box_of(d);
    text += "  (and";
    for (std::size_t i = 0; i < box.lower.size(); ++i) {
      const std::string x = "X_" + std::to_string(i);
      text += (box.lower_strict[i] ? " (> " : " (>= ") + x + " " + number(box.lower[i]) + ")";
      text += (box.upper_strict[i] ? " (< " : " (<= ") + x + " " + number(box.upper[i]) + ")";
    }
    for (const LinearConstraint& c : d.constraints) append_constraint(text, c);
    text += ")\n";
  }
  return text + "))\n";
}

}  // namespace boundlight
