// The reference prover: random choices where any are valid, exact dual multipliers where every ReLU is fixed.
#include <algorithm>
#include <cmath>

#include "tiny_nets.hpp"

namespace tiny {

using namespace boundlight::check;

namespace {

class Prover {
 public:
  Prover(const Net& net, const Model& model, const Goal& goal, const Region& region, Certificate& certificate, std::mt19937_64& random, const Options& options)
      : net_(net), model_(model), goal_(goal), region_(region), certificate_(certificate), random_(random), options_(options) {
    for (std::size_t k = 0; k + 1 < net.layers.size(); ++k) {
      pre_.push_back(certificate_.name_id(net.layers[k].name));
      post_.push_back(certificate_.name_id("h" + std::to_string(k)));
    }
  }

  bool run(Proof& proof) {
    proof_ = &proof;
    Scope scope;
    scope.box = region_.outward;
    const std::uint32_t section = random_section();
    scope.boxes = Propagation(model_, certificate_).boxes(scope.box, nullptr, {}, section ? &certificate_.bounds[section - 1] : nullptr);
    const std::int32_t root = node(scope, 0);
    if (root < 0) return false;
    proof.tree.nodes[root].bounds = section;
    return true;
  }

 private:
  struct Scope {
    Box box;
    std::shared_ptr<const Boxes> boxes;
    std::vector<Split> path;
    Choices slopes;  // inherited from clips above
  };

  std::size_t pick(std::size_t n) { return random_() % n; }
  Slopes random_slopes(std::size_t layer) {
    Slopes s;
    s.value = post_[layer];
    s.width = static_cast<std::uint8_t>(1 + pick(2));
    const std::size_t n = net_.layers[layer].out;
    if (pick(2))
      for (std::uint32_t i = 0; i < n; ++i)
        if (pick(2)) s.neurons.push_back(i);
    for (std::size_t i = 0; i < (s.neurons.empty() ? n : s.neurons.size()); ++i) s.numbers.push_back(static_cast<std::uint16_t>(pick(s.width == 1 ? 256 : 65536)));
    return s;
  }
  SlopeSet random_set(std::size_t layers) {
    SlopeSet set;
    for (std::size_t k = 0; k < layers; ++k)
      if (pick(2)) set.push_back(random_slopes(k));
    return set;
  }
  // A new section of the certificate, or none.
  std::uint32_t random_section() {
    const std::size_t kind = pick(options_.rows ? 4 : 2);
    if (kind == 0) return 0;
    Bounds b;
    if (kind == 2) b.mode = Bounds::Mode::backward;
    if (kind > 1 && pick(2)) b.slopes = random_set(pre_.size());
    if (kind == 3)
      for (std::size_t k = 0; k < pre_.size(); ++k) {
        BackwardStep s;
        s.value = pre_[k];
        for (std::uint32_t i = 0; i < net_.layers[k].out; ++i)
          if (pick(3)) s.listed.push_back(i);
        if (pick(2))
          for (std::size_t i = 0; i < s.listed.size(); ++i) s.each_lower.push_back(random_set(k));
        if (pick(2))
          for (std::size_t i = 0; i < s.listed.size(); ++i) s.each_upper.push_back(random_set(k));
        b.steps.push_back(std::move(s));
      }
    certificate_.bounds.push_back(std::move(b));
    return static_cast<std::uint32_t>(certificate_.bounds.size());
  }

  std::int32_t add(Node n) {
    proof_->tree.nodes.push_back(std::move(n));
    return static_cast<std::int32_t>(proof_->tree.nodes.size() - 1);
  }

  // Bound of sum lambda g with these multipliers, minus nothing: > 0 closes.
  LinearForm form(const Scope& s, const Node& n, const Choices& choices) const {
    Row row;
    for (std::size_t j = 0; j < net_.layers.back().out; ++j) {
      double c = 0;
      for (std::size_t i = 0; i < n.lambda.size(); ++i) c += n.lambda[i] * goal_.c[i][j].convert_to<double>();
      row.terms.push_back({model_.output, static_cast<std::uint32_t>(j), c, 0});
    }
    row.choices = &choices;
    row.splits = &s.path;
    row.beta = &n.beta;
    return Propagation(model_, certificate_).backward(*s.boxes, {row})[0];
  }
  double threshold(const Node& n) const {
    double d = 0;
    for (std::size_t i = 0; i < n.lambda.size(); ++i) d += n.lambda[i] * goal_.d[i].convert_to<double>();
    return d + 1e-9 * (1 + std::fabs(d));
  }

