// Networks on which verifiers were wrong in public (T7, T8, T9, T11, T12, T15 of the list in docs/soundness.md), and how
// bounds move when regions do (T17).
#include <catch2/catch.hpp>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/exact_cells.hpp"
#include "support/graph_build.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

constexpr double kBeyond = std::numeric_limits<double>::infinity();
const std::vector<Method> kMethods = {Method::interval, Method::forward, Method::crown, Method::combined};
const std::vector<Precision> kPrecisions = {Precision::single, Precision::dual, Precision::automatic};

struct OutputBounds {
  double lower, upper;
};

OutputBounds first_output(Engine& engine, const std::vector<double>& lower, const std::vector<double>& upper, const BoundOptions& options) {
  const Network& n = engine.network();
  const auto found = engine.bound(box_of(lower, upper), elements_of(n, n.values[static_cast<std::size_t>(n.outputs[0])].name), options);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return {found.value().lower[0], found.value().upper[0]};
}

template <class Check>
void every_setting(const Check& check) {
  for (const Method m : kMethods)
    for (const Precision p : kPrecisions) {
      BoundOptions options;
      options.method = m;
      options.precision = p;
      INFO("method " << static_cast<int>(m) << " precision " << static_cast<int>(p));
      check(options);
    }
}

// One binary32 sum of products in a given order, fused or not.
float float_dot(const std::vector<float>& w, const std::vector<float>& x, const std::vector<std::size_t>& order, bool fused, float start) {
  float sum = start;
  for (const std::size_t i : order) sum = fused ? std::fma(w[i], x[i], sum) : sum + w[i] * x[i];
  return sum;
}

}  // namespace

TEST_CASE("T7: a bias of 2^25 does not absorb the truth") {
  DenseNet net;
  net.layers.push_back({{{1, 0}, {0, 1}}, {std::ldexp(1.0, 25), 1}});
  net.layers.push_back({{{1, -1}}, {-std::ldexp(1.0, 25)}});
  auto engine = engine_of(net);
  every_setting([&](BoundOptions options) {
    for (const Semantics s : {Semantics::real, Semantics::float32_any_order}) {
      options.semantics = s;
      const OutputBounds b = first_output(*engine, {-1e-3, -1e-3}, {1e-3, 1e-3}, options);
      CHECK(b.lower <= -1.002);
      CHECK(b.upper >= -0.998);
      if (s == Semantics::float32_any_order) CHECK(b.upper >= 0);  // what binary32 says: 0
    }
  });
}

TEST_CASE("T8: every order of summation lies in the deployed bounds") {
  DenseNet net;
  std::vector<double> row{1e8, -1e8};
  row.resize(1002, 1.0);
  net.layers.push_back({{row}, {0}});
  auto engine = engine_of(net);
  const std::vector<double> ones(1002, 1.0);
  std::vector<float> w(row.begin(), row.end()), x(1002, 1.0F);
  std::mt19937_64 random(8);
  every_setting([&](BoundOptions options) {
    OutputBounds b = first_output(*engine, ones, ones, options);
    CHECK(b.lower <= 1000);
    CHECK(b.upper >= 1000);
    options.semantics = Semantics::float32_any_order;
    b = first_output(*engine, ones, ones, options);
    std::vector<std::size_t> order(1002);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int i = 0; i < 60; ++i) {
      const float y = float_dot(w, x, order, i % 2 == 1, 0);
      CHECK(b.lower <= static_cast<double>(y));
      CHECK(b.upper >= static_cast<double>(y));
      std::shuffle(order.begin(), order.end(), random);
      if (i == 1) std::swap(order[1], order[1001]);
    }
    CHECK(b.lower <= 0);  // 1e8, the ones, then -1e8
  });
}

TEST_CASE("T9: a trigger neuron behind 2^60") {
  // relu(2^60 h + 1) - 2^60 h, with h = relu(x), x in [0, 0.5]
  DenseNet net;
  const double big = std::ldexp(1.0, 60);
  net.layers.push_back({{{1}}, {0}});
  net.layers.push_back({{{big}, {1}}, {1, 0}});
  net.layers.push_back({{{1, -big}}, {0}});
  auto engine = engine_of(net);
  every_setting([&](BoundOptions options) {
    OutputBounds b = first_output(*engine, {0}, {0.5}, options);
    CHECK(b.lower <= 1);
    CHECK(b.upper >= 1);
    options.semantics = Semantics::float32_any_order;
    b = first_output(*engine, {0}, {0.5}, options);
    CHECK(b.lower <= 0);
    CHECK(b.upper >= 1);
  });
}

TEST_CASE("T11, T12: boxes of no width, of one unit, of subnormals and signed zeros") {
  DenseNet net;
  net.layers.push_back({{{1, -1}, {1, 1}}, {0, 0}});
  net.layers.push_back({{{1, -1}}, {0}});
  auto engine = engine_of(net);
  const double tiny = std::numeric_limits<double>::denorm_min(), small = std::numeric_limits<float>::denorm_min();
  const std::vector<std::pair<std::vector<double>, std::vector<double>>> boxes = {
      {{1, 1}, {1, 1}},           {{1, 0}, {next_up(1.0), 0}},   {{1, 0}, {static_cast<double>(next_up(1.0F)), 0}},
      {{0.1, 0.3}, {0.1, 0.3}},   {{-tiny, 0}, {tiny, tiny}},    {{-small, -small}, {small, 0}},
      {{-0.0, 0.0}, {0.0, 0.0}},  {{0.1, -0.7}, {0.2, -0.6999}}, {{1e300, 1}, {1e300, 1}},
      {{-1e-40, 1e-45}, {1, 2}}};
  for (const auto& [lower, upper] : boxes) {
    const ExactCells cells(net, lower, upper);
    const ExactRange& range = cells.ranges.back()[0];
    every_setting([&](const BoundOptions& options) {
      const OutputBounds b = first_output(*engine, lower, upper, options);
      CHECK((b.lower == -kBeyond || exact(b.lower) <= range.lower));
      CHECK((b.upper == kBeyond || exact(b.upper) >= range.upper));
    });
  }
}

