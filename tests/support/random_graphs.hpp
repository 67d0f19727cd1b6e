// Random graphs of mixed operators: chains that branch and meet again, over values that lie where each operator is defined.
// What laws of single operators cannot see shows here: planes carried through many kinds of nodes, joins, shared inputs.
#pragma once

#include <string>
#include <vector>

#include "support/graph_build.hpp"

namespace boundlight::test {

class RandomGraph {
 public:
  // Few elements, so that every value of it can be looked at. The same graph for the same seed and number of steps: a failure
  // is made smaller by fewer steps.
  RandomGraph(std::uint64_t seed, int steps) : draws_(seed), builder_(draws_.integer(0, 1) ? DataType::float32 : DataType::float64, 20) {
    const Shape shapes[] = {{1, 4}, {1, 6}, {1, 3, 4}, {1, 2, 4, 4}, {1, 4, 3, 3}};
    const Shape shape = shapes[draws_.integer(0, 4)];
    alive_.push_back({builder_.input(shape), shape, true});
    if (draws_.integer(0, 3) == 0) alive_.push_back({builder_.input(shape), shape, true});
    for (int i = 0; i < steps; ++i) step();
  }
  // The last value is the output.
  std::shared_ptr<const Network> network() { return builder_.network({alive_.back().id}); }
  [[nodiscard]] const std::string& text() const { return text_; }
  Draws& draws() { return draws_; }

 private:
  struct Alive {
    ValueId id;
    Shape shape;
    bool bounded;  // by 2 or so for inputs of [-1, 1]; else tamed before it is multiplied
  };
  static std::int64_t size(const Shape& s) { return *element_count(s); }

  const Alive& pick() {  // most often the newest
    const auto n = static_cast<std::int64_t>(alive_.size());
    return alive_[static_cast<std::size_t>(draws_.integer(0, 2) ? n - 1 : draws_.integer(0, n - 1))];
  }
  Alive add(const std::string& op, std::vector<ValueId> in, Shape shape, bool bounded, GraphBuilder::Attributes attributes = {}) {
    text_ += op + " ";
    return {builder_.node(op, std::move(in), std::move(attributes)), std::move(shape), bounded};
  }
  ValueId number(double x) { return builder_.constant({}, {x}); }
  ValueId weights(const Shape& s, double scale) { return builder_.constant(s, draws_.reals(size(s), -scale, scale)); }
  Alive tame(const Alive& a) { return a.bounded ? a : add("Tanh", {a.id}, a.shape, true); }
  Alive positive(const Alive& a) {
    const Alive t = tame(a);
    const Alive p = add(draws_.integer(0, 1) ? "Softplus" : "Exp", {t.id}, t.shape, true);
    return add("Add", {p.id, number(0.125)}, p.shape, true);
  }

  void step() {
    const Alive a = pick();
    const bool image = a.shape.size() == 4 && a.shape[2] >= 3 && a.shape[3] >= 3;
    switch (draws_.integer(0, 9)) {
      case 0: case 1: return alive_.push_back(curve(a));
      case 2: case 3: return alive_.push_back(pair(a));
      case 4: return alive_.push_back(of_positive(a));
      case 5: case 6: return alive_.push_back(image ? window(a) : dense(a));
      case 7: return alive_.push_back(reduce(a));
      case 8: return alive_.push_back(move(a));
      default: return alive_.push_back(mix(a));
    }
  }

  Alive curve(const Alive& a) {
    static const char* const bounded[] = {"HardSigmoid", "Sigmoid", "Tanh", "Softsign", "Erf", "Sin", "Cos"};
    static const char* const growing[] = {"Relu", "LeakyRelu", "Elu", "Selu", "Celu", "HardSwish", "Softplus", "Gelu", "Abs", "Neg", "Clip", "PRelu", "Mul"};
    if (draws_.integer(0, 2) == 0) return add(bounded[draws_.integer(0, 6)], {a.id}, a.shape, true);
    const std::string op = growing[draws_.integer(0, 12)];
    if (op == "Clip") return add(op, {a.id, number(-0.5), number(0.75)}, a.shape, true);
    if (op == "PRelu") return add(op, {a.id, builder_.constant({}, {draws_.real(-0.5, 1.5)})}, a.shape, a.bounded);
    if (op == "Mul") {  // a square: the same value twice
      const Alive t = tame(a);
      return add("Mul", {t.id, t.id}, t.shape, true);
    }
    if (op == "Gelu" && draws_.integer(0, 1)) return add(op, {a.id}, a.shape, a.bounded, {{"approximate", std::string("tanh")}});
    return add(op, {a.id}, a.shape, a.bounded && op != "Selu");
  }

