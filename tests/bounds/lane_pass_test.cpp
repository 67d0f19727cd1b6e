// Values and gradients of batches of small networks, in blocks of samples side by side: every number equals the host's second
// opinion, for batches that do and do not fill a block, whatever is asked for; loops of every instruction set that this machine has.
#include <catch2/catch.hpp>
#include <tbb/global_control.h>

#include <cmath>
#include <limits>

#include "boundlight/device/cpu/sample_lanes_set.hpp"
#include "support/answers_apart.hpp"
#include "support/graph_build.hpp"

using namespace boundlight;
using namespace boundlight::test;
using Integers = std::vector<std::int64_t>;

namespace {

struct Layer {
  const char* name;
  Shape input, weights;
  GraphBuilder::Attributes attributes;
  bool bias = true;
};

std::vector<Layer> layers() {
  return {
      {"one axis", {1, 2, 7}, {3, 2, 3}, {{"pads", Integers{1, 0}}}},
      {"asymmetric pads", {1, 2, 5, 6}, {7, 2, 3, 2}, {{"pads", Integers{1, 0, 2, 1}}}},
      {"strides that leave cells out", {1, 3, 8, 7}, {5, 3, 3, 3}, {{"strides", Integers{2, 3}}}},
      {"strides and pads", {1, 3, 8, 7}, {2, 3, 3, 3}, {{"strides", Integers{2, 3}}, {"pads", Integers{1, 1, 1, 1}}}},
      {"dilations", {1, 2, 9, 8}, {2, 2, 3, 2}, {{"dilations", Integers{2, 3}}, {"pads", Integers{2, 1, 0, 1}}}},
      {"pads beyond what is reached", {1, 1, 3, 4}, {2, 1, 2, 1}, {{"strides", Integers{9, 9}}, {"pads", Integers{6, 5, 1, 1}}}},
      {"groups", {1, 4, 5, 5}, {6, 2, 3, 3}, {{"group", std::int64_t{2}}, {"pads", Integers{1, 1, 1, 1}}}},
      {"depthwise", {1, 3, 5, 5}, {3, 1, 3, 3}, {{"group", std::int64_t{3}}}, false},
      {"pointwise", {1, 3, 4, 4}, {13, 3, 1, 1}, {}},
      {"pointwise with a stride", {1, 3, 5, 5}, {4, 3, 1, 1}, {{"strides", Integers{2, 2}}}},
      {"same lower", {1, 2, 5, 6}, {2, 2, 2, 4}, {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Integers{2, 2}}}},
      {"three axes", {1, 2, 4, 3, 4}, {2, 2, 2, 2, 3}, {{"pads", Integers{0, 1, 1, 1, 0, 1}}, {"strides", Integers{2, 1, 1}}}},
      {"one position", {1, 2, 4, 4}, {27, 2, 4, 4}, {}},
      {"one channel", {1, 1, 6, 3}, {1, 1, 2, 2}, {}, false},
      {"many channels", {1, 40, 2, 3}, {37, 40, 1, 2}, {}},
      {"two fixed samples", {2, 2, 4, 4}, {3, 2, 2, 2}, {}},
  };
}

ValueId conv(GraphBuilder& g, Draws& draw, ValueId x, const Layer& c) {
  std::vector<ValueId> inputs{x, g.constant(c.weights, draw.integers(*element_count(c.weights), -3, 3))};
  if (c.bias) inputs.push_back(g.constant({c.weights[0]}, draw.integers(c.weights[0], -5, 5)));
  return g.node("Conv", inputs, c.attributes);
}

// Integers, so that every order of summation gives the same number in float too.
void check_values(const std::shared_ptr<const Network>& network, const std::vector<ValueId>& wanted, std::uint64_t seed) {
  auto engine = engine_of(network);
  Draws draw(seed);
  for (const std::int64_t batch : {16, 17, 31, 48}) {
    const auto inputs = draw.integers(batch * network->input_size(), -3, 3);
    for (const Precision precision : {Precision::single, Precision::dual}) {
      const auto found = engine->evaluate(inputs, batch, wanted, precision);
      REQUIRE(found.ok());
      for (std::int64_t b = 0; b < batch; ++b) {
        const auto from = inputs.begin() + b * network->input_size();
        const auto values = reference_values(*network, {from, from + network->input_size()});
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          const auto expected = values[static_cast<std::size_t>(wanted[i])].to_doubles();
          const auto at = (*found)[i].begin() + b * static_cast<std::int64_t>(expected.size());
          INFO("batch " << batch << ", sample " << b << ", value " << network->values[static_cast<std::size_t>(wanted[i])].name);
          REQUIRE(std::vector<double>(at, at + static_cast<std::ptrdiff_t>(expected.size())) == expected);
        }
      }
    }
  }
}

