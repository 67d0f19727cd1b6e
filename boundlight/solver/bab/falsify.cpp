#include "boundlight/solver/bab/falsify.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/bab/exact_network.hpp"
#include "boundlight/solver/attack/falsify.hpp"

namespace boundlight::bab {
namespace {

constexpr double kUnreached = std::numeric_limits<double>::infinity();
constexpr int kExactTries = 8;                    // per call
constexpr std::size_t kExactCost = 2'000'000;     // of a network: a second or so per point

// Enclosures of all outputs at points, [count][outputs].
Result<std::vector<Interval>> outputs_at(Engine& engine, const std::vector<double>& points, std::int64_t count) {
  const Network& network = engine.network();
  Regions r;
  r.batch = count;
  r.lower = r.upper = points;
  Forms f;
  f.value = network.outputs[0];
  f.rows = network.values[static_cast<std::size_t>(f.value)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t k = 0; k < f.rows; ++k) f.coefficient[static_cast<std::size_t>(k * f.rows + k)] = 1;
  BoundOptions o;
  o.method = Method::interval;
  o.precision = Precision::dual;
  BL_TRY(bounds, engine.bound(r, f, o));
  std::vector<Interval> y;
  for (std::size_t i = 0; i < bounds.lower.size(); ++i) y.emplace_back(bounds.lower[i], bounds.upper[i]);
  return y;
}

Counterexample counterexample_of(const Violation& v) { return {v.input, v.output, v.replay, v.disjunct}; }

// Without rounding: the disjunct that x violates, and then the outputs in `y`.
std::optional<std::size_t> exactly_violated(LazyExactNetwork* exact_network, const Property& property, const std::vector<double>& x, std::vector<Interval>& y) {
  const ExactNetwork* network = exact_network ? exact_network->get() : nullptr;
  if (!network || network->cost() > kExactCost || !std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); })) return std::nullopt;
  std::vector<Rational> at;
  for (const double v : x) at.push_back(exact(v));
  const std::vector<Rational> outputs = network->at(at);
  const auto disjunct = violated_disjunct(property, at, outputs);
  if (!disjunct) return std::nullopt;
  y.clear();
  for (const Rational& q : outputs) y.emplace_back(round_down(q), round_up(q));
  return disjunct;
}

}  // namespace

std::vector<double> snapped(const InputBox& box, const double* x) {
  std::vector<double> to(box.lower.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double lo = box.lower_inward[i], hi = box.upper_inward[i];
    if (!(lo <= hi)) return {};
    to[i] = std::clamp(std::isnan(x[i]) ? lo : x[i], lo, hi);
    auto f = static_cast<float>(to[i]);
    if (static_cast<double>(f) < lo) f = next_up(f);
    if (static_cast<double>(f) > hi) f = next_down(f);
    if (static_cast<double>(f) >= lo && static_cast<double>(f) <= hi) to[i] = static_cast<double>(f);
  }
  return to;
}

Result<Found> confirm(Engine& engine, const Property& property, const std::vector<double>& points, std::int64_t count, LazyExactNetwork* exact_network) {
  Found found;
  int tries = 0;
  if (count == 0) return found;
  const auto n = static_cast<std::size_t>(property.inputs), m = static_cast<std::size_t>(property.outputs);
  BL_TRY(y, outputs_at(engine, points, count));
  for (std::size_t i = 0; i < static_cast<std::size_t>(count) && !found.proved; ++i) {
    const std::vector<double> x(points.begin() + static_cast<std::ptrdiff_t>(i * n), points.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
    std::vector<Interval> enclosure(y.begin() + static_cast<std::ptrdiff_t>(i * m), y.begin() + static_cast<std::ptrdiff_t>((i + 1) * m));
    Counterexample c;
    std::optional<std::size_t> disjunct = surely_violated_disjunct(property, x, enclosure);
    bool proved = disjunct.has_value();
    if (!proved && (!found.near_miss || tries < kExactTries)) {
      std::vector<Interval> middle;
      for (const Interval& e : enclosure) middle.emplace_back(e.finite() ? e.middle() : kUnreached);
      disjunct = surely_violated_disjunct(property, x, middle);
      if (disjunct && tries++ < kExactTries)
        if (const auto surely = exactly_violated(exact_network, property, x, enclosure)) disjunct = surely, proved = true;
    }
    if (!disjunct || (!proved && found.near_miss)) continue;
    c.input = x;
    c.output = enclosure;
    c.disjunct = *disjunct;
    BL_TRY(replay, engine.evaluate(x, 1, {engine.network().outputs[0]}, Precision::single));
    c.replay = std::move(replay[0]);
    (proved ? found.proved : found.near_miss) = std::move(c);
  }
  return found;
}

Result<Counterexample> exact_counterexample(Engine& engine, const ExactNetwork& network, std::vector<double> input, std::size_t disjunct) {
  Counterexample c;
  std::vector<Rational> x;
  for (const double v : input) x.push_back(exact(v));
  for (const Rational& q : network.at(x)) c.output.emplace_back(round_down(q), round_up(q));
  BL_TRY(replay, engine.evaluate(input, 1, {engine.network().outputs[0]}, Precision::single));
  c.replay = std::move(replay[0]);
  c.input = std::move(input);
  c.disjunct = disjunct;
  return c;
}

double violation(const Target& target, const double* x, const double* y, double* weight) {
  double least = kUnreached;
  const ConstraintRow* worst = nullptr;
  for (const ConstraintRow& row : target.rows) {
    double v = row.bound;
    for (std::size_t i = 0; i < row.a.size(); ++i) v -= row.a[i] * x[i];
    for (std::size_t j = 0; j < row.b.size(); ++j) v -= row.b[j] * y[j];
    if (v < least || !worst) least = v, worst = &row;
  }
  if (worst && weight)
    for (std::size_t j = 0; j < worst->b.size(); ++j) weight[j] -= worst->b[j];
  return least;
}

Result<Found> attack(Engine& engine, const Property& property, const Problem& problem, const std::vector<std::vector<bool>>& open, const AttackPlan& plan,
                     const StopToken& stop, LazyExactNetwork* exact_network) {
  FalsifyOptions o;
  o.rounds = 1;
  o.starts = plan.starts;
  o.steps = plan.steps;
  o.seed = plan.seed;
  o.first_rule = static_cast<StepRule>(plan.seed % 3);
  o.stop = stop;
  o.skip.assign(property.disjuncts.size(), true);
  for (std::size_t g = 0; g < problem.groups.size(); ++g)
    for (std::size_t t = 0; t < problem.groups[g].targets.size(); ++t)
      if (open[g][t]) o.skip[problem.groups[g].targets[t].disjunct] = false;
  BL_TRY(found, falsify(engine, engine.network().outputs[0], property, o));
  Found result;
  if (found.violation) result.proved = counterexample_of(*found.violation);
  if (found.near_miss) {
    Counterexample near = counterexample_of(*found.near_miss);
    const auto surely = exactly_violated(exact_network, property, near.input, near.output);
    if (surely) near.disjunct = *surely;
    (surely && !result.proved ? result.proved : result.near_miss) = std::move(near);
  }
  return result;
}

}  // namespace boundlight::bab
