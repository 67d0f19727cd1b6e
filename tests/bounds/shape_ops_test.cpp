// Operators that move, compare and choose: moves against their exact matrix, everything piecewise constant against the hull
// of enumerated points, constants against exact rationals.
#include <catch2/catch.hpp>
#include <functional>

#include "boundlight/core/rational.hpp"
#include "support/linear_check.hpp"

using namespace boundlight;
using namespace boundlight::test;
using Integers = std::vector<std::int64_t>;

namespace {

struct Move {
  const char* name;
  Shape input;
  std::function<ValueId(GraphBuilder&, ValueId)> make;
  std::int64_t version = 18;
};

std::vector<Move> moves_under_test() {
  using G = GraphBuilder;
  const auto text = [](const char* t) { return std::string(t); };
  std::vector<Move> all = {
      {"Squeeze all", {1, 3, 1, 2}, [](G& g, ValueId x) { return g.node("Squeeze", {x}); }},
      {"Squeeze one", {1, 3, 1, 2}, [](G& g, ValueId x) { return g.node("Squeeze", {x, g.integers({-2})}); }},
      {"Squeeze attribute", {1, 3, 1, 2}, [](G& g, ValueId x) { return g.node("Squeeze", {x}, {{"axes", Integers{0}}}); }, 11},
      {"Unsqueeze", {3, 2}, [](G& g, ValueId x) { return g.node("Unsqueeze", {x, g.integers({0, -1})}); }},
      {"Expand", {3, 1, 2}, [](G& g, ValueId x) { return g.node("Expand", {x, g.integers({2, 1, 4, 1})}); }},
      {"Tile", {2, 3}, [](G& g, ValueId x) { return g.node("Tile", {x, g.integers({2, 3})}); }},
      {"Slice", {4, 5}, [](G& g, ValueId x) { return g.node("Slice", {x, g.integers({1, -1}), g.integers({100, -100}), g.integers({0, 1}), g.integers({2, -2})}); }},
      {"Slice attributes", {4, 5}, [](G& g, ValueId x) { return g.node("Slice", {x}, {{"starts", Integers{1}}, {"ends", Integers{-1}}, {"axes", Integers{1}}}); }, 9},
      {"Gather", {3, 4}, [](G& g, ValueId x) { return g.node("Gather", {x, g.integers({3, -4, 1, 1})}, {{"axis", std::int64_t{1}}}); }},
      {"GatherElements", {2, 3}, [](G& g, ValueId x) { return g.node("GatherElements", {x, g.constant(Tensor::from_int64s(DataType::int64, {2, 2}, {2, 0, -1, 1}))}, {{"axis", std::int64_t{1}}}); }},
      {"GatherND", {2, 3, 2}, [](G& g, ValueId x) { return g.node("GatherND", {x, g.constant(Tensor::from_int64s(DataType::int64, {2, 1}, {2, -2}))}, {{"batch_dims", std::int64_t{1}}}); }},
      {"Trilu", {2, 3, 4}, [](G& g, ValueId x) { return g.node("Trilu", {x, g.integers({1})}, {{"upper", std::int64_t{0}}}); }},
      {"DepthToSpace DCR", {1, 8, 2, 3}, [](G& g, ValueId x) { return g.node("DepthToSpace", {x}, {{"blocksize", std::int64_t{2}}}); }},
      {"DepthToSpace CRD", {1, 8, 2, 3}, [=](G& g, ValueId x) { return g.node("DepthToSpace", {x}, {{"blocksize", std::int64_t{2}}, {"mode", text("CRD")}}); }},
      {"SpaceToDepth", {1, 2, 4, 6}, [](G& g, ValueId x) { return g.node("SpaceToDepth", {x}, {{"blocksize", std::int64_t{2}}}); }},
      {"Concat", {2, 2}, [](G& g, ValueId x) { return g.node("Concat", {g.constant({2, 1}, {5, 7}), x, x}, {{"axis", std::int64_t{-1}}}); }},
      {"Where", {2, 2}, [](G& g, ValueId x) { return g.node("Where", {g.constant(Tensor::from_int64s(DataType::boolean, {2, 1}, {1, 0})), x, g.constant({1, 2}, {3, -4})}); }},
      {"Split", {7, 2}, [](G& g, ValueId x) { const auto y = g.nodes("Split", {x}, {{"num_outputs", std::int64_t{3}}}, 3); return g.node("Concat", {y[2], y[0]}, {{"axis", std::int64_t{0}}}); }},
      {"Split sizes", {2, 5}, [](G& g, ValueId x) { return g.nodes("Split", {x, g.integers({1, 4})}, {{"axis", std::int64_t{1}}}, 2)[1]; }},
      {"Pad attribute", {2, 3}, [](G& g, ValueId x) { return g.node("Pad", {x}, {{"pads", Integers{1, 0, 0, 2}}, {"value", 2.5}}); }, 10},
      {"Pad axes", {2, 3}, [](G& g, ValueId x) { return g.node("Pad", {x, g.integers({1, -1}), g.constant({}, {-3}), g.integers({-1})}); }},
      {"Cast", {3}, [](G& g, ValueId x) { return g.node("Cast", {x}, {{"to", std::int64_t{1}}}); }},
  };
  for (const char* mode : {"constant", "reflect", "edge", "wrap"})
    all.push_back({mode, {3, 4}, [=](G& g, ValueId x) { return g.node("Pad", {x, g.integers({2, 1, 1, 5})}, {{"mode", text(mode)}}); }});
  return all;
}

// Boxes of every output of a network over one region, by interval.
std::pair<std::vector<double>, std::vector<double>> boxes_of(const std::shared_ptr<const Network>& network, const std::vector<double>& lower, const std::vector<double>& upper, Semantics semantics = Semantics::real) {
  Regions regions;
  regions.batch = 1;
  regions.lower = lower;
  regions.upper = upper;
  BoundOptions options;
  options.method = Method::interval;
  options.semantics = semantics;
  const auto boxes = engine_of(network)->boxes(regions, options);
  if (!boxes.ok()) FAIL(boxes.error().text());
  const auto y = static_cast<std::size_t>(network->outputs[0]);
  return {boxes.value().lower[y], boxes.value().upper[y]};
}

// The hull of output 0 over the points whose coordinates are the ends and quarters of [lower, upper].
std::pair<std::vector<double>, std::vector<double>> enumerated(const Network& network, const std::vector<double>& lower, const std::vector<double>& upper) {
  std::vector<double> x = lower, low, high;
  std::vector<int> at(x.size(), 0);
  for (bool more = true; more;) {
    const auto y = reference(network, x);
    if (low.empty()) low = high = y;
    for (std::size_t i = 0; i < y.size(); ++i) low[i] = std::min(low[i], y[i]), high[i] = std::max(high[i], y[i]);
    more = false;
    for (std::size_t i = 0; i < x.size() && !more; ++i) {
      at[i] = (at[i] + 1) % 5;
      x[i] = lower[i] + (upper[i] - lower[i]) * at[i] / 4;
      more = at[i] != 0;
    }
  }
  return {low, high};
}

// Random boxes with integer ends: the interval is exactly the enumerated hull (equal ends make the ties).
void check_hull(const std::shared_ptr<const Network>& network, std::uint64_t seed, std::int64_t reach = 3) {
  Draws draw(seed);
  int wrong = 0, decided = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<double> lower = draw.integers(network->input_size(), -reach, reach), upper = lower;
    for (auto& u : upper) u += static_cast<double>(draw.integer(0, 2));
    const auto [lo, hi] = boxes_of(network, lower, upper);
    const auto [low, high] = enumerated(*network, lower, upper);
    for (std::size_t i = 0; i < lo.size(); ++i) {
      wrong += lo[i] != low[i] || hi[i] != high[i];
      decided += low[i] == high[i];
    }
    const auto engine = engine_of(network);
    for (const Precision precision : {Precision::single, Precision::dual}) wrong += engine->evaluate(lower, 1, {network->outputs[0]}, precision).value()[0] != reference(*network, lower);
  }
  CHECK(wrong == 0);
  CHECK(decided > 0);
}

}  // namespace

