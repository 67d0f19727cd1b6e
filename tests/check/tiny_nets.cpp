#include "tiny_nets.hpp"

#include <algorithm>
#include <cmath>

namespace tiny {

using namespace boundlight::check;

Polygon box_polygon(const std::array<Rational, 2>& l, const std::array<Rational, 2>& u) {
  return {{l[0], l[1]}, {u[0], l[1]}, {u[0], u[1]}, {l[0], u[1]}};
}

Polygon cut(const Polygon& p, const Affine& keep) {
  Polygon out;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const Point &a = p[i], &b = p[(i + 1) % p.size()];
    const Rational fa = keep(a), fb = keep(b);
    if (fa >= 0) out.push_back(a);
    if ((fa > 0 && fb < 0) || (fa < 0 && fb > 0)) {
      const Rational t = fa / (fa - fb);
      out.push_back({a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])});
    }
  }
  return out;
}

Rational least(const Polygon& p, const Affine& f) {
  Rational best = f(p[0]);
  for (const Point& x : p) best = std::min(best, f(x));
  return best;
}

Net Net::random(std::mt19937_64& random, std::size_t outputs, double bias_scale) {
  Net net;
  std::normal_distribution<double> normal;
  const std::size_t hidden = 1 + random() % 2;
  std::vector<std::size_t> sizes = {2};
  for (std::size_t i = 0; i < hidden; ++i) sizes.push_back(2 + random() % 4);
  if (hidden == 2 && random() % 2) {
    sizes[2] = sizes[1];
    net.residual = true;
  }
  sizes.push_back(outputs);
  for (std::size_t k = 0; k + 1 < sizes.size(); ++k) {
    Dense d{sizes[k], sizes[k + 1], {}, {}, "z" + std::to_string(k)};
    for (std::size_t i = 0; i < d.in * d.out; ++i) d.w.push_back(static_cast<float>(normal(random)));
    for (std::size_t i = 0; i < d.out; ++i) d.b.push_back(static_cast<float>(bias_scale * normal(random)));
    net.layers.push_back(std::move(d));
  }
  net.write();
  return net;
}

void Net::write() {
  onnx_bytes::Graph g;
  g.input = "x";
  g.input_dims = {-1, 2};
  std::string current = "x";
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const Dense& d = layers[k];
    const std::string n = std::to_string(k);
    const auto rows = static_cast<std::int64_t>(d.out), columns = static_cast<std::int64_t>(d.in);
    const std::string sum = residual && k == 1 ? "s" + n : d.name;
    if (k % 2 == 0) {
      g.constant("w" + n, {rows, columns}, d.w);
      g.constant("b" + n, {rows}, d.b);
      g.node("Gemm", {current, "w" + n, "b" + n}, {sum}, onnx_bytes::attribute("transB", std::int64_t{1}));
    } else {  // the other spelling
      std::vector<float> transposed(d.w.size());
      for (std::size_t o = 0; o < d.out; ++o)
        for (std::size_t i = 0; i < d.in; ++i) transposed[i * d.out + o] = d.w[o * d.in + i];
      g.constant("w" + n, {columns, rows}, transposed);
      g.constant("b" + n, {1, rows}, d.b);
      g.node("MatMul", {current, "w" + n}, {"m" + n});
      g.node("Add", {"m" + n, "b" + n}, {sum});
    }
    if (sum != d.name) g.node("Add", {sum, "h0"}, {d.name});
    if (k + 1 == layers.size()) break;
    g.node("Relu", {d.name}, {"h" + n});
    current = "h" + n;
  }
  g.output = layers.back().name;
  g.output_dims = {-1, static_cast<std::int64_t>(layers.back().out)};
  onnx = g.model();
}

std::vector<Affine> Net::pre(std::size_t k, const std::vector<std::vector<Affine>>& hidden) const {
  const Dense& d = layers[k];
  const std::vector<Affine> x = {{{1, 0}, 0}, {{0, 1}, 0}};
  const std::vector<Affine>& in = k == 0 ? x : hidden[k - 1];
  std::vector<Affine> z(d.out);
  for (std::size_t o = 0; o < d.out; ++o) {
    z[o].c = exact(d.b[o]);
    for (std::size_t i = 0; i <= d.in; ++i) {
      const bool extra = i == d.in;
      if (extra && !(residual && k == 1)) break;
      const Rational w = extra ? Rational(1) : exact(d.w[o * d.in + i]);
      const Affine& from = extra ? hidden[0][o] : in[i];
      for (int t = 0; t < 2; ++t) z[o].a[t] += w * from.a[t];
      z[o].c += w * from.c;
    }
  }
  return z;
}

