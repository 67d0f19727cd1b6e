// Branch and bound over the signs of ReLUs (beta-CROWN; Wang et al. 2021). Boxes of the neurons are those of the root, cut by the
// splits above; slopes and multipliers start from the parent's. Every open part keeps a short list of neurons, by what their
// relaxation loses at the part's own minimiser; the list is tried with real bounds before one is split (filtered strong branching;
// De Palma et al. 2021).
//
// Parts are taken from the end of the frontier in batches of a fixed size, and every result is independent of threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/bab/archive.hpp"
#include "boundlight/solver/bab/relu_targets.hpp"
#include "boundlight/solver/bab/root_boxes.hpp"
#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab {
namespace relu_search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kShortList = 4;      // neurons tried per part
constexpr int kDesperate = 10;             // times as many steps where nothing is left to split
constexpr std::int64_t kNumbersInFlight = std::int64_t{1} << 19;  // coefficients of rows at once, about

struct Cut {
  std::int32_t act = 0, neuron = 0;
  bool positive = false;
};

struct Part {
  std::uint32_t target = 0;
  std::int32_t node = 0;
  std::vector<Cut> path;
  std::vector<float> beta;                           // by cut
  std::shared_ptr<const std::vector<std::uint8_t>> slopes;  // of all activations, in 1 / 255
  double bound = -kInfinity;                         // of the target's form
  std::vector<Cut> list;                             // neurons to try, best first
  bool last_chance = false;                          // nothing left to split: searched with more steps
  bool again = false;                                // its search was stopped: to be bounded before it is split
};

template <class A>
void fields(A& a, Cut& c) {
  all(a, c.act, c.neuron, c.positive);
}
template <class A>
void fields(A& a, Part& p) {
  all(a, p.target, p.node, p.path, p.beta, p.slopes, p.bound, p.list, p.last_chance, p.again);
}

class Search {
 public:
  explicit Search(SearchContext& context) : c_(context), network_(context.engine.network()), group_(context.group) {}
  Result<End> run();

 private:
  using Act = Activation;
  Result<void> prepare();
  Result<void> replayed_root(const BoundOptions& options);
  Result<bool> start();
  Result<End> loop();
  Result<void> save();
  void take_root_slopes(std::size_t t);
  Result<void> ask(const std::vector<Part>& parts, int steps, bool trace, SplitSearch& s, Precision precision = Precision::single) const;
  Result<void> ask_in_double(std::vector<Part>& parts, const SplitSearch& s);
  Result<bool> bound(std::vector<Part>& parts, int steps);
  void take_slopes(std::vector<Part>& parts, const SplitSearch& s) const;
  void make_list(Part& part, std::size_t line, const SplitSearch& s) const;
  Result<void> choose(std::vector<Part>& batch) const;
  std::vector<Part> children(std::vector<Part>& batch);
  Result<bool> step(std::vector<Part>& batch);
  Result<bool> look_for_witness(const std::vector<Part>& parts, const SplitSearch& s);
  void close(std::vector<Part*>& candidates, std::vector<std::uint8_t>& closed);
  bool closes(const Part& p) const { return forms_.closes(p.target, p.bound); }
  check::SlopeSet slope_set(const Part& part, int width) const;
  std::uint64_t bytes_of(const Part& p) const { return sizeof(Part) + p.path.size() * 16 + slopes_ / 2 + 128; }

  SearchContext& c_;
  const Network& network_;
  const Group& group_;
  std::vector<Act> acts_;
  std::size_t slopes_ = 0;
  ValueBoxes root_;
  ReluTargets forms_;
  std::vector<Part> frontier_;
  std::size_t batch_ = 64;
  std::uint64_t bytes_ = 0;
  bool stuck_ = false;
  double share_ = 0;  // closed, every split counting half
  // For certificates.
  std::shared_ptr<const check::Boxes> replayed_;
  std::uint32_t section_ = 0;  // of the certificate's bounds: how root_ is made
  std::vector<int> tensor_;
  std::vector<std::shared_ptr<const check::Choices>> root_choices_;  // by target: the root's slopes
};