TEST_CASE("operators that move elements are their matrix: values, gradients, intervals and rows", "[shape]") {
  for (const auto& m : moves_under_test()) {
    INFO(m.name);
    GraphBuilder g(DataType::float64, m.version);
    const ValueId x = g.input(m.input);
    check_linear_network(g.network({m.make(g, x)}));
  }
}

TEST_CASE("comparisons and logic: the interval is the hull of what can happen", "[shape]") {
  for (const char* op : {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}) {
    INFO(op);
    GraphBuilder g;
    const ValueId a = g.input({2}), b = g.input({1});
    check_hull(g.network({g.node(op, {a, b})}), 3);
    GraphBuilder h;
    const ValueId c = h.input({3});
    check_hull(h.network({h.node(op, {h.constant({3}, {-1, 0, 2}), c})}), 4);
  }
  for (const char* op : {"And", "Or", "Xor"}) {
    INFO(op);
    GraphBuilder g;
    const ValueId a = g.input({2}), b = g.input({2}), zero = g.constant({}, {0});
    check_hull(g.network({g.node(op, {g.node("Greater", {a, zero}), g.node("Not", {g.node("Less", {b, zero})})})}), 5);
  }
}

TEST_CASE("a variable condition or index leaves the hull of what it may pick", "[shape]") {
  GraphBuilder g;
  const ValueId c = g.input({2}), x = g.input({1});
  check_hull(g.network({g.node("Where", {g.node("Greater", {c, g.constant({}, {0})}), x, g.constant({2}, {-7, 9})})}), 6);
  GraphBuilder h;
  const ValueId i = h.input({2}), data = h.input({2, 1});
  const ValueId index = h.node("Cast", {i}, {{"to", std::int64_t{7}}});
  check_hull(h.network({h.node("Gather", {h.node("Concat", {data, h.constant({4, 1}, {3, -8, 5, 1})}, {{"axis", std::int64_t{0}}}), index})}), 7, 2);
}

