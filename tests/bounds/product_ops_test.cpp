// Products, quotients, sums and matrix products: exact matrices where they are linear, their formula where they are not.
#include <catch2/catch.hpp>

#include "support/linear_check.hpp"
#include "support/planes_check.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::vector<Digits100> pairwise(const std::vector<Digits100>& x, const Shape& a, const Shape& b, const Shape& out, const std::function<Digits100(Digits100, Digits100)>& f) {
  std::vector<Digits100> y;
  const auto na = static_cast<std::size_t>(*element_count(a));
  for (std::int64_t e = 0; e < *element_count(out); ++e) {
    std::int64_t rest = e, ia = 0, ib = 0, sa = 1, sb = 1;
    for (std::size_t back = 0; back < out.size(); ++back) {
      const std::int64_t at = rest % out[out.size() - 1 - back];
      rest /= out[out.size() - 1 - back];
      if (back < a.size()) {
        if (a[a.size() - 1 - back] != 1) ia += at * sa;
        sa *= a[a.size() - 1 - back];
      }
      if (back < b.size()) {
        if (b[b.size() - 1 - back] != 1) ib += at * sb;
        sb *= b[b.size() - 1 - back];
      }
    }
    y.push_back(f(x[static_cast<std::size_t>(ia)], x[na + static_cast<std::size_t>(ib)]));
  }
  return y;
}

}  // namespace

TEST_CASE("Add, Sub, Mul and Div with constants are linear, broadcasting either side", "[products]") {
  const Shape shapes[][2] = {{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{2, 3}, {2, 1}}, {{3}, {2, 3}}, {{2, 1}, {1, 4}}, {{1, 2, 2, 2}, {1, 2, 1, 1}}, {{4}, {}}};
  std::uint64_t seed = 3;
  for (const auto& s : shapes)
    for (const char* op : {"Add", "Sub", "Mul", "Div"})
      for (const bool constant_first : {false, true}) {
        if (constant_first && std::string(op) == "Div") continue;
        INFO(op << " " << to_string(s[0]) << " " << to_string(s[1]) << (constant_first ? ", constant first" : ""));
        GraphBuilder g;
        Draws draw(++seed);
        const ValueId x = g.input(s[0]);
        auto values = draw.integers(*element_count(s[1]), 1, 6);
        if (std::string(op) == "Div")
          for (auto& v : values) v = std::ldexp(draw.integer(0, 1) ? 1.0 : -1.0, static_cast<int>(v) - 3);
        const ValueId c = g.constant(s[1], values);
        check_linear_network(g.network({constant_first ? g.node(op, {c, x}) : g.node(op, {x, c})}), seed);
      }
  GraphBuilder g;
  const ValueId x = g.input({2, 3}), y = g.input({3});
  check_linear_network(g.network({g.node("Sub", {g.node("Add", {x, y}), g.node("Sub", {y, x})})}), 77);
  GraphBuilder inexact;
  const ValueId z = inexact.input({4});
  check_linear_network(inexact.network({inexact.node("Div", {z, inexact.constant({4}, {3, -7, 0.1, 1e3})})}), 78, 1e-14);
}

TEST_CASE("a product of two values lies between McCormick's planes", "[products]") {
  const Shape shapes[][2] = {{{3}, {3}}, {{2, 2}, {2}}, {{2, 1}, {1, 2}}};
  for (const auto& s : shapes) {
    GraphBuilder g;
    const ValueId a = g.input(s[0]), b = g.input(s[1]);
    const auto network = g.network({g.node("Mul", {a, b})});
    const Shape out = network->values[static_cast<std::size_t>(network->outputs[0])].shape;
    require_sound(check_planes(network, [&](const auto& x) { return pairwise(x, s[0], s[1], out, [](Digits100 u, Digits100 v) { return Digits100(u * v); }); }, {}));
  }
  GraphBuilder g;
  const ValueId x = g.input({3});
  const auto network = g.network({g.node("Mul", {x, x})});
  const auto report = check_planes(network, [](const auto& v) { return std::vector<Digits100>{v[0] * v[0], v[1] * v[1], v[2] * v[2]}; }, {});
  require_sound(report);
  // A square knows that both factors are the same: never below 0 by interval.
  auto engine = engine_of(network);
  Regions r;
  r.batch = 1;
  r.lower = {-1, -1, -1};
  r.upper = {2, 2, 2};
  BoundOptions options;
  options.method = Method::interval;
  CHECK(engine->boxes(r, options).value().lower[static_cast<std::size_t>(network->outputs[0])][0] == 0);
}

