// Random questions to the search, with the truth: a network, a property, options, interruptions. A case is a seed and a list of
// reductions, so that a failing one can be made smaller and told in one line:  4711 d0 n2.1 oc
//
//   dI drop disjunct I        cI.J drop its constraint J       tI.J round that constraint's threshold to 1/1000
//   nS.J drop neuron J of dense step S    zS.O.I weight to 0    wS weights of step S to multiples of 1/4
//   bI round the ends of box I to 1/4     oX option X to its default (x of kOptions)
#pragma once

#include <random>
#include <set>
#include <sstream>

#include "boundlight/solver/bab/verify.hpp"
#include "support/exact_truth.hpp"

namespace boundlight::test {

// What a run does beside VerifyOptions.
struct SearchRun {
  VerifyOptions options;
  std::int64_t piece = 0;     // regions until the search is stopped and gone on with from its state; 0: in one piece
  double interrupt = 0;       // seconds until the first time-out, doubled after each; 0: none
  bool changes = false;       // batch, threads, seed and steps differ from piece to piece
  bool nested = false;        // the property's text nests its disjunctions by box
};
inline constexpr std::string_view kOptions = "cafklpbmsntux";  // see SearchCase::plain

class SearchCase {
 public:
  explicit SearchCase(std::uint64_t seed) : seed_(seed), random_(seed) {
    draw_net();
    draw_property();
    draw_run();
  }
  // The case of a line; throws std::invalid_argument.
  static SearchCase of(const std::string& line) {
    std::istringstream in(line);
    std::uint64_t seed = 0;
    if (!(in >> seed)) throw std::invalid_argument("a search case begins with a seed: " + line);
    SearchCase c(seed);
    for (std::string token; in >> token;)
      if (!c.apply(token)) throw std::invalid_argument("a search case has no reduction " + token + ": " + line);
    return c;
  }
  std::string line() const {
    std::string text = std::to_string(seed_);
    for (const std::string& t : tokens_) text += " " + t;
    return text;
  }

  SearchNet net;
  std::vector<InputBox> boxes;
  std::vector<Disjunct> disjuncts;
  SearchRun run;

  Property property() const {
    PropertyBuilder b(static_cast<std::int64_t>(net.inputs), static_cast<std::int64_t>(net.outputs()));
    for (const InputBox& box : boxes) b.box(box);
    for (const Disjunct& d : disjuncts) b.disjunct(d.box, d.constraints);
    return std::move(b).build();
  }

