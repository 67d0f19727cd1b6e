// Small networks of several kinds for tests of the search: dense layers, convolutions, joins, ReLU, LeakyRelu, MaxPool, Sigmoid; as a
// model file, and evaluated in exact rationals where they are piecewise linear.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "boundlight/core/rational.hpp"
#include "support/onnx_build.hpp"

namespace boundlight::test {

// Value 0 is the input; step k makes value k + 1 of value `from` (and `other`).
struct NetStep {
  enum class Kind { dense, conv, relu, leaky, pool, join, sigmoid };
  Kind kind = Kind::dense;
  std::size_t from = 0, other = 0;
  std::vector<std::vector<double>> weight;  // dense: [out][in]; conv: [channels][taps] along the input, stride 1
  std::vector<double> bias;                 // dense: [out]; conv: [channels]
  double slope = 0.25;                      // leaky
  std::size_t stride = 1;                   // pool: windows of two neighbours
};

struct SearchNet {
  std::size_t inputs = 1;
  std::vector<NetStep> steps;

  std::vector<std::size_t> sizes() const {
    std::vector<std::size_t> n = {inputs};
    for (const NetStep& s : steps) {
      const std::size_t in = n[s.from];
      switch (s.kind) {
        case NetStep::Kind::dense: n.push_back(s.bias.size()); break;
        case NetStep::Kind::conv: n.push_back(s.bias.size() * (in + 1 - s.weight[0].size())); break;
        case NetStep::Kind::pool: n.push_back((in - 2) / s.stride + 1); break;
        default: n.push_back(in);
      }
    }
    return n;
  }
  std::size_t outputs() const { return sizes().back(); }
  bool piecewise_linear() const {
    for (const NetStep& s : steps)
      if (s.kind == NetStep::Kind::sigmoid) return false;
    return true;
  }

  // All values at x. switches (optional): what decides which linear piece x lies on, in the order of evaluation; every one is affine
  // where those before it keep their signs.
  template <class Number>
  std::vector<Number> at(const std::vector<Number>& x, std::vector<Number>* switches = nullptr) const {
    std::vector<std::vector<Number>> v = {x};
    for (const NetStep& s : steps) {
      const std::vector<Number>& in = v[s.from];
      std::vector<Number> out;
      switch (s.kind) {
        case NetStep::Kind::dense:
          for (std::size_t o = 0; o < s.bias.size(); ++o) out.push_back(dot(s.weight[o], in, 0, s.bias[o]));
          break;
        case NetStep::Kind::conv:
          for (std::size_t c = 0; c < s.bias.size(); ++c)
            for (std::size_t p = 0; p + s.weight[c].size() <= in.size(); ++p) out.push_back(dot(s.weight[c], in, p, s.bias[c]));
          break;
        case NetStep::Kind::relu:
        case NetStep::Kind::leaky:
          for (const Number& z : in) {
            if (switches) switches->push_back(z);
            const double below = s.kind == NetStep::Kind::relu ? 0.0 : static_cast<double>(static_cast<float>(s.slope));
            out.push_back(z > 0 ? z : Number(z * Number(below)));
          }
          break;
        case NetStep::Kind::pool:
          for (std::size_t p = 0; p + 2 <= in.size(); p += s.stride) {
            if (switches) switches->push_back(in[p] - in[p + 1]);
            out.push_back(in[p] > in[p + 1] ? in[p] : in[p + 1]);
          }
          break;
        case NetStep::Kind::join:
          for (std::size_t i = 0; i < in.size(); ++i) out.push_back(in[i] + v[s.other][i]);
          break;
        case NetStep::Kind::sigmoid:
          if constexpr (std::is_same_v<Number, double>)
            for (const double z : in) out.push_back(1 / (1 + std::exp(-z)));
          else out = in;
          break;
      }
      v.push_back(std::move(out));
    }
    return v.back();
  }

  std::string onnx() const {
    ModelBuilder m(13);
    m.input("v0", {1, static_cast<std::int64_t>(inputs)});
    const auto n = sizes();
    for (std::size_t k = 0; k < steps.size(); ++k) emit(m, k, n);
    m.output("v" + std::to_string(steps.size()), {1, static_cast<std::int64_t>(n.back())});
    return m.bytes();
  }

 private:
  template <class Number>
  static Number dot(const std::vector<double>& w, const std::vector<Number>& in, std::size_t from, double bias) {
    Number sum(bias);
    for (std::size_t i = 0; i < w.size(); ++i)
      if (w[i] != 0) sum += Number(w[i]) * in[from + i];
    return sum;
  }

  void emit(ModelBuilder& m, std::size_t k, const std::vector<std::size_t>& n) const {
    const NetStep& s = steps[k];
    const std::string id = std::to_string(k + 1), x = "v" + std::to_string(s.from), y = "v" + id;
    const auto width = static_cast<std::int64_t>(n[s.from]);
    std::vector<float> w;
    for (const auto& row : s.weight) w.insert(w.end(), row.begin(), row.end());
    const std::vector<float> b(s.bias.begin(), s.bias.end());
    const auto outs = static_cast<std::int64_t>(s.bias.size()), taps = s.weight.empty() ? 0 : static_cast<std::int64_t>(s.weight[0].size());
    const auto as_image = [&] {
      m.initializer(tensor("shape" + id, {4}, std::vector<std::int64_t>{1, 1, 1, width}));
      m.node("Reshape", {x, "shape" + id}, {"image" + id});
    };
    switch (s.kind) {
      case NetStep::Kind::dense:
        m.initializer(tensor("w" + id, {outs, taps}, w));
        m.initializer(tensor("b" + id, {outs}, b));
        m.node("Gemm", {x, "w" + id, "b" + id}, {y}, {attribute("transB", 1)});
        break;
      case NetStep::Kind::conv:
        as_image();
        m.initializer(tensor("w" + id, {outs, 1, 1, taps}, w));
        m.initializer(tensor("b" + id, {outs}, b));
        m.node("Conv", {"image" + id, "w" + id, "b" + id}, {"conv" + id}, {attribute("kernel_shape", std::vector<std::int64_t>{1, taps})});
        m.node("Flatten", {"conv" + id}, {y}, {attribute("axis", 1)});
        break;
      case NetStep::Kind::pool:
        as_image();
        m.node("MaxPool", {"image" + id}, {"pool" + id},
               {attribute("kernel_shape", std::vector<std::int64_t>{1, 2}), attribute("strides", std::vector<std::int64_t>{1, static_cast<std::int64_t>(s.stride)})});
        m.node("Flatten", {"pool" + id}, {y}, {attribute("axis", 1)});
        break;
      case NetStep::Kind::relu: m.node("Relu", {x}, {y}); break;
      case NetStep::Kind::leaky: m.node("LeakyRelu", {x}, {y}, {attribute("alpha", static_cast<float>(s.slope))}); break;
      case NetStep::Kind::sigmoid: m.node("Sigmoid", {x}, {y}); break;
      case NetStep::Kind::join: m.node("Add", {x, "v" + std::to_string(s.other)}, {y}); break;
    }
  }
};

}  // namespace boundlight::test