// What is frozen: boxes of all activations' inputs at the root.
Result<void> Search::prepare() {
  for (const NetworkNode& node : network_.nodes) {
    if (node.node.op != "Relu" && node.node.op != "LeakyRelu") continue;
    const ValueId in = node.node.inputs[0], out = node.node.outputs[0];
    if (network_.values[static_cast<std::size_t>(in)].constant || network_.values[static_cast<std::size_t>(in)].producer < 0) continue;
    Act& act = acts_.emplace_back();
    act.in = in;
    act.out = out;
    act.size = network_.values[static_cast<std::size_t>(in)].size;
    act.first = slopes_;
    slopes_ += static_cast<std::size_t>(act.size);
  }
  Regions r;
  r.batch = 1;
  r.lower = group_.lower;
  r.upper = group_.upper;
  BoundOptions o = bound_options(c_.watch.options, c_.watch.stop);
  o.alpha_steps = c_.watch.options.alpha_steps;
  BL_TRY(boxes, c_.engine.boxes(r, o));
  root_ = std::move(boxes);
  if (c_.replayer) BL_CHECK(replayed_root(o));
  else BL_CHECK(refine_root(c_.engine, group_, acts_, o, root_, nullptr));
  forms_ = ReluTargets(group_, c_.open, c_.lambda, c_.replayer ? 1e-6 : 0.0);
  batch_ = c_.watch.options.batch > 0 ? static_cast<std::size_t>(c_.watch.options.batch)
                                      : static_cast<std::size_t>(std::clamp<std::int64_t>(kNumbersInFlight / static_cast<std::int64_t>(slopes_ + group_.lower.size() + 1), 8, 128));
  return {};
}

// The boxes that the checker makes of searched slopes are those of the search.
Result<void> Search::replayed_root(const BoundOptions& options) {
  root_choices_.resize(group_.targets.size());
  for (Act& a : acts_) {
    const std::string &in = network_.values[static_cast<std::size_t>(a.in)].name, &out = network_.values[static_cast<std::size_t>(a.out)].name;
    a.in_name = c_.replayer->name(in);
    a.out_name = c_.replayer->name(out);
    tensor_.push_back(c_.replayer->tensor(a.in_name));
    if (tensor_.back() < 0 || c_.replayer->model().op_of.count(out) == 0) return Error{ErrorKind::unsupported, network_.source, "the checker does not know the value " + in + "; ask for a verdict without a certificate"};
  }
  for (std::size_t t = 0; t < group_.targets.size(); ++t)
    if (c_.open[t]) section_ = std::max(section_, c_.own[t].nodes[0].bounds);  // of a search that goes on
  if (section_ == 0) {
    check::Bounds section;
    BL_CHECK(refine_root(c_.engine, group_, acts_, options, root_, &section));
    c_.replayer->certificate().bounds.push_back(std::move(section));
    section_ = static_cast<std::uint32_t>(c_.replayer->certificate().bounds.size());
  }
  replayed_ = c_.replayer->boxes({group_.lower, group_.upper}, nullptr, {}, &c_.replayer->certificate().bounds[section_ - 1]);
  if (!replayed_) return Error{ErrorKind::unsupported, network_.source, "the checker cannot bound this network's neurons; ask for a verdict without a certificate"};
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    root_.lower[static_cast<std::size_t>(acts_[k].in)] = replayed_->of[static_cast<std::size_t>(tensor_[k])].lower;
    root_.upper[static_cast<std::size_t>(acts_[k].in)] = replayed_->of[static_cast<std::size_t>(tensor_[k])].upper;
  }
  return {};
}

