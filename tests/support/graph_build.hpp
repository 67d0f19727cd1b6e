// Builds typed graphs in memory for tests of operators and engines, and evaluates them slowly on the host: the second
// opinion that kernels are compared with (OpInfo::evaluate shares no code with them).
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/engines/typed_evaluate.hpp"
#include "boundlight/bounds/ops/op.hpp"
#include "support/test_device.hpp"

namespace boundlight::test {

// Small random numbers, the same on every machine.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed * 2654435761U + 88172645463325252U) {}
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  std::int64_t integer(std::int64_t lowest, std::int64_t highest) {
    return lowest + static_cast<std::int64_t>((next() >> 20) % static_cast<std::uint64_t>(highest - lowest + 1));
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double real(double lowest, double highest) { return lowest + (highest - lowest) * unit(); }
  std::vector<double> integers(std::int64_t count, std::int64_t lowest, std::int64_t highest) {
    std::vector<double> v;
    for (std::int64_t i = 0; i < count; ++i) v.push_back(static_cast<double>(integer(lowest, highest)));
    return v;
  }
  std::vector<double> reals(std::int64_t count, double lowest, double highest) {
    std::vector<double> v;
    for (std::int64_t i = 0; i < count; ++i) v.push_back(real(lowest, highest));
    return v;
  }

 private:
  std::uint64_t state_;
};

class GraphBuilder {
 public:
  using Attributes = std::map<std::string, Attribute, std::less<>>;

  explicit GraphBuilder(DataType type = DataType::float64, std::int64_t version = 18) : type_(type) {
    graph_.source = "test";
    graph_.opset = version;
  }
  ValueId input(Shape shape) {
    Value v;
    v.name = "x" + std::to_string(graph_.inputs.size());
    v.type = type_;
    v.shape = std::move(shape);
    graph_.inputs.push_back(append(std::move(v)));
    return graph_.inputs.back();
  }
  ValueId constant(Shape shape, const std::vector<double>& values) { return constant(Tensor::from_doubles(type_, std::move(shape), values)); }
  ValueId constant(Tensor tensor) {
    Value v;
    v.name = "c" + std::to_string(graph_.values.size());
    v.constant = std::move(tensor);
    return append(std::move(v));
  }
  ValueId integers(const std::vector<std::int64_t>& values) {
    return constant(Tensor::from_int64s(DataType::int64, {static_cast<std::int64_t>(values.size())}, values));
  }
  ValueId node(std::string op, std::vector<ValueId> inputs, Attributes attributes = {}) { return nodes(std::move(op), std::move(inputs), std::move(attributes), 1)[0]; }
  std::vector<ValueId> nodes(std::string op, std::vector<ValueId> inputs, Attributes attributes, std::size_t outputs) {
    Node n;
    n.op = std::move(op);
    n.name = n.op + "_" + std::to_string(graph_.nodes.size());
    n.version = graph_.opset;
    n.inputs = std::move(inputs);
    n.attributes = std::move(attributes);
    for (std::size_t s = 0; s < outputs; ++s) {
      Value v;
      v.name = n.name + "_y" + std::to_string(s);
      n.outputs.push_back(append(std::move(v)));
    }
    graph_.nodes.push_back(n);
    return n.outputs;
  }
  Result<std::shared_ptr<const Network>> prepared(std::vector<ValueId> outputs) {
    graph_.outputs = std::move(outputs);
    return prepare(graph_);
  }
  // Fails the test when the graph is refused.
  std::shared_ptr<const Network> network(std::vector<ValueId> outputs) {
    auto result = prepared(std::move(outputs));
    if (!result.ok()) FAIL(result.error().text());
    return result.value();
  }

 private:
  ValueId append(Value v) {
    graph_.values.push_back(std::move(v));
    return static_cast<ValueId>(graph_.values.size() - 1);
  }
  DataType type_;
  Graph graph_;
};

inline std::unique_ptr<Engine> engine_of(std::shared_ptr<const Network> network) {
  auto engine = make_engine(std::move(network), test_device());
  if (!engine.ok()) FAIL(engine.error().text());
  return std::move(engine.value());
}

// Every value of the network for one sample (all inputs concatenated), by OpInfo::evaluate.
inline std::vector<Tensor> reference_values(const Network& network, const std::vector<double>& inputs) {
  std::vector<Tensor> samples;
  auto from = inputs.begin();
  for (const ValueId id : network.inputs) {
    const auto& v = network.values[static_cast<std::size_t>(id)];
    samples.push_back(Tensor::from_doubles(v.type, v.shape, {from, from + v.size}));
    from += v.size;
  }
  std::vector<ValueId> all(network.values.size());
  for (std::size_t v = 0; v < all.size(); ++v) all[v] = static_cast<ValueId>(v);
  auto values = evaluate_typed(network, samples, all);
  if (!values.ok()) FAIL(values.error().text());
  return values.value();
}

inline std::vector<double> reference(const Network& network, const std::vector<double>& inputs) {
  return reference_values(network, inputs)[static_cast<std::size_t>(network.outputs[0])].to_doubles();
}

// The value of output 0 that bounds are asked of: one form per element.
inline Forms identity_forms(const Network& network) {
  Forms f;
  f.value = network.outputs[0];
  const auto n = static_cast<std::size_t>(network.values[static_cast<std::size_t>(f.value)].size);
  f.rows = static_cast<std::int64_t>(n);
  f.coefficient.assign(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) f.coefficient[i * n + i] = 1;
  return f;
}

inline bool near(double a, double b, double tolerance) { return std::fabs(a - b) <= tolerance * (1 + std::fabs(b)); }

}  // namespace boundlight::test
