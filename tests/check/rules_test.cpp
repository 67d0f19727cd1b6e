// Each rule of the checker: what an operator means (against plain loops in exact numbers), and that planes hold (against
// exact or 50-digit arithmetic).
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <catch2/catch.hpp>
#include <cfenv>
#include <cmath>
#include <functional>
#include <map>

#include "tiny_nets.hpp"

using namespace boundlight;
using namespace boundlight::check;
using onnx_bytes::attribute;
using onnx_bytes::Dims;

namespace {

using Decimal = boost::multiprecision::cpp_dec_float_50;

struct Loaded {
  Certificate certificate;
  Model model;
  explicit Loaded(const std::string& onnx, Semantics semantics = Semantics::real) : model(read_model(onnx)) { certificate.semantics = semantics; }
  [[nodiscard]] Box output_box(const Box& in, const Bounds* section = nullptr) const {
    return Propagation(model, certificate).boxes(in, nullptr, {}, section)->of[model.output];
  }
};

// Random whole numbers: every sum below is exact in double.
std::vector<float> whole_numbers(std::mt19937_64& random, std::size_t n) {
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return v;
}

// The boxes at a point and the backward rows at a point must enclose the expected values, tightly.
void check_point(const std::string& onnx, const std::vector<float>& x, const std::vector<double>& expected) {
  const Loaded l(onnx);
  const Box point{{x.begin(), x.end()}, {x.begin(), x.end()}};
  const Box out = l.output_box(point);
  REQUIRE(out.lower.size() == expected.size());
  const Propagation propagation(l.model, l.certificate);
  const auto boxes = propagation.boxes(point, nullptr, {}, nullptr);
  std::vector<Row> rows;
  for (const double sign : {1.0, -1.0})
    for (std::uint32_t i = 0; i < expected.size(); ++i) rows.emplace_back().terms.push_back({l.model.output, i, sign, 0});
  const auto forms = propagation.backward(*boxes, rows);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("output " << i);
    const double lower = lowest(forms[i], point), upper = -lowest(forms[expected.size() + i], point);
    for (const auto& [lo, hi] : {std::pair{out.lower[i], out.upper[i]}, std::pair{lower, upper}}) {
      CHECK(lo <= expected[i]);
      CHECK(hi >= expected[i]);
      CHECK(hi - lo < 1e-10 * (1 + std::fabs(expected[i])));
    }
  }
}

onnx_bytes::Graph graph(const Dims& in, const Dims& out) {
  onnx_bytes::Graph g;
  g.input = "x";
  g.output = "y";
  g.input_dims = in;
  g.output_dims = out;
  return g;
}

}  // namespace

TEST_CASE("Conv means its definition: groups, pads, strides, dilations") {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 30; ++trial) {
    const std::int64_t groups = 1 + random() % 2, ci = groups * (1 + random() % 2), co = groups * (1 + random() % 2);
    const std::int64_t h = 4 + random() % 4, w = 4 + random() % 4, kh = 1 + random() % 3, kw = 1 + random() % 3;
    const Dims stride = {static_cast<std::int64_t>(1 + random() % 2), static_cast<std::int64_t>(1 + random() % 3)}, dilation = {1, static_cast<std::int64_t>(1 + random() % 2)};
    const Dims pads = {static_cast<std::int64_t>(random() % 2), static_cast<std::int64_t>(random() % 3), static_cast<std::int64_t>(random() % 2), static_cast<std::int64_t>(random() % 2)};
    const std::int64_t oh = (h + pads[0] + pads[2] - (kh - 1) * dilation[0] - 1) / stride[0] + 1, ow = (w + pads[1] + pads[3] - (kw - 1) * dilation[1] - 1) / stride[1] + 1;
    const auto x = whole_numbers(random, ci * h * w), weights = whole_numbers(random, co * ci / groups * kh * kw), bias = whole_numbers(random, co);
    auto g = graph({1, ci, h, w}, {1, co, oh, ow});
    g.constant("w", {co, ci / groups, kh, kw}, weights);
    g.constant("b", {co}, bias);
    g.node("Conv", {"x", "w", "b"}, {"y"}, attribute("group", groups) + attribute("strides", stride) + attribute("dilations", dilation) + attribute("pads", pads));
    std::vector<double> expected;
    for (std::int64_t o = 0; o < co; ++o)
      for (std::int64_t i = 0; i < oh; ++i)
        for (std::int64_t j = 0; j < ow; ++j) {
          double sum = bias[o];
          for (std::int64_t c = 0; c < ci / groups; ++c)
            for (std::int64_t a = 0; a < kh; ++a)
              for (std::int64_t b = 0; b < kw; ++b) {
                const std::int64_t r = i * stride[0] + a * dilation[0] - pads[0], s = j * stride[1] + b * dilation[1] - pads[1];
                const std::int64_t channel = o / (co / groups) * (ci / groups) + c;
                if (r >= 0 && r < h && s >= 0 && s < w) sum += x[(channel * h + r) * w + s] * weights[((o * (ci / groups) + c) * kh + a) * kw + b];
              }
          expected.push_back(sum);
        }
    check_point(g.model(), x, expected);
  }
}