// One search over the parts, from their slopes and multipliers.
Result<void> Search::ask(const std::vector<Part>& parts, int steps, bool trace, SplitSearch& s, Precision precision) const {
  const std::size_t n = parts.size();
  Regions r;
  r.batch = static_cast<std::int64_t>(n);
  Forms f;
  f.value = network_.outputs[0];
  f.rows = 1;
  f.per_region = true;
  f.want_upper = false;
  ValueBoxes known;
  known.batch = r.batch;
  known.lower.resize(network_.values.size());
  known.upper.resize(network_.values.size());
  for (const Part& p : parts) {
    r.lower.insert(r.lower.end(), group_.lower.begin(), group_.lower.end());
    r.upper.insert(r.upper.end(), group_.upper.begin(), group_.upper.end());
    const auto& form = forms_.coefficient(p.target);
    f.coefficient.insert(f.coefficient.end(), form.begin(), form.end());
    s.enough.push_back(forms_.enough(p.target));
  }
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    const auto v = static_cast<std::size_t>(acts_[k].in);
    if (!known.lower[v].empty()) continue;  // two activations of one value
    for (std::size_t p = 0; p < n; ++p) {
      known.lower[v].insert(known.lower[v].end(), root_.lower[v].begin(), root_.lower[v].end());
      known.upper[v].insert(known.upper[v].end(), root_.upper[v].begin(), root_.upper[v].end());
    }
  }
  bool warm = true;
  for (std::size_t p = 0; p < n; ++p) {
    for (std::size_t i = 0; i < parts[p].path.size(); ++i) {
      const Cut& cut = parts[p].path[i];
      const Act& act = acts_[static_cast<std::size_t>(cut.act)];
      const std::size_t at = p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(cut.neuron);
      auto &lower = known.lower[static_cast<std::size_t>(act.in)][at], &upper = known.upper[static_cast<std::size_t>(act.in)][at];
      if (cut.positive) lower = std::max(lower, 0.0);
      else upper = std::min(upper, 0.0);
      s.splits.push_back({static_cast<std::int64_t>(p), act.in, cut.neuron, cut.positive});
      s.multipliers.push_back(i < parts[p].beta.size() ? parts[p].beta[i] : 0.0F);
    }
    warm = warm && parts[p].slopes;
  }
  if (warm)
    for (const Act& act : acts_) {
      auto& lines = s.slopes[act.out];
      lines.reserve(n * static_cast<std::size_t>(act.size));
      for (const Part& p : parts)
        for (std::int64_t i = 0; i < act.size; ++i) lines.push_back(static_cast<float>((*p.slopes)[act.first + static_cast<std::size_t>(i)]) / 255.0F);
    }
  s.regions = &r;
  s.forms = &f;
  s.known = &known;
  s.options = bound_options(c_.watch.options, c_.watch.stop);
  s.options.precision = precision;
  s.options.alpha_steps = steps;
  s.want_trace = s.want_points = trace;
  BL_CHECK(c_.engine.search(s));
  s.regions = nullptr;
  s.forms = nullptr;
  s.known = nullptr;
  return {};
}

void Search::take_slopes(std::vector<Part>& parts, const SplitSearch& s) const {
  for (std::size_t p = 0; p < parts.size(); ++p) {
    auto made = std::make_shared<std::vector<std::uint8_t>>(slopes_, std::uint8_t{0});
    for (const Act& act : acts_) {
      const auto found = s.slopes.find(act.out);
      if (found == s.slopes.end()) continue;
      for (std::int64_t i = 0; i < act.size; ++i)
        (*made)[act.first + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::lround(std::clamp(found->second[p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(i)], 0.0F, 1.0F) * 255));
    }
    parts[p].slopes = std::move(made);
  }
}

