// What certificates can state besides "this property file holds": inlined boxes, families of members, half-spaces of
// inputs, strict claims in exact arithmetic, vacuous regions, deployed semantics, believed operators.
#include <catch2/catch.hpp>
#include <cmath>

#include "tiny_nets.hpp"

using namespace boundlight;
using namespace boundlight::check;
using namespace tiny;

namespace {

Verdict judge(const Certificate& c, const std::string& model, std::optional<std::string> spec = std::nullopt) {
  return check_bytes(serialize(c), model, spec ? std::optional<std::string_view>(*spec) : std::nullopt).value();
}

// y = relu(x_0 + x_1 - 1) - relu(x_0 - x_1) + x_1 / 2
Net small_net() {
  Net net;
  net.layers = {{2, 3, {1, 1, 1, -1, 0, 1}, {-1, 0, 8}, "z0"}, {3, 1, {1, -1, 0.5F}, {-4}, "z1"}};
  net.write();
  return net;
}

Node leaf(std::vector<double> lambda) {
  Node n;
  n.lambda = std::move(lambda);
  return n;
}

// A tree that fixes the first two ReLUs of small_net, with the same leaf everywhere.
Tree four_leaves(Certificate& c, const std::vector<double>& lambda) {
  Tree t;
  const std::uint32_t z = c.name_id("z0");
  const auto split = [&](std::uint32_t neuron, std::int32_t low, std::int32_t high) {
    Node n;
    n.kind = Node::Kind::relu_split;
    n.value = z;
    n.neuron = neuron;
    n.low = low;
    n.high = high;
    return n;
  };
  t.nodes = {split(0, 1, 4), split(1, 2, 3), leaf(lambda), leaf(lambda), split(1, 5, 6), leaf(lambda), leaf(lambda)};
  return t;
}

Certificate header(const Net& net) {
  Certificate c;
  c.engine = "test";
  c.model_sha256 = sha256_hex(net.onnx);
  return c;
}

// "sign y >= bound on the box", stated as: no x with sign y < bound.
Statement at_least(const Box& box, double sign, double bound) {
  Statement s;
  s.kind = Statement::Kind::inlined;
  s.lower = box.lower;
  s.upper = box.upper;
  InlineConstraint k;
  k.outputs = {0};
  k.output_coefficients = {sign};
  k.bound = bound;
  k.strict = true;
  s.disjuncts = {{{k}}};
  return s;
}

}  // namespace

TEST_CASE("an inlined statement needs no property file, and accepts none") {
  const Net net = small_net();
  Certificate c = header(net);
  const Box box{{0, 0}, {1, 0.5}};
  const Rational least = least_output(net, box_polygon({0, 0}, {1, Rational(1, 2)}), {1});
  c.statements = {at_least(box, 1, static_cast<double>(least) - 1.1)};
  c.proofs = {{0, 0, 0, four_leaves(c, {1})}};
  const Verdict v = judge(c, net.onnx);
  INFO(text(v));
  CHECK(v.kind == Verdict::Kind::accepted);
  CHECK(judge(c, net.onnx, "(declare-const X_0 Real)").place == "header");
  c.statements[0].disjuncts[0].constraints[0].bound = static_cast<double>(least) + 1e-6;
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::rejected);
}

