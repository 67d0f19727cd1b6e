// Networks made for rounding errors, in both semantics: boxes and rows contain the exact truth, or every evaluation.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tiny_nets.hpp"

using namespace boundlight;
using namespace boundlight::check;
using onnx_bytes::attribute;
using onnx_bytes::Dims;

namespace {

struct LoadedNet {
  Certificate certificate;
  Model model;
  explicit LoadedNet(const std::string& onnx, Semantics semantics = Semantics::real) : model(read_model(onnx)) { certificate.semantics = semantics; }
  [[nodiscard]] Box output_box(const Box& in, const Bounds* section = nullptr) const {
    return Propagation(model, certificate).boxes(in, nullptr, {}, section)->of[model.output];
  }
};

onnx_bytes::Graph graph_between(const Dims& in, const Dims& out) {
  onnx_bytes::Graph g;
  g.input = "x";
  g.output = "y";
  g.input_dims = in;
  g.output_dims = out;
  return g;
}

}  // namespace

TEST_CASE("networks made for rounding errors: boxes and rows contain the exact truth") {
  // T6 and T7: all neurons stay active, biases absorb; T9: a trigger below the noise.
  std::mt19937_64 random(7);
  for (int trial = 0; trial < 300; ++trial) {
    tiny::Net net = tiny::Net::random(random, 1, trial % 3 == 0 ? 1 : 1000);
    if (trial % 3) {
      for (std::size_t k = 0; k < net.layers.size(); ++k)
        for (std::size_t i = 0; i < net.layers[k].b.size(); ++i) {
          float& b = net.layers[k].b[i];
          b = std::ldexp(b, static_cast<int>(random() % 40) - 8);
          if (k + 1 < net.layers.size() && trial % 3 == 1) b = std::fabs(b);
        }
      net.write();
    }
    const LoadedNet l(net.onnx);
    std::array<Rational, 2> lower, upper;
    Box box;
    for (int t = 0; t < 2; ++t) {
      lower[t] = tiny::dyadic(random, 1, 64);
      upper[t] = lower[t] + tiny::dyadic(random, 1, 1 << 10) * tiny::dyadic(random, 1, 1 << 10);
      if (upper[t] < lower[t]) std::swap(lower[t], upper[t]);
      box.lower.push_back(round_down(lower[t]));
      box.upper.push_back(round_up(upper[t]));
    }
    const tiny::Polygon region = tiny::box_polygon(lower, upper);
    const Rational least = tiny::least_output(net, region, {1}), greatest = -tiny::least_output(net, region, {-1});
    Bounds backward;
    backward.mode = Bounds::Mode::backward;
    for (const Bounds* section : {static_cast<const Bounds*>(nullptr), static_cast<const Bounds*>(&backward)}) {
      const Propagation propagation(l.model, l.certificate);
      const auto boxes = propagation.boxes(box, nullptr, {}, section);
      std::vector<Row> rows(2);
      rows[0].terms.push_back({l.model.output, 0, 1, 0});
      rows[1].terms.push_back({l.model.output, 0, -1, 0});
      const auto forms = propagation.backward(*boxes, rows);
      INFO("trial " << trial);
      CHECK(exact(boxes->of[l.model.output].lower[0]) <= least);
      CHECK(exact(boxes->of[l.model.output].upper[0]) >= greatest);
      CHECK(exact(lowest(forms[0], box)) <= least);
      CHECK(exact(lowest(forms[1], box)) <= -greatest);
      // At single points the form itself is below the function.
      const tiny::Point corner = {exact(box.lower[0]), exact(box.upper[1])};
      const Rational y = net.evaluate(corner)[0];
      CHECK(exact(forms[0].a[0]) * corner[0] + exact(forms[0].a[1]) * corner[1] + exact(forms[0].b) <= y);
    }
  }
}

TEST_CASE("T7: a bias of 2^25 absorbs nothing") {
  tiny::Net net;
  net.layers = {{2, 2, {1, 0, 0, 1}, {33554432, 1}, "z0"}, {2, 1, {1, -1}, {-33554432}, "z1"}};
  net.write();
  const LoadedNet l(net.onnx);
  const Box box{{-1e-3, -1e-3}, {1e-3, 1e-3}};
  const Box out = l.output_box(box);
  CHECK(out.lower[0] <= -1.002);
  CHECK(out.upper[0] >= -0.998);
  CHECK(out.upper[0] - out.lower[0] < 0.01);
  LoadedNet deployed(net.onnx, Semantics::float32_any_order);
  const Box wide = deployed.output_box(box);
  CHECK(wide.upper[0] >= 0);  // what float32 computes
}