// Gradients of a block are those of its samples alone, which go layer by layer (and are checked elsewhere, tests/bounds/conv_test.cpp
// and laws_test.cpp). Integers again.
void check_gradients(const std::shared_ptr<const Network>& network, ValueId value, std::uint64_t seed) {
  auto engine = engine_of(network);
  Draws draw(seed);
  const std::int64_t batch = 21, size = network->input_size(), width = network->values[static_cast<std::size_t>(value)].size;
  const auto inputs = draw.integers(batch * size, -3, 3), weights = draw.integers(batch * width, -2, 2);
  for (const Precision precision : {Precision::single, Precision::dual}) {
    const auto together = engine->gradient(inputs, batch, value, [&](const std::vector<double>&, std::vector<double>& w) { w = weights; }, precision, kAbsent);
    REQUIRE(together.ok());
    REQUIRE(together->inputs.size() == inputs.size());
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::vector<double> x(inputs.begin() + b * size, inputs.begin() + (b + 1) * size);
      const auto alone = engine->gradient(x, 1, value, [&](const std::vector<double>&, std::vector<double>& w) { std::copy_n(weights.begin() + b * width, width, w.begin()); }, precision, kAbsent);
      REQUIRE(alone.ok());
      INFO("sample " << b << ", value " << network->values[static_cast<std::size_t>(value)].name);
      REQUIRE(std::equal(alone->inputs.begin(), alone->inputs.end(), together->inputs.begin() + b * size));
      REQUIRE(std::equal(alone->values.begin(), alone->values.end(), together->values.begin() + b * width));
    }
  }
}

// Every variable value of the network.
std::vector<ValueId> all_values(const Network& network) {
  std::vector<ValueId> all;
  for (std::size_t v = 0; v < network.values.size(); ++v)
    if (!network.values[v].constant) all.push_back(static_cast<ValueId>(v));
  return all;
}

// A residual block, a pool on rows between blocks of lanes, dense layers of both kinds, an output that is read again.
std::shared_ptr<const Network> residual(std::uint64_t seed) {
  GraphBuilder g;
  Draws draw(seed);
  const ValueId x = g.input({1, 2, 6, 6});
  const ValueId a = g.node("Relu", {conv(g, draw, x, {"", {}, {4, 2, 3, 3}, {{"pads", Integers{1, 1, 1, 1}}}})});
  const ValueId b = conv(g, draw, a, {"", {}, {4, 4, 1, 1}, {}});
  const ValueId sum = g.node("Relu", {g.node("Add", {b, a})});
  const ValueId less = g.node("Sub", {sum, a});
  const ValueId pooled = g.node("MaxPool", {less}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
  const ValueId flat = g.node("Flatten", {pooled});
  const ValueId dense = g.node("Gemm", {flat, g.constant({13, 36}, draw.integers(13 * 36, -2, 2)), g.constant({13}, draw.integers(13, -4, 4))}, {{"transB", std::int64_t{1}}});
  const ValueId product = g.node("MatMul", {g.node("Relu", {dense}), g.constant({13, 5}, draw.integers(65, -2, 2))});
  const ValueId shifted = g.node("Add", {product, g.constant({5}, draw.integers(5, -9, 9))});
  return g.network({g.node("Relu", {g.node("Reshape", {shifted, g.integers({5, 1})})}), flat, b});
}

}  // namespace

TEST_CASE("batches of convolutions are their second opinion, number by number", "[lanes]") {
  std::uint64_t seed = 1;
  for (const auto& c : layers())
    for (const bool relu : {false, true}) {
      INFO(c.name << (relu ? ", rectified" : ""));
      GraphBuilder g;
      Draws draw(seed);
      const ValueId y = conv(g, draw, g.input(c.input), c);
      const auto network = g.network({relu ? g.node("Relu", {y}) : y});
      check_values(network, {network->outputs[0]}, seed++);
      check_gradients(network, network->outputs[0], seed);
    }
}

TEST_CASE("batches of whole networks: whatever is asked for", "[lanes]") {
  const auto network = residual(3);
  check_values(network, network->outputs, 4);
  check_values(network, all_values(*network), 5);
  for (const ValueId v : all_values(*network)) {
    check_values(network, {v}, 6);
    check_gradients(network, v, 7);
  }
}