TEST_CASE("several inlined statements, and what is refused in one") {
  const Net net = small_net();
  Certificate c = header(net);
  c.statements = {at_least({{0, 0}, {1, 0.5}}, 1, -10), at_least({{-2, 0}, {0.5, 0.5}}, 1, -10)};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}, {1, 0, 0, {{leaf({1})}}}};
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::accepted);
  Certificate bad = c;
  bad.proofs[1].statement = 2;
  CHECK(judge(bad, net.onnx).kind == Verdict::Kind::rejected);
  bad = c;
  bad.statements[1].lower.push_back(0);
  CHECK(judge(bad, net.onnx).kind == Verdict::Kind::rejected);
  for (const std::uint32_t member : {1U, 2U}) {  // the one member, then one that is not there
    bad = c;
    bad.proofs[1].member = member;
    CHECK((judge(bad, net.onnx).kind == Verdict::Kind::accepted) == (member == 1));
  }
  for (const double odd : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    bad = c;
    bad.statements[0].upper[0] = odd;
    CHECK(judge(bad, net.onnx).kind == Verdict::Kind::rejected);
    bad = c;
    bad.statements[0].disjuncts[0].constraints[0].bound = -odd;
    CHECK(judge(bad, net.onnx).kind == Verdict::Kind::rejected);
    bad = c;
    bad.statements[0].disjuncts[0].constraints[0].output_coefficients[0] = odd;
    CHECK(judge(bad, net.onnx).kind == Verdict::Kind::rejected);
  }
}

TEST_CASE("an attained value is a statement about a point") {
  const Net net = small_net();
  const Rational y = net.evaluate({Rational(3, 4), Rational(1, 4)})[0];
  Certificate c = header(net);
  c.statements = {at_least({{0.75, 0.25}, {0.75, 0.25}}, 1, static_cast<double>(y) - 1e-9)};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}};
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::accepted);
  c.statements = {at_least({{0.75, 0.25}, {0.75, 0.25}}, 1, static_cast<double>(y) + 1e-9)};
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::rejected);
}

TEST_CASE("half-spaces of inputs take part with a multiplier") {
  // On [0, 1]^2 with x_0 + x_1 <= 1/2: y = x_0 + x_1 - ... of a linear network y = x_0 + x_1 is at most 1/2.
  Net net;
  net.layers = {{2, 1, {1, 1}, {0}, "z0"}};
  net.write();
  const auto spec_of = [](const std::string& threshold) {
    return "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (<= 0 X_0 1))(assert (<= 0 X_1 1))"
           "(assert (<= (+ X_0 X_1) 0.5))(assert (>= Y_0 " + threshold + "))";
  };
  Certificate c = header(net);
  c.statements = {{}};
  c.proofs = {{0, 0, 0, {{leaf({1, 1})}}}};
  for (const auto& [threshold, truth] : {std::pair{"0.501", true}, std::pair{"0.5", false}, std::pair{"0.499", false}}) {
    const std::string spec = spec_of(threshold);
    c.spec_sha256 = sha256_hex(spec);
    for (const std::vector<double>& lambda : {std::vector<double>{1, 1}, {0, 1}, {1, 0}, {2, 1}}) {
      c.proofs[0].tree.nodes[0].lambda = lambda;
      const bool accepted = judge(c, net.onnx, spec).kind == Verdict::Kind::accepted;
      CHECK(accepted == (truth && lambda == std::vector<double>{1, 1}));
    }
  }
}

TEST_CASE("what lies on the threshold is not proved in outward arithmetic") {
  // y = relu(x) on [-1, 1]: y < 0 never happens, y <= 0 does; a little room makes the difference.
  Net net;
  net.layers = {{2, 1, {1, 0.1F}, {0}, "z0"}, {1, 1, {1}, {0}, "z1"}};
  net.write();
  for (const char* threshold : {"(< Y_0 0)", "(<= Y_0 0)", "(<= Y_0 -1e-12)"}) {
    const std::string spec = std::string("(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (<= -1 X_0 1))(assert (<= -0.1 X_1 0.1))(assert ") + threshold + ")";
    Certificate c = header(net);
    c.spec_sha256 = sha256_hex(spec);
    c.statements = {{}};
    Node n = leaf({1});
    n.slopes = {{c.name_id("h0"), 1, {}, {0}}};
    c.proofs = {{0, 0, 0, {{n}}}};
    const Verdict v = judge(c, net.onnx, spec);
    INFO(threshold << text(v));
    CHECK((v.kind == Verdict::Kind::accepted) == (std::string(threshold) == "(<= Y_0 -1e-12)"));
  }
}