std::vector<Rational> Net::evaluate(const Point& x) const {
  std::vector<std::vector<Affine>> hidden;
  std::vector<Rational> y;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    std::vector<Affine> z = pre(k, hidden);
    if (k + 1 == layers.size()) {
      for (const Affine& f : z) y.push_back(f(x));
      break;
    }
    for (Affine& f : z)
      if (f(x) < 0) f = Affine{};
    hidden.push_back(std::move(z));
  }
  return y;
}

namespace {

void descend(const Net& net, const Polygon& region, std::size_t layer, std::size_t neuron, std::vector<std::vector<Affine>> hidden,
             const std::function<void(const Polygon&, const std::vector<Affine>&)>& visit) {
  if (region.empty()) return;
  if (layer + 1 == net.layers.size()) return visit(region, net.pre(layer, hidden));
  if (neuron == 0) hidden.push_back(net.pre(layer, hidden));
  if (neuron == net.layers[layer].out) return descend(net, region, layer + 1, 0, std::move(hidden), visit);
  const Affine z = hidden[layer][neuron], minus{{-z.a[0], -z.a[1]}, -z.c};
  descend(net, cut(region, z), layer, neuron + 1, hidden, visit);
  hidden[layer][neuron] = Affine{};
  const Polygon off = cut(region, minus);
  // The rest of the layer's forms do not depend on this neuron: only `hidden` after the ReLU changes.
  descend(net, off, layer, neuron + 1, std::move(hidden), visit);
}

}  // namespace

Affine combine(const std::vector<Affine>& y, const std::vector<Rational>& c, const Rational& d) {
  Affine g;
  for (std::size_t j = 0; j < y.size(); ++j) {
    for (int t = 0; t < 2; ++t) g.a[t] += c[j] * y[j].a[t];
    g.c += c[j] * y[j].c;
  }
  g.c -= d;
  return g;
}
Affine negative(const Affine& f) { return {{-f.a[0], -f.a[1]}, -f.c}; }

void pieces(const Net& net, const Polygon& region, const std::function<void(const Polygon&, const std::vector<Affine>&)>& visit) {
  // neuron == 0 adds the layer's forms; a layer has at least one neuron, so each is added once per path
  descend(net, region, 0, 0, {}, visit);
}

Rational least_output(const Net& net, const Polygon& region, const std::vector<Rational>& c) {
  std::optional<Rational> best;
  pieces(net, region, [&](const Polygon& p, const std::vector<Affine>& y) {
    const Rational v = least(p, combine(y, c, 0));
    if (!best || v < *best) best = v;
  });
  return *best;
}

bool violated(const Net& net, const Polygon& region, const Goal& goal) {
  bool found = false;
  pieces(net, region, [&](const Polygon& piece, const std::vector<Affine>& y) {
    if (found) return;
    Polygon p = piece;
    std::vector<Affine> g;
    for (std::size_t i = 0; i < goal.c.size(); ++i) g.push_back(combine(y, goal.c[i], goal.d[i]));
    for (const Affine& f : g) p = cut(p, negative(f));
    if (p.empty()) return;
    // Strict ones must be below 0 together somewhere: at the centre of the corners they are, if each is somewhere.
    bool all = true;
    for (std::size_t i = 0; i < g.size(); ++i) all = all && (!goal.strict[i] || least(p, g[i]) < 0);
    found = all;
  });
  return found;
}

std::string property_text(const std::array<Rational, 2>& lower, const std::array<Rational, 2>& upper, std::size_t outputs, const std::vector<Goal>& goals) {
  boundlight::PropertyBuilder builder(2, static_cast<std::int64_t>(outputs));
  const std::size_t box = builder.box({lower[0], lower[1]}, {upper[0], upper[1]});
  for (const Goal& goal : goals) {
    std::vector<boundlight::LinearConstraint> constraints;
    for (std::size_t i = 0; i < goal.c.size(); ++i) {
      boundlight::LinearConstraint c;
      for (std::size_t j = 0; j < outputs; ++j)
        if (goal.c[i][j] != 0) c.outputs.push_back({static_cast<std::int64_t>(j), goal.c[i][j]});
      c.bound = goal.d[i];
      c.strict = goal.strict[i];
      constraints.push_back(std::move(c));
    }
    builder.disjunct(box, std::move(constraints));
  }
  return boundlight::to_vnnlib(std::move(builder).build());
}

}  // namespace tiny
