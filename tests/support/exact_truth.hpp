// Exactly, is there a point of a box that violates a disjunct? For piecewise-linear networks with few inputs and switches.
//
// The box is cut along the switches of the network, depth first over the feasible sign patterns; inside a cell every output is
// affine, and the cell is cut further by the disjunct's constraints. Cells are kept as vertices with the constraints tight there, as in
// exact_cells.hpp. What is left is a closed polytope; a condition that must hold strictly holds somewhere inside of it as soon as it
// holds strictly at one vertex, and all of them together do at the vertices' mean.
#pragma once

#include <bitset>
#include <functional>
#include <optional>
#include <vector>

#include "boundlight/solver/spec/property.hpp"
#include "support/search_net.hpp"

namespace boundlight::test {

class ExactTruth {
 public:
  struct Vertex {
    std::vector<Rational> x, switches, y;
    std::bitset<128> tight;
  };
  using Cell = std::vector<Vertex>;

  ExactTruth(const SearchNet& net, const InputBox& box) : net_(net), box_(box) {}

  // Visits the closed cells of the closed box until `visit` says true.
  bool any_cell(const std::function<bool(const Cell&)>& visit) {
    for (std::size_t i = 0; i < box_.lower.size(); ++i)
      if (box_.lower[i] > box_.upper[i]) return false;
    Cell start;
    corners({}, start);
    constraints_ = 2 * box_.lower.size();
    return cut(start, 0, visit);
  }

  // A violating point of the box with its strict ends, if any.
  std::optional<std::vector<Rational>> violating(const Disjunct& d) {
    std::optional<std::vector<Rational>> found;
    any_cell([&](const Cell& cell) {
      found = inside(cell, d);
      return found.has_value();
    });
    return found;
  }

 private:
  Vertex make(std::vector<Rational> x) const {
    Vertex v;
    v.y = net_.at(x, &v.switches);
    v.x = std::move(x);
    return v;
  }

  void corners(std::vector<Rational> x, Cell& to) const {
    const std::size_t i = x.size();
    if (i == box_.lower.size()) {
      Vertex v = make(x);
      for (std::size_t k = 0; k < i; ++k) {
        if (x[k] == box_.lower[k]) v.tight.set(2 * k);
        if (x[k] == box_.upper[k]) v.tight.set(2 * k + 1);
      }
      to.push_back(std::move(v));
      return;
    }
    x.push_back(box_.lower[i]);
    corners(x, to);
    if (box_.lower[i] == box_.upper[i]) return;
    x.back() = box_.upper[i];
    corners(x, to);
  }

  static bool adjacent(const Cell& cell, std::size_t a, std::size_t b) {
    const auto both = cell[a].tight & cell[b].tight;
    for (std::size_t c = 0; c < cell.size(); ++c)
      if (c != a && c != b && (cell[c].tight & both) == both) return false;
    return true;
  }

  // The half of the cell where g, affine on it and given at its vertices, is <= 0 (side -1) or >= 0 (side 1).
  Cell half(const Cell& cell, const std::vector<Rational>& g, int side, std::size_t constraint) const {
    Cell made;
    for (std::size_t a = 0; a < cell.size(); ++a) {
      if (g[a] * side >= 0) {
        made.push_back(cell[a]);
        if (g[a] == 0) made.back().tight.set(constraint);
      }
      if (g[a] * side <= 0) continue;
      for (std::size_t b = 0; b < cell.size(); ++b) {
        if (g[b] * side >= 0 || !adjacent(cell, a, b)) continue;
        const Rational share = g[a] / (g[a] - g[b]);
        std::vector<Rational> x(cell[a].x.size());
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = cell[a].x[i] + share * (cell[b].x[i] - cell[a].x[i]);
        Vertex v = make(std::move(x));
        v.tight = cell[a].tight & cell[b].tight;
        v.tight.set(constraint);
        made.push_back(std::move(v));
      }
    }
    return made;
  }

  bool cut(const Cell& cell, std::size_t k, const std::function<bool(const Cell&)>& visit) {
    std::vector<Rational> g;
    for (bool split = false; !split; ++k) {
      if (k == cell[0].switches.size()) return visit(cell);
      bool above = false, below = false;
      g.clear();
      for (const Vertex& v : cell) {
        g.push_back(v.switches[k]);
        above = above || g.back() > 0;
        below = below || g.back() < 0;
      }
      split = above && below;
    }
    const std::size_t constraint = constraints_++;
    const bool found = cut(half(cell, g, 1, constraint), k, visit) || cut(half(cell, g, -1, constraint), k, visit);
    --constraints_;
    return found;
  }

  static Rational excess(const LinearConstraint& c, const Vertex& v) {
    Rational sum = -c.bound;
    for (const LinearTerm& t : c.inputs) sum += t.coefficient * v.x[static_cast<std::size_t>(t.index)];
    for (const LinearTerm& t : c.outputs) sum += t.coefficient * v.y[static_cast<std::size_t>(t.index)];
    return sum;
  }

  std::optional<std::vector<Rational>> inside(Cell cell, const Disjunct& d) const {
    std::size_t constraint = constraints_;
    for (const LinearConstraint& c : d.constraints) {
      std::vector<Rational> g;
      for (const Vertex& v : cell) g.push_back(excess(c, v));
      cell = half(cell, g, -1, constraint++);
      if (cell.empty()) return std::nullopt;
    }
    std::vector<Rational> mean(box_.lower.size(), 0);
    for (const Vertex& v : cell)
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += v.x[i] / static_cast<long>(cell.size());
    if (!contains(box_, mean)) return std::nullopt;
    const Vertex middle = make(mean);
    for (const LinearConstraint& c : d.constraints)
      if (!holds(c, middle.x, middle.y)) return std::nullopt;
    return mean;
  }

  const SearchNet& net_;
  const InputBox& box_;
  std::size_t constraints_ = 0;
};

}  // namespace boundlight::test
