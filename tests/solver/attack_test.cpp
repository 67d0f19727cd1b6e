// The attack: every violation that it claims is one in exact rationals, and easy ones are found.
#include <catch2/catch.hpp>

#include "boundlight/solver/attack/ascent.hpp"
#include "boundlight/solver/attack/falsify.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"
#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

ValueId output_of(const Engine& engine) { return engine.network().outputs[0]; }

std::vector<Rational> exact_point(const std::vector<double>& x) {
  std::vector<Rational> q;
  for (const double v : x) q.push_back(exact(v));
  return q;
}

// f(x) as the identity of n inputs.
DenseNet identity_net(std::size_t n) {
  DenseNet net;
  DenseNet::Layer layer;
  for (std::size_t i = 0; i < n; ++i) {
    layer.weight.emplace_back(n, 0.0);
    layer.weight.back()[i] = 1;
  }
  layer.bias.assign(n, 0.0);
  net.layers = {layer};
  return net;
}

Property property_of(const std::string& text) {
  auto p = parse_vnnlib(text, "test");
  if (!p.ok()) throw std::runtime_error(p.error().text());
  return std::move(*p);
}

Falsification run(const DenseNet& net, const Property& p, const FalsifyOptions& o = {}) {
  const auto engine = engine_of(net);
  auto found = falsify(*engine, output_of(*engine), p, o);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return std::move(*found);
}

// What a claim has to hold, in exact arithmetic.
void require_true(const DenseNet& net, const Property& p, const Violation& v) {
  const auto x = exact_point(v.input);
  const auto y = exact_values(net, x).back();
  REQUIRE(contains(p.box_of(p.disjuncts[v.disjunct]), x));
  for (const auto& c : p.disjuncts[v.disjunct].constraints) REQUIRE(holds(c, x, y));
  for (std::size_t j = 0; j < y.size(); ++j) REQUIRE((exact(v.output[j].lo) <= y[j] && y[j] <= exact(v.output[j].hi)));
  bool all_float = true;
  for (const double d : v.input) all_float = all_float && static_cast<double>(static_cast<float>(d)) == d;
  REQUIRE(v.float32_input == all_float);
}

}  // namespace

TEST_CASE("thresholds around the exact minimum: below it nothing is claimed, above it every claim is true and most are found", "[attack]") {
  int above = 0, found_above = 0;
  for (std::uint64_t seed = 0; seed < 160; ++seed) {
    const auto style = static_cast<Style>(seed % static_cast<std::uint64_t>(Style::count));
    const HardCase c = hard_case(style, seed);
    const ExactCells cells(c.net, c.lower, c.upper);
    const ExactRange range = cells.ranges.back()[0];
    for (const bool possible : {false, true}) {
      const Rational width = range.upper - range.lower;
      const Rational step = width == 0 ? exact(0x1p-200) : width / 20;
      LinearConstraint claim;
      claim.outputs = {{0, 1}};
      claim.bound = possible ? range.lower + step : range.lower - exact(0x1p-220);
      PropertyBuilder builder(static_cast<std::int64_t>(c.net.inputs()), static_cast<std::int64_t>(c.net.outputs()));
      const auto box = builder.box(c.lower, c.upper);
      builder.disjunct(box, {claim});
      const Property p = std::move(builder).build();
      FalsifyOptions o;
      o.seed = seed;
      o.rounds = 6;
      const Falsification f = run(c.net, p, o);
      INFO("seed " << seed << " style " << static_cast<int>(style) << " possible " << possible);
      if (!possible) REQUIRE(!f.violation);
      if (f.violation) require_true(c.net, p, *f.violation);
      if (possible && style == Style::plain && width > 0) ++above, found_above += f.violation.has_value();
    }
  }
  INFO(found_above << " of " << above);
  CHECK(found_above == above);
  CHECK(above >= 15);
}

TEST_CASE("conjunctions, half-spaces of inputs, several boxes", "[attack]") {
  const DenseNet net = identity_net(2);
  const std::string declare = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)";
  // Only a thin sliver satisfies everything, and only in the second box.
  const Property p = property_of(declare + "(assert (or (and (<= 0 X_0 1) (<= 0 X_1 1) (>= Y_0 2))"
                                           "(and (<= 3 X_0 4) (<= -1 X_1 1) (>= (+ X_0 X_1) 4.9) (>= (- Y_0 Y_1) 2.9) (<= Y_1 0.999))))");
  const Falsification f = run(net, p);
  REQUIRE(f.violation);
  CHECK(f.violation->disjunct == 1);
  require_true(net, p, *f.violation);
  FalsifyOptions skipping;
  skipping.skip = {false, true};
  CHECK(!run(net, p, skipping).violation);
  FalsifyOptions told;
  told.points = {{3.96875, 0.96875}};
  told.rounds = 1, told.starts = 1, told.steps = 0;
  CHECK(run(net, p, told).violation);
  told.points = {{3.0, 0.0}};
  CHECK(!run(net, p, told).violation);
}