// The neurons whose relaxation loses most: at the part's minimiser, and at worst (the intercept of the upper plane).
void Search::make_list(Part& part, std::size_t line, const SplitSearch& s) const {
  struct Scored {
    Cut cut;
    double here, worst;
  };
  std::vector<Scored> all;
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    const Act& act = acts_[k];
    const auto found = s.trace.find(act.out);
    if (found == s.trace.end()) continue;
    const auto &lower = root_.lower[static_cast<std::size_t>(act.in)], &upper = root_.upper[static_cast<std::size_t>(act.in)];
    for (std::int64_t i = 0; i < act.size; ++i) {
      const double l = lower[static_cast<std::size_t>(i)], u = upper[static_cast<std::size_t>(i)];
      if (!(l < 0 && u > 0)) continue;
      const std::size_t at = line * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(i);
      const double a = found->second.coefficient[at], z = std::clamp<double>(found->second.point[at], l, u);
      if (a == 0) continue;
      const double slope = static_cast<double>((*part.slopes)[act.first + static_cast<std::size_t>(i)]) / 255;
      const double chord = u * (z - l) / (u - l), relu = std::max(z, 0.0);
      const double here = a < 0 ? -a * (chord - relu) : a * (relu - slope * z);
      const double worst = a < 0 ? -a * u * -l / (u - l) : a * std::max((1 - slope) * u, slope * -l) * 0.5;
      all.push_back({{static_cast<std::int32_t>(k), static_cast<std::int32_t>(i), false}, here, worst});
    }
  }
  std::erase_if(all, [&](const Scored& a) {
    return std::any_of(part.path.begin(), part.path.end(), [&](const Cut& c) { return c.act == a.cut.act && c.neuron == a.cut.neuron; });
  });
  part.list.clear();
  const auto best_by = [&](auto score) {
    const std::size_t n = std::min(all.size(), kShortList);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(), [&](const Scored& a, const Scored& b) { return score(a) > score(b); });
    for (std::size_t i = 0; i < n && i < (kShortList + 1) / 2; ++i)
      if (std::none_of(part.list.begin(), part.list.end(), [&](const Cut& c) { return c.act == all[i].cut.act && c.neuron == all[i].cut.neuron; })) part.list.push_back(all[i].cut);
  };
  best_by([](const Scored& a) { return a.here + 1e-3 * a.worst; });
  best_by([](const Scored& a) { return a.worst; });
}

// Tries the short lists: the neuron whose halves have the best bounds comes first.
Result<void> Search::choose(std::vector<Part>& batch) const {
  std::vector<Part> tried;
  for (const Part& p : batch) {
    if (p.list.size() < 2) continue;
    for (const Cut& cut : p.list)
      for (const bool positive : {false, true}) {
        Part half;
        half.target = p.target;
        half.path = p.path;
        half.path.push_back({cut.act, cut.neuron, positive});
        half.beta = p.beta;
        half.slopes = p.slopes;
        tried.push_back(std::move(half));
      }
  }
  if (tried.empty()) return {};
  std::vector<double> bounds;
  for (std::size_t from = 0; from < tried.size(); from += 2 * batch_) {
    std::vector<Part> some(std::make_move_iterator(tried.begin() + static_cast<std::ptrdiff_t>(from)), std::make_move_iterator(tried.begin() + static_cast<std::ptrdiff_t>(std::min(tried.size(), from + 2 * batch_))));
    SplitSearch s;
    BL_CHECK(ask(some, 0, false, s));
    for (std::size_t i = 0; i < some.size(); ++i) bounds.push_back(std::min(0.0, s.lower[i] - forms_.enough(some[i].target)));
  }
  std::size_t at = 0;
  for (Part& p : batch) {
    if (p.list.size() < 2) continue;
    std::size_t best = 0;
    double most = -kInfinity;
    for (std::size_t i = 0; i < p.list.size(); ++i, at += 2) {
      const double score = bounds[at] + bounds[at + 1] + std::min(bounds[at], bounds[at + 1]);
      if (score > most) most = score, best = i;
    }
    std::swap(p.list[0], p.list[best]);
  }
  return {};
}

std::vector<Part> Search::children(std::vector<Part>& batch) {
  std::vector<Part> made;
  for (Part& p : batch) {
    if (p.again || p.list.empty()) {
      p.last_chance = !p.again;
      p.again = false;
      made.push_back(std::move(p));
      continue;
    }
    ++c_.watch.result.splits;
    SearchTree& tree = c_.own[p.target];
    const Cut cut = p.list[0];
    const auto low = static_cast<std::int32_t>(tree.nodes.size());
    if (c_.replayer) {
      tree.nodes.emplace_back();
      tree.nodes.emplace_back();
      check::Node& n = tree.nodes[static_cast<std::size_t>(p.node)];
      n.kind = check::Node::Kind::relu_split;
      n.value = acts_[static_cast<std::size_t>(cut.act)].in_name;
      n.neuron = static_cast<std::uint32_t>(cut.neuron);
      n.low = low;
      n.high = low + 1;
    }
    for (const bool positive : {false, true}) {
      Part half;
      half.target = p.target;
      half.node = low + (positive ? 1 : 0);
      half.path = p.path;
      half.path.push_back({cut.act, cut.neuron, positive});
      half.beta = p.beta;
      half.beta.push_back(0);
      half.slopes = p.slopes;
      half.bound = p.bound;
      made.push_back(std::move(half));
    }
    c_.watch.result.deepest = std::max<std::int64_t>(c_.watch.result.deepest, static_cast<std::int64_t>(p.path.size()) + 1);
  }
  return made;
}