TEST_CASE("the position of the largest and of the smallest element", "[shape]") {
  for (const char* op : {"ArgMax", "ArgMin"})
    for (const std::int64_t last : {0, 1}) {
      INFO(op << " last " << last);
      GraphBuilder g;
      check_hull(g.network({g.node(op, {g.input({4})}, {{"axis", std::int64_t{0}}, {"select_last_index", last}})}), 8, 1);
    }
}

TEST_CASE("casts to integers and booleans", "[shape]") {
  for (const std::int64_t to : {3, 7, 9}) {  // int8, int64, bool
    INFO("to " << to);
    GraphBuilder g;
    check_hull(g.network({g.node("Cast", {g.input({2})}, {{"to", to}})}), 9);
  }
  GraphBuilder g;
  const auto network = g.network({g.node("Cast", {g.input({1})}, {{"to", std::int64_t{3}}})});
  const auto [lo, hi] = boxes_of(network, {120}, {130});
  CHECK(lo[0] == -128);
  CHECK(hi[0] == 127);
  const Tensor wide = Tensor::from_int64s(DataType::int64, {3}, {300, -129, 127});
  CHECK(reference(*network, {300})[0] == 44);
  GraphBuilder h(DataType::int64);
  const auto narrowed = h.network({h.node("Cast", {h.input({3})}, {{"to", std::int64_t{3}}})});
  CHECK(evaluate_typed(*narrowed, std::vector<Tensor>{wide}, narrowed->outputs).value()[0].to_int64s() == Integers{44, 127, 127});
}

TEST_CASE("constants that no float holds are enclosed, not folded", "[shape]") {
  // 0.1 (a double) as float32 is another number; 1/3 as a double is another than in binary32.
  for (const double value : {0.1, 1.0 / 3, 1e-300, 7.0, 1e300}) {
    INFO(value);
    GraphBuilder g;
    const ValueId x = g.input({1});
    const ValueId c = g.node("Cast", {g.constant({1}, {value})}, {{"to", std::int64_t{1}}});
    const auto network = g.network({g.node("Where", {g.constant(Tensor::from_int64s(DataType::boolean, {1}, {1})), c, g.node("Cast", {x}, {{"to", std::int64_t{1}}})})});
    for (const Semantics semantics : {Semantics::real, Semantics::float32_any_order}) {
      const auto [lo, hi] = boxes_of(network, {0}, {0}, semantics);
      CHECK(lo[0] <= value);
      CHECK(value <= hi[0]);
      const auto rounded = static_cast<double>(static_cast<float>(value));
      if (semantics == Semantics::float32_any_order && std::isfinite(rounded)) CHECK((lo[0] <= rounded && rounded <= hi[0]));
      if (semantics == Semantics::real && value > 1e-30) CHECK(hi[0] - lo[0] <= 1e-12 * value);
    }
  }
  GraphBuilder g;
  const auto number = [&](double v) { return g.constant({}, {v}); };
  const ValueId range = g.node("Range", {number(0.1), number(1.05), number(0.1)});
  const ValueId x = g.input({10});
  const auto network = g.network({g.node("Where", {g.constant(Tensor::from_int64s(DataType::boolean, {1}, {1})), range, x})});
  const auto [lo, hi] = boxes_of(network, std::vector<double>(10, 0.0), std::vector<double>(10, 1.0));
  REQUIRE(lo.size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    const Rational value = exact(0.1) + Rational(static_cast<int>(i)) * exact(0.1);
    CHECK(exact(lo[i]) <= value);
    CHECK(value <= exact(hi[i]));
  }
}

