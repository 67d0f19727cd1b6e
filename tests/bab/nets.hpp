// Random small ReLU networks with exact answers, as a model file, a Network and a property.
#pragma once

#include <catch2/catch.hpp>

#include "boundlight/core/files.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/solver/bab/verify.hpp"
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"
#include "support/exact_cells.hpp"
#include "support/onnx_build.hpp"

namespace boundlight::test {

inline DenseNet random_net(std::mt19937_64& random, const std::vector<std::size_t>& sizes) {
  std::normal_distribution<double> normal;
  DenseNet net;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    DenseNet::Layer layer;
    for (std::size_t o = 0; o < sizes[l + 1]; ++o) {
      layer.weight.emplace_back();
      for (std::size_t i = 0; i < sizes[l]; ++i) layer.weight.back().push_back(static_cast<float>(normal(random)));
      layer.bias.push_back(static_cast<float>(0.5 * normal(random)));
    }
    net.layers.push_back(std::move(layer));
  }
  return net;
}

inline std::string onnx_of(const DenseNet& net) {
  ModelBuilder m(13);
  m.input("z0", {1, static_cast<std::int64_t>(net.inputs())});
  std::string x = "z0";
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const std::string k = std::to_string(l + 1);
    const auto& layer = net.layers[l];
    std::vector<float> w, b(layer.bias.begin(), layer.bias.end());
    for (const auto& row : layer.weight) w.insert(w.end(), row.begin(), row.end());
    m.initializer(tensor("w" + k, {static_cast<std::int64_t>(layer.bias.size()), static_cast<std::int64_t>(layer.weight[0].size())}, w));
    m.initializer(tensor("b" + k, {static_cast<std::int64_t>(b.size())}, b));
    m.node("Gemm", {x, "w" + k, "b" + k}, {"y" + k}, {attribute("transB", 1)});
    x = "y" + k;
    if (l + 1 == net.layers.size()) break;
    m.node("Relu", {x}, {"z" + k});
    x = "z" + k;
  }
  m.output(x, {1, static_cast<std::int64_t>(net.outputs())});
  return m.bytes();
}

struct Case {
  DenseNet net;
  std::vector<double> lower, upper;
  std::string model, spec;
  Property property;
  std::shared_ptr<const Network> network;
};

inline Case case_of(DenseNet net, std::vector<double> lower, std::vector<double> upper, const std::vector<std::vector<LinearConstraint>>& disjuncts) {
  Case c;
  PropertyBuilder builder(static_cast<std::int64_t>(net.inputs()), static_cast<std::int64_t>(net.outputs()));
  const std::size_t box = builder.box(lower, upper);
  for (const auto& d : disjuncts) builder.disjunct(box, d);
  c.spec = to_vnnlib(std::move(builder).build());
  c.property = parse_vnnlib(c.spec, "case.vnnlib").value();
  c.model = onnx_of(net);
  c.network = prepare(parse_onnx(c.model, "case.onnx", {}).value()).value();
  c.net = std::move(net);
  c.lower = std::move(lower);
  c.upper = std::move(upper);
  return c;
}

// Is there a violating point at all? Vertices of all cells suffice for disjuncts of one non-strict constraint.
inline bool truly_violated(const Case& c, const ExactCells& cells) {
  for (const auto& v : cells.vertices())
    if (violated_disjunct(c.property, v.x, v.values.back())) return true;
  return false;
}

// A counterexample is one in exact arithmetic.
inline void check_counterexample(const Case& c, const VerifyResult& r) {
  REQUIRE(r.counterexample);
  std::vector<Rational> x;
  for (const double v : r.counterexample->input) x.push_back(exact(v));
  CHECK(violated_disjunct(c.property, x, exact_values(c.net, x).back()).has_value());
}

inline check::Verdict checked(const Case& c, const check::Certificate& certificate) {
  auto verdict = check::check_bytes(check::serialize(certificate), c.model, c.spec);
  REQUIRE(verdict.ok());
  return verdict.value();
}

}  // namespace boundlight::test
