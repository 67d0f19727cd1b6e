// Shares of volumes against exact measures, shares of populations against exact binomial sums, radii against known thresholds.
#include <catch2/catch.hpp>

#include "boundlight/solver/audit/coverage.hpp"
#include "boundlight/solver/audit/population.hpp"
#include "boundlight/solver/audit/radius.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"
#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

// The measure of { x in [lower, upper] : f_0(x) <= t } of a network with one input, relative to the interval: f is linear between
// the vertices of its cells.
Rational share_below(const HardCase& c, const Rational& t) {
  const ExactCells cells(c.net, c.lower, c.upper);
  std::map<Rational, Rational> points;
  for (const auto& v : cells.vertices()) points[v.x[0]] = v.values.back()[0];
  Rational below = 0;
  for (auto right = std::next(points.begin()); right != points.end(); ++right) {
    const auto left = std::prev(right);
    const Rational width = right->first - left->first, a = left->second, b = right->second;
    if (a <= t && b <= t) below += width;
    else if (a <= t || b <= t) below += width * (t - std::min(a, b)) / abs(Rational(a - b));
  }
  return below / (exact(c.upper[0]) - exact(c.lower[0]));
}

Property below(const std::vector<double>& lower, const std::vector<double>& upper, std::int64_t outputs, const Rational& t) {
  PropertyBuilder builder(static_cast<std::int64_t>(lower.size()), outputs);
  LinearConstraint c;
  c.outputs = {{0, 1}};
  c.bound = t;
  builder.disjunct(builder.box(lower, upper), {c});
  return std::move(builder).build();
}

Property parsed_property(const std::string& text) {
  auto p = parse_vnnlib(text, "test");
  if (!p.ok()) throw std::runtime_error(p.error().text());
  return std::move(*p);
}

Coverage shares(const DenseNet& net, const Property& p, std::int64_t boxes, std::int64_t batch = 64) {
  CoverageOptions o;
  o.device = test_device();
  o.most_boxes = boxes;
  o.batch = batch;
  auto found = cover(network_of(graph_of(net)), p, 0, o);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return std::move(*found);
}

DenseNet unchanged_net(std::size_t n) {
  DenseNet net;
  net.layers = {{std::vector<std::vector<double>>(n, std::vector<double>(n, 0.0)), std::vector<double>(n, 0.0)}};
  for (std::size_t i = 0; i < n; ++i) net.layers[0].weight[i][i] = 1;
  return net;
}

// P(at least k of n) at p, exactly.
Rational at_least(std::int64_t k, std::int64_t n, const Rational& p) {
  Rational sum = 0, choose = 1;
  std::vector<Rational> yes{1}, no{1};
  for (std::int64_t i = 0; i < n; ++i) yes.push_back(Rational(yes.back() * p)), no.push_back(Rational(no.back() * (1 - p)));
  for (std::int64_t i = 0; i <= n; ++i) {
    if (i >= k) sum += choose * yes[static_cast<std::size_t>(i)] * no[static_cast<std::size_t>(n - i)];
    choose = choose * (n - i) / (i + 1);
  }
  return sum;
}

}  // namespace

TEST_CASE("certified shares never exceed the exact ones, and come close", "[audit]") {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 400 && cases < 60; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % static_cast<std::uint64_t>(Style::count)), seed);
    if (c.net.inputs() != 1 || !(c.lower[0] < c.upper[0])) continue;
    const ExactCells cells(c.net, c.lower, c.upper);
    const ExactRange range = cells.ranges.back()[0];
    if (range.lower == range.upper) continue;
    ++cases;
    const Rational t = range.lower + (range.upper - range.lower) * (1 + seed % 7) / 9;
    const Rational unsafe = share_below(c, t);
    const Coverage found = shares(c.net, below(c.lower, c.upper, static_cast<std::int64_t>(c.net.outputs()), t), 400);
    INFO("seed " << seed << " safe " << found.safe.convert_to<double>() << " unsafe " << found.unsafe.convert_to<double>() << " exact " << unsafe.convert_to<double>());
    REQUIRE(found.unsafe <= unsafe);
    REQUIRE(found.safe <= 1 - unsafe);
    if (static_cast<Style>(seed % static_cast<std::uint64_t>(Style::count)) == Style::plain) CHECK(found.safe + found.unsafe >= Rational(9) / 10);
    // The same with the other batch: the order of work changes, truth does not.
    const Coverage other = shares(c.net, below(c.lower, c.upper, static_cast<std::int64_t>(c.net.outputs()), t), 400, 7);
    REQUIRE(other.unsafe <= unsafe);
    REQUIRE(other.safe <= 1 - unsafe);
  }
  CHECK(cases >= 40);
}