TEST_CASE("pools, Pad, Transpose and BatchNormalization mean their definitions") {
  std::mt19937_64 random(2);
  const auto x = whole_numbers(random, 2 * 5 * 6);
  const auto at = [&](std::int64_t c, std::int64_t i, std::int64_t j) { return static_cast<double>(x[(c * 5 + i) * 6 + j]); };
  for (const bool max : {false, true})
    for (const std::int64_t with_pads : {0, 1}) {
      auto g = graph({1, 2, 5, 6}, {1, 2, 3, 3});
      g.node(max ? "MaxPool" : "AveragePool", {"x"}, {"y"}, attribute("kernel_shape", Dims{3, 2}) + attribute("strides", Dims{2, 2}) + attribute("pads", Dims{1, 0, 1, 0}) +
             (max ? "" : attribute("count_include_pad", with_pads)));
      std::vector<double> expected;
      for (int c = 0; c < 2; ++c)
        for (int i = 0; i < 3; ++i)
          for (int j = 0; j < 3; ++j) {
            double sum = 0, top = -1e9, n = 0;
            for (int a = 0; a < 3; ++a)
              for (int b = 0; b < 2; ++b) {
                const int r = 2 * i + a - 1;
                if (r < 0 || r >= 5) continue;
                sum += at(c, r, 2 * j + b);
                top = std::max(top, at(c, r, 2 * j + b));
                n += 1;
              }
            expected.push_back(max ? top : static_cast<double>(Rational(static_cast<int>(sum), with_pads ? 6 : static_cast<int>(n))));
          }
      check_point(g.model(), x, expected);
    }
  {
    auto g = graph({1, 2, 5, 6}, {1, 2, 1, 1});
    g.node("GlobalAveragePool", {"x"}, {"y"});
    std::vector<double> expected(2, 0);
    for (int i = 0; i < 60; ++i) expected[i / 30] += x[i] / 30.0;
    check_point(g.model(), x, expected);
  }
  {
    auto g = graph({1, 2, 5, 6}, {5, 1, 6, 2});
    g.node("Transpose", {"x"}, {"y"}, attribute("perm", Dims{2, 0, 3, 1}));
    std::vector<double> expected;
    for (int i = 0; i < 5; ++i)
      for (int j = 0; j < 6; ++j)
        for (int c = 0; c < 2; ++c) expected.push_back(at(c, i, j));
    check_point(g.model(), x, expected);
  }
  for (const int opset : {9, 13}) {
    auto g = graph({1, 2, 5, 6}, {1, 2, 8, 7});
    g.opset = opset;
    const Dims pads = {0, 0, 1, 0, 0, 0, 2, 1};
    if (opset == 13) {
      g.constant("pads", {8}, std::vector<std::int64_t>(pads));
      g.constant("value", {}, std::vector<float>{3});
      g.node("Pad", {"x", "pads", "value"}, {"y"});
    } else {
      g.node("Pad", {"x"}, {"y"}, attribute("pads", pads) + attribute("value", 3.0F) + attribute("mode", std::string("constant")));
    }
    std::vector<double> expected;
    for (int c = 0; c < 2; ++c)
      for (int i = -1; i < 7; ++i)
        for (int j = 0; j < 7; ++j) expected.push_back(i >= 0 && i < 5 && j < 6 ? at(c, i, j) : 3);
    check_point(g.model(), x, expected);
  }
  {
    auto g = graph({1, 2, 5, 6}, {1, 2, 5, 6});
    g.constant("scale", {2}, std::vector<float>{2, -0.7F});
    g.constant("shift", {2}, std::vector<float>{1, 0.3F});
    g.constant("mean", {2}, std::vector<float>{0.25F, -5});
    g.constant("variance", {2}, std::vector<float>{3, 0.1F});
    g.node("BatchNormalization", {"x", "scale", "shift", "mean", "variance"}, {"y"}, attribute("epsilon", 0.01F));
    const Loaded l(g.model());
    const Box out = l.output_box({{x.begin(), x.end()}, {x.begin(), x.end()}});
    const float scale[] = {2, -0.7F}, shift[] = {1, 0.3F}, mean[] = {0.25F, -5}, variance[] = {3, 0.1F};
    for (int i = 0; i < 60; ++i) {
      const int c = i / 30;
      const Decimal y = (Decimal(x[i]) - Decimal(mean[c])) * Decimal(scale[c]) / sqrt(Decimal(variance[c]) + Decimal(0.01F)) + Decimal(shift[c]);
      CHECK(Decimal(out.lower[i]) <= y);
      CHECK(Decimal(out.upper[i]) >= y);
      CHECK(out.upper[i] - out.lower[i] < 1e-12);
    }
  }
}

