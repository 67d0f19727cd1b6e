// Forward planes carry an error per element; every operator hands on what the planes of its inputs were wrong by. Two products
// with weights that cancel make that error large, so a bound that forgets it misses the exact value.
#include <catch2/catch.hpp>

#include "support/graph_build.hpp"

namespace {

using namespace boundlight;
using namespace boundlight::test;

struct Cancelling {
  GraphBuilder graph{DataType::float32};
  ValueId x = 0, value = 0;
  double slope = 0;  // value = slope x, exactly
};

// x (a_i), then (b_i, -b_i + d_i): products of 2^40 that leave sums of 2^20.
Cancelling cancelling(std::uint64_t seed) {
  Cancelling c;
  Draws draw(seed);
  std::vector<double> ahead, back;
  for (int i = 0; i < 20; ++i) {
    const auto a = static_cast<double>(draw.integer(1 << 19, 1 << 20)), b = static_cast<double>(draw.integer(1 << 19, 1 << 20)), d = static_cast<double>(draw.integer(-2, 2));
    ahead.insert(ahead.end(), {a, a});
    back.insert(back.end(), {b, d - b});
    c.slope += a * d;
  }
  c.x = c.graph.input({1, 1});
  const ValueId middle = c.graph.node("MatMul", {c.x, c.graph.constant({1, 40}, ahead)});
  c.value = c.graph.node("MatMul", {middle, c.graph.constant({40, 1}, back)});
  return c;
}

// Points of [1, 1.5] that forward planes in float miss, over 20 networks that end in an operator whose value is known.
int missed(const std::function<ValueId(Cancelling&)>& last, const std::function<double(double)>& exact) {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Cancelling c = cancelling(seed);
    const auto network = c.graph.network({last(c)});
    Regions regions;
    regions.batch = 1;
    regions.lower = {1};
    regions.upper = {1.5};
    BoundOptions options;
    options.method = Method::forward;
    options.precision = Precision::single;
    const auto bounds = engine_of(network)->bound(regions, identity_forms(*network), options);
    REQUIRE(bounds.ok());
    for (const double x : {1.0, 1.25, 1.5}) {
      const double y = exact(c.slope * x);
      count += !(bounds->lower[0] <= y && y <= bounds->upper[0]);
    }
    CHECK(bounds->upper[0] < 1e12);
  }
  return count;
}

constexpr double kFar = 1e9;

}  // namespace

TEST_CASE("forward planes hand on the errors of the planes they were made from") {
  const auto at = [](Cancelling& c, double v) { return c.graph.constant({1, 1}, {v}); };
  CHECK(missed([](Cancelling& c) { return c.value; }, [](double y) { return y; }) == 0);
  CHECK(missed([&](Cancelling& c) { return c.graph.node("Max", {c.value, at(c, -kFar)}); }, [](double y) { return y; }) == 0);
  CHECK(missed([&](Cancelling& c) { return c.graph.node("LeakyRelu", {c.graph.node("Add", {c.value, at(c, kFar)})}); }, [](double y) { return y + kFar; }) == 0);
  CHECK(missed([&](Cancelling& c) { return c.graph.node("Gemm", {c.value, at(c, 2), at(c, 1)}, {{"transA", std::int64_t{1}}}); }, [](double y) { return 2 * y + 1; }) == 0);
  CHECK(missed([](Cancelling& c) { return c.graph.node("ReduceMax", {c.value}); }, [](double y) { return y; }) == 0);
  CHECK(missed([](Cancelling& c) { return c.graph.node("Neg", {c.value}); }, [](double y) { return -y; }) == 0);
}