TEST_CASE("batches of dense layers of any width", "[lanes]") {
  for (const std::int64_t width : {1, 5, 11, 12, 13, 24, 25, 100}) {
    INFO("width " << width);
    GraphBuilder g;
    Draws draw(static_cast<std::uint64_t>(width));
    const ValueId x = g.input({1, 9});
    const ValueId y = g.node("Relu", {g.node("Gemm", {x, g.constant({9, width}, draw.integers(9 * width, -4, 4)), g.constant({width}, draw.integers(width, -4, 4))})});
    const auto network = g.network({y});
    check_values(network, network->outputs, 7);
    check_gradients(network, network->outputs[0], 8);
  }
}

TEST_CASE("batches have the same bits for any number of threads, and for samples in any block", "[lanes]") {
  const auto network = residual(8);
  Draws draw(9);
  const std::int64_t batch = 75, size = network->input_size();
  const auto inputs = draw.reals(batch * size, -1, 1);
  const auto run = [&](std::size_t threads, std::int64_t count) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    auto engine = engine_of(network);
    const auto found = engine->evaluate({inputs.begin(), inputs.begin() + count * size}, count, network->outputs, Precision::single);
    REQUIRE(found.ok());
    return *found;
  };
  const auto one = run(1, batch), many = run(4, batch);
  if (answers_apart() == 0) CHECK(one == many);
  if (test_device() != "cpu") return;
  const auto fewer = run(4, 35);
  for (std::size_t i = 0; i < fewer.size(); ++i) CHECK(std::equal(fewer[i].begin(), fewer[i].end(), one[i].begin()));
}

TEST_CASE("a sample that is not a number spoils no other one of its block", "[lanes]") {
  const auto network = residual(10);
  const std::int64_t size = network->input_size();
  Draws draw(11);
  auto inputs = draw.integers(20 * size, -3, 3);
  auto engine = engine_of(network);
  const auto clean = engine->evaluate(inputs, 20, network->outputs, Precision::single);
  inputs[static_cast<std::size_t>(5 * size)] = std::numeric_limits<double>::quiet_NaN();
  const auto spoilt = engine->evaluate(inputs, 20, network->outputs, Precision::single);
  REQUIRE((clean.ok() && spoilt.ok()));
  for (std::size_t b = 0; b < 20; ++b) {
    const auto width = (*clean)[2].size() / 20;
    const std::vector<double> before((*clean)[2].begin() + static_cast<std::ptrdiff_t>(b * width), (*clean)[2].begin() + static_cast<std::ptrdiff_t>((b + 1) * width));
    const std::vector<double> after((*spoilt)[2].begin() + static_cast<std::ptrdiff_t>(b * width), (*spoilt)[2].begin() + static_cast<std::ptrdiff_t>((b + 1) * width));
    if (b != 5) CHECK((answers_apart() > 0 || before == after));
    else CHECK(std::any_of(after.begin(), after.end(), [](double x) { return std::isnan(x); }));  // rectified, and still no number
  }
}

namespace {

namespace cpu = boundlight::device_cpu;
constexpr std::int64_t kLanes = cpu::kSampleLanes;

template <class T>
std::vector<std::pair<std::string, cpu::LaneLoops<T>>> instruction_sets() {
  std::vector<std::pair<std::string, cpu::LaneLoops<T>>> sets(1);
  sets[0].first = "base";
  cpu::base::set_lanes(sets[0].second);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    sets.emplace_back("avx2", cpu::LaneLoops<T>{});
    cpu::avx2::set_lanes(sets.back().second);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    sets.emplace_back("avx512", cpu::LaneLoops<T>{});
    cpu::avx512::set_lanes(sets.back().second);
  }
#endif
  return sets;
}

template <class T>
std::vector<T> numbers(Draws& draw, std::int64_t count) {
  const auto drawn = draw.integers(count, -9, 9);
  return {drawn.begin(), drawn.end()};
}

constexpr double kGuard = 77;  // behind what a loop may write

