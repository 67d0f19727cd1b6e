// Changes of a network that leave its function alone leave its bounds alone, up to the charges (T16); chords of ReLU in exact
// arithmetic (T10); unknown operators (T3); what the deployed semantics covers and what it refuses (T24, T25).
#include <catch2/catch.hpp>
#include <algorithm>
#include <cmath>

#include "boundlight/core/rational.hpp"
#include "support/exact_cells.hpp"
#include "support/graph_build.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

const std::vector<Method> kRelatedMethods = {Method::interval, Method::forward, Method::crown, Method::combined};

BoundResult outputs_of(const DenseNet& net, const HardCase& c, Method method, Precision precision) {
  auto engine = engine_of(net);
  const Network& n = engine->network();
  BoundOptions options;
  options.method = method;
  options.precision = precision;
  auto found = engine->bound(box_of(c.lower, c.upper), elements_of(n, n.values[static_cast<std::size_t>(n.outputs[0])].name), options);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return std::move(found.value());
}

// Neurons of every hidden layer in another order.
DenseNet permuted(DenseNet net, std::mt19937_64& random) {
  for (std::size_t l = 0; l + 1 < net.layers.size(); ++l) {
    std::vector<std::size_t> order(net.layers[l].bias.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    const DenseNet from = net;
    for (std::size_t i = 0; i < order.size(); ++i) {
      net.layers[l].weight[i] = from.layers[l].weight[order[i]];
      net.layers[l].bias[i] = from.layers[l].bias[order[i]];
      for (std::size_t o = 0; o < net.layers[l + 1].bias.size(); ++o) net.layers[l + 1].weight[o][i] = from.layers[l + 1].weight[o][order[i]];
    }
  }
  return net;
}

// Every hidden neuron times a power of two, taken back in the next layer.
DenseNet scaled(DenseNet net, std::mt19937_64& random) {
  for (std::size_t l = 0; l + 1 < net.layers.size(); ++l)
    for (std::size_t i = 0; i < net.layers[l].bias.size(); ++i) {
      const double by = std::ldexp(1.0, std::uniform_int_distribution<int>(-6, 6)(random));
      for (double& w : net.layers[l].weight[i]) w *= by;
      net.layers[l].bias[i] *= by;
      for (auto& row : net.layers[l + 1].weight) row[i] /= by;
    }
  return net;
}

// Two more neurons per hidden layer that nothing comes into, or nothing goes out of.
DenseNet padded(DenseNet net) {
  for (std::size_t l = 0; l + 1 < net.layers.size(); ++l) {
    const std::size_t inputs = net.layers[l].weight[0].size();
    net.layers[l].weight.emplace_back(inputs, 0.0);
    net.layers[l].bias.push_back(0);
    net.layers[l].weight.emplace_back(inputs, 1.0);
    net.layers[l].bias.push_back(0.25);
    for (auto& row : net.layers[l + 1].weight) row.insert(row.end(), {3.0, 0.0});
  }
  return net;
}

// A layer that hands on what the first ReLUs say. Rounding leaves its ReLUs undecided by a hair: boxes and slopes may differ.
DenseNet with_identity(DenseNet net) {
  const std::size_t n = net.layers[0].bias.size();
  DenseNet::Layer same{std::vector<std::vector<double>>(n, std::vector<double>(n, 0.0)), std::vector<double>(n, 0.0)};
  for (std::size_t i = 0; i < n; ++i) same.weight[i][i] = 1;
  if (net.layers.size() > 1) net.layers.insert(net.layers.begin() + 1, same);
  return net;
}

// y = relu(y) - relu(-y) of the outputs.
DenseNet split(DenseNet net) {
  DenseNet::Layer last = net.layers.back(), join;
  const std::size_t n = last.bias.size();
  for (std::size_t i = 0; i < n; ++i) {
    join.weight.emplace_back(2 * n, 0.0);
    join.weight[i][i] = 1;
    join.weight[i][n + i] = -1;
    join.bias.push_back(0);
    std::vector<double> negative = last.weight[i];
    for (double& w : negative) w = -w;
    net.layers.back().weight.push_back(negative);
    net.layers.back().bias.push_back(-last.bias[i]);
  }
  net.layers.push_back(join);
  return net;
}

}  // namespace

TEST_CASE("T16: the same function written otherwise has sound bounds, and the same ones up to the charges") {
  std::mt19937_64 random(16);
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const HardCase c = hard_case(seed % 3 == 0 ? Style::active : Style::plain, seed + 1600);
    const ExactCells cells(c.net, c.lower, c.upper);
    const auto& truth = cells.ranges.back();
    const std::vector<std::pair<DenseNet, bool>> others = {{permuted(c.net, random), true}, {scaled(c.net, random), true}, {padded(c.net), true}, {with_identity(c.net), false}, {split(c.net), false}};
    for (const Method m : kRelatedMethods)
      for (const Precision p : {Precision::single, Precision::dual}) {
        const BoundResult first = outputs_of(c.net, c, m, p);
        for (std::size_t k = 0; k < others.size(); ++k) {
          const BoundResult other = outputs_of(others[k].first, c, m, p);
          for (std::size_t r = 0; r < truth.size(); ++r) {
            INFO("seed " << seed << " change " << k << " method " << static_cast<int>(m) << " precision " << static_cast<int>(p) << " row " << r);
            CHECK(exact(other.lower[r]) <= truth[r].lower);
            CHECK(exact(other.upper[r]) >= truth[r].upper);
            if (!others[k].second) continue;
            // Boxes on the way move by their own roundings too.
            const double slack = 2 * (first.charge[r] + other.charge[r]) + (p == Precision::single ? 1e-4 : 1e-12) * (1 + std::fabs(first.lower[r]) + std::fabs(first.upper[r]));
            CHECK(std::fabs(first.lower[r] - other.lower[r]) <= slack);
            CHECK(std::fabs(first.upper[r] - other.upper[r]) <= slack);
          }
        }
      }
  }
}