TEST_CASE("a quotient lies between its planes, for divisors of either sign", "[products]") {
  for (const bool negative : {false, true})
    for (const bool constant : {false, true}) {
      GraphBuilder g;
      const ValueId a = constant ? g.constant({3}, {1.5, -2, 0}) : g.input({3}), b = g.input({3});
      // |b| in [0.5, 4.5]: the planes see it through a sum and a sign
      const ValueId shifted = g.node("Add", {b, g.constant({}, {2.5})});
      const ValueId divisor = negative ? g.node("Mul", {shifted, g.constant({}, {-1})}) : shifted;
      const auto network = g.network({g.node("Div", {a, divisor})});
      PlanesCheck c;
      c.widths = {0, 0.1, 1, 2};
      auto report = check_planes(network, [&](const std::vector<Digits100>& x) {
        std::vector<Digits100> y;
        const Digits100 fixed[3] = {Digits100(1.5), Digits100(-2), Digits100(0)};
        for (std::size_t i = 0; i < 3; ++i) {
          const Digits100 d = (x[constant ? i : 3 + i] + Digits100(2.5)) * (negative ? -1 : 1);
          y.push_back((constant ? fixed[i] : x[i]) / d);
        }
        return y;
      }, c);
      require_sound(report);
    }
  // Divisors that may be 0 have no bounds, never wrong ones.
  GraphBuilder g;
  const ValueId a = g.input({1}), b = g.input({1});
  auto network = g.network({g.node("Div", {a, b})});
  auto engine = engine_of(network);
  Regions r;
  r.batch = 1;
  r.lower = {1, -1};
  r.upper = {1, 1};
  const auto bounds = engine->bound(r, identity_forms(*network), {});
  CHECK(bounds.value().lower[0] == -std::numeric_limits<double>::infinity());
  CHECK(bounds.value().upper[0] == std::numeric_limits<double>::infinity());
  GraphBuilder zero;
  auto refused = make_engine(zero.network({zero.node("Div", {zero.input({2}), zero.constant({2}, {1, 0})})}));
  if (refused.ok()) {
    const auto value = refused.value()->evaluate({1, 1}, 1, {refused.value()->network().outputs[0]}, Precision::dual);
    REQUIRE_FALSE(value.ok());
    CHECK_THAT(value.error().text(), Catch::Contains("divides by a constant 0"));
  }
}

TEST_CASE("MatMul with a constant on either side is linear", "[products]") {
  const Shape shapes[][2] = {{{3, 4}, {4, 2}}, {{4}, {4, 3}}, {{3, 4}, {4}}, {{4}, {4}}, {{2, 3, 4}, {4, 2}}, {{2, 3, 4}, {2, 4, 2}}, {{3, 4}, {2, 4, 2}}, {{2, 1, 3, 2}, {3, 2, 2}}};
  std::uint64_t seed = 300;
  for (const auto& s : shapes)
    for (const int side : {0, 1}) {
      INFO(to_string(s[0]) << " by " << to_string(s[1]) << ", side " << side);
      GraphBuilder g;
      Draws draw(++seed);
      const auto operand = [&](int k) { return k == side ? g.input(s[k]) : g.constant(s[k], draw.integers(*element_count(s[k]), -5, 5)); };
      const ValueId a = operand(0), b = operand(1);
      check_linear_network(g.network({g.node("MatMul", {a, b})}), seed);
    }
}

TEST_CASE("MatMul of two values lies between McCormick's planes", "[products]") {
  const Shape shapes[][2] = {{{2, 3}, {3, 2}}, {{3}, {3, 2}}, {{2, 2}, {2}}, {{2, 1, 2}, {2, 2}}, {{1, 2}, {2, 2, 1}}};
  for (const auto& s : shapes) {
    INFO(to_string(s[0]) << " by " << to_string(s[1]));
    GraphBuilder g;
    const ValueId a = g.input(s[0]), b = g.input(s[1]);
    const auto network = g.network({g.node("MatMul", {a, b})});
    const std::int64_t k = s[0].back(), m = s[0].size() > 1 ? s[0][s[0].size() - 2] : 1, n = s[1].size() > 1 ? s[1].back() : 1;
    const std::int64_t na = *element_count(s[0]), matrices_a = na / (m * k), matrices_b = *element_count(s[1]) / (k * n), matrices = std::max(matrices_a, matrices_b);
    const auto f = [&](const std::vector<Digits100>& x) {
      std::vector<Digits100> y;
      for (std::int64_t q = 0; q < matrices; ++q)
        for (std::int64_t i = 0; i < m; ++i)
          for (std::int64_t j = 0; j < n; ++j) {
            Digits100 sum = 0;
            for (std::int64_t t = 0; t < k; ++t)
              sum += x[static_cast<std::size_t>(((matrices_a == 1 ? 0 : q) * m + i) * k + t)] * x[static_cast<std::size_t>(na + ((matrices_b == 1 ? 0 : q) * k + t) * n + j)];
            y.push_back(sum);
          }
      return y;
    };
    PlanesCheck c;
    c.rounds = 3;
    require_sound(check_planes(network, f, c));
  }
}

TEST_CASE("Reshape and Transpose move elements", "[moves]") {
  GraphBuilder g;
  ValueId x = g.node("Transpose", {g.input({2, 3, 4})}, {{"perm", std::vector<std::int64_t>{2, 0, 1}}});
  x = g.node("Reshape", {x, g.integers({0, -1})});
  x = g.node("Transpose", {x});
  const auto network = g.network({x});
  CHECK(network->values[static_cast<std::size_t>(network->outputs[0])].shape == Shape{6, 4});
  const AffineMap m = affine_map(*network);
  // y[b * 3 + c][a] = x[b][c][a]: the identity
  for (std::size_t i = 0; i < 24; ++i) CHECK(m.matrix[i * 24 + i] == 1);
  check_linear_network(network);
}
