// Conv against its exact matrix: every attribute, dense and windowed rows, chains of convolutions.
#include <catch2/catch.hpp>

#include "support/linear_check.hpp"

using namespace boundlight;
using namespace boundlight::test;
using Integers = std::vector<std::int64_t>;

namespace {

struct Case {
  const char* name;
  Shape input, weights;
  GraphBuilder::Attributes attributes;
  bool bias = true;
};

std::vector<Case> cases() {
  return {
      {"one axis", {1, 2, 7}, {3, 2, 3}, {{"pads", Integers{1, 0}}}},
      {"two samples", {2, 2, 4, 4}, {3, 2, 2, 2}, {}},
      {"asymmetric pads", {1, 2, 5, 6}, {3, 2, 3, 2}, {{"pads", Integers{1, 0, 2, 1}}}},
      {"strides", {1, 3, 8, 7}, {2, 3, 3, 3}, {{"strides", Integers{2, 3}}, {"pads", Integers{1, 1, 1, 1}}}},
      {"dilations", {1, 2, 9, 8}, {2, 2, 3, 2}, {{"dilations", Integers{2, 3}}, {"pads", Integers{2, 1, 0, 1}}}},
      {"stride and dilation", {1, 2, 9, 8}, {2, 2, 2, 3}, {{"dilations", Integers{3, 2}}, {"strides", Integers{2, 3}}, {"pads", Integers{1, 2, 1, 2}}}},
      {"groups", {1, 4, 5, 5}, {6, 2, 3, 3}, {{"group", std::int64_t{2}}, {"pads", Integers{1, 1, 1, 1}}}},
      {"depthwise", {1, 3, 5, 5}, {3, 1, 3, 3}, {{"group", std::int64_t{3}}}, false},
      {"pointwise", {1, 3, 4, 4}, {4, 3, 1, 1}, {}},
      {"pointwise with a stride", {1, 3, 5, 5}, {4, 3, 1, 1}, {{"strides", Integers{2, 2}}}},
      {"same upper", {1, 2, 5, 6}, {2, 2, 2, 4}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Integers{2, 2}}}},
      {"same lower", {1, 2, 5, 6}, {2, 2, 2, 4}, {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Integers{2, 2}}}},
      {"valid", {1, 2, 5, 6}, {2, 2, 2, 4}, {{"auto_pad", std::string("VALID")}}},
      {"three axes", {1, 2, 4, 3, 4}, {2, 2, 2, 2, 3}, {{"pads", Integers{0, 1, 1, 1, 0, 1}}, {"strides", Integers{2, 1, 1}}}},
      {"kernel as large as the image", {1, 2, 4, 4}, {3, 2, 4, 4}, {}},
  };
}

ValueId conv(GraphBuilder& g, Draws& draw, ValueId x, const Shape& weights, GraphBuilder::Attributes attributes, bool bias = true) {
  std::vector<ValueId> inputs{x, g.constant(weights, draw.integers(*element_count(weights), -4, 4))};
  if (bias) inputs.push_back(g.constant({weights[0]}, draw.integers(weights[0], -5, 5)));
  return g.node("Conv", inputs, std::move(attributes));
}

}  // namespace

TEST_CASE("Conv is its matrix: values, gradients, intervals and rows", "[conv]") {
  std::uint64_t seed = 1;
  for (const auto& c : cases()) {
    INFO(c.name);
    GraphBuilder g;
    Draws draw(seed++);
    const ValueId y = conv(g, draw, g.input(c.input), c.weights, c.attributes, c.bias);
    check_linear_network(g.network({y}), seed);
  }
}