  std::int32_t node(const Scope& s, int depth) {
    if (s.boxes->empty) return add({});
    if (options_.early_leaves || depth > 0) {
      Node leaf;
      for (std::size_t i = 0; i < goal_.c.size(); ++i) leaf.lambda.push_back(goal_.c.size() == 1 ? 1 : std::ldexp(static_cast<double>(pick(16)), -4));
      leaf.slopes = pick(2) ? random_set(pre_.size()) : SlopeSet{};
      for (std::size_t i = 0; i < s.path.size(); ++i) leaf.beta.push_back(pick(3) ? 0 : std::ldexp(static_cast<float>(pick(8)), -3));
      const Propagation propagation(model_, certificate_);
      const Choices choices = propagation.resolve(leaf.slopes, s.slopes);
      const LinearForm f = form(s, leaf, choices);
      if (lowest(f, s.box) > threshold(leaf)) return add(std::move(leaf));
      if (options_.clips && pick(2)) return clip(s, std::move(leaf), f, depth);
    }
    return split(s, depth);
  }

  // Cuts off what the plane f excludes along one dimension, if anything.
  std::int32_t clip(const Scope& s, Node n, const LinearForm& f, int depth) {
    n.kind = Node::Kind::clip;
    Scope rest = s;
    rest.slopes = Propagation(model_, certificate_).resolve(n.slopes, s.slopes);
    for (std::uint32_t k = 0; k < 2; ++k) {
      if (f.a[k] == 0) continue;
      const bool above = f.a[k] > 0;  // the form grows upward: the upper part is excluded
      for (int step = 1; step < 16; ++step) {
        const double l = rest.box.lower[k], u = rest.box.upper[k], at = above ? l + (u - l) * step / 16 : u - (u - l) * step / 16;
        Box slab = rest.box;
        (above ? slab.lower[k] : slab.upper[k]) = at;
        if (!(lowest(f, slab) > threshold(n)) || !(at > l && at < u)) continue;
        n.cuts.push_back({k, above, at});
        (above ? rest.box.upper[k] : rest.box.lower[k]) = at;
        break;
      }
    }
    if (n.cuts.empty()) return split(s, depth);
    const std::int32_t at = add(std::move(n));
    const std::int32_t low = split(rest, depth + 1);
    proof_->tree.nodes[at].low = low;
    return low < 0 ? -1 : at;
  }

  std::int32_t split(const Scope& s, int depth) {
    if (options_.input_splits && depth < 4 && pick(3) == 0) {
      Node n;
      n.kind = Node::Kind::input_split;
      n.neuron = static_cast<std::uint32_t>(pick(2));
      n.at = s.box.lower[n.neuron] + (s.box.upper[n.neuron] - s.box.lower[n.neuron]) * (1 + static_cast<double>(pick(3))) / 4;
      const std::int32_t at = add(n);
      for (const bool high : {false, true}) {
        Scope child = s;
        (high ? child.box.lower : child.box.upper)[n.neuron] = n.at;
        const std::int32_t c = with_bounds(child, depth + 1);
        if (c < 0) return -1;
        (high ? proof_->tree.nodes[at].high : proof_->tree.nodes[at].low) = c;
      }
      return at;
    }
    for (std::size_t k = 0; k < pre_.size(); ++k) {
      const int tensor = model_.tensor_of.at(net_.layers[k].name);
      for (std::uint32_t i = 0; i < net_.layers[k].out; ++i) {
        const Box& box = s.boxes->of[tensor];
        if (box.lower[i] >= 0 || box.upper[i] <= 0 || sign(s, tensor, i) != 0) continue;
        Node n;
        n.kind = Node::Kind::relu_split;
        n.value = pre_[k];
        n.neuron = i;
        const std::int32_t at = add(n);
        for (const bool high : {false, true}) {
          Scope child = s;
          child.path.push_back({tensor, i, high});
          const std::int32_t c = with_bounds(child, depth + 1);
          if (c < 0) return -1;
          (high ? proof_->tree.nodes[at].high : proof_->tree.nodes[at].low) = c;
        }
        return at;
      }
    }
    return decided(s);
  }

  // Sometimes new boxes for the child.
  std::int32_t with_bounds(Scope& child, int depth) {
    std::uint32_t section = 0;
    if (pick(3) == 0) section = random_section();
    if (section) child.boxes = Propagation(model_, certificate_).boxes(child.box, child.boxes.get(), child.path, &certificate_.bounds[section - 1]);
    const std::int32_t c = node(child, depth);
    if (c >= 0) proof_->tree.nodes[c].bounds = section;
    return c;
  }

  static int sign(const Scope& s, int tensor, std::uint32_t i) {
    for (const Split& p : s.path)
      if (p.tensor == tensor && p.neuron == i) return p.positive ? 1 : -1;
    return 0;
  }