TEST_CASE("float32-any-order boxes contain evaluations in any order, fused or not") {
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal;
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 3 + random() % 60;
    tiny::Net::Dense a{n, 4, {}, {}, "z0"}, b{4, 1, {}, {}, "z1"};
    const float scale = std::ldexp(1.0F, static_cast<int>(random() % 30));
    for (std::size_t i = 0; i < 4 * n; ++i) a.w.push_back(normal(random) * (random() % 3 ? 1 : scale));
    for (int i = 0; i < 4; ++i) a.b.push_back(normal(random)), b.w.push_back(normal(random));
    b.b = {normal(random)};
    onnx_bytes::Graph g = graph_between({1, static_cast<std::int64_t>(n)}, {1, 1});
    g.constant("w0", {4, static_cast<std::int64_t>(n)}, a.w);
    g.constant("b0", {4}, a.b);
    g.constant("w1", {1, 4}, b.w);
    g.constant("b1", {1}, b.b);
    g.node("Gemm", {"x", "w0", "b0"}, {"z"}, attribute("transB", std::int64_t{1}));
    g.node("Relu", {"z"}, {"h"});
    g.node("Gemm", {"h", "w1", "b1"}, {"y"}, attribute("transB", std::int64_t{1}));
    LoadedNet l(g.model(), Semantics::float32_any_order);
    Box box;
    std::vector<float> x;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back(normal(random));
      box.lower.push_back(x[i]);
      box.upper.push_back(x[i]);
    }
    const Propagation propagation(l.model, l.certificate);
    const auto boxes = propagation.boxes(box, nullptr, {}, nullptr);
    std::vector<Row> rows(2);
    rows[0].terms.push_back({l.model.output, 0, 1, 0});
    rows[1].terms.push_back({l.model.output, 0, -1, 0});
    const auto forms = propagation.backward(*boxes, rows);
    const auto dot = [&](const float* w, const float* v, std::size_t size, float bias) {
      std::vector<std::size_t> order(size);
      for (std::size_t i = 0; i < size; ++i) order[i] = i;
      std::shuffle(order.begin(), order.end(), random);
      const bool fused = random() % 2, bias_first = random() % 2;
      float sum = bias_first ? bias : 0;
      for (const std::size_t i : order) {
        volatile float product = w[i] * v[i];
        sum = fused ? std::fma(w[i], v[i], sum) : sum + product;
      }
      return bias_first ? sum : sum + bias;
    };
    for (int order = 0; order < 20; ++order) {
      float h[4];
      for (int o = 0; o < 4; ++o) {
        const float z = dot(&a.w[o * n], x.data(), n, a.b[o]);
        const Box& zb = boxes->of[l.model.tensor_of.at("z")];
        CHECK(zb.lower[o] <= z);
        CHECK(zb.upper[o] >= z);
        h[o] = std::max(0.0F, z);
      }
      const float y = dot(b.w.data(), h, 4, b.b[0]);
      CHECK(lowest(forms[0], box) <= y);
      CHECK(lowest(forms[1], box) <= -y);
    }
  }
}

TEST_CASE("overflow and infinity lose the bound, never the truth") {
  tiny::Net net;
  net.layers = {{2, 2, {3e38F, 3e38F, 1, 1}, {0, 0}, "z0"}, {2, 1, {3e38F, 1}, {0}, "z1"}};
  net.write();
  const Box box{{-1e200, -1e200}, {1e200, 1e200}};
  const LoadedNet l(net.onnx);
  const Box out = l.output_box(box);
  CHECK(!(out.lower[0] > 0));
  const Propagation propagation(l.model, l.certificate);
  const auto boxes = propagation.boxes(box, nullptr, {}, nullptr);
  Row row;
  row.terms.push_back({l.model.output, 0, 1, 0});
  const double bound = lowest(propagation.backward(*boxes, {row})[0], box);
  CHECK(!(bound > -1e230));
  // float32 would overflow long before: nothing is claimed
  const LoadedNet deployed(net.onnx, Semantics::float32_any_order);
  CHECK(std::isinf(deployed.output_box({{-10, -10}, {10, 10}}).upper[0]));
}
