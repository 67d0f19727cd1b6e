// The search without rounding: the integer simplex against vertices, networks in rationals, and questions that touch.
#include "nets.hpp"

#include "boundlight/solver/bab/exact_polytope.hpp"
#include "boundlight/solver/bab/exact_search.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

LinearConstraint at_most(std::vector<LinearTerm> outputs, const Rational& bound, bool strict) {
  LinearConstraint c;
  c.outputs = std::move(outputs);
  c.bound = bound;
  c.strict = strict;
  return c;
}

VerifyResult answered(const Case& c, Exact exact, bool attack = false) {
  VerifyOptions o;
  o.exact = exact;
  o.attack = attack;
  o.most_domains = 20000;
  o.model_bytes = std::make_shared<const std::string>(c.model);
  auto r = verify(c.network, c.property, o);
  REQUIRE(r.ok());
  return r.value();
}

// y = |x0| + |x1| in ReLUs: the least value, 0, at one inner point.
DenseNet absolute_values(double at0, double at1) {
  DenseNet net;
  DenseNet::Layer first, second;
  for (const double s : {1.0, -1.0}) {
    first.weight.push_back({s, 0});
    first.bias.push_back(-s * at0);
    first.weight.push_back({0, s});
    first.bias.push_back(-s * at1);
  }
  second.weight.push_back({1, 1, 1, 1});
  second.bias.push_back(0);
  net.layers = {first, second};
  return net;
}

}  // namespace

TEST_CASE("the integer simplex finds the greatest value over random polytopes", "[exact]") {
  std::mt19937_64 random(9);
  const auto whole = [&](int from, int to) { return bab::BigInt(std::uniform_int_distribution<int>(from, to)(random)); };
  int empty = 0;
  for (int n = 0; n < 300; ++n) {
    // In the plane: every vertex is where two of the lines meet.
    bab::ExactPolytope p({whole(0, 9), whole(1, 9)});
    std::vector<bab::IntegerForm> lines;
    const int rows = n % 6;
    for (int r = 0; r < rows; ++r) lines.push_back({whole(-5, 5), whole(-5, 5), whole(-12, 20)});
    for (const auto& l : lines) p.push(l);
    const bab::IntegerForm goal = {whole(-7, 7), whole(-7, 7), whole(-3, 3)};
    bab::ExactPolytope box = p;
    for (int r = 0; r < rows; ++r) box.pop();
    const Rational right = box.most({1, 0, 0})->value, top = box.most({0, 1, 0})->value;
    std::vector<std::vector<Rational>> all = {{1, 0, 0}, {0, 1, 0}, {-1, 0, right}, {0, -1, top}};
    for (const auto& l : lines) all.push_back({Rational(l[0]), Rational(l[1]), Rational(l[2])});
    const auto value = [](const auto& form, const Rational& x, const Rational& y) { return Rational(Rational(form[0]) * x + Rational(form[1]) * y + Rational(form[2])); };
    std::optional<Rational> best;
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t k = i + 1; k < all.size(); ++k) {
        const Rational det = all[i][0] * all[k][1] - all[i][1] * all[k][0];
        if (det == 0) continue;
        const Rational x = (all[i][1] * all[k][2] - all[k][1] * all[i][2]) / det, y = (all[k][0] * all[i][2] - all[i][0] * all[k][2]) / det;
        if (std::any_of(all.begin(), all.end(), [&](const auto& l) { return value(l, x, y) < 0; })) continue;
        const Rational g = value(goal, x, y);
        if (!best || g > *best) best = g;
      }
    const auto most = p.most(goal);
    INFO("polytope " << n);
    REQUIRE(most.has_value() == best.has_value());
    empty += best ? 0 : 1;
    if (!best) continue;
    CHECK(most->value == *best);
    CHECK(value(goal, most->point[0], most->point[1]) == *best);
    for (const auto& l : all) CHECK(value(l, most->point[0], most->point[1]) >= 0);
  }
  CHECK(empty > 20);
}

TEST_CASE("networks in exact arithmetic give what rationals give", "[exact]") {
  std::mt19937_64 random(17);
  for (int n = 0; n < 20; ++n) {
    const Case c = case_of(random_net(random, {3, 5, 4, 2}), {-1, -1, -1}, {1, 1, 1}, {{at_most({{0, 1}}, 0, false)}});
    const auto network = bab::ExactNetwork::read(*c.network, &c.model);
    REQUIRE(network);
    std::vector<Rational> x;
    for (int i = 0; i < 3; ++i) x.push_back(Rational(std::uniform_int_distribution<int>(-300, 300)(random), 1 + std::uniform_int_distribution<int>(0, 300)(random)));
    CHECK(network->at(x) == exact_values(c.net, x).back());
    const std::string other = c.model + " ";
    CHECK_FALSE(bab::ExactNetwork::read(*c.network, &other));  // another file
  }
}