check::SlopeSet Search::slope_set(const Part& part, int width) const {
  check::SlopeSet set;
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    const Act& act = acts_[k];
    check::Slopes s;
    s.value = act.out_name;
    s.width = static_cast<std::uint8_t>(width);
    const auto &lower = root_.lower[static_cast<std::size_t>(act.in)], &upper = root_.upper[static_cast<std::size_t>(act.in)];
    for (std::int64_t i = 0; i < act.size; ++i) {
      if (!(lower[static_cast<std::size_t>(i)] < 0 && upper[static_cast<std::size_t>(i)] > 0)) continue;
      s.neurons.push_back(static_cast<std::uint32_t>(i));
      s.numbers.push_back((*part.slopes)[act.first + static_cast<std::size_t>(i)]);
    }
    if (!s.neurons.empty()) set.push_back(std::move(s));
  }
  return set;
}

// The checker's own word on parts whose bound suffices: first with the root's slopes, which cost nothing in the certificate, then
// with the part's.
void Search::close(std::vector<Part*>& candidates, std::vector<std::uint8_t>& closed) {
  closed.assign(candidates.size(), 0);
  if (!c_.replayer) {
    for (std::size_t i = 0; i < candidates.size(); ++i) closed[i] = 1;
    return;
  }
  const check::Box box{group_.lower, group_.upper};
  std::vector<check::Node> nodes(candidates.size());
  tbb::parallel_for(std::size_t{0}, candidates.size(), [&](std::size_t i) {
    const Part& p = *candidates[i];
    std::vector<check::Split> path;
    for (const Cut& c : p.path) path.push_back({tensor_[static_cast<std::size_t>(c.act)], static_cast<std::uint32_t>(c.neuron), c.positive});
    Replayer::Leaf leaf{&group_.targets[p.target], forms_.lambda(p.target), &path, p.beta, nullptr};
    nodes[i].lambda = leaf.lambda;
    nodes[i].beta = leaf.beta;
    leaf.choices = root_choices_[p.target].get();
    if (p.bound == kInfinity) {  // boxes exclude each other
      const auto boxes = c_.replayer->boxes(box, replayed_.get(), path, &c_.replayer->certificate().bounds[kIntervalSection - 1]);
      closed[i] = boxes && boxes->empty ? 1 : 0;
      nodes[i].bounds = kIntervalSection;
      return;
    }
    if (leaf.choices && c_.replayer->excludes(leaf, c_.replayer->forms(*replayed_, {leaf})[0], box)) {
      closed[i] = 1;
      return;
    }
    check::SlopeSet own = slope_set(p, 1);
    const check::Choices choices = c_.replayer->propagation().resolve(own, root_choices_[p.target] ? *root_choices_[p.target] : check::Choices(c_.replayer->model().ops.size()));
    leaf.choices = &choices;
    bool closes = c_.replayer->excludes(leaf, c_.replayer->forms(*replayed_, {leaf})[0], box);
    if (!closes) {  // what the splits say about boxes behind them, by intervals
      const auto boxes = c_.replayer->boxes(box, replayed_.get(), path, &c_.replayer->certificate().bounds[kIntervalSection - 1]);
      closes = boxes && (boxes->empty || c_.replayer->excludes(leaf, c_.replayer->forms(*boxes, {leaf})[0], box));
      nodes[i].bounds = kIntervalSection;
    }
    if (!closes) return;
    closed[i] = 1;
    nodes[i].slopes = std::move(own);
  });
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!closed[i]) continue;
    SearchTree& tree = c_.own[candidates[i]->target];
    tree.leaves.push_back({candidates[i]->node, candidates[i]->target, std::move(nodes[i])});
  }
}