TEST_CASE("products, sums and shapes mean their definitions") {
  std::mt19937_64 random(3);
  const auto x = whole_numbers(random, 6);
  {  // Gemm with every attribute, bias broadcast from a column
    auto g = graph({3, 2}, {2, 4});
    const auto w = whole_numbers(random, 12), c = whole_numbers(random, 2);
    g.constant("w", {4, 3}, w);
    g.constant("c", {2, 1}, c);
    g.node("Gemm", {"x", "w", "c"}, {"y"}, attribute("transA", std::int64_t{1}) + attribute("transB", std::int64_t{1}) + attribute("alpha", 0.5F) + attribute("beta", -2.0F));
    std::vector<double> expected;
    for (int r = 0; r < 2; ++r)
      for (int o = 0; o < 4; ++o) {
        double sum = -2.0 * c[r];
        for (int i = 0; i < 3; ++i) sum += 0.5 * x[i * 2 + r] * w[o * 3 + i];
        expected.push_back(sum);
      }
    check_point(g.model(), x, expected);
  }
  for (const bool right : {false, true}) {
    auto g = graph({2, 3}, right ? Dims{2, 4} : Dims{4, 3});
    const auto w = whole_numbers(random, right ? 12 : 8);
    g.constant("w", right ? Dims{3, 4} : Dims{4, 2}, w);
    if (right) g.node("MatMul", {"x", "w"}, {"y"});
    else g.node("MatMul", {"w", "x"}, {"y"});
    std::vector<double> expected;
    for (int r = 0; r < (right ? 2 : 4); ++r)
      for (int o = 0; o < (right ? 4 : 3); ++o) {
        double sum = 0;
        for (int i = 0; i < (right ? 3 : 2); ++i) sum += right ? x[r * 3 + i] * w[i * 4 + o] : w[r * 2 + i] * x[i * 3 + o];
        expected.push_back(sum);
      }
    check_point(g.model(), x, expected);
  }
  struct Case { const char* op; bool constant_first; std::function<double(double, double)> f; };
  const std::vector<Case> cases = {{"Add", false, [](double a, double b) { return a + b; }}, {"Add", true, [](double a, double b) { return a + b; }},
                                   {"Sub", false, [](double a, double b) { return a - b; }}, {"Sub", true, [](double a, double b) { return b - a; }},
                                   {"Mul", false, [](double a, double b) { return a * b; }}, {"Mul", true, [](double a, double b) { return a * b; }},
                                   {"Div", false, [](double a, double b) { return a / b; }}};
  for (const Case& k : cases) {
    auto g = graph({2, 1, 3}, {2, 2, 3});
    const std::vector<float> c = {3, -7};
    g.constant("c", {2, 1}, c);
    if (k.constant_first) g.node(k.op, {"c", "x"}, {"y"});
    else g.node(k.op, {"x", "c"}, {"y"});
    std::vector<double> expected;
    for (int i = 0; i < 2; ++i)
      for (int b = 0; b < 2; ++b)
        for (int j = 0; j < 3; ++j) expected.push_back(k.f(x[i * 3 + j], c[b]));
    INFO(k.op);
    if (std::string(k.op) != "Div") check_point(g.model(), x, expected);
    else {
      const Box out = Loaded(g.model()).output_box({{x.begin(), x.end()}, {x.begin(), x.end()}});
      for (int i = 0; i < 12; ++i) {
        const Rational y = exact(x[i / 6 * 3 + i % 3]) / exact(c[i / 3 % 2]);
        CHECK(exact(out.lower[i]) <= y);
        CHECK(exact(out.upper[i]) >= y);
      }
    }
  }
  {  // x + x relu'd, through shapes of every kind; the Constant node
    auto g = graph({-1, 6}, {1, 6});
    g.constant("s", {2}, std::vector<std::int64_t>{0, -1});
    g.constant("axes", {1}, std::vector<std::int64_t>{1});
    g.node("Constant", {}, {"one"}, onnx_bytes::attribute_tensor("value", onnx_bytes::tensor("", {1}, std::vector<float>{1})));
    g.node("Identity", {"x"}, {"i"});
    g.node("Dropout", {"i"}, {"d"});
    g.node("Unsqueeze", {"d", "axes"}, {"u"});
    g.node("Squeeze", {"u", "axes"}, {"q"});
    g.node("Reshape", {"q", "s"}, {"r"});
    g.node("Flatten", {"r"}, {"f"});
    g.node("Add", {"f", "x"}, {"a"});
    g.node("Sub", {"a", "one"}, {"b"});
    g.node("Relu", {"b"}, {"y"});
    std::vector<double> expected;
    for (const float v : x) expected.push_back(std::max(0.0F, 2 * v - 1));
    check_point(g.model(), x, expected);
  }
}

