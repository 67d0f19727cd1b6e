// Every rounding charge, left out alone, is caught by networks made for it (docs/soundness.md lists them). A plain random test
// does not notice most of them.
#include <catch2/catch.hpp>
#include <cmath>

#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"
#include "support/test_device.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

struct Question {
  DenseNet net;
  std::vector<double> lower, upper;
  Forms forms;  // value kAbsent: the elements of the output
  Method method = Method::crown;
  Precision precision = Precision::single;
};

// Exact lower end and upper end of every form.
std::vector<ExactRange> exact_ranges(const Question& q, const Network& network, const Forms& forms) {
  const ExactCells cells(q.net, q.lower, q.upper);
  std::vector<ExactRange> ranges(static_cast<std::size_t>(forms.rows));
  const bool on_inputs = forms.value == network.inputs[0];
  for (const auto& v : cells.vertices()) {
    const auto& y = on_inputs ? v.x : v.values.back();
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      Rational sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += exact(forms.coefficient[r * y.size() + i]) * y[i];
      ranges[r].include(sum);
    }
  }
  return ranges;
}

constexpr std::uint32_t bit(Charge c) { return static_cast<std::uint32_t>(c); }

// How many of the questions get an answer that is no bound when a charge is left out. `exact`: charges for roundings that do not
// happen in these networks; their slack would hide the error, so both runs that are compared leave them out too.
template <class Make>
int caught(const Make& make, Charge left_out, int questions, std::uint32_t exact_steps = 0) {
  int wrong = 0;
  for (int seed = 0; seed < questions; ++seed) {
    Question q = make(static_cast<std::uint64_t>(seed));
    auto engine = engine_of(q.net);
    const Network& network = engine->network();
    Forms forms = q.forms;
    if (forms.rows == 0) forms = elements_of(network, network.values[static_cast<std::size_t>(network.outputs[0])].name);
    else forms.value = network.inputs[0];
    BoundOptions options;
    options.method = q.method;
    options.precision = q.precision;
    const auto ranges = exact_ranges(q, network, forms);
    const auto holds = [&] {
      const auto found = engine->bound(box_of(q.lower, q.upper), forms, options);
      REQUIRE(found.ok());
      bool all = true;
      for (std::size_t r = 0; r < ranges.size(); ++r) {
        const double lo = found.value().lower[r], hi = found.value().upper[r];
        all = all && (std::isinf(lo) || exact(lo) <= ranges[r].lower) && (std::isinf(hi) || exact(hi) >= ranges[r].upper);
      }
      return all;
    };
    CHECK(holds());
    options.without_charges = exact_steps;
    CHECK(holds());
    options.without_charges = exact_steps | bit(left_out);
    wrong += holds() ? 0 : 1;
  }
  return wrong;
}

double normal(std::mt19937_64& random) { return std::normal_distribution<double>()(random); }
double as_float(double x) { return static_cast<double>(static_cast<float>(x)); }

}  // namespace

TEST_CASE("the product charge left out is caught by networks whose ReLUs are all on") {
  const auto make = [](std::uint64_t seed) {
    const HardCase c = hard_case(Style::active, seed);
    return Question{c.net, c.lower, c.upper, {}, Method::crown, Precision::single};
  };
  CHECK(caught(make, Charge::product, 60) > 0);
}

TEST_CASE("the charge of interval steps left out is caught where large terms cancel in front of a ReLU") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    DenseNet::Layer first{{{}}, {1000}}, second{{{1}}, {0}};
    for (int i = 0; i < 20; ++i) {
      first.weight[0].push_back(i % 2 ? -first.weight[0].back() : as_float(std::ldexp(1 + std::fabs(normal(random)), 20)));
      q.lower.push_back(as_float((i % 2 ? q.lower.back() : 1 + std::fabs(normal(random))) * (1 + std::ldexp(normal(random), -22))));
      q.upper.push_back(q.lower.back());
    }
    q.net.layers = {first, second};  // the second layer's row is exact: only the box of the first can be wrong
    q.method = Method::interval;
    return q;
  };
  CHECK(caught(make, Charge::interval, 40) > 0);
}

TEST_CASE("the slope charge left out is caught where a chord is steep and its intercept small") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    q.net.layers.push_back({{{1}}, {0}});
    q.net.layers.push_back({{{as_float(1 + std::fabs(normal(random)))}}, {0}});
    q.lower = {as_float(-1e-4 * (1 + std::fabs(normal(random))))};
    q.upper = {as_float(1 + std::fabs(normal(random)))};
    return q;
  };
  CHECK(caught(make, Charge::slope, 60, bit(Charge::product)) > 0);
}

TEST_CASE("the intercept rounded to nearest is caught where a chord is flat") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    q.net.layers.push_back({{{1}}, {0}});
    q.net.layers.push_back({{{1}}, {0}});
    q.lower = {-std::floor(1000 * (1 + std::fabs(normal(random))))};  // multiples of 2^-9: middle and half width are floats
    q.upper = {std::ldexp(std::floor(512 * (1 + std::fabs(normal(random)))), -9)};
    return q;
  };
  CHECK(caught(make, Charge::intercept, 60, bit(Charge::product) | bit(Charge::slope) | bit(Charge::interval)) > 0);
}