Result<bool> Search::look_for_witness(const std::vector<Part>& parts, const SplitSearch& s) {
  const std::size_t n = group_.lower.size(), m = static_cast<std::size_t>(c_.property.outputs);
  std::vector<double> points;
  std::vector<std::size_t> of;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (closes(parts[p])) continue;
    const std::vector<double> at(s.points.begin() + static_cast<std::ptrdiff_t>(p * n), s.points.begin() + static_cast<std::ptrdiff_t>((p + 1) * n));
    const auto x = snapped(c_.property.boxes[group_.box], at.data());
    if (x.empty()) continue;
    points.insert(points.end(), x.begin(), x.end());
    of.push_back(p);
  }
  if (of.empty()) return false;
  BL_TRY(y, c_.engine.evaluate(points, static_cast<std::int64_t>(of.size()), {network_.outputs[0]}, Precision::single));
  std::vector<double> violating;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (!(violation(group_.targets[parts[of[i]].target], points.data() + i * n, y[0].data() + i * m, nullptr) >= 0)) continue;
    violating.insert(violating.end(), points.begin() + static_cast<std::ptrdiff_t>(i * n), points.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
    ++count;
  }
  BL_TRY(found, confirm(c_.engine, c_.property, violating, count));
  if (found.near_miss && !c_.watch.result.near_miss) c_.watch.result.near_miss = std::move(found.near_miss);
  if (found.proved) c_.watch.result.counterexample = std::move(found.proved);
  return c_.watch.result.counterexample.has_value();
}

// Parts whose bound misses by no more than what rounding in float was charged, once more in double.
Result<void> Search::ask_in_double(std::vector<Part>& parts, const SplitSearch& s) {
  std::vector<Part> near;
  std::vector<std::size_t> of;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (closes(parts[p]) || !(s.lower[p] + 2 * s.charge[p] > forms_.enough(parts[p].target))) continue;
    near.push_back(parts[p]);
    of.push_back(p);
  }
  if (near.empty()) return {};
  SplitSearch again;
  BL_CHECK(ask(near, 0, false, again, Precision::dual));
  for (std::size_t i = 0; i < of.size(); ++i) parts[of[i]].bound = std::max(parts[of[i]].bound, again.lower[i]);
  return {};
}

// Bounds parts, closes what can be closed, puts the rest onto the frontier. True: a witness was found.
Result<bool> Search::bound(std::vector<Part>& parts, int steps) {
  SplitSearch s;
  BL_CHECK(ask(parts, steps, true, s));
  c_.watch.result.counters.rows += s.counters.rows;
  take_slopes(parts, s);
  std::size_t split = 0;
  double worst = kInfinity;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    parts[p].bound = std::max(parts[p].bound, s.lower[p]);
    parts[p].beta.assign(s.multipliers.begin() + static_cast<std::ptrdiff_t>(split), s.multipliers.begin() + static_cast<std::ptrdiff_t>(split + parts[p].path.size()));
    split += parts[p].path.size();
    ++c_.watch.result.domains;
  }
  BL_CHECK(ask_in_double(parts, s));
  std::vector<Part*> candidates;
  std::vector<std::size_t> at;
  for (std::size_t p = 0; p < parts.size(); ++p)
    if (closes(parts[p])) candidates.push_back(&parts[p]), at.push_back(p);
  std::vector<std::uint8_t> closed, done(parts.size(), 0);
  close(candidates, closed);
  for (std::size_t i = 0; i < at.size(); ++i) done[at[i]] = closed[i];
  BL_TRY(witness, look_for_witness(parts, s));
  if (witness) return true;
  tbb::parallel_for(std::size_t{0}, parts.size(), [&](std::size_t p) {
    if (!done[p]) make_list(parts[p], p, s);
  });
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (done[p]) {
      ++c_.watch.result.leaves;
      share_ += std::ldexp(1.0, -static_cast<int>(parts[p].path.size())) / static_cast<double>(forms_.open());
      continue;
    }
    parts[p].again = !s.complete;
    if (parts[p].last_chance && s.complete) {
      stuck_ = true;
      continue;
    }
    worst = std::min(worst, parts[p].bound - forms_.threshold(parts[p].target));
    bytes_ += bytes_of(parts[p]);
    frontier_.push_back(std::move(parts[p]));
  }
  c_.watch.tell(worst, static_cast<std::int64_t>(frontier_.size()), share_);
  return false;
}