  // Every ReLU is fixed: an exact linear program, whose dual solution gives lambda and beta.
  std::int32_t decided(const Scope& s) {
    std::vector<std::vector<Affine>> hidden, pre;
    for (std::size_t k = 0; k < pre_.size(); ++k) {
      const int tensor = model_.tensor_of.at(net_.layers[k].name);
      pre.push_back(net_.pre(k, hidden));
      hidden.push_back(pre.back());
      for (std::uint32_t i = 0; i < hidden[k].size(); ++i) {
        const int fixed = sign(s, tensor, i);
        if (fixed < 0 || (fixed == 0 && s.boxes->of[tensor].upper[i] <= 0)) hidden[k][i] = Affine{};
      }
    }
    const std::vector<Affine> y = net_.pre(pre_.size(), hidden);
    std::vector<Affine> sides;  // >= 0; four of the box first
    for (std::size_t t = 0; t < 2; ++t) {
      Affine low, high;
      low.a[t] = 1;
      low.c = -exact(s.box.lower[t]);
      high.a[t] = -1;
      high.c = exact(s.box.upper[t]);
      sides.push_back(low);
      sides.push_back(high);
    }
    Polygon p = box_polygon({exact(s.box.lower[0]), exact(s.box.lower[1])}, {exact(s.box.upper[0]), exact(s.box.upper[1])});
    Node leaf;
    leaf.lambda.assign(goal_.c.size(), 0);
    leaf.beta.assign(s.path.size(), 0);
    const std::size_t splits = s.path.size();
    for (std::size_t i = 0; i < splits + goal_.c.size(); ++i) {
      Affine keep;
      if (i < splits) {
        std::size_t layer = 0;
        while (model_.tensor_of.at(net_.layers[layer].name) != s.path[i].tensor) ++layer;
        keep = pre[layer][s.path[i].neuron];
        if (!s.path[i].positive) keep = negative(keep);
      } else {
        keep = negative(combine(y, goal_.c[i - splits], goal_.d[i - splits]));
      }
      const Polygon next = cut(p, keep);
      if (next.empty()) {  // keep < 0 on all of p: the multipliers of min -keep over p prove it
        const std::vector<Rational> mu = duals(p, sides, negative(keep));
        if (mu.empty()) return -1;
        Rational largest = 1;
        for (const Rational& m : mu) largest = std::max(largest, m);
        if (largest > 1000000) return -1;
        const auto set = [&](std::size_t at, double value) {
          if (at < splits) leaf.beta[at] = static_cast<float>(value);
          else leaf.lambda[at - splits] = value;
        };
        for (std::size_t k = 4; k < mu.size(); ++k) set(k - 4, mu[k].convert_to<double>());
        set(i, 1);
        return add(std::move(leaf));
      }
      p = next;
      sides.push_back(keep);
    }
    return -1;  // a counterexample
  }

  // mu >= 0 with f's gradient = sum mu_k gradient of side k, over sides active at a least corner of f.
  static std::vector<Rational> duals(const Polygon& p, const std::vector<Affine>& sides, const Affine& f) {
    Point at = p[0];
    for (const Point& x : p)
      if (f(x) < f(at)) at = x;
    std::vector<std::size_t> active;
    for (std::size_t k = 0; k < sides.size(); ++k)
      if (sides[k](at) == 0) active.push_back(k);
    std::vector<Rational> mu(sides.size(), 0);
    if (f.a[0] == 0 && f.a[1] == 0) return mu;
    for (const std::size_t i : active)
      for (const std::size_t j : active) {
        const auto &a = sides[i].a, &b = sides[j].a;
        const Rational det = a[0] * b[1] - a[1] * b[0];
        if (i == j) {
          const int t = a[0] != 0 ? 0 : 1;
          if (a[t] == 0) continue;
          const Rational m = f.a[t] / a[t];
          if (m < 0 || m * a[0] != f.a[0] || m * a[1] != f.a[1]) continue;
          mu[i] = m;
          return mu;
        }
        if (det == 0) continue;
        const Rational m = (f.a[0] * b[1] - f.a[1] * b[0]) / det, n = (a[0] * f.a[1] - a[1] * f.a[0]) / det;
        if (m < 0 || n < 0) continue;
        mu[i] = m;
        mu[j] = n;
        return mu;
      }
    return {};
  }

  const Net& net_;
  const Model& model_;
  const Goal& goal_;
  const Region& region_;
  Certificate& certificate_;
  std::mt19937_64& random_;
  const Options& options_;
  std::vector<std::uint32_t> pre_, post_;
  Proof* proof_ = nullptr;
};

}  // namespace

bool prove(const Net& net, const Model& model, const Goal& goal, const Region& region, Certificate& certificate, std::uint32_t statement, std::uint32_t disjunct,
           std::mt19937_64& random, const Options& options) {
  Proof proof;
  proof.statement = statement;
  proof.disjunct = disjunct;
  if (!Prover(net, model, goal, region, certificate, random, options).run(proof)) return false;
  certificate.proofs.push_back(std::move(proof));
  return true;
}

}  // namespace tiny