TEST_CASE("shares of a triangle, of conjunctions and of half-spaces of inputs", "[audit]") {
  const std::string box = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (<= 0 X_0 2))(assert (<= -1 X_1 0))";
  // Violated where x_0 / 2 + (x_1 + 1) <= 1: half of the box. As one constraint over outputs, over inputs, and mixed.
  for (const char* claim : {"(<= (+ Y_0 (* 2 Y_1)) 0)", "(<= (+ X_0 (* 2 X_1)) 0)", "(<= (+ X_0 (* 2 Y_1)) 0)"}) {
    const Coverage found = shares(unchanged_net(2), parsed_property(box + "(assert " + claim + ")"), 3000);
    INFO(claim);
    CHECK(found.safe <= Rational(1) / 2);
    CHECK(found.unsafe <= Rational(1) / 2);
    CHECK(found.safe + found.unsafe > Rational(9) / 10);
  }
  // A quarter: both halves; and three quarters: one of two disjuncts.
  const Coverage both = shares(unchanged_net(2), parsed_property(box + "(assert (and (<= Y_0 1) (<= Y_1 -0.5)))"), 3000);
  CHECK(both.unsafe <= Rational(1) / 4);
  CHECK(both.unsafe > Rational(1) / 5);
  CHECK(both.safe <= Rational(3) / 4);
  CHECK(both.safe > Rational(7) / 10);
  const Coverage either = shares(unchanged_net(2), parsed_property(box + "(assert (or (<= Y_0 1) (<= Y_1 -0.5)))"), 3000);
  CHECK(either.unsafe <= Rational(3) / 4);
  CHECK(either.unsafe > Rational(7) / 10);
  CHECK(either.safe <= Rational(1) / 4);
  CHECK(either.safe > Rational(1) / 5);
}

TEST_CASE("coverage ends: all safe, all unsafe, out of boxes, stopped, no room to halve", "[audit]") {
  const DenseNet net = unchanged_net(1);
  const auto in = [](const std::string& box, const std::string& claim) { return parsed_property("(declare-const X_0 Real)(declare-const Y_0 Real)(assert " + box + ")(assert " + claim + ")"); };
  const Coverage safe = shares(net, in("(<= 0 X_0 1)", "(>= Y_0 2)"), 0);
  CHECK((safe.complete && safe.safe == 1 && safe.unsafe == 0 && safe.boxes == 1));
  const Coverage unsafe = shares(net, in("(<= 0 X_0 1)", "(<= Y_0 2)"), 0);
  CHECK((unsafe.complete && unsafe.unsafe == 1 && unsafe.safe == 0));
  const Coverage input_only = shares(net, in("(<= 0 X_0 1)", "(<= 0 1)"), 0);
  CHECK((input_only.complete && input_only.unsafe == 1));
  const Coverage cut = shares(net, in("(<= 0 X_0 1)", "(<= Y_0 0.3)"), 1);
  CHECK((!cut.complete && cut.safe == 0 && cut.unsafe == 0 && cut.boxes == 1 && cut.open_boxes == 2 && !cut.reason.empty()));
  const Coverage point = shares(net, in("(<= 0.5 X_0 0.5)", "(<= Y_0 0.5)"), 0);  // a tie that rounding hides, and nothing to halve
  CHECK(point.safe == 0);
  CHECK(point.unsafe + (point.complete ? 0 : 1) == 1);
  CoverageOptions o;
  o.device = test_device();
  std::atomic<bool> flag = true;
  o.stop = StopToken::on(&flag);
  const auto stopped = cover(network_of(graph_of(net)), in("(<= 0 X_0 1)", "(>= Y_0 2)"), 0, o);
  REQUIRE(stopped.ok());
  CHECK((stopped->safe == 0 && !stopped->complete && stopped->reason == "stopped on request"));
  const auto empty = cover(network_of(graph_of(net)), in("(<= 1 X_0 0)", "(>= Y_0 2)"), 0, {});
  REQUIRE(!empty.ok());
}