  // Reductions worth trying, large ones first.
  std::vector<std::string> reductions() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; disjuncts.size() > 1 && i < disjuncts.size(); ++i) all.push_back("d" + std::to_string(i));
    for (const char o : kOptions) all.push_back(std::string("o") + o);
    for (std::size_t i = 0; i < disjuncts.size(); ++i)
      for (std::size_t j = 0; j < disjuncts[i].constraints.size(); ++j) all.push_back("c" + std::to_string(i) + "." + std::to_string(j));
    for (std::size_t s = 0; s < net.steps.size(); ++s)
      for (std::size_t j = 0; net.steps[s].kind == NetStep::Kind::dense && j < net.steps[s].bias.size(); ++j) all.push_back("n" + std::to_string(s) + "." + std::to_string(j));
    for (std::size_t s = 0; s < net.steps.size(); ++s)
      if (!net.steps[s].weight.empty()) all.push_back("w" + std::to_string(s));
    for (std::size_t i = 0; i < boxes.size(); ++i) all.push_back("b" + std::to_string(i));
    for (std::size_t i = 0; i < disjuncts.size(); ++i)
      for (std::size_t j = 0; j < disjuncts[i].constraints.size(); ++j) all.push_back("t" + std::to_string(i) + "." + std::to_string(j));
    for (std::size_t s = 0; s < net.steps.size(); ++s)
      for (std::size_t o = 0; o < net.steps[s].weight.size(); ++o)
        for (std::size_t i = 0; i < net.steps[s].weight[o].size(); ++i) all.push_back("z" + std::to_string(s) + "." + std::to_string(o) + "." + std::to_string(i));
    return all;
  }

  // False: it does not apply, or changes nothing.
  bool apply(const std::string& token) {
    std::vector<std::size_t> at;
    std::string number;
    for (std::size_t i = 1; token[0] != 'o' && i <= token.size(); ++i) {
      if (i < token.size() && token[i] != '.') number += token[i];
      else at.push_back(number.empty() ? SIZE_MAX : std::stoul(number)), number.clear();
    }
    at.resize(3, SIZE_MAX);
    const bool done = token[0] == 'o'   ? token.size() == 2 && plain(token[1])
                      : token[0] == 'd' ? drop_disjunct(at[0])
                      : token[0] == 'c' ? drop_constraint(at[0], at[1])
                      : token[0] == 't' ? round_threshold(at[0], at[1])
                      : token[0] == 'b' ? round_box(at[0])
                      : token[0] == 'n' ? drop_neuron(at[0], at[1])
                      : token[0] == 'w' ? round_weights(at[0])
                      : token[0] == 'z' ? clear_weight(at[0], at[1], at[2])
                                        : false;
    if (done) tokens_.push_back(token);
    return done;
  }

 private:
  // ---- drawing ----
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  bool chance(double p) { return std::uniform_real_distribution<double>()(random_) < p; }
  double weight(int style) {
    if (chance(0.1)) return 0;
    if (style == 0) return static_cast<double>(pick(17)) / 4 - 2;
    const double x = std::normal_distribution<double>()(random_);
    if (style == 3) return static_cast<double>(static_cast<float>(std::ldexp(x, static_cast<int>(pick(110)) - 20)));  // floats overflow on the way
    return static_cast<double>(static_cast<float>(style == 1 ? x : std::ldexp(x, static_cast<int>(pick(25)) - 12)));
  }
  NetStep dense(std::size_t from, std::size_t in, std::size_t out, int style) {
    NetStep s;
    s.from = from;
    for (std::size_t o = 0; o < out; ++o) {
      s.weight.emplace_back();
      for (std::size_t i = 0; i < in; ++i) s.weight.back().push_back(weight(style));
      s.bias.push_back(weight(style) / 2);
    }
    return s;
  }

  void draw_net() {
    net.inputs = 1 + pick(3);
    const int style = chance(0.04) ? 3 : static_cast<int>(pick(5)) % 3;
    const bool smooth = chance(0.08);
    const std::size_t layers = 1 + pick(3);
    std::size_t room = net.inputs == 3 ? 9 : 12;  // switches
    for (std::size_t l = 0; l < layers; ++l) {
      std::size_t now = net.steps.size(), size = net.sizes().back();
      const std::size_t wide = std::min<std::size_t>(2 + pick(4), std::max<std::size_t>(room, 1));
      if (size >= 2 && chance(0.2)) {
        NetStep conv;
        conv.kind = NetStep::Kind::conv;
        conv.from = now;
        for (std::size_t c = 0; c < 1 + pick(2); ++c) {
          conv.weight.push_back({weight(style), weight(style)});
          conv.bias.push_back(weight(style) / 2);
        }
        net.steps.push_back(conv);
      } else {
        net.steps.push_back(dense(now, size, wide, style));
      }
      now = net.steps.size();
      size = net.sizes().back();
      if (size > room) break;
      NetStep bend;
      bend.from = now;
      bend.kind = smooth && chance(0.6) ? NetStep::Kind::sigmoid : chance(0.12) && size >= 2 ? NetStep::Kind::pool : chance(0.15) ? NetStep::Kind::leaky : NetStep::Kind::relu;
      if (chance(0.3)) bend.slope = 0.01;
      bend.stride = 1 + pick(2);
      net.steps.push_back(bend);
      room -= std::min(room, size);
      if (chance(0.08) && size <= room) {  // two activations of one value
        NetStep twin = bend;
        if (chance(0.5) && twin.kind == NetStep::Kind::relu) twin.kind = NetStep::Kind::leaky;
        net.steps.push_back(twin);
        join(net.steps.size() - 1, net.steps.size());
        room -= size;
      } else if (chance(0.3)) {
        const auto n = net.sizes();
        for (std::size_t k = 0; k + 1 < n.size(); ++k)
          if (n[k] == n.back() && chance(0.6)) {
            join(net.steps.size(), k);
            break;
          }
      }
    }
    net.steps.push_back(dense(net.steps.size(), net.sizes().back(), 1 + pick(3), style));
  }
  void join(std::size_t from, std::size_t other) {
    NetStep s;
    s.kind = NetStep::Kind::join;
    s.from = from;
    s.other = other;
    net.steps.push_back(s);
  }

  void draw_property() {
    const std::size_t count = 1 + pick(2) * pick(2);
    for (std::size_t b = 0; b < count; ++b) {
      InputBox box;
      const bool decimals = chance(0.25), fine = chance(0.1);
      for (std::size_t i = 0; i < net.inputs; ++i) {
        const long from = static_cast<long>(pick(17)) - 8;
        const long width = chance(0.12) ? 0 : static_cast<long>(1 + pick(8));
        const Rational unit = decimals ? Rational(1, 10) : fine ? Rational(1, 1024) : Rational(1, 4);
        box.lower.push_back(from * unit);
        box.upper.push_back((from + width) * unit);
        box.lower_strict.push_back(chance(0.06));
        box.upper_strict.push_back(chance(0.06));
      }
      if (chance(0.06)) std::swap(box.lower[0], box.upper[0]);  // most often empty
      boxes.push_back(std::move(box));
    }
    const std::size_t wanted = 1 + pick(4);
    for (std::size_t d = 0; d < wanted; ++d) {
      Disjunct made;
      made.box = d < boxes.size() ? d : pick(boxes.size());
      const bool single = chance(0.6);
      const std::size_t constraints = single ? 1 : 2 + pick(2);
      for (std::size_t c = 0; c < constraints; ++c) made.constraints.push_back(constraint(boxes[made.box], single));
      if (chance(0.02)) made.constraints.clear();
      disjuncts.push_back(made);
      if (chance(0.05)) disjuncts.push_back(made);
    }
    if (disjuncts.size() < boxes.size()) boxes.resize(disjuncts.size());
  }

  LinearConstraint constraint(const InputBox& box, bool single) {
    LinearConstraint c;
    const Rational unit = chance(0.2) ? Rational(1, 10) : chance(0.2) ? Rational(1, 3) : Rational(1);
    for (std::size_t j = 0; j < net.outputs(); ++j)
      if (const long k = static_cast<long>(pick(5)) - 2; k != 0) c.outputs.push_back({static_cast<std::int64_t>(j), k * unit});
    if (c.outputs.empty() && chance(0.95)) c.outputs.push_back({0, Rational(1)});
    for (std::size_t i = 0; i < net.inputs && chance(0.15); ++i) c.inputs.push_back({static_cast<std::int64_t>(i), Rational(static_cast<long>(1 + pick(3)), 2)});
    c.strict = chance(0.3);
    const auto [least, most] = range(c, box);
    const Rational gaps[] = {Rational(1, 8), Rational(1), Rational(1, 1000), Rational(1, 100), Rational(1, 10000000), exact(1e-12), exact(0x1p-60), Rational(0)};
    // Shares of the form's range are what splits are needed for; a small one on the violated side hides the counterexample.
    const long parts[] = {500, 60, 20, 8};
    const Rational gap = chance(0.6) && most > least ? Rational((most - least) / parts[pick(4)]) : gaps[std::min(pick(8), pick(9))];
    if (single) c.bound = least + (chance(0.25) ? gap : Rational(-gap));
    else c.bound = least + (most - least) * Rational(static_cast<long>(pick(6)) - 1, 8);
    return c;
  }
  std::pair<Rational, Rational> range(const LinearConstraint& c, const InputBox& box) {
    std::optional<Rational> least, most;
    const auto include = [&](const std::vector<Rational>& x, const std::vector<Rational>& y) {
      Rational sum = 0;
      for (const LinearTerm& t : c.inputs) sum += t.coefficient * x[static_cast<std::size_t>(t.index)];
      for (const LinearTerm& t : c.outputs) sum += t.coefficient * y[static_cast<std::size_t>(t.index)];
      if (!least || sum < *least) least = sum;
      if (!most || sum > *most) most = sum;
    };
    if (net.piecewise_linear())
      ExactTruth(net, box).any_cell([&](const ExactTruth::Cell& cell) {
        for (const auto& v : cell) include(v.x, v.y);
        return false;
      });
    else
      for (const std::vector<double>& x : grid(box)) {
        std::vector<Rational> y, at;
        for (const double v : net.at(x)) y.push_back(exact(v));
        for (const double v : x) at.push_back(exact(v));
        include(at, y);
      }
    return {least.value_or(0), most.value_or(1)};
  }

 public:
  // Doubles spread over a box, its corners among them where they are doubles.
  static std::vector<std::vector<double>> grid(const InputBox& box) {
    const std::size_t n = box.lower.size(), steps = n == 1 ? 200 : n == 2 ? 24 : 9;
    std::vector<std::vector<double>> all = {{}};
    for (std::size_t i = 0; i < n; ++i) {
      const double lo = round_up(box.lower[i]), hi = round_down(box.upper[i]);
      if (!(lo <= hi)) return {};
      std::vector<std::vector<double>> next;
      for (const auto& x : all)
        for (std::size_t k = 0; k <= (lo < hi ? steps : 0); ++k) {
          next.push_back(x);
          next.back().push_back(std::min(hi, lo + (hi - lo) * static_cast<double>(k) / static_cast<double>(steps)));
        }
      all = std::move(next);
    }
    return all;
  }

 private:
  void draw_run() {
    VerifyOptions& o = run.options;
    const Splits ways[] = {Splits::inputs, Splits::relus, Splits::automatic, Splits::relus, Splits::inputs, Splits::none};
    o.splits = ways[pick(6)];
    o.attack = chance(0.35);
    o.certificate = chance(0.5);
    o.inlined = chance(0.25);
    o.clip = chance(0.7);
    o.batch = chance(0.3) ? 0 : static_cast<std::int64_t>(1 + pick(9));
    o.threads = chance(0.5) ? 1 : 2;
    o.seed = pick(1000);
    o.alpha_steps = static_cast<int>(pick(3) * 7);
    o.beta_steps = static_cast<int>(pick(3) * 5);
    o.exact = chance(0.3) ? Exact::automatic : Exact::off;
    if (chance(0.15)) o.semantics = Semantics::float32_any_order;
    if (chance(0.08)) o.memory = 1 + pick(20000);
    if (chance(0.35)) run.piece = static_cast<std::int64_t>(1 + pick(30));
    if (chance(0.15)) run.interrupt = std::ldexp(1e-5, static_cast<int>(pick(9)));
    run.changes = chance(0.6);
    run.nested = chance(0.5);
  }

  // ---- reductions ----
  bool plain(char option) {
    VerifyOptions& o = run.options;
    const VerifyOptions usual;
    const auto set = [](auto& x, auto value) { return std::exchange(x, value) != value; };
    switch (option) {
      case 'c': return set(o.certificate, false);
      case 'a': return set(o.attack, false);
      case 'f': return set(o.semantics, Semantics::real);
      case 'k': return set(o.clip, false);
      case 'l': return set(o.inlined, false);
      case 'p': return set(run.piece, std::int64_t{0});
      case 'b': return set(o.batch, std::int64_t{1});
      case 'm': return set(o.memory, std::uint64_t{0});
      case 's': return set(o.alpha_steps, 0) | set(o.beta_steps, 0);
      case 'n': return set(run.nested, false);
      case 't': return set(o.threads, 1) | set(run.changes, false);
      case 'x': return set(o.exact, Exact::off);
      case 'u': return set(run.interrupt, 0.0);
      default: return false;
    }
  }
  bool drop_disjunct(std::size_t i) {
    if (i >= disjuncts.size() || disjuncts.size() < 2) return false;
    disjuncts.erase(disjuncts.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  bool drop_constraint(std::size_t i, std::size_t j) {
    if (i >= disjuncts.size() || j >= disjuncts[i].constraints.size()) return false;
    disjuncts[i].constraints.erase(disjuncts[i].constraints.begin() + static_cast<std::ptrdiff_t>(j));
    return true;
  }
  static bool round_to(Rational& q, long parts) {
    const Rational scaled = q * parts;
    const Rational rounded(boost::multiprecision::cpp_int(numerator(scaled) / denominator(scaled)), parts);
    return std::exchange(q, rounded) != rounded;
  }
  bool round_threshold(std::size_t i, std::size_t j) { return i < disjuncts.size() && j < disjuncts[i].constraints.size() && round_to(disjuncts[i].constraints[j].bound, 1000); }
  bool round_box(std::size_t i) {
    if (i >= boxes.size()) return false;
    bool changed = false;
    for (auto* ends : {&boxes[i].lower, &boxes[i].upper})
      for (Rational& q : *ends) changed |= round_to(q, 4);
    return changed;
  }
  bool round_weights(std::size_t s) {
    if (s >= net.steps.size()) return false;
    bool changed = false;
    const auto round = [&](double& x) { changed |= std::exchange(x, std::nearbyint(x * 4) / 4) != std::nearbyint(x * 4) / 4; };
    for (auto& row : net.steps[s].weight)
      for (double& w : row) round(w);
    for (double& b : net.steps[s].bias) round(b);
    return changed;
  }
  bool clear_weight(std::size_t s, std::size_t o, std::size_t i) {
    return s < net.steps.size() && o < net.steps[s].weight.size() && i < net.steps[s].weight[o].size() && std::exchange(net.steps[s].weight[o][i], 0.0) != 0;
  }
  // With what follows, where that is one activation and one dense step.
  bool drop_neuron(std::size_t s, std::size_t j) {
    if (s + 2 >= net.steps.size() || net.steps[s].kind != NetStep::Kind::dense || j >= net.steps[s].bias.size() || net.steps[s].bias.size() < 2) return false;
    NetStep &bend = net.steps[s + 1], &next = net.steps[s + 2];
    const bool elementwise = bend.kind == NetStep::Kind::relu || bend.kind == NetStep::Kind::leaky || bend.kind == NetStep::Kind::sigmoid;
    if (!elementwise || bend.from != s + 1 || next.kind != NetStep::Kind::dense || next.from != s + 2) return false;
    for (std::size_t k = s + 1; k < net.steps.size(); ++k)
      for (const std::size_t v : {net.steps[k].from, net.steps[k].kind == NetStep::Kind::join ? net.steps[k].other : SIZE_MAX})
        if ((v == s + 1 && k != s + 1) || (v == s + 2 && k != s + 2)) return false;
    net.steps[s].weight.erase(net.steps[s].weight.begin() + static_cast<std::ptrdiff_t>(j));
    net.steps[s].bias.erase(net.steps[s].bias.begin() + static_cast<std::ptrdiff_t>(j));
    for (auto& row : next.weight) row.erase(row.begin() + static_cast<std::ptrdiff_t>(j));
    return true;
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  std::vector<std::string> tokens_;
};

}  // namespace boundlight::test