TEST_CASE("the concretisation charge left out is caught by sums that cancel") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    q.net.layers.push_back({{std::vector<double>(40, 1.0)}, {0}});
    q.net.type = DataType::float64;
    q.precision = Precision::dual;
    q.forms.rows = 1;
    for (int i = 0; i < 40; ++i) {
      q.lower.push_back(std::ldexp(1 + std::fabs(normal(random)), 20));
      q.upper.push_back(q.lower.back());
      q.forms.coefficient.push_back((i % 2 ? -1 : 1) * std::ldexp(1 + std::fabs(normal(random)), 20));
    }
    return q;
  };
  CHECK(caught(make, Charge::concretise, 60) > 0);
}

TEST_CASE("coefficients that float cannot hold, not charged, are caught") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    q.net.layers.push_back({{{1, 1}}, {0}});
    q.forms.rows = 1;
    for (int i = 0; i < 2; ++i) {
      q.lower.push_back(as_float(1 + std::fabs(normal(random))));
      q.upper.push_back(q.lower.back());
      q.forms.coefficient.push_back(normal(random));
    }
    return q;
  };
  CHECK(caught(make, Charge::conversion, 20) > 0);
}

TEST_CASE("the underflow charge left out is caught by products below the smallest number") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    const double small = std::ldexp(1.0, -100);
    q.net.layers.push_back({{{as_float(small * (1 + std::fabs(normal(random))))}}, {0}});
    q.net.layers.push_back({{{as_float(small * (1 + std::fabs(normal(random))))}}, {0}});
    q.lower = {std::ldexp(1.0, 100)};
    q.upper = {std::ldexp(1.0, 101)};
    return q;
  };
  CHECK(caught(make, Charge::underflow, 20) > 0);
}

TEST_CASE("the offset charge left out is caught by biases that cancel") {
  const auto make = [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Question q;
    q.net.type = DataType::float64;
    q.precision = Precision::dual;
    DenseNet::Layer first, second;
    second.weight.emplace_back();
    for (int i = 0; i < 3000; ++i) {  // sums far larger than the result, whose own last step outward is then small
      first.weight.push_back({0});
      first.bias.push_back(i < 1500 ? std::ldexp(1 + std::fabs(normal(random)), 20) : first.bias[static_cast<std::size_t>(i - 1500)]);
      second.weight[0].push_back(i < 1500 ? std::ldexp(1 + std::fabs(normal(random)), 20) : -second.weight[0][static_cast<std::size_t>(i - 1500)] * (1 + 0x1p-40));
    }
    second.bias = {0};
    q.net.layers = {first, second};
    q.lower = {0};
    q.upper = {1};
    return q;
  };
  CHECK(caught(make, Charge::offset, 20, bit(Charge::product)) > 0);
}

TEST_CASE("the join charge left out is caught where two copies of an input meet") {
  // y = [flatten(x), relu(x)] with x > 0: both rows reach x without another rounding, the form is (a + b) x.
  Graph g;
  g.source = "join";
  g.opset = 13;
  const auto value = [&](const char* name, Shape shape) {
    Value v;
    v.name = name;
    v.type = DataType::float32;
    v.shape = std::move(shape);
    g.values.push_back(std::move(v));
    return static_cast<ValueId>(g.values.size() - 1);
  };
  const ValueId x = value("x", {1, 1}), copy = value("copy", {1, 1}), on = value("on", {1, 1}), y = value("y", {1, 2});
  const auto node = [&](const char* op, std::vector<ValueId> in, ValueId out) {
    Node n;
    n.name = n.op = op;
    n.version = 13;
    n.inputs = std::move(in);
    n.outputs = {out};
    return n;
  };
  g.nodes = {node("Flatten", {x}, copy), node("Relu", {x}, on), node("Concat", {copy, on}, y)};
  g.nodes[2].attributes["axis"] = std::int64_t{1};
  g.inputs = {x};
  g.outputs = {y};
  auto engine = make_engine(network_of(g), test_device());
  REQUIRE(engine.ok());
  std::mt19937_64 random(3);
  int wrong = 0;
  for (int i = 0; i < 60; ++i) {
    Forms forms;
    forms.value = (*engine)->network().outputs[0];
    forms.rows = 1;
    forms.coefficient = {as_float(normal(random)), as_float(1000 * normal(random))};
    const double at = as_float(1 + std::fabs(normal(random)));
    const Rational truth = (exact(forms.coefficient[0]) + exact(forms.coefficient[1])) * exact(at);
    BoundOptions options;
    options.precision = Precision::single;
    const auto holds = [&] {
      const auto b = (*engine)->bound(box_of({at}, {at}), forms, options);
      REQUIRE(b.ok());
      return exact(b.value().lower[0]) <= truth && exact(b.value().upper[0]) >= truth;
    };
    CHECK(holds());
    options.without_charges = static_cast<std::uint32_t>(Charge::join);
    wrong += holds() ? 0 : 1;
  }
  CHECK(wrong > 0);
}
