// Branch and bound over the signs of ReLUs (beta-CROWN; Wang et al. 2021). Boxes of the neurons are those of the root, cut by the
// splits above; slopes and multipliers start from the parent's. Every open part keeps a short list of neurons, by what their
// relaxation loses at the part's own minimiser; the list is tried with both halves of each before one is split (filtered strong
// branching; De Palma et al. 2021). relu_bounds.hpp makes the bounds; here are the tree, the certificate and the verdict.
#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

#include "boundlight/solver/bab/relu_bounds.hpp"
#include "boundlight/solver/bab/tree_search.hpp"

namespace boundlight::bab {
namespace relu_search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kDesperate = 10;                                    // times as many steps where nothing is left to split
constexpr std::int64_t kNumbersInFlight = std::int64_t{1} << 19;  // coefficients of rows at once, about
constexpr std::size_t kCondensedBatch = 128;
constexpr int kCondensedRoot = 5;                                 // times as many steps at the root, which cost little

class ReluSearch : public TreeSearch<ReluSearch, SignPart> {
 public:
  explicit ReluSearch(SearchContext& context)
      : TreeSearch(context), c_(context), network_(context.engine.network()), group_(context.group), bounds_(context.engine, context.group, context.watch.options, context.watch.stop) {}

  Result<void> prepare();
  Result<bool> start();
  Result<void> go_on();
  Result<bool> step(std::vector<SignPart>& batch);
  std::size_t batch() const { return std::max<std::size_t>(1, batch_ / 2); }
  std::uint64_t bytes_of(const SignPart& p) const { return sizeof(SignPart) + p.path.size() * 16 + bounds_.free().size() * (bounds_.condensed() ? 9 : 1) + 128; }
  void mark_open(const SignPart& p, std::vector<bool>& open) const { open[p.target] = true; }
  double bound_of(const SignPart& p) const { return sub_down(p.bound, forms_.threshold(p.target)); }

 private:
  void find_activations();
  Result<void> replayed_root(const BoundOptions& options, ValueBoxes& root);
  void take_root_slopes(std::size_t t);
  Result<bool> bound(std::vector<SignPart>& parts, int steps);
  Result<void> choose(std::vector<SignPart>& batch);
  std::vector<SignPart> children(std::vector<SignPart>& batch);
  Result<bool> look_for_witness(const std::vector<SignPart>& parts, const std::vector<double>& minimisers);
  void close(std::vector<SignPart*>& candidates, std::vector<std::uint8_t>& closed);
  bool confirm_leaf(const SignPart& part, check::Node& node) const;
  bool closes(const SignPart& p) const { return forms_.closes(p.target, p.bound); }
  check::SlopeSet slope_set(const SignPart& part, int width) const;