TEST_CASE("T12: an empty region is vacuous and is said to be empty") {
  auto engine = engine_of(hard_case(Style::plain, 3).net);
  const auto n = static_cast<std::size_t>(engine->network().input_size());
  std::vector<double> lower(n, 1), upper(n, 2);
  upper[0] = 0;
  const Network& net = engine->network();
  const auto found = engine->bound(box_of(lower, upper), elements_of(net, net.values[static_cast<std::size_t>(net.outputs[0])].name), {});
  REQUIRE(found.ok());
  CHECK(found.value().lower[0] == kBeyond);
  CHECK(found.value().upper[0] == -kBeyond);
  CHECK(std::any_of(found.value().notes.begin(), found.value().notes.end(), [](const std::string& s) { return s.find("empty") != std::string::npos; }));
}

TEST_CASE("T15: what is not a number is never a bound") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  DenseNet net;
  net.layers.push_back({{{1, 2}, {3, -1}}, {0, 1}});
  net.layers.push_back({{{1, -1}}, {0}});
  auto engine = engine_of(net);
  const std::vector<std::pair<std::vector<double>, std::vector<double>>> lost = {
      {{nan, 0}, {1, 1}}, {{0, 0}, {nan, 1}}, {{-kBeyond, 0}, {1, 1}}, {{0, 0}, {kBeyond, 1}}, {{-1e39, -1e39}, {1e39, 1e39}}, {{-1e308, 0}, {1e308, 1e308}}};
  for (const auto& [lower, upper] : lost)
    every_setting([&](const BoundOptions& options) {
      const OutputBounds b = first_output(*engine, lower, upper, options);
      CHECK(b.lower < 0);  // nothing may be claimed but what the box [-1, 1]^2 refutes as well
      CHECK(b.upper > 0);
      CHECK_FALSE(std::isnan(b.lower));
      CHECK_FALSE(std::isnan(b.upper));
    });
  for (const double bad : {nan, kBeyond, -kBeyond}) {
    DenseNet broken = net;
    broken.layers[0].weight[0][0] = bad;
    auto other = engine_of(broken);
    every_setting([&](const BoundOptions& options) {
      const OutputBounds b = first_output(*other, {-1, -1}, {1, 1}, options);
      CHECK(b.lower == -kBeyond);
      CHECK(b.upper == kBeyond);
    });
  }
}

TEST_CASE("T17: smaller regions have no looser bounds, with fixed slopes") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const HardCase c = hard_case(Style::plain, seed + 900);
    auto engine = engine_of(c.net);
    auto lower = c.lower, upper = c.upper;
    for (std::size_t i = 0; i < lower.size(); ++i) {
      lower[i] = c.lower[i] * 0.75 + c.upper[i] * 0.25;
      upper[i] = c.lower[i] * 0.375 + c.upper[i] * 0.625;
    }
    for (const Method m : {Method::interval, Method::crown})
      for (const SlopeRule rule : {SlopeRule::zero, SlopeRule::one}) {
        BoundOptions options;
        options.method = m;
        options.slopes = rule;
        options.precision = Precision::dual;
        const OutputBounds wide = first_output(*engine, c.lower, c.upper, options), narrow = first_output(*engine, lower, upper, options);
        const double slack = 1e-12 * (1 + std::fabs(wide.lower) + std::fabs(wide.upper));
        CHECK(narrow.lower >= wide.lower - slack);
        CHECK(narrow.upper <= wide.upper + slack);
      }
  }
}

TEST_CASE("combined is not looser than any engine that it combines") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % 2 ? 0 : 7), seed + 300);
    auto engine = engine_of(c.net);
    BoundOptions options;
    options.precision = Precision::dual;
    options.method = Method::combined;
    const OutputBounds both = first_output(*engine, c.lower, c.upper, options);
    for (const Method m : {Method::interval, Method::forward, Method::crown}) {
      options.method = m;
      const OutputBounds one = first_output(*engine, c.lower, c.upper, options);
      CHECK(both.lower >= one.lower - 1e-12 * (1 + std::fabs(one.lower)));
      CHECK(both.upper <= one.upper + 1e-12 * (1 + std::fabs(one.upper)));
    }
  }
}

TEST_CASE("constants of a Sum that cancel: the exact value, and binary32 in every order of addition") {
  const double large = 1e8, small = static_cast<double>(0.1F);
  GraphBuilder g(DataType::float32);
  const ValueId x = g.input({1});
  auto engine = engine_of(g.network({g.node("Sum", {g.constant({1}, {large}), x, g.constant({1}, {small}), g.constant({1}, {-large})})}));
  every_setting([&](BoundOptions options) {
    OutputBounds b = first_output(*engine, {0.75}, {0.75}, options);
    CHECK(exact(b.lower) <= exact(0.75) + exact(small));
    CHECK(exact(b.upper) >= exact(0.75) + exact(small));
    options.semantics = Semantics::float32_any_order;
    b = first_output(*engine, {0.75}, {0.75}, options);
    std::vector<float> terms = {-1e8F, 0.1F, 0.75F, 1e8F};
    do {
      const float sum = ((terms[0] + terms[1]) + terms[2]) + terms[3];
      CHECK(b.lower <= sum);
      CHECK(b.upper >= sum);
    } while (std::next_permutation(terms.begin(), terms.end()));
  });
}