  Alive pair(const Alive& a) {
    std::vector<Alive> same;
    for (const Alive& other : alive_)
      if (other.shape == a.shape) same.push_back(other);
    const Alive b = same[static_cast<std::size_t>(draws_.integer(0, static_cast<std::int64_t>(same.size()) - 1))];
    switch (draws_.integer(0, 6)) {
      case 0: return add("Add", {a.id, b.id}, a.shape, false);
      case 1: return add("Sub", {a.id, b.id}, a.shape, false);
      case 2: return add("Max", {a.id, b.id}, a.shape, a.bounded && b.bounded);
      case 3: return add("Min", {a.id, b.id}, a.shape, a.bounded && b.bounded);
      case 4: {
        const Alive s = tame(a), t = tame(b);
        return add("Mul", {s.id, t.id}, a.shape, true);
      }
      case 5: {
        const Alive s = tame(a), t = positive(b);
        return add("Div", {s.id, t.id}, a.shape, false);
      }
      default: {
        const Alive larger = add("Greater", {a.id, b.id}, a.shape, true);
        const Alive half = add("Mul", {b.id, number(0.5)}, a.shape, b.bounded);
        return add("Where", {larger.id, a.id, half.id}, a.shape, a.bounded && b.bounded);
      }
    }
  }

  Alive of_positive(const Alive& a) {
    const Alive p = positive(a);
    switch (draws_.integer(0, 4)) {
      case 0: return add("Log", {p.id}, p.shape, true);
      case 1: return add("Sqrt", {p.id}, p.shape, true);
      case 2: return add("Reciprocal", {p.id}, p.shape, false);
      case 3: return add("Pow", {p.id, number(draws_.integer(0, 1) ? 1.5 : 3.0)}, p.shape, false);
      default: return add("Pow", {tame(a).id, number(2.0)}, a.shape, true);
    }
  }

  Alive flat(const Alive& a) {
    if (a.shape.size() == 2 && a.shape[0] == 1) return a;
    const std::int64_t n = size(a.shape);
    if (a.shape.size() == 2) return add("Reshape", {a.id, builder_.integers({1, n})}, {1, n}, a.bounded);
    return add("Flatten", {a.id}, {1, n}, a.bounded, {{"axis", std::int64_t{1}}});
  }

  Alive dense(const Alive& a) {
    const Alive f = flat(a);
    const std::int64_t n = f.shape[1], m = draws_.integer(2, 6);
    const double scale = 1.5 / std::sqrt(static_cast<double>(n));
    if (draws_.integer(0, 1)) return add("MatMul", {f.id, weights({n, m}, scale)}, {1, m}, false);
    return add("Gemm", {f.id, weights({m, n}, scale), weights({m}, 1)}, {1, m}, false, {{"transB", std::int64_t{1}}});
  }

  Alive window(const Alive& a) {
    const std::int64_t c = a.shape[1], h = a.shape[2], w = a.shape[3];
    const std::vector<std::int64_t> three{3, 3}, two{2, 2}, ones{1, 1, 1, 1};
    switch (draws_.integer(0, 6)) {
      case 0: {
        const std::int64_t out = draws_.integer(1, 3);
        return add("Conv", {a.id, weights({out, c, 3, 3}, 0.5), weights({out}, 0.5)}, {1, out, h, w}, false, {{"kernel_shape", three}, {"pads", ones}});
      }
      case 1: {
        const std::int64_t out = draws_.integer(1, 2);
        return add("ConvTranspose", {a.id, weights({c, out, 2, 2}, 0.5)}, {1, out, h + 1, w + 1}, false, {{"kernel_shape", two}});
      }
      case 2: return add("MaxPool", {a.id}, {1, c, h - 1, w - 1}, a.bounded, {{"kernel_shape", two}});
      case 3: return add("MaxPool", {a.id}, {1, c, h, w}, a.bounded, {{"kernel_shape", three}, {"pads", ones}});
      case 4: return add("AveragePool", {a.id}, {1, c, h - 1, w - 1}, a.bounded, {{"kernel_shape", two}});
      case 5: return add("BatchNormalization", {a.id, weights({c}, 1.5), weights({c}, 0.5), weights({c}, 0.5), builder_.constant({c}, draws_.reals(c, 0.25, 1))}, a.shape, false);
      default: return add(draws_.integer(0, 1) ? "GlobalAveragePool" : "GlobalMaxPool", {a.id}, {1, c, 1, 1}, a.bounded);
    }
  }