TEST_CASE("Tanh and LeakyRelu are what they are") {
  const std::vector<float> x = {-3, -0.5F, 0, 0.25F, 7};
  for (const std::string op : {"Tanh", "Sigmoid", "LeakyRelu"}) {
    auto g = graph({1, 5}, {1, 5});
    g.node(op, {"x"}, {"y"}, op == "LeakyRelu" ? attribute("alpha", 0.125F) : "");
    const Loaded l(g.model());
    const Box out = l.output_box({{x.begin(), x.end()}, {x.begin(), x.end()}});
    for (int i = 0; i < 5; ++i) {
      const Decimal v(x[i]), y = op == "Tanh" ? Decimal(tanh(v)) : op == "Sigmoid" ? Decimal(1 / (1 + exp(-v))) : v < 0 ? Decimal(v / 8) : v;
      CHECK(Decimal(out.lower[i]) <= y);
      CHECK(Decimal(out.upper[i]) >= y);
      CHECK(out.upper[i] - out.lower[i] < 1e-13);
    }
  }
}

TEST_CASE("the planes of a Relu hold at both ends and at the kink, exactly") {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> mantissa(0.5, 1);
  Op op;
  op.form = Form::relu;
  for (int i = 0; i < 20000; ++i) {
    const double l = -std::ldexp(mantissa(random), static_cast<int>(random() % 60) - 30), u = std::ldexp(mantissa(random), static_cast<int>(random() % 60) - 30);
    const double alpha = static_cast<double>(random() % 256) / 255.0;
    Plane p;
    plane_of(op, 0, {{l}, {u}}, i % 2 ? &alpha : nullptr, 0, p);
    for (const double z : {l, 0.0, u}) {
      const Rational relu = z > 0 ? exact(z) : Rational(0);
      CHECK(exact(p.lower[0]) * exact(z) + exact(p.lower_shift) <= relu);
      CHECK(exact(p.upper[0]) * exact(z) + exact(p.upper_shift) >= relu);
    }
    CHECK(p.upper_shift <= -l * p.upper[0] + 1e-15 * (u - l));  // and it is the chord
  }
}