TEST_CASE("T10: chords of ReLU are above both ends, in exact arithmetic") {
  DenseNet net;
  net.layers.push_back({{{1}}, {0}});
  net.layers.push_back({{{1}}, {0}});
  auto engine = engine_of(net);
  const Network& n = engine->network();
  std::mt19937_64 random(10);
  std::normal_distribution<double> normal;
  for (const Precision p : {Precision::single, Precision::dual}) {
    Regions r;
    r.batch = 10000;
    for (std::int64_t b = 0; b < r.batch; ++b) {
      const auto size = [&] { return static_cast<double>(static_cast<float>(std::ldexp(std::fabs(normal(random)) + 1e-3, std::uniform_int_distribution<int>(-12, 12)(random)))); };
      r.lower.push_back(-size());
      r.upper.push_back(size());
    }
    BoundOptions options;
    options.precision = p;
    options.planes = true;
    const auto found = engine->bound(r, elements_of(n, "y2"), options);
    REQUIRE(found.ok());
    const BoundResult& b = found.value();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < r.lower.size(); ++i) {
      const Rational s = exact(b.upper_plane[i]), t = exact(b.upper_offset[i]), l = exact(r.lower[i]), u = exact(r.upper[i]);
      wrong += s * l + t < 0 || s * u + t < u ? 1 : 0;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("T3: an unknown operator is an error, also where nothing reads it") {
  for (const bool dead : {false, true}) {
    GraphBuilder g;
    const ValueId x = g.input({1, 2}), strange = g.node("NoSuchOperator", {x}), y = g.node("Relu", {dead ? x : strange});
    const auto made = g.prepared({y});
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().text().find("NoSuchOperator") != std::string::npos);
  }
}

TEST_CASE("T24: evaluations in 16 bits are not covered and are refused by name") {
  GraphBuilder g(DataType::float16);
  auto engine = engine_of(g.network({g.node("Relu", {g.input({1, 2})})}));
  BoundOptions options;
  CHECK(engine->bound(box_of({-1, -1}, {1, 1}), identity_forms(engine->network()), options).ok());
  options.semantics = Semantics::float32_any_order;
  const auto refused = engine->bound(box_of({-1, -1}, {1, 1}), identity_forms(engine->network()), options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text().find("16-bit") != std::string::npos);
}

TEST_CASE("T25: direct and gathered convolution lie in the deployed bounds, Winograd's does not and is said not to") {
  std::mt19937_64 random(25);
  std::normal_distribution<double> normal;
  int outside = 0;
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<float> w, x;
    for (int i = 0; i < 3; ++i) w.push_back(static_cast<float>(i == 1 ? std::ldexp(normal(random), -20) : normal(random)));
    for (int i = 0; i < 4; ++i) x.push_back(static_cast<float>(i == 1 ? std::ldexp(normal(random), 22) : normal(random)));
    GraphBuilder g(DataType::float32);
    const ValueId in = g.input({1, 1, 4});
    auto engine = engine_of(g.network({g.node("Conv", {in, g.constant({1, 1, 3}, std::vector<double>(w.begin(), w.end()))})}));
    BoundOptions options;
    options.semantics = Semantics::float32_any_order;
    const std::vector<double> at(x.begin(), x.end());
    const auto found = engine->bound(box_of(at, at), identity_forms(engine->network()), options);
    REQUIRE(found.ok());
    const auto inside = [&](std::size_t o, float y) { return found.value().lower[o] <= static_cast<double>(y) && static_cast<double>(y) <= found.value().upper[o]; };
    for (std::size_t o = 0; o < 2; ++o) {
      std::vector<std::size_t> order{0, 1, 2};
      do {
        float plain = 0, fused = 0;
        for (const std::size_t k : order) plain += w[k] * x[o + k], fused = std::fma(w[k], x[o + k], fused);
        CHECK(inside(o, plain));
        CHECK(inside(o, fused));
      } while (std::next_permutation(order.begin(), order.end()));
    }
    // F(2, 3): two outputs by four products of sums (Lavin and Gray 2016, section 4.1).
    const float m1 = (x[0] - x[2]) * w[0], m2 = (x[1] + x[2]) * ((w[0] + w[1] + w[2]) / 2), m3 = (x[2] - x[1]) * ((w[0] - w[1] + w[2]) / 2), m4 = (x[1] - x[3]) * w[2];
    outside += inside(0, m1 + m2 + m3) && inside(1, m2 - m3 - m4) ? 0 : 1;
  }
  CHECK(outside > 0);
  CHECK(std::string(find_op("Conv")->deployed).find("not Winograd") != std::string::npos);
}