  SearchContext& c_;
  const Network& network_;
  const Group& group_;
  std::vector<Activation> acts_;
  std::size_t slopes_ = 0;
  ReluTargets forms_;
  ReluBounds bounds_;
  std::size_t batch_ = 64;
  // For certificates.
  std::shared_ptr<const check::Boxes> replayed_;
  std::uint32_t section_ = 0;  // of the certificate's bounds: how the root's boxes are made
  std::vector<int> tensor_;
  std::vector<std::shared_ptr<const check::Choices>> root_choices_;  // by target: the root's slopes
};

void ReluSearch::find_activations() {
  for (const NetworkNode& node : network_.nodes) {
    if (node.node.op != "Relu" && node.node.op != "LeakyRelu") continue;
    const ValueId in = node.node.inputs[0], out = node.node.outputs[0];
    if (network_.values[static_cast<std::size_t>(in)].constant || network_.values[static_cast<std::size_t>(in)].producer < 0) continue;
    Activation& act = acts_.emplace_back();
    act.in = in;
    act.out = out;
    act.size = network_.values[static_cast<std::size_t>(in)].size;
    act.first = slopes_;
    slopes_ += static_cast<std::size_t>(act.size);
  }
}

// What is frozen: boxes of all activations' inputs at the root.
Result<void> ReluSearch::prepare() {
  find_activations();
  Regions r;
  r.batch = 1;
  r.lower = group_.lower;
  r.upper = group_.upper;
  BoundOptions o = bound_options(c_.watch.options, c_.watch.stop);
  o.alpha_steps = c_.watch.options.alpha_steps;
  BL_TRY(root, c_.engine.boxes(r, o));
  if (c_.replayer) BL_CHECK(replayed_root(o, root));
  else BL_CHECK(refine_root(c_.engine, group_, acts_, o, root, nullptr));
  forms_ = ReluTargets(group_, c_.open, c_.lambda, c_.replayer ? 1e-6 : 0.0);
  BL_CHECK(bounds_.prepare(acts_, root, forms_));
  batch_ = bounds_.condensed() ? kCondensedBatch : static_cast<std::size_t>(std::clamp<std::int64_t>(kNumbersInFlight / static_cast<std::int64_t>(slopes_ + group_.lower.size() + 1), 8, 128));
  if (c_.watch.options.batch > 0) batch_ = static_cast<std::size_t>(c_.watch.options.batch);
  return {};
}

// The boxes that the checker makes of searched slopes are those of the search.
Result<void> ReluSearch::replayed_root(const BoundOptions& options, ValueBoxes& root) {
  root_choices_.resize(group_.targets.size());
  for (Activation& a : acts_) {
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
    BL_CHECK(refine_root(c_.engine, group_, acts_, options, root, &section));
    c_.replayer->certificate().bounds.push_back(std::move(section));
    section_ = static_cast<std::uint32_t>(c_.replayer->certificate().bounds.size());
  }
  replayed_ = c_.replayer->boxes({group_.lower, group_.upper}, nullptr, {}, &c_.replayer->certificate().bounds[section_ - 1]);
  if (!replayed_) return Error{ErrorKind::unsupported, network_.source, "the checker cannot bound this network's neurons; ask for a verdict without a certificate"};
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    root.lower[static_cast<std::size_t>(acts_[k].in)] = replayed_->of[static_cast<std::size_t>(tensor_[k])].lower;
    root.upper[static_cast<std::size_t>(acts_[k].in)] = replayed_->of[static_cast<std::size_t>(tensor_[k])].upper;
  }
  return {};
}

void ReluSearch::take_root_slopes(std::size_t t) {
  const check::Node& root = c_.own[t].nodes[0];
  root_choices_[t] = std::make_shared<check::Choices>(c_.replayer->propagation().resolve(root.slopes, check::Choices(c_.replayer->model().ops.size())));
}

Result<void> ReluSearch::go_on() {
  for (SignPart& p : open_parts()) {
    for (const auto* cuts : {&p.path, &p.list})
      for (const SignCut& cut : *cuts)
        if (cut.act < 0 || static_cast<std::size_t>(cut.act) >= acts_.size() || cut.neuron < 0 || cut.neuron >= acts_[static_cast<std::size_t>(cut.act)].size)
          return Error{ErrorKind::bad_input, c_.watch.options.state.string(), "does not fit the model; remove it to start anew"};
    if (p.slopes && p.slopes->size() != bounds_.free().size()) p.slopes = nullptr;  // other boxes at the root: they begin anew
  }
  for (std::size_t t = 0; c_.replayer && t < group_.targets.size(); ++t) take_root_slopes(t);
  return {};
}

Result<bool> ReluSearch::start() {
  std::vector<SignPart> roots;
  for (std::size_t t = 0; t < group_.targets.size(); ++t) {
    if (!c_.open[t]) continue;
    if (c_.replayer) c_.own[t].nodes[0].bounds = section_;
    SignPart& p = roots.emplace_back();
    p.target = static_cast<std::uint32_t>(t);
  }
  BL_TRY(at_root, bound(roots, c_.watch.options.alpha_steps * (bounds_.condensed() ? kCondensedRoot : 1)));
  for (const SignPart& p : open_parts()) {
    if (!c_.replayer) break;
    c_.own[p.target].nodes[0].slopes = slope_set(p, 1);
    take_root_slopes(p.target);
  }
  return at_root;
}