// The boxes that a Relu behind a convolution asks for come from rows that start as windows (Relaxation::select). Every case
// stands behind another convolution (its weights are gathered into windows) and before one (windows pass through it).
TEST_CASE("windowed rows through chains of convolutions are the exact matrix", "[conv][windows]") {
  std::uint64_t seed = 40;
  for (const auto& c : cases()) {
    if (c.input.size() != 4 || c.input[0] != 1) continue;
    for (const bool first : {true, false}) {
      INFO(c.name << (first ? ", first" : ", last"));
      ++seed;
      const auto chain = [&](bool relu) {
        GraphBuilder g;
        Draws draw(seed);
        ValueId y = g.input({1, first ? c.input[1] : 2, c.input[2], c.input[3]});
        if (!first) y = conv(g, draw, y, {c.input[1], 2, 3, 3}, {{"pads", Integers{1, 1, 1, 1}}});
        y = conv(g, draw, y, c.weights, c.attributes, c.bias);
        if (first) y = conv(g, draw, y, {3, c.weights[0], 2, 1}, {{"pads", Integers{1, 0, 0, 0}}, {"strides", Integers{1, 2}}});
        return g.network({relu ? g.node("Relu", {y}) : y});
      };
      const auto network = chain(false), rectified = chain(true);
      check_linear_network(network, seed);
      auto engine = engine_of(rectified);
      Draws draw(seed);
      Regions r;
      r.batch = 2;
      for (std::int64_t i = 0; i < 2 * rectified->input_size(); ++i) {
        r.lower.push_back(draw.real(-1, 1));
        r.upper.push_back(r.lower.back() + 0.5);
      }
      BoundOptions options;
      options.precision = Precision::dual;
      const auto boxes = engine->boxes(r, options);
      REQUIRE(boxes.ok());
      const auto before = static_cast<std::size_t>(rectified->nodes.back().node.inputs[0]);
      const AffineMap m = affine_map(*network);
      int wrong = 0, undecided = 0;
      for (std::size_t b = 0; b < 2; ++b)
        for (std::size_t e = 0; e < m.rows; ++e) {
          double lower = m.offset[e], upper = lower;
          for (std::size_t i = 0; i < m.columns; ++i) {
            const double w = m.matrix[e * m.columns + i];
            lower += w * (w > 0 ? r.lower : r.upper)[b * m.columns + i];
            upper += w * (w > 0 ? r.upper : r.lower)[b * m.columns + i];
          }
          const double lo = boxes.value().lower[before][b * m.rows + e], hi = boxes.value().upper[before][b * m.rows + e];
          wrong += !(lo <= lower + 1e-9) || !(hi >= upper - 1e-9);
          if (lower >= 0 || upper <= 0) continue;
          ++undecided;
          wrong += !near(lo, lower, 1e-10) || !near(hi, upper, 1e-10);
        }
      CHECK(wrong == 0);
      CHECK(undecided > 0);
    }
  }
}

TEST_CASE("Conv refuses what does not fit, in a sentence", "[conv]") {
  const auto refused = [](Shape input, Shape weights, GraphBuilder::Attributes attributes) {
    GraphBuilder g;
    const ValueId x = g.input(std::move(input));
    const std::int64_t n = *element_count(weights);
    const ValueId w = g.constant(weights, std::vector<double>(static_cast<std::size_t>(n), 1.0));
    const auto result = g.prepared({g.node("Conv", {x, w}, std::move(attributes))});
    return result.ok() ? std::string() : result.error().text();
  };
  using Catch::Contains;
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 3, 2, 2}, {}), Contains("group 1 does not fit"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 5, 5}, {}), Contains("does not fit into 4"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 2, 2}, {{"kernel_shape", Integers{3, 3}}}), Contains("differs from the weights"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 2, 2}, {{"strides", Integers{0, 1}}}), Contains("'strides' holds 0"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 2, 2}, {{"pads", Integers{-1, 0, 0, 0}}}), Contains("'pads' holds -1"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 2, 2}, {{"dilations", Integers{std::int64_t{1} << 50, 1}}}), Contains("'dilations' holds"));
  CHECK_THAT(refused({1, 2, 4, 4}, {3, 2, 2, 2}, {{"auto_pad", std::string("SOME")}}), Contains("'auto_pad' is 'SOME'"));
  CHECK_THAT(refused({2, 4}, {3, 4}, {}), Contains("one to three spatial axes"));
}