TEST_CASE("the planes of a sigmoid hold everywhere, for any slopes, in 50 digits") {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> position(-12, 12);
  Op op;
  op.form = Form::sigmoid;
  const auto sigmoid = [](const Decimal& x) { return Decimal(1 / (1 + exp(-x))); };
  for (int i = 0; i < 300; ++i) {
    double l = position(random), u = position(random);
    if (i % 5 == 0) u = l + std::ldexp(1.0, -static_cast<int>(random() % 60));
    if (i % 7 == 0) l *= 40;
    if (l > u) std::swap(l, u);
    const double slopes[2] = {0.25 * static_cast<double>(random() % 256) / 255, 0.25 * static_cast<double>(random() % 256) / 255};
    Plane p;
    plane_of(op, 0, {{l}, {u}}, i % 3 ? slopes : nullptr, 0, p);
    std::vector<Decimal> points = {Decimal(l), Decimal(u), (Decimal(l) + Decimal(u)) / 2};
    for (int k = 1; k < 12; ++k) points.push_back(Decimal(l) + (Decimal(u) - Decimal(l)) * k / 12);
    for (const double s : {p.lower[0], p.upper[0]}) {  // stationary points of the difference
      if (s <= 0 || s >= 0.25) continue;
      const Decimal high = (1 + sqrt(1 - 4 * Decimal(s))) / 2, z = log(high / (1 - high));
      for (const Decimal& x : {z, Decimal(-z)})
        if (x >= l && x <= u) points.push_back(x);
    }
    Decimal least_gap = 1e9;
    for (const Decimal& x : points) {
      const Decimal y = sigmoid(x), below = y - (Decimal(p.lower[0]) * x + Decimal(p.lower_shift)), above = Decimal(p.upper[0]) * x + Decimal(p.upper_shift) - y;
      CHECK(below >= 0);
      CHECK(above >= 0);
      least_gap = std::min(least_gap, Decimal(std::max(below, above)));
    }
    CHECK(p.lower[0] >= 0);
    CHECK(p.upper[0] <= 0.25);
  }
}

TEST_CASE("sigmoid values and MaxPool planes are enclosed in a network with any slopes") {
  // y = w . maxpool(v x) over a box, with random numbers for the planes: rows stay below the truth at sampled points.
  std::mt19937_64 random(6);
  for (int trial = 0; trial < 60; ++trial) {
    auto g = graph({1, 1, 4, 4}, {1, 1});
    const auto kernel = whole_numbers(random, 4);
    g.constant("k", {1, 1, 2, 2}, kernel);
    g.constant("w", {1, 4}, whole_numbers(random, 4));
    g.node("Conv", {"x", "k"}, {"c"});
    g.node("MaxPool", {"c"}, {"p"}, attribute("kernel_shape", Dims{2, 2}));
    g.node("Flatten", {"p"}, {"f"});
    g.node("Gemm", {"f", "w"}, {"y"}, attribute("transB", std::int64_t{1}));
    Loaded l(g.model());
    Box box;
    for (int i = 0; i < 16; ++i) {
      box.lower.push_back(static_cast<double>(random() % 8) / 8);
      box.upper.push_back(box.lower[i] + static_cast<double>(random() % 16) / 16);
    }
    SlopeSet set;
    if (trial % 4) {
      set.resize(1);
      set[0].value = l.certificate.name_id("p");
      set[0].width = 2;
      for (int i = 0; i < 4 * 8; ++i) set[0].numbers.push_back(static_cast<std::uint16_t>(random() % (trial % 4 == 1 ? 2 : 65536)) * (trial % 4 == 1 ? 65535 : 1));
    }
    const Propagation propagation(l.model, l.certificate);
    const auto boxes = propagation.boxes(box, nullptr, {}, nullptr);
    const Choices choices = propagation.resolve(set, {});
    std::vector<Row> rows(2);
    rows[0].terms.push_back({l.model.output, 0, 1, 0});
    rows[1].terms.push_back({l.model.output, 0, -1, 0});
    for (auto& r : rows) r.choices = &choices;
    const auto forms = propagation.backward(*boxes, rows);
    for (int sample = 0; sample < 40; ++sample) {
      Box point = box;
      for (int i = 0; i < 16; ++i) point.lower[i] = point.upper[i] = random() % 3 ? box.lower[i] + (box.upper[i] - box.lower[i]) * static_cast<double>(random() % 3) / 2 : box.lower[i];
      const Box value = l.output_box(point);  // exact sums: a point
      CHECK(lowest(forms[0], point) <= value.upper[0]);
      CHECK(lowest(forms[1], point) <= -value.lower[0]);
      CHECK(boxes->of[l.model.output].lower[0] <= value.upper[0]);
    }
  }
}