Result<bool> Search::step(std::vector<Part>& batch) {
  BL_CHECK(choose(batch));
  std::vector<Part> parts = children(batch);
  std::vector<Part> last;
  for (std::size_t p = parts.size(); p-- > 0;) {
    if (!parts[p].last_chance) continue;
    last.push_back(std::move(parts[p]));
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(p));
  }
  if (!last.empty()) {
    BL_TRY(witness, bound(last, kDesperate * c_.watch.options.beta_steps));
    if (witness) return true;
  }
  if (parts.empty()) return false;
  return bound(parts, c_.watch.options.beta_steps);
}

Result<void> Search::save() {
  if (!c_.save) return {};
  Writer w;
  all(w, frontier_, share_);
  return c_.save(std::move(w.bytes));
}

Result<End> Search::run() {
  BL_CHECK(prepare());
  if (c_.watch.stop.stop_requested()) return End::stopped;
  if (c_.regions.empty()) {
    BL_TRY(witness, start());
    if (witness) return End::sat;
  } else {
    Reader r(c_.regions);
    all(r, frontier_, share_);
    if (!r.good) return Error{ErrorKind::bad_input, c_.watch.options.state.string(), "is damaged; remove it to start anew"};
    for (const Part& p : frontier_) bytes_ += bytes_of(p);
    for (std::size_t t = 0; c_.replayer && t < group_.targets.size(); ++t) take_root_slopes(t);
  }
  BL_TRY(end, loop());
  if (end == End::stopped || end == End::memory || end == End::limit) BL_CHECK(save());
  return end;
}

void Search::take_root_slopes(std::size_t t) {
  const check::Node& root = c_.own[t].nodes[0];
  root_choices_[t] = std::make_shared<check::Choices>(c_.replayer->propagation().resolve(root.slopes, check::Choices(c_.replayer->model().ops.size())));
}

Result<bool> Search::start() {
  std::vector<Part> roots;
  for (std::size_t t = 0; t < group_.targets.size(); ++t) {
    if (!c_.open[t]) continue;
    if (c_.replayer) c_.own[t].nodes[0].bounds = section_;
    Part& p = roots.emplace_back();
    p.target = static_cast<std::uint32_t>(t);
  }
  BL_TRY(at_root, bound(roots, c_.watch.options.alpha_steps));
  for (const Part& p : frontier_) {
    if (!c_.replayer) break;
    c_.own[p.target].nodes[0].slopes = slope_set(p, 1);
    take_root_slopes(p.target);
  }
  return at_root;
}

Result<End> Search::loop() {
  while (!frontier_.empty() && !stuck_) {
    if (c_.watch.stop.stop_requested()) return End::stopped;
    if (c_.watch.out_of_domains()) return End::limit;
    if (bytes_ > c_.watch.memory) return End::memory;
    if (c_.watch.time_to_save()) BL_CHECK(save());
    const std::size_t n = std::min(std::max<std::size_t>(1, batch_ / 2), frontier_.size());
    std::vector<Part> batch(std::make_move_iterator(frontier_.end() - static_cast<std::ptrdiff_t>(n)), std::make_move_iterator(frontier_.end()));
    frontier_.resize(frontier_.size() - n);
    for (const Part& p : batch) bytes_ -= std::min(bytes_, bytes_of(p));
    std::vector<bool> open(group_.targets.size(), false);
    for (const auto* parts : {&frontier_, &batch})
      for (const Part& p : *parts) open[p.target] = true;
    BL_TRY(found, c_.interlude(open));
    if (found) return End::sat;
    BL_TRY(witness, step(batch));
    if (witness) return End::sat;
  }
  return stuck_ ? End::stuck : End::closed;
}

}  // namespace
}  // namespace relu_search

Result<End> search_relus(SearchContext& context) { return relu_search::Search(context).run(); }

}  // namespace boundlight::bab