TEST_CASE("Pad with a constant that binary32 does not hold stays sound in float rows", "[shape]") {
  for (const double fill : {0.1, 1e-42, 1e-300}) {
    INFO(fill);
    GraphBuilder g;
    const auto network = g.network({g.node("Pad", {g.input({1}), g.integers({0, 1}), g.constant({}, {fill})})});
    Regions regions;
    regions.batch = 1;
    regions.lower = regions.upper = {1.0};
    for (const Method method : {Method::interval, Method::crown})
      for (const Precision precision : {Precision::single, Precision::dual}) {
        BoundOptions options;
        options.method = method;
        options.precision = precision;
        const auto bounds = engine_of(network)->bound(regions, identity_forms(*network), options);
        REQUIRE(bounds.ok());
        CHECK(bounds.value().lower[1] <= fill);
        CHECK(fill <= bounds.value().upper[1]);
      }
  }
}

TEST_CASE("shapes, masks and fixed inputs are settled when a network is prepared", "[shape]") {
  GraphBuilder g;
  const ValueId x = g.input({2, 3});
  const auto dropped = g.nodes("Dropout", {x, g.constant({}, {0.5})}, {}, 2);
  const ValueId count = g.node("Size", {x}), tail = g.node("Shape", {x}, {{"start", std::int64_t{-1}}});
  const auto network = g.network({dropped[0], dropped[1], count, tail});
  CHECK(network->nodes.empty());
  CHECK(network->outputs[0] == network->inputs[0]);
  const auto constant = [&](std::size_t o) { return network->values[static_cast<std::size_t>(network->outputs[o])].constant->to_int64s(); };
  CHECK(constant(1) == Integers(6, 1));
  CHECK(constant(2) == Integers{6});
  CHECK(constant(3) == Integers{3});

  Graph graph;
  graph.source = "test";
  for (const char* name : {"x", "shape", "y"}) {
    Value v;
    v.name = name;
    graph.values.push_back(v);
  }
  graph.values[0].type = DataType::float32;
  graph.values[0].shape = Shape{1, 2};
  graph.values[1].type = DataType::int64;
  graph.values[1].shape = Shape{2};
  graph.inputs = {0, 1};
  graph.outputs = {2};
  Node node;
  node.op = "Expand";
  node.version = 18;
  node.inputs = {0, 1};
  node.outputs = {2};
  graph.nodes = {node};
  const auto variable = prepare(graph);
  REQUIRE_FALSE(variable.ok());
  CHECK(variable.error().message.find("must be constant") != std::string::npos);
  NetworkOptions options;
  options.fixed.emplace("shape", Tensor::from_int64s(DataType::int64, {2}, {3, 2}));
  const auto fixed = prepare(graph, options);
  REQUIRE(fixed.ok());
  CHECK(fixed.value()->inputs.size() == 1);
  CHECK(fixed.value()->values[static_cast<std::size_t>(fixed.value()->outputs[0])].shape == Shape{3, 2});
  options.fixed.clear();
  options.fixed.emplace("shape", Tensor::from_int64s(DataType::int64, {1}, {3}));
  CHECK_FALSE(prepare(graph, options).ok());
  graph.nodes[0].inputs = {0};
  const auto missing = prepare(graph);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message.find("is missing") != std::string::npos);
}
