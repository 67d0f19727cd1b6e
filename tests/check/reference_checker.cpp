// The reference checker: says in exact rationals, without relaxations, whether a tree proves what it claims. Slow, and only for
// networks of two inputs: every piece on which the network is affine is cut by the boxes and signs of every leaf.
#include <algorithm>
#include <cmath>

#include "tiny_nets.hpp"

namespace tiny {

using namespace boundlight::check;

namespace {

struct Piece {
  Polygon polygon;
  std::vector<std::vector<Affine>> pre, hidden;  // by layer: before and after the ReLUs; the last of `pre`: outputs
};

void enumerate(const Net& net, const Polygon& region, std::size_t layer, std::size_t neuron, Piece piece, std::vector<Piece>& all) {
  if (region.empty()) return;
  if (neuron == 0) piece.pre.push_back(net.pre(layer, piece.hidden));
  if (layer + 1 == net.layers.size()) {
    piece.polygon = region;
    all.push_back(std::move(piece));
    return;
  }
  if (neuron == 0) piece.hidden.push_back(piece.pre[layer]);
  if (neuron == net.layers[layer].out) return enumerate(net, region, layer + 1, 0, std::move(piece), all);
  const Affine z = piece.pre[layer][neuron];
  enumerate(net, cut(region, z), layer, neuron + 1, piece, all);
  piece.hidden[layer][neuron] = Affine{};
  enumerate(net, cut(region, negative(z)), layer, neuron + 1, std::move(piece), all);
}

class Replay {
 public:
  Replay(const Net& net, const Goal& goal, const Certificate& certificate, const Tree& tree) : net_(net), goal_(goal), certificate_(certificate), tree_(tree) {}

  bool holds(std::int32_t at, std::vector<Piece> pieces) const {
    if (pieces.empty()) return true;
    const Node& n = tree_.nodes[static_cast<std::size_t>(at)];
    switch (n.kind) {
      case Node::Kind::leaf: return closed(n, pieces);
      case Node::Kind::input_split: return holds(n.low, part(pieces, side(n.neuron, n.at, false))) && holds(n.high, part(pieces, side(n.neuron, n.at, true)));
      case Node::Kind::relu_split: return holds(n.low, signs(pieces, n, false)) && holds(n.high, signs(pieces, n, true));
      case Node::Kind::family: return false;  // of maps; no tree of a verdict has one
      case Node::Kind::clip: break;
    }
    for (const Cut& c : n.cuts) {
      if (!closed(n, part(pieces, side(c.dimension, c.at, c.above)))) return false;
      pieces = part(pieces, side(c.dimension, c.at, !c.above));
    }
    return holds(n.low, std::move(pieces));
  }

 private:
  static Affine side(std::uint32_t dimension, double at, bool above) {  // x >= at, or <=
    Affine keep;
    keep.a[dimension] = above ? 1 : -1;
    keep.c = above ? Rational(-exact(at)) : exact(at);
    return keep;
  }
  static std::vector<Piece> part(const std::vector<Piece>& pieces, const Affine& keep) {
    std::vector<Piece> kept;
    for (const Piece& p : pieces) {
      Piece q = p;
      q.polygon = cut(p.polygon, keep);
      if (!q.polygon.empty()) kept.push_back(std::move(q));
    }
    return kept;
  }
  std::vector<Piece> signs(const std::vector<Piece>& pieces, const Node& n, bool positive) const {
    std::vector<Piece> kept;
    for (const Piece& p : pieces) {
      const Affine z = value(p, certificate_.names.at(n.value), n.neuron);
      for (Piece& q : part({p}, positive ? z : negative(z))) kept.push_back(std::move(q));
    }
    return kept;
  }
  Affine value(const Piece& p, const std::string& name, std::uint32_t neuron) const {
    for (std::size_t k = 0; k < net_.layers.size(); ++k) {
      if (name == net_.layers[k].name) return p.pre[k].at(neuron);
      if (name == "h" + std::to_string(k)) return p.hidden.at(k).at(neuron);
    }
    throw std::runtime_error("the reference checker does not know the value " + name);
  }
  // Is sum lambda_i g_i positive (not negative, where strict) on all pieces?
  bool closed(const Node& n, const std::vector<Piece>& pieces) const {
    bool strict = false;
    for (std::size_t i = 0; i < n.lambda.size(); ++i) strict = strict || (goal_.strict[i] && n.lambda[i] > 0);
    for (const Piece& p : pieces) {
      Affine sum;
      for (std::size_t i = 0; i < n.lambda.size(); ++i) {
        const Affine g = combine(p.pre.back(), goal_.c[i], goal_.d[i]);
        for (int t = 0; t < 2; ++t) sum.a[t] += exact(n.lambda[i]) * g.a[t];
        sum.c += exact(n.lambda[i]) * g.c;
      }
      const Rational low = least(p.polygon, sum);
      if (low < 0 || (low == 0 && !strict)) return false;
    }
    return true;
  }

  const Net& net_;
  const Goal& goal_;
  const Certificate& certificate_;
  const Tree& tree_;
};

}  // namespace

bool truly_proves(const Net& net, const std::array<Rational, 2>& lower, const std::array<Rational, 2>& upper, const std::vector<Goal>& goals, const Certificate& certificate) {
  std::vector<Piece> pieces;
  enumerate(net, box_polygon(lower, upper), 0, 0, {}, pieces);
  std::vector<bool> proved(goals.size(), false);
  for (const Proof& p : certificate.proofs) {
    if (p.disjunct >= goals.size()) return false;
    proved[p.disjunct] = Replay(net, goals[p.disjunct], certificate, p.tree).holds(0, pieces);
    if (!proved[p.disjunct]) return false;
  }
  return std::find(proved.begin(), proved.end(), false) == proved.end();
}

}  // namespace tiny
