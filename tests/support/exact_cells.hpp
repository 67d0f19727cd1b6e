// The exact range of every value of a small dense ReLU network over a box, in rationals.
//
// The box is cut along the hyperplanes where a pre-activation is zero, neuron by neuron, depth first over the feasible
// activation patterns. Inside a cell every value seen so far is affine, so its extremes lie at the cell's vertices; the
// network is continuous, so values at a vertex need no pattern. A cell is kept as its vertices, each with the set of
// constraints that are tight there; two vertices are joined by an edge iff no third one is tight wherever both are
// (double description; Fukuda and Prodon 1996, proposition 7).
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "dense_net.hpp"

namespace boundlight::test {

struct ExactRange {
  Rational lower, upper;
  bool any = false;
  void include(const Rational& x) {
    if (!any || x < lower) lower = x;
    if (!any || x > upper) upper = x;
    any = true;
  }
};

class ExactCells {
 public:
  using Tight = std::bitset<96>;
  struct Vertex {
    std::vector<Rational> x;
    std::vector<std::vector<Rational>> values;  // pre-activations of all layers
    Tight tight;
  };

  ExactCells(const DenseNet& net, const std::vector<double>& lower, const std::vector<double>& upper) : net_(net) {
    for (std::size_t i = 0; i < lower.size(); ++i) {
      lower_.push_back(exact(lower[i]));
      upper_.push_back(exact(upper[i]));
    }
    for (const auto& layer : net.layers) ranges.emplace_back(layer.bias.size());
    std::vector<Vertex> start;
    corners({}, start);
    constraints_ = 2 * lower.size();
    cut(start, 0, 0);
  }

  // [layer][element]: exact range of every pre-activation (the last layer: outputs).
  std::vector<std::vector<ExactRange>> ranges;
  std::size_t cells = 0;
  // Vertices of all cells: extremes of any linear form of values are attained at one of them.
  [[nodiscard]] const std::vector<Vertex>& vertices() const { return seen_; }

 private:
  Vertex make(std::vector<Rational> x) const {
    Vertex v;
    v.values = exact_values(net_, x);
    v.x = std::move(x);
    return v;
  }

  // Constraint 2i: x_i >= lower_i, 2i+1: x_i <= upper_i. Degenerate dimensions are tight on both sides.
  void corners(std::vector<Rational> x, std::vector<Vertex>& to) {
    const std::size_t i = x.size();
    if (i == lower_.size()) {
      Vertex v = make(x);
      for (std::size_t k = 0; k < i; ++k) {
        if (x[k] == lower_[k]) v.tight.set(2 * k);
        if (x[k] == upper_[k]) v.tight.set(2 * k + 1);
      }
      to.push_back(std::move(v));
      return;
    }
    x.push_back(lower_[i]);
    corners(x, to);
    if (lower_[i] == upper_[i]) return;
    x.back() = upper_[i];
    corners(x, to);
  }

  static bool adjacent(const std::vector<Vertex>& cell, std::size_t a, std::size_t b) {
    const Tight both = cell[a].tight & cell[b].tight;
    for (std::size_t c = 0; c < cell.size(); ++c)
      if (c != a && c != b && (cell[c].tight & both) == both) return false;
    return true;
  }

  void cut(const std::vector<Vertex>& cell, std::size_t layer, std::size_t neuron) {
    while (layer + 1 < net_.layers.size() && neuron == net_.layers[layer].bias.size()) {
      ++layer;
      neuron = 0;
    }
    if (layer + 1 == net_.layers.size()) {
      ++cells;
      for (const Vertex& v : cell) {
        for (std::size_t l = 0; l < ranges.size(); ++l)
          for (std::size_t e = 0; e < ranges[l].size(); ++e) ranges[l][e].include(v.values[l][e]);
        seen_.push_back(v);
      }
      return;
    }
    bool above = false, below = false;
    for (const Vertex& v : cell) {
      above = above || v.values[layer][neuron] > 0;
      below = below || v.values[layer][neuron] < 0;
    }
    if (!above || !below) return cut(cell, layer, neuron + 1);
    std::vector<Vertex> sides[2];  // 0: >= 0, 1: <= 0
    const std::size_t constraint = constraints_++;
    for (std::size_t a = 0; a < cell.size(); ++a) {
      const Rational& h = cell[a].values[layer][neuron];
      if (h == 0) {
        for (auto& side : sides) {
          side.push_back(cell[a]);
          side.back().tight.set(constraint);
        }
        continue;
      }
      sides[h > 0 ? 0 : 1].push_back(cell[a]);
      if (h < 0) continue;
      for (std::size_t b = 0; b < cell.size(); ++b) {
        const Rational& g = cell[b].values[layer][neuron];
        if (g >= 0 || !adjacent(cell, a, b)) continue;
        const Rational share = h / (h - g);
        std::vector<Rational> x(cell[a].x.size());
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = cell[a].x[i] + share * (cell[b].x[i] - cell[a].x[i]);
        Vertex v = make(std::move(x));
        v.tight = cell[a].tight & cell[b].tight;
        v.tight.set(constraint);
        for (auto& side : sides) side.push_back(v);
      }
    }
    cut(sides[0], layer, neuron + 1);
    cut(sides[1], layer, neuron + 1);
    --constraints_;
  }

  const DenseNet& net_;
  std::vector<Rational> lower_, upper_;
  std::size_t constraints_ = 0;
  std::vector<Vertex> seen_;
};

}  // namespace boundlight::test