// Tries the short lists: the neuron whose halves have the best bounds comes first.
Result<void> ReluSearch::choose(std::vector<SignPart>& batch) {
  std::vector<SignPart> tried;
  for (const SignPart& p : batch) {
    if (p.list.size() < 2) continue;
    for (const SignCut& cut : p.list)
      for (const bool positive : {false, true}) {
        SignPart half;
        half.target = p.target;
        half.path = p.path;
        half.path.push_back({cut.act, cut.neuron, positive});
        half.beta = p.beta;
        half.slopes = p.slopes;
        half.boxes = p.boxes;
        tried.push_back(std::move(half));
      }
  }
  if (tried.empty()) return {};
  BL_TRY(bounds, bounds_.estimates(tried));
  for (std::size_t i = 0; i < tried.size(); ++i) bounds[i] = std::min(0.0, bounds[i] - forms_.enough(tried[i].target));
  std::size_t at = 0;
  for (SignPart& p : batch) {
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

std::vector<SignPart> ReluSearch::children(std::vector<SignPart>& batch) {
  std::vector<SignPart> made;
  for (SignPart& p : batch) {
    if (p.again || p.list.empty()) {
      p.last_chance = !p.again;
      p.again = false;
      made.push_back(std::move(p));
      continue;
    }
    ++c_.watch.result.splits;
    SearchTree& tree = c_.own[p.target];
    const SignCut cut = p.list[0];
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
      SignPart half;
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

check::SlopeSet ReluSearch::slope_set(const SignPart& part, int width) const {
  check::SlopeSet set;
  const auto& free = bounds_.free();
  for (std::size_t j = 0; j < free.size(); ++j) {
    if (j == 0 || free[j].act != free[j - 1].act) {
      check::Slopes& s = set.emplace_back();
      s.value = acts_[static_cast<std::size_t>(free[j].act)].out_name;
      s.width = static_cast<std::uint8_t>(width);
    }
    set.back().neurons.push_back(static_cast<std::uint32_t>(free[j].element));
    set.back().numbers.push_back((*part.slopes)[j]);
  }
  return set;
}

// The checker's own word on a part whose bound suffices: first with the root's slopes, which cost nothing in the certificate, then
// with the part's, then with what the splits say about boxes behind them, by intervals.
bool ReluSearch::confirm_leaf(const SignPart& p, check::Node& node) const {
  const check::Box box{group_.lower, group_.upper};
  std::vector<check::Split> path;
  for (const SignCut& c : p.path) path.push_back({tensor_[static_cast<std::size_t>(c.act)], static_cast<std::uint32_t>(c.neuron), c.positive});
  Replayer::Leaf leaf{&group_.targets[p.target], forms_.lambda(p.target), &path, p.beta, root_choices_[p.target].get()};
  node.lambda = leaf.lambda;
  node.beta = leaf.beta;
  const auto narrowed = [&] { return c_.replayer->boxes(box, replayed_.get(), path, &c_.replayer->certificate().bounds[kIntervalSection - 1]); };
  if (p.bound == kInfinity) {  // boxes exclude each other
    const auto boxes = narrowed();
    node.bounds = kIntervalSection;
    return boxes && boxes->empty;
  }
  if (leaf.choices && c_.replayer->excludes(leaf, c_.replayer->forms(*replayed_, {leaf})[0], box)) return true;
  check::SlopeSet own = slope_set(p, 1);
  const check::Choices choices = c_.replayer->propagation().resolve(own, root_choices_[p.target] ? *root_choices_[p.target] : check::Choices(c_.replayer->model().ops.size()));
  leaf.choices = &choices;
  bool closes = c_.replayer->excludes(leaf, c_.replayer->forms(*replayed_, {leaf})[0], box);
  if (!closes) {
    const auto boxes = narrowed();
    closes = boxes && (boxes->empty || c_.replayer->excludes(leaf, c_.replayer->forms(*boxes, {leaf})[0], box));
    node.bounds = kIntervalSection;
  }
  if (closes) node.slopes = std::move(own);
  return closes;
}

void ReluSearch::close(std::vector<SignPart*>& candidates, std::vector<std::uint8_t>& closed) {
  closed.assign(candidates.size(), c_.replayer ? 0 : 1);
  if (!c_.replayer) return;
  std::vector<check::Node> nodes(candidates.size());
  tbb::parallel_for(std::size_t{0}, candidates.size(), [&](std::size_t i) { closed[i] = confirm_leaf(*candidates[i], nodes[i]) ? 1 : 0; });
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (closed[i]) c_.own[candidates[i]->target].leaves.push_back({candidates[i]->node, candidates[i]->target, std::move(nodes[i])});
}

Result<bool> ReluSearch::look_for_witness(const std::vector<SignPart>& parts, const std::vector<double>& minimisers) {
  const std::size_t n = group_.lower.size(), m = static_cast<std::size_t>(c_.property.outputs);
  std::vector<double> points;
  std::vector<std::size_t> of;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (closes(parts[p])) continue;
    const auto x = snapped(c_.property.boxes[group_.box], minimisers.data() + p * n);
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
  BL_TRY(found, confirm(c_.engine, c_.property, violating, count, c_.exact));
  if (found.near_miss && !c_.watch.result.near_miss) c_.watch.result.near_miss = std::move(found.near_miss);
  if (found.proved) c_.watch.result.counterexample = std::move(found.proved);
  return c_.watch.result.counterexample.has_value();
}

// Bounds parts, closes what can be closed, pushes the rest. True: a witness was found.
Result<bool> ReluSearch::bound(std::vector<SignPart>& parts, int steps) {
  BL_TRY(found, bounds_.bound(parts, steps));
  c_.watch.result.counters.rows += found.rows;
  c_.watch.result.domains += static_cast<std::int64_t>(parts.size());
  std::vector<SignPart*> candidates;
  std::vector<std::size_t> at;
  for (std::size_t p = 0; p < parts.size(); ++p)
    if (closes(parts[p])) candidates.push_back(&parts[p]), at.push_back(p);
  std::vector<std::uint8_t> closed_now, done(parts.size(), 0);
  close(candidates, closed_now);
  for (std::size_t i = 0; i < at.size(); ++i) done[at[i]] = closed_now[i];
  BL_TRY(witness, look_for_witness(parts, found.points));
  if (witness) return true;
  double worst = kInfinity, estimate = kInfinity;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    SignPart& part = parts[p];
    part.exact_slopes.clear();
    if (done[p]) {
      ++c_.watch.result.leaves;
      closed(std::ldexp(1.0, -static_cast<int>(part.path.size())) / static_cast<double>(forms_.open()));
      continue;
    }
    part.again = !found.complete;
    if (part.last_chance && found.complete) {
      give_up(bound_of(part));
      continue;
    }
    worst = std::min(worst, bound_of(part));
    estimate = std::min(estimate, part.estimate - forms_.threshold(part.target));
    push(std::move(part));
  }
  tell(worst, estimate);
  return false;
}

Result<bool> ReluSearch::step(std::vector<SignPart>& batch) {
  BL_CHECK(choose(batch));
  std::vector<SignPart> parts = children(batch);
  std::vector<SignPart> last;
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

}  // namespace
}  // namespace relu_search

Result<End> search_relus(SearchContext& context) { return relu_search::ReluSearch(context).run(); }

}  // namespace boundlight::bab