  Alive reduce(const Alive& a) {
    static const char* const ops[] = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"};
    const auto last = static_cast<std::int64_t>(a.shape.size()) - 1;
    const auto which = draws_.integer(0, 8);
    if (which == 6) return add("Softmax", {a.id}, a.shape, true, {{"axis", last}});
    if (which == 7) return add("LogSoftmax", {a.id}, a.shape, false, {{"axis", last}});
    const std::int64_t width = a.shape.back();
    if (which == 8 && width > 1) return add("LayerNormalization", {a.id, weights({width}, 1.5), weights({width}, 0.5)}, a.shape, false, {{"axis", last}, {"epsilon", 0.125}});
    Shape to = a.shape;
    to.back() = 1;
    const Alive r = add(ops[which % 6], {a.id, builder_.integers({last})}, to, false);
    return add("Sub", {a.id, r.id}, a.shape, false);  // broadcast back: the value meets a summary of itself
  }

  Alive move(const Alive& a) {
    const std::int64_t n = size(a.shape);
    switch (draws_.integer(0, 4)) {
      case 0: return add("Reshape", {a.id, builder_.integers({1, n})}, {1, n}, a.bounded);
      case 1: {
        if (n > 24) return flat(a);
        Shape to = a.shape;
        to.back() *= 2;
        return add("Concat", {a.id, pair(a).id}, to, false, {{"axis", static_cast<std::int64_t>(a.shape.size()) - 1}});
      }
      case 2: {
        const std::int64_t width = a.shape.back();
        if (width < 3) return flat(a);
        Shape to = a.shape;
        to.back() = width - 1;
        const auto last = static_cast<std::int64_t>(a.shape.size()) - 1;
        return add("Slice", {a.id, builder_.integers({1}), builder_.integers({width}), builder_.integers({last})}, to, a.bounded);
      }
      case 3: {
        Shape to = a.shape;
        std::vector<std::int64_t> order;
        for (std::size_t i = 0; i < a.shape.size(); ++i) order.push_back(static_cast<std::int64_t>(i));
        std::swap(order[order.size() - 1], order[order.size() - 2]);
        std::swap(to[to.size() - 1], to[to.size() - 2]);
        return add("Transpose", {a.id}, to, a.bounded, {{"perm", order}});
      }
      default: {
        if (n > 24) return flat(a);
        std::vector<std::int64_t> pads(2 * a.shape.size(), 0);
        pads.back() = 1;
        Shape to = a.shape;
        ++to.back();
        return add("Pad", {a.id, builder_.integers(pads), number(0.25)}, to, a.bounded);
      }
    }
  }

  // A value times its own transpose (attention without weights), or a residual block.
  Alive mix(const Alive& a) {
    if (a.shape.size() == 3 && draws_.integer(0, 1)) {
      const Alive t = tame(a);
      const Alive turned = add("Transpose", {t.id}, {1, t.shape[2], t.shape[1]}, true, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
      return add("MatMul", {t.id, turned.id}, {1, t.shape[1], t.shape[1]}, false);
    }
    const Alive f = flat(a);
    const std::int64_t n = f.shape[1];
    const double scale = 1.5 / std::sqrt(static_cast<double>(n));
    const Alive inner = add("Gemm", {f.id, weights({n, n}, scale), weights({n}, 0.5)}, f.shape, false);
    const Alive bent = curve(inner);
    return add("Add", {f.id, bent.id}, f.shape, false);
  }

  Draws draws_;
  GraphBuilder builder_;
  std::vector<Alive> alive_;
  std::string text_;
};

}  // namespace boundlight::test