TEST_CASE("thresholds that are touched are decided, strict and not", "[exact]") {
  for (const bool strict : {false, true}) {
    const Case c = case_of(absolute_values(0.3125, -0.125), {-1, -1}, {1, 1}, {{at_most({{0, 1}}, 0, strict)}});
    const VerifyResult without = answered(c, Exact::off), with = answered(c, Exact::automatic), only = answered(c, Exact::only);
    CHECK(without.answer != Answer::unsat);
    CHECK(with.answer == (strict ? Answer::unsat : Answer::sat));
    CHECK(only.answer == with.answer);
    if (!strict) check_counterexample(c, with);
    if (!strict) check_counterexample(c, only);
  }
  // The only violating point is (1/3, 1/3), no double.
  Case c = case_of(absolute_values(0, 0), {-1, -1}, {1, 1}, {});
  PropertyBuilder b(2, 1);
  const Rational third(1, 3);
  b.disjunct(b.box(std::vector<Rational>{third, third}, std::vector<Rational>{1, 1}), {at_most({{0, 1}}, Rational(2, 3), false)});
  c.property = parse_vnnlib(to_vnnlib(std::move(b).build()), "third.vnnlib").value();
  const VerifyResult r = answered(c, Exact::only);
  CHECK(r.answer == Answer::unknown);
  CHECK(r.reason.find("X_0 = 1/3, X_1 = 1/3") != std::string::npos);
}

TEST_CASE("a tie at a point that enclosures cannot decide is proved without rounding", "[exact]") {
  // f(1) = 0.1f * 1 - 0.1f + ... = 0 exactly, after sums that round.
  DenseNet net;
  DenseNet::Layer first, second;
  const double tenth = static_cast<double>(0.1F), seventh = static_cast<double>(0.7F);
  first.weight = {{tenth}, {seventh}};
  first.bias = {seventh, tenth};
  second.weight = {{1, -1}};
  second.bias = {0};
  net.layers = {first, second};
  const Case c = case_of(net, {0}, {1}, {{at_most({{0, 1}}, 0, false)}});  // 0.1 x + 0.7 - 0.7 x - 0.1 <= 0: x = 1 only
  CHECK(answered(c, Exact::off, true).answer != Answer::unsat);
  const VerifyResult r = answered(c, Exact::automatic, true);
  CHECK(r.answer == Answer::sat);
  check_counterexample(c, r);
}

TEST_CASE("the exact search says when it cannot, and keeps its limits", "[exact]") {
  std::mt19937_64 random(2);
  const Case c = case_of(random_net(random, {3, 8, 8, 2}), {-1, -1, -1}, {1, 1, 1}, {{at_most({{0, 1}}, -1000, false)}});
  const auto network = bab::ExactNetwork::read(*c.network, &c.model);
  REQUIRE(network);
  bab::ExactLimits few;
  few.programs = 3;
  const auto cut = bab::decide_exactly(*network, c.property, {0}, few, {});
  CHECK_FALSE(cut.complete);
  CHECK(cut.reason.find("limit") != std::string::npos);
  few = {};
  few.inputs = 2;
  CHECK_FALSE(bab::decide_exactly(*network, c.property, {0}, few, {}).complete);
  few = {};
  few.cost = 10;
  CHECK_FALSE(bab::decide_exactly(*network, c.property, {0}, few, {}).complete);
  const std::atomic<bool> set = true;
  CHECK_FALSE(bab::decide_exactly(*network, c.property, {0}, {}, StopToken::on(&set)).complete);
  CHECK(bab::decide_exactly(*network, c.property, {0}, {}, {}).complete);
  VerifyOptions o;
  o.exact = Exact::only;
  o.semantics = Semantics::float32_any_order;
  o.model_bytes = std::make_shared<const std::string>(c.model);
  const auto floats = verify(c.network, c.property, o);
  REQUIRE(floats.ok());
  CHECK(floats.value().answer == Answer::unknown);
  CHECK(floats.value().reason.find("real arithmetic") != std::string::npos);
}