template <class T>
void check_products(const cpu::LaneLoops<T>& loops, std::uint64_t seed) {
  Draws draw(seed);
  for (const std::int64_t positions : {1, 2, 3, 4, 5, 7, 9})
    for (std::int64_t channels = 1; channels <= 26; ++channels) {
      const std::int64_t terms = draw.integer(1, 7), cells = 30;
      std::vector<std::int32_t> at, term;
      for (std::int64_t p = 0; p < positions; ++p) at.push_back(static_cast<std::int32_t>(draw.integer(0, 14)));
      for (std::int64_t t = 0; t < terms; ++t) term.push_back(static_cast<std::int32_t>(draw.integer(0, 15)));
      const auto x = numbers<T>(draw, cells * kLanes), w = numbers<T>(draw, channels * terms), bias = numbers<T>(draw, channels);
      std::vector<T> packed(w.size());
      cpu::pack_lane_weights(channels, positions, terms, [&](std::int64_t c, std::int64_t t) { return w[static_cast<std::size_t>(c * terms + t)]; }, packed.data());
      const bool rectify = draw.integer(0, 1) == 1, biased = draw.integer(0, 1) == 1, channels_last = draw.integer(0, 1) == 1;
      std::vector<T> y(static_cast<std::size_t>(channels * positions * kLanes + 16), T(kGuard));
      const cpu::LaneProduct p{channels, positions, terms, at.data(), term.data(), channels_last ? 1 : positions, channels_last ? channels : 1};
      loops.multiply(p, x.data(), packed.data(), biased ? bias.data() : nullptr, rectify, y.data());
      bool good = std::all_of(y.end() - 16, y.end(), [](T v) { return v == T(kGuard); });
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t q = 0; q < positions; ++q)
          for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            T sum = biased ? bias[static_cast<std::size_t>(c)] : T(0);
            for (std::int64_t t = 0; t < terms; ++t)
              sum += w[static_cast<std::size_t>(c * terms + t)] * x[static_cast<std::size_t>((at[static_cast<std::size_t>(q)] + term[static_cast<std::size_t>(t)]) * kLanes + lane)];
            good = good && y[static_cast<std::size_t>((c * p.channel_step + q * p.position_step) * kLanes + lane)] == (rectify && sum < 0 ? T(0) : sum);
          }
      INFO("positions " << positions << ", channels " << channels << ", terms " << terms);
      REQUIRE(good);
    }
}

template <class T>
void check_turns(const cpu::LaneLoops<T>& loops, std::uint64_t seed) {
  Draws draw(seed);
  for (const std::int64_t n : {1, 3, 4, 8, 15, 16, 17, 40})
    for (std::int64_t count = 1; count <= kLanes; ++count) {
      const std::int64_t stride = n + 2;
      const auto doubles = draw.integers(count * stride, -99, 99);
      const std::vector<T> rows(doubles.begin(), doubles.end());
      std::vector<T> lanes(static_cast<std::size_t>(n * kLanes + 16), T(kGuard)), other = lanes, back(rows.size(), T(kGuard));
      loops.from_rows(n, rows.data(), stride, count, lanes.data());
      loops.from_doubles(n, doubles.data(), stride, count, other.data());
      bool good = lanes == other && std::all_of(lanes.end() - 16, lanes.end(), [](T v) { return v == T(kGuard); });
      for (std::int64_t e = 0; e < n; ++e)
        for (std::int64_t i = 0; i < kLanes; ++i) good = good && lanes[static_cast<std::size_t>(e * kLanes + i)] == rows[static_cast<std::size_t>(std::min(i, count - 1) * stride + e)];
      loops.to_rows(n, lanes.data(), count, back.data(), stride);
      for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t e = 0; e < stride; ++e) {
          const auto k = static_cast<std::size_t>(i * stride + e);
          good = good && back[k] == (e < n ? rows[k] : T(kGuard));
        }
      INFO("elements " << n << ", samples " << count);
      REQUIRE(good);
    }
}

template <class T>
void check_combinations(const cpu::LaneLoops<T>& loops, std::uint64_t seed) {
  Draws draw(seed);
  const std::int64_t n = 5;
  auto a = numbers<T>(draw, n * kLanes);
  const auto b = numbers<T>(draw, n * kLanes), w = numbers<T>(draw, n);
  a[3] = std::numeric_limits<T>::quiet_NaN();
  for (int choice = 0; choice < 32; ++choice) {
    const T sa = choice & 1 ? T(-1) : T(1), sb = choice & 2 ? T(-1) : T(1);
    const bool second = choice & 4, shifted = choice & 8, rectify = choice & 16;
    std::vector<T> y(a.size());
    loops.combine(n, sa, a.data(), sb, second ? b.data() : nullptr, shifted ? w.data() : nullptr, rectify, y.data());
    std::vector<T> g(a);
    loops.rectify_back(n, y.data(), g.data(), g.data());
    for (std::size_t i = 0; i < y.size(); ++i) REQUIRE((i == 3 ? g[i] == 0 : g[i] == (y[i] > 0 ? a[i] : T(0))));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const T sum = sa * a[i] + (second ? sb * b[i] : T(0)) + (shifted ? w[i / kLanes] : T(0));
      INFO("choice " << choice << ", entry " << i);
      if (i == 3) REQUIRE(std::isnan(y[i]));
      else REQUIRE(y[i] == (rectify && sum < 0 ? T(0) : sum));
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("loops over samples side by side, on every instruction set", "[lanes]", float, double) {
  for (const auto& [name, loops] : instruction_sets<TestType>()) {
    INFO(name);
    check_products(loops, 1);
    check_turns(loops, 2);
    check_combinations(loops, 3);
  }
}