TEST_CASE("what the model reader cannot vouch for is refused by name") {
  const auto refusal = [](const onnx_bytes::Graph& g) {
    try {
      (void)read_model(g.model());
    } catch (const Refusal& r) {
      return r.place + ": " + r.what();
    }
    return std::string();
  };
  std::vector<std::pair<onnx_bytes::Graph, std::string>> cases;
  const auto add = [&](const std::string& word, const std::function<void(onnx_bytes::Graph&)>& make) {
    auto g = graph({1, 1, 4, 4}, {1, 1, 4, 4});
    make(g);
    cases.emplace_back(std::move(g), word);
  };
  add("MaxPool", [](auto& g) { g.node("MaxPool", {"x"}, {"y"}, attribute("kernel_shape", Dims{2, 2}) + attribute("ceil_mode", std::int64_t{1})); });
  add("first output", [](auto& g) { g.node("MaxPool", {"x"}, {"y", "indices"}, attribute("kernel_shape", Dims{2, 2})); });
  add("constant", [](auto& g) { g.node("Mul", {"x", "x"}, {"y"}); });
  add("divides by zero", [](auto& g) { g.constant("c", {1}, std::vector<float>{0}); g.node("Div", {"x", "c"}, {"y"}); });
  add("infinite or NaN", [](auto& g) { g.constant("c", {1}, std::vector<float>{NAN}); g.node("Add", {"x", "c"}, {"y"}); });
  add("not defined before", [](auto& g) { g.node("Relu", {"z"}, {"y"}); });
  add("twice", [](auto& g) { g.node("Relu", {"x"}, {"y"}); g.node("Relu", {"x"}, {"y"}); });
  add("wrong type", [](auto& g) { g.constant("w", {1, 1, 2, 2}, std::vector<float>(4)); g.node("Conv", {"x", "w"}, {"y"}, attribute("strides", std::int64_t{1})); });
  add("groups", [](auto& g) { g.constant("w", {1, 2, 2, 2}, std::vector<float>(8)); g.node("Conv", {"x", "w"}, {"y"}); });
  add("wrong length", [](auto& g) { g.constant("w", {1, 1, 2, 2}, std::vector<float>(3)); g.node("Conv", {"x", "w"}, {"y"}); });
  add("too old", [](auto& g) { g.opset = 6; g.node("Relu", {"x"}, {"y"}); });
  add("number of elements", [](auto& g) { g.constant("s", {1}, std::vector<std::int64_t>{15}); g.node("Reshape", {"x", "s"}, {"y"}); });
  add("training", [](auto& g) { g.node("Dropout", {"x", "", "x"}, {"y"}); });
  add("variance", [](auto& g) {
    for (const char* c : {"a", "b", "c"}) g.constant(c, {1}, std::vector<float>{1});
    g.constant("v", {1}, std::vector<float>{-1});
    g.node("BatchNormalization", {"x", "a", "b", "c", "v"}, {"y"});
  });
  add("no rule", [](auto& g) { g.node("Mystery", {"x"}, {"z"}); g.node("Relu", {"z"}, {"y"}); });
  add("element", [](auto& g) { g.input_dims = {1, 1, 1 << 20, 1 << 20}; g.node("Relu", {"x"}, {"y"}); });
  for (const auto& [g, word] : cases) {
    const std::string text = refusal(g);
    INFO(word << " / " << text);
    CHECK(text.find(word) != std::string::npos);
  }
  CHECK_THROWS_AS(read_model("not a model"), Refusal);
}