TEST_CASE("ties, strict ends, boxes without float32 numbers and without doubles", "[attack]") {
  const DenseNet net = identity_net(1);
  const std::string declare = "(declare-const X_0 Real)(declare-const Y_0 Real)";
  const auto at = [&](const std::string& asserts) { return property_of(declare + asserts); };
  const Property open = at("(assert (and (<= 0 X_0) (< X_0 1) (>= Y_0 1)))");
  CHECK(!run(net, open).violation);
  const Property fine = at("(assert (and (<= 0.1 X_0) (<= X_0 0.100000000000001) (>= Y_0 0.1)))");  // float32's 0.1 lies above
  const Falsification f = run(net, fine);
  REQUIRE(f.violation);
  CHECK(!f.violation->float32_input);
  require_true(net, fine, *f.violation);
  const Property coarse = at("(assert (and (<= 0.1 X_0) (<= X_0 0.2) (>= Y_0 0.15)))");
  const Falsification g = run(net, coarse);
  REQUIRE(g.violation);
  CHECK(g.violation->float32_input);
  CHECK(!run(net, at("(assert (and (<= (/ 1 3) X_0) (<= X_0 (/ 1 3)) (>= Y_0 0)))")).violation);
  CHECK(!run(net, at("(assert (and (<= 1 X_0) (<= X_0 0) (>= Y_0 0)))")).violation);
}

TEST_CASE("rounding is no violation: the network of absorbed biases (T7)", "[attack]") {
  // y = relu(x_0 + 2^25) - relu(x_1 + 1) - 2^25: in float32 0, in truth -1 +- 0.002.
  DenseNet net;
  net.layers = {{{{1, 0}, {0, 1}}, {0x1p25, 1}}, {{{1, -1}}, {-0x1p25}}};
  const std::string box = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (<= -0.001 X_0 0.001))(assert (<= -0.001 X_1 0.001))";
  CHECK(!run(net, property_of(box + "(assert (>= Y_0 -0.5))")).violation);
  const Property truth = property_of(box + "(assert (<= Y_0 -0.5))");
  const Falsification f = run(net, truth);
  if (f.violation) require_true(net, truth, *f.violation);
}

TEST_CASE("every rule of steps climbs a plane to its corner, and stops when told what is enough", "[attack]") {
  DenseNet net;
  net.layers = {{{{1, -2, 0.5}}, {0}}};
  const auto engine = engine_of(net);
  for (const StepRule rule : {StepRule::adam, StepRule::sign, StepRule::length}) {
    AscentProblem p;
    p.value = output_of(*engine);
    p.batch = 2;
    p.lower = {-1, -1, -1};
    p.upper = {1, 1, 3};
    p.start = random_starts(p.lower, p.upper, 2, 7);
    p.score = [](std::int64_t, const double* y, double* w) { w[0] = 1; return y[0]; };
    AscentOptions o;
    o.rule = rule;
    o.steps = 60;
    auto found = ascend(*engine, p, o);
    REQUIRE(found.ok());
    for (const double s : found->score) CHECK(s == Approx(1 + 2 + 1.5));
    o.enough = -100;
    auto early = ascend(*engine, p, o);
    REQUIRE(early.ok());
    CHECK(early->evaluations == 2);
    // A score of the input alone: the value's gradient says nothing.
    p.input_score = [](std::int64_t, const double* x, const double*, double*, double* v) { v[1] = 1; return x[1]; };
    o.enough = std::numeric_limits<double>::infinity();
    auto inputs = ascend(*engine, p, o);
    REQUIRE(inputs.ok());
    CHECK(inputs->score[0] == Approx(1));
  }
}

TEST_CASE("a counterexample is written so that it reads back the same", "[attack]") {
  Violation v;
  v.input = {0.1, -1.0 / 3, 1e-300, 0};
  v.replay = {static_cast<double>(0.1F), -2};
  CHECK(to_counterexample(v) == "((X_0 0.10000000000000001)\n (X_1 -0.33333333333333331)\n (X_2 1e-300)\n (X_3 0)\n (Y_0 0.10000000149011612)\n (Y_1 -2))\n");
}

TEST_CASE("a property of another size is refused", "[attack]") {
  const auto engine = engine_of(identity_net(2));
  const Property p = property_of("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= 0 X_0 1))(assert (<= Y_0 1))");
  const auto found = falsify(*engine, output_of(*engine), p, {});
  REQUIRE(!found.ok());
  CHECK(found.error().message.find("1 inputs") != std::string::npos);
}