TEST_CASE("vacuous disjuncts need no proof and are counted") {
  const Net net = small_net();
  const std::string spec = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (<= 0 X_0 1))(assert (or (and (>= X_1 1) (< X_1 1)) (and (>= X_1 2) (<= X_1 1))))(assert (<= Y_0 0))";
  Certificate c = header(net);
  c.spec_sha256 = sha256_hex(spec);
  c.statements = {{}};
  const Verdict v = judge(c, net.onnx, spec);
  INFO(text(v));
  CHECK(v.kind == Verdict::Kind::accepted);
  CHECK(v.vacuous == 2);
  CHECK(text(v).find("vacuous") != std::string::npos);
}

TEST_CASE("a claim that holds in real numbers only is refused for float32") {
  Net net;  // T7: real: y = -1 + x_0 - x_1, float32: 0
  net.layers = {{2, 2, {1, 0, 0, 1}, {33554432, 1}, "z0"}, {2, 1, {1, -1}, {-33554432}, "z1"}};
  net.write();
  const std::string spec = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (<= -0.001 X_0 0.001))(assert (<= -0.001 X_1 0.001))(assert (>= Y_0 -0.5))";
  Certificate c = header(net);
  c.spec_sha256 = sha256_hex(spec);
  c.statements = {{}};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}};
  CHECK(judge(c, net.onnx, spec).kind == Verdict::Kind::accepted);
  c.semantics = Semantics::float32_any_order;
  CHECK(judge(c, net.onnx, spec).kind == Verdict::Kind::rejected);
}

TEST_CASE("operators without a rule make a certificate partial, by name") {
  onnx_bytes::Graph g;
  g.input = "x";
  g.output = "y";
  g.input_dims = g.output_dims = {1, 2};
  g.infos = onnx_bytes::Graph::info(13, "m", {1, 2});
  g.node("Mystery", {"x"}, {"m"});
  g.node("Relu", {"m"}, {"y"});
  Net net;
  net.onnx = g.model();
  Certificate c = header(net);
  c.statements = {at_least({{0, 0}, {1, 1}}, 1, 0.5)};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}};
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::rejected);
  c.trusted = {{c.name_id("m"), {1, 1}, {2, 2}}};
  const Verdict v = judge(c, net.onnx);
  INFO(text(v));
  CHECK(v.kind == Verdict::Kind::partial);
  REQUIRE(v.trusted.size() == 1);
  CHECK(v.trusted[0].find("Mystery") != std::string::npos);
  c.trusted[0].value = c.name_id("y");  // a Relu is not a matter of belief
  CHECK(judge(c, net.onnx).kind == Verdict::Kind::rejected);
  // float32: no statement about a deployed sigmoid
  onnx_bytes::Graph s;
  s.input = "x";
  s.output = "y";
  s.input_dims = s.output_dims = {1, 2};
  s.node("Sigmoid", {"x"}, {"y"});
  Net sigmoid;
  sigmoid.onnx = s.model();
  c = header(sigmoid);
  c.statements = {at_least({{0, 0}, {1, 1}}, 1, 0.4)};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}};
  CHECK(judge(c, sigmoid.onnx).kind == Verdict::Kind::accepted);
  c.semantics = Semantics::float32_any_order;
  CHECK(judge(c, sigmoid.onnx).kind == Verdict::Kind::partial);
}

TEST_CASE("a check can be stopped, and missing files are errors") {
  const Net net = small_net();
  Certificate c = header(net);
  c.statements = {at_least({{0, 0}, {1, 0.5}}, 1, -10)};
  c.proofs = {{0, 0, 0, {{leaf({1})}}}};
  const auto stopped = check_bytes(serialize(c), net.onnx, std::nullopt, StopToken::after(-1));
  REQUIRE(!stopped.ok());
  CHECK(stopped.error().kind == ErrorKind::cancelled);
  CHECK(!boundlight::check::check("/nonexistent", "/nonexistent", std::nullopt).ok());
}
