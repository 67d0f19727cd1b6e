// Small dense ReLU networks: as a Graph for the engine, and evaluated exactly in rationals.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/rational.hpp"
#include "support/test_device.hpp"

namespace boundlight::test {

// Layer l: y = W x + b, followed by a ReLU unless it is the last. weight[o][i].
struct DenseNet {
  struct Layer {
    std::vector<std::vector<double>> weight;
    std::vector<double> bias;
  };
  std::vector<Layer> layers;
  DataType type = DataType::float32;

  [[nodiscard]] std::size_t inputs() const { return layers[0].weight[0].size(); }
  [[nodiscard]] std::size_t outputs() const { return layers.back().bias.size(); }
};

// Values z0, y1, z1, y2 ...: y<l> before and z<l> after the ReLU of layer l; the last y is the output.
inline Graph graph_of(const DenseNet& net) {
  Graph g;
  g.source = "net";
  g.opset = 13;
  const auto value = [&](const std::string& name, Shape shape) {
    Value v;
    v.name = name;
    v.type = net.type;
    v.shape = std::move(shape);
    g.values.push_back(std::move(v));
    return static_cast<ValueId>(g.values.size() - 1);
  };
  ValueId x = value("z0", {1, static_cast<std::int64_t>(net.inputs())});
  g.inputs = {x};
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const auto& layer = net.layers[l];
    const auto n = static_cast<std::int64_t>(layer.bias.size()), k = static_cast<std::int64_t>(layer.weight[0].size());
    std::vector<double> w;
    for (const auto& row : layer.weight) w.insert(w.end(), row.begin(), row.end());
    const std::string index = std::to_string(l + 1);
    const ValueId weight = value("w" + index, {n, k}), bias = value("b" + index, {n});
    g.values[static_cast<std::size_t>(weight)].constant = Tensor::from_doubles(net.type, {n, k}, w);
    g.values[static_cast<std::size_t>(bias)].constant = Tensor::from_doubles(net.type, {n}, layer.bias);
    const ValueId y = value("y" + index, {1, n});
    Node gemm;
    gemm.name = "gemm" + index;
    gemm.op = "Gemm";
    gemm.version = 13;
    gemm.inputs = {x, weight, bias};
    gemm.outputs = {y};
    gemm.attributes["transB"] = std::int64_t{1};
    g.nodes.push_back(gemm);
    x = y;
    if (l + 1 == net.layers.size()) break;
    const ValueId z = value("z" + index, {1, n});
    Node relu;
    relu.name = "relu" + index;
    relu.op = "Relu";
    relu.version = 13;
    relu.inputs = {y};
    relu.outputs = {z};
    g.nodes.push_back(relu);
    x = z;
  }
  g.outputs = {x};
  return g;
}

inline std::shared_ptr<const Network> network_of(const Graph& g) {
  auto network = prepare(g);
  if (!network.ok()) throw std::runtime_error(network.error().text());
  return network.value();
}
inline std::unique_ptr<Engine> engine_of(const DenseNet& net, const std::string& device = test_device()) {
  auto engine = make_engine(network_of(graph_of(net)), device);
  if (!engine.ok()) throw std::runtime_error(engine.error().text());
  return std::move(engine.value());
}

inline Regions box_of(const std::vector<double>& lower, const std::vector<double>& upper) {
  Regions r;
  r.batch = 1;
  r.lower = lower;
  r.upper = upper;
  return r;
}

// Forms that select every element of a value.
inline Forms elements_of(const Network& network, const std::string& name) {
  Forms f;
  f.value = network.find(name).value();
  f.rows = network.values[static_cast<std::size_t>(f.value)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t i = 0; i < f.rows; ++i) f.coefficient[static_cast<std::size_t>(i * f.rows + i)] = 1;
  return f;
}

// All values before ReLUs, layer by layer, at one exact point.
inline std::vector<std::vector<Rational>> exact_values(const DenseNet& net, std::vector<Rational> x) {
  std::vector<std::vector<Rational>> all;
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const auto& layer = net.layers[l];
    std::vector<Rational> y(layer.bias.size());
    for (std::size_t o = 0; o < y.size(); ++o) {
      y[o] = exact(layer.bias[o]);
      for (std::size_t i = 0; i < x.size(); ++i)
        if (layer.weight[o][i] != 0 && x[i] != 0) y[o] += exact(layer.weight[o][i]) * x[i];
    }
    all.push_back(y);
    for (auto& v : y)
      if (v < 0) v = 0;
    x = std::move(y);
  }
  return all;
}

// A value of the network's type near x.
inline double in_type(DataType type, double x) { return type == DataType::float32 ? static_cast<double>(static_cast<float>(x)) : x; }

}  // namespace boundlight::test