TEST_CASE("Clopper-Pearson against known values and exact binomial sums", "[audit]") {
  CHECK(clopper_pearson(0, 10, 0.95).lower == 0);
  CHECK(clopper_pearson(0, 10, 0.95).upper == Approx(0.30849710781876083).epsilon(1e-8));
  CHECK(clopper_pearson(10, 10, 0.95).lower == Approx(1 - 0.30849710781876083).epsilon(1e-8));
  CHECK(clopper_pearson(10, 10, 0.95).upper == 1);
  CHECK(clopper_pearson(5, 10, 0.95).lower == Approx(0.1870860284).epsilon(1e-7));
  CHECK(clopper_pearson(5, 10, 0.95).upper == Approx(0.8129139716).epsilon(1e-7));
  for (const std::int64_t n : {1, 7, 30, 60})
    for (std::int64_t k = 0; k <= n; k += 1 + n / 9)
      for (const double confidence : {0.5, 0.95, 0.999}) {
        const ShareBounds s = clopper_pearson(k, n, confidence);
        const Rational tail = (1 - exact(confidence)) / 2;
        INFO(k << " of " << n << " at " << confidence);
        if (k > 0) {
          REQUIRE(at_least(k, n, exact(s.lower)) <= tail);
          REQUIRE(at_least(k, n, exact(s.lower * (1 + 1e-6))) > tail);
        }
        if (k < n) {
          REQUIRE(1 - at_least(k + 1, n, exact(s.upper)) <= tail);
          REQUIRE(1 - at_least(k + 1, n, exact(s.upper) - (1 - exact(s.upper)) * exact(1e-6)) > tail);
        }
      }
}

TEST_CASE("the certified radius brackets the threshold", "[audit]") {
  const auto answering = [](double proved_to, double broken_from, int* asked) {
    return [=](double r) -> Result<VerifyResult> {
      ++*asked;
      VerifyResult v;
      v.answer = r <= proved_to ? Answer::unsat : r >= broken_from ? Answer::sat : Answer::unknown;
      if (v.answer == Answer::sat) v.counterexample.emplace();
      return v;
    };
  };
  for (const double truth : {1e-5, 0.003, 0.0123, 0.4, 0.99}) {
    int asked = 0;
    const auto r = certified_radius(answering(truth, std::nextafter(truth, 2), &asked), {});
    REQUIRE(r.ok());
    INFO(truth);
    CHECK((r->certified <= truth && r->falsified > truth && r->falsified <= 1.05 * r->certified));
    CHECK((r->complete && r->counterexample && r->queries == asked && asked < 40));
  }
  int asked = 0;
  const auto gap = certified_radius(answering(0.1, 0.3, &asked), {});
  CHECK((gap->certified <= 0.1 && gap->certified > 0.095 && gap->falsified >= 0.3 && !gap->complete));
  const auto all = certified_radius(answering(5, 6, &asked), {});
  CHECK((all->certified == 1 && std::isinf(all->falsified) && all->complete));
  const auto none = certified_radius(answering(-1, 0, &asked), {});
  CHECK((none->certified == 0 && none->falsified <= 2e-6 && none->complete));
  const auto never = certified_radius(answering(-1, 9, &asked), {});
  CHECK((never->certified == 0 && std::isinf(never->falsified) && !never->complete));
  std::atomic<bool> flag = true;
  RadiusOptions stopped;
  stopped.stop = StopToken::on(&flag);
  CHECK(certified_radius(answering(1, 2, &asked), stopped)->queries == 0);
}
