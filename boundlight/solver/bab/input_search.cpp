// Branch and bound over the inputs: the box is bisected where the bounding planes of the constraints vary most, clipped by them where a single
// disjunct is left, and every part is bounded anew. Boxes of the neurons are handed from a region to its parts.
//
// Regions are taken from the end of the frontier in batches of a fixed size, and judged independently, so that the tree does not
// depend on threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/bab/planes.hpp"
#include "boundlight/solver/bab/tree_search.hpp"

namespace boundlight::bab {
namespace input_search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLeastSlope = 0.05;    // of the steepest: flat directions are bisected too when they are wide
constexpr double kWorthClipping = 0.8;  // share of the volume that may be left
constexpr std::int64_t kBatch = 128;
// Their inputs' boxes need not be handed down. Not complete: a linear operator that is missing here costs memory only.
constexpr std::string_view kLinear[] = {"Gemm", "MatMul", "Conv", "Add", "Sub", "Reshape", "Flatten", "Transpose", "BatchNormalization",
                                        "AveragePool", "GlobalAveragePool", "Squeeze", "Unsqueeze", "Slice", "Concat", "Pad", "Neg"};

// Boxes of the neurons that matter, in float, outward; shared by the parts of a region.
struct Inherited {
  std::vector<float> lower, upper;  // the values of InputSearch::kept_ one after the other
};

struct Domain {
  std::vector<double> lower, upper;  // of the varying inputs
  std::vector<std::uint8_t> open;    // by target
  std::shared_ptr<const Inherited> inherited;
  std::shared_ptr<const check::Boxes> enclosing;  // of the nearest node above with boxes of its own, as the checker sees it
  std::int32_t node = 0;
  int depth = 0;
  double volume = 1;                 // share of the group's box
  double margin = -kInfinity;        // of the worst open target, proved on an enclosing box
};

// What is found out about a domain, independently of the others.
struct Judged {
  std::vector<double> slope;         // per varying input: where to split
  std::vector<double> corner;        // a point to try
  double margin = kInfinity;         // the worst open target's
  std::vector<SearchTree::Leaf> leaves;
  check::Node clip;                  // with cuts: those that hold
  std::shared_ptr<const check::Boxes> replayed;
};

template <class A>
void fields(A& a, Domain& d) {
  all(a, d.lower, d.upper, d.open, d.node, d.depth, d.volume, d.margin);
}

class InputSearch : public TreeSearch<InputSearch, Domain> {
 public:
  explicit InputSearch(SearchContext& context);

  Result<void> prepare() { return {}; }
  Result<bool> start();
  Result<void> go_on();
  Result<bool> step(std::vector<Domain>& batch);
  std::size_t batch() const { return static_cast<std::size_t>(c_.watch.options.batch > 0 ? c_.watch.options.batch : kBatch); }
  std::uint64_t bytes_of(const Domain&) const { return bytes_; }
  double bound_of(const Domain& d) const { return d.margin; }
  void mark_open(const Domain& d, std::vector<bool>& open) const {
    for (std::size_t t = 0; t < open.size(); ++t) open[t] = open[t] || d.open[t];
  }

 private:
  Result<void> bound(std::vector<Domain>& batch);
  Regions regions(const std::vector<Domain>& batch) const;
  ValueBoxes known(const std::vector<Domain>& batch) const;
  void inherit(std::vector<Domain>& batch, const ValueBoxes& boxes) const;
  Planes planes_of(std::size_t b, std::size_t t, const check::Box& box) const;
  check::Box full_box(const Domain& d) const;
  void judge(Domain& d, std::size_t b);
  Multipliers multipliers_of(std::size_t b, std::size_t t, const Planes& planes, const check::Box& box) const;
  bool replay(const Domain& d, const check::Box& box, Judged& j, std::size_t t, const std::vector<double>& lambda) const;
  void clip(Domain& d, const check::Box& box, Judged& j, std::size_t t, const Planes& planes, const std::vector<double>& lambda) const;
  void settle(Domain& d, Judged& j);
  bool split(Domain& d, const Judged& j);
  Result<bool> look_for_witness(const std::vector<Domain>& batch);
  std::uint64_t bytes_of_domain() const;
  std::int32_t new_node();
  std::shared_ptr<const check::Boxes> enclosing(std::int32_t node) const;

  SearchContext& c_;
  const Network& network_;
  const Group& group_;
  std::vector<ValueId> kept_;
  std::vector<std::uint8_t> asked_;     // targets of the batch
  std::vector<std::size_t> first_row_;  // by target
  std::size_t rows_ = 0;
  BoundResult bounds_;
  std::vector<Judged> judged_;
  std::uint64_t bytes_ = 0;             // of a domain
};

InputSearch::InputSearch(SearchContext& context) : TreeSearch(context), c_(context), network_(context.engine.network()), group_(context.group) {
  for (const NetworkNode& node : network_.nodes) {
    if (std::find(std::begin(kLinear), std::end(kLinear), node.node.op) != std::end(kLinear)) continue;
    for (const ValueId in : node.node.inputs) {
      if (in == kAbsent || network_.values[static_cast<std::size_t>(in)].constant || network_.values[static_cast<std::size_t>(in)].producer < 0) continue;
      if (std::find(kept_.begin(), kept_.end(), in) == kept_.end()) kept_.push_back(in);
    }
  }
  bytes_ = bytes_of_domain();
}

check::Box InputSearch::full_box(const Domain& d) const {
  check::Box box{group_.lower, group_.upper};
  for (std::size_t k = 0; k < group_.varying.size(); ++k) {
    box.lower[static_cast<std::size_t>(group_.varying[k])] = d.lower[k];
    box.upper[static_cast<std::size_t>(group_.varying[k])] = d.upper[k];
  }
  return box;
}

Regions InputSearch::regions(const std::vector<Domain>& batch) const {
  Regions r;
  r.batch = static_cast<std::int64_t>(batch.size());
  for (const Domain& d : batch) {
    const check::Box box = full_box(d);
    r.lower.insert(r.lower.end(), box.lower.begin(), box.lower.end());
    r.upper.insert(r.upper.end(), box.upper.begin(), box.upper.end());
  }
  return r;
}

ValueBoxes InputSearch::known(const std::vector<Domain>& batch) const {
  ValueBoxes k;
  k.batch = static_cast<std::int64_t>(batch.size());
  k.lower.resize(network_.values.size());
  k.upper.resize(network_.values.size());
  if (!std::all_of(batch.begin(), batch.end(), [](const Domain& d) { return d.inherited != nullptr; })) return k;
  std::size_t at = 0;
  for (const ValueId v : kept_) {
    const auto n = static_cast<std::size_t>(network_.values[static_cast<std::size_t>(v)].size);
    auto &lower = k.lower[static_cast<std::size_t>(v)], &upper = k.upper[static_cast<std::size_t>(v)];
    for (const Domain& d : batch) {
      const auto *from = d.inherited->lower.data() + at, *to = d.inherited->upper.data() + at;
      lower.insert(lower.end(), from, from + n);
      upper.insert(upper.end(), to, to + n);
    }
    at += n;
  }
  return k;
}

void InputSearch::inherit(std::vector<Domain>& batch, const ValueBoxes& boxes) const {
  for (std::size_t b = 0; b < batch.size(); ++b) {
    auto made = std::make_shared<Inherited>();
    for (const ValueId v : kept_) {
      const auto n = static_cast<std::size_t>(network_.values[static_cast<std::size_t>(v)].size);
      const auto &lower = boxes.lower[static_cast<std::size_t>(v)], &upper = boxes.upper[static_cast<std::size_t>(v)];
      for (std::size_t i = 0; i < n; ++i) {
        made->lower.push_back(lower.empty() ? -std::numeric_limits<float>::infinity() : round_down_to<float>(lower[b * n + i]));
        made->upper.push_back(upper.empty() ? std::numeric_limits<float>::infinity() : round_up_to<float>(upper[b * n + i]));
      }
    }
    batch[b].inherited = std::move(made);
  }
}

std::uint64_t InputSearch::bytes_of_domain() const {
  std::uint64_t neurons = 0;
  for (const ValueId v : kept_) neurons += static_cast<std::uint64_t>(network_.values[static_cast<std::size_t>(v)].size);
  // Two parts share their parent's boxes, and the checker's where there are some (about ten numbers per neuron).
  return neurons * (c_.replayer && c_.watch.options.clip ? 44 : 4) + group_.varying.size() * 16 + 256;
}

// Boxes of all neurons, then the targets' rows over them, with their planes.
Result<void> InputSearch::bound(std::vector<Domain>& batch) {
  std::vector<bool> open(group_.targets.size(), false);
  for (const Domain& d : batch)
    for (std::size_t t = 0; t < open.size(); ++t) open[t] = open[t] || d.open[t];
  first_row_.assign(open.size(), 0);
  rows_ = 0;
  for (std::size_t t = 0; t < open.size(); ++t)
    if (open[t]) first_row_[t] = rows_, rows_ += group_.targets[t].rows.size();
  const Regions r = regions(batch);
  const ValueBoxes start = known(batch);
  BoundOptions o = bound_options(c_.watch.options, c_.watch.stop);
  BL_TRY(boxes, c_.engine.boxes(r, o, &start));
  o.intermediate_by_interval = true;
  o.precision = Precision::dual;
  o.planes = true;
  BL_TRY(bounds, c_.engine.bound(r, forms_of(network_, group_, open), o, &boxes));
  bounds_ = std::move(bounds);
  inherit(batch, boxes);
  c_.watch.result.counters.rows += bounds_.counters.rows;
  return {};
}

Planes InputSearch::planes_of(std::size_t b, std::size_t t, const check::Box& box) const {
  Planes p;
  p.inputs = box.lower.size();
  for (std::size_t i = 0; i < group_.targets[t].rows.size(); ++i) {
    const std::size_t at = b * rows_ + first_row_[t] + i;
    p.add(group_.targets[t].rows[i], bounds_.lower_plane.data() + at * p.inputs, bounds_.lower_offset[at], box.lower.data(), box.upper.data());
  }
  return p;
}

// The best single constraint, or a combination where that is better.
Multipliers InputSearch::multipliers_of(std::size_t b, std::size_t t, const Planes& planes, const check::Box& box) const {
  const Target& target = group_.targets[t];
  Multipliers m;
  m.margin = -kInfinity;
  m.lambda.assign(target.rows.size(), 0.0);
  std::size_t best = 0;
  for (std::size_t i = 0; i < target.rows.size(); ++i) {
    const double lower = bounds_.lower[b * rows_ + first_row_[t] + i];
    const double all = target.rows[i].a.empty() ? lower : add_down(lower, least(target.rows[i].a, box.lower.data(), box.upper.data()));
    const bool proves = excludes(target.rows[i], all);
    if (!m.proves && (proves || margin(target.rows[i], all) > m.margin)) best = i, m.margin = margin(target.rows[i], all), m.proves = proves;
  }
  if (!target.rows.empty()) m.lambda[best] = 1;
  if (m.proves || target.rows.empty()) return m;
  if (target.rows.size() == 1 && !target.rows[0].a.empty()) return judged(target, planes, {1.0}, box.lower.data(), box.upper.data());
  Multipliers combined = best_combination(target, planes, box.lower.data(), box.upper.data());
  return combined.proves || combined.margin > m.margin ? combined : m;
}

// The checker's own word on a leaf (and its boxes, made when first needed).
bool InputSearch::replay(const Domain& d, const check::Box& box, Judged& j, std::size_t t, const std::vector<double>& lambda) const {
  if (!j.replayed) j.replayed = c_.replayer->boxes(box, d.enclosing.get(), {}, &c_.replayer->certificate().bounds[c_.section - 1]);
  if (!j.replayed) return false;
  if (j.replayed->empty) return true;
  const Replayer::Leaf leaf{&group_.targets[t], lambda, nullptr, {}, nullptr};
  return c_.replayer->excludes(leaf, c_.replayer->forms(*j.replayed, {leaf})[0], box);
}

// Closes targets, finds where to cut the box and where to split it.
void InputSearch::judge(Domain& d, std::size_t b) {
  Judged& j = judged_[b];
  const check::Box box = full_box(d);
  j.slope.assign(group_.varying.size(), 0.0);
  std::size_t left = 0, last = 0;
  Multipliers last_multipliers;
  Planes last_planes;
  for (std::size_t t = 0; t < group_.targets.size(); ++t) {
    if (!d.open[t]) continue;
    Planes planes = planes_of(b, t, box);
    Multipliers m = multipliers_of(b, t, planes, box);
    if (m.proves && c_.replayer) {
      m.proves = replay(d, box, j, t, m.lambda);
      if (m.proves) {
        SearchTree::Leaf& made = j.leaves.emplace_back();
        made.target = static_cast<std::uint32_t>(t);
        made.data.lambda = m.lambda;
        made.data.bounds = c_.section;
      }
    }
    if (m.proves) {
      d.open[t] = 0;
      continue;
    }
    ++left;
    last = t;
    const std::vector<double> steep = planes.combined(m.lambda);
    // Of every constraint, not of their combination: the best one is flat where its parts cancel, and says little about the parts.
    for (std::size_t i = 0; i < planes.rows(); ++i)
      for (std::size_t k = 0; k < group_.varying.size(); ++k) j.slope[k] += std::fabs(planes.slope[i * planes.inputs + static_cast<std::size_t>(group_.varying[k])]);
    if (m.margin <= j.margin || j.corner.empty()) {
      j.margin = m.margin;
      j.corner = box.lower;
      for (std::size_t i = 0; i < steep.size(); ++i)
        if (steep[i] < 0) j.corner[i] = box.upper[i];
    }
    last_multipliers = std::move(m);
    last_planes = std::move(planes);
  }
  if (left == 1 && c_.watch.options.clip) clip(d, box, j, last, last_planes, last_multipliers.lambda);
}

// Cuts off what the planes of the only open target exclude; every cut is shown on its own slab, after those before it.
void InputSearch::clip(Domain& d, const check::Box& box, Judged& j, std::size_t t, const Planes& planes, const std::vector<double>& lambda) const {
  const Target& target = group_.targets[t];
  const std::vector<Slab> slabs = cuts(target, planes, lambda, group_.varying, box.lower, box.upper);
  double left = 1;
  for (const Slab& s : slabs) left *= (s.above ? s.at - box.lower[s.input] : box.upper[s.input] - s.at) / (box.upper[s.input] - box.lower[s.input]);
  if (left > kWorthClipping) return;
  std::optional<check::LinearForm> form;
  const Replayer::Leaf leaf{&target, lambda, nullptr, {}, nullptr};
  if (c_.replayer) {
    if (!j.replayed) j.replayed = c_.replayer->boxes(box, d.enclosing.get(), {}, &c_.replayer->certificate().bounds[c_.section - 1]);
    if (!j.replayed || j.replayed->empty) return;
    form = c_.replayer->forms(*j.replayed, {leaf})[0];
  }
  check::Box rest = box;
  for (const Slab& s : slabs) {
    check::Box slab = rest;
    (s.above ? slab.lower : slab.upper)[s.input] = s.at;
    const bool holds = form ? c_.replayer->excludes(leaf, *form, slab) : judged(target, planes, lambda, slab.lower.data(), slab.upper.data()).proves;
    if (!holds) continue;
    (s.above ? rest.upper : rest.lower)[s.input] = s.at;
    j.clip.cuts.push_back({static_cast<std::uint32_t>(s.input), s.above, s.at});
  }
  if (j.clip.cuts.empty()) return;
  j.clip.kind = check::Node::Kind::clip;
  j.clip.lambda = lambda;
  j.clip.bounds = c_.section;
  for (std::size_t k = 0; k < group_.varying.size(); ++k) {
    const auto i = static_cast<std::size_t>(group_.varying[k]);
    d.volume *= (rest.upper[i] - rest.lower[i]) / (d.upper[k] - d.lower[k]);
    d.lower[k] = rest.lower[i];
    d.upper[k] = rest.upper[i];
  }
}

std::int32_t InputSearch::new_node() {
  c_.tree.nodes.emplace_back();
  return static_cast<std::int32_t>(c_.tree.nodes.size() - 1);
}

// Leaves and clips into the tree.
void InputSearch::settle(Domain& d, Judged& j) {
  for (SearchTree::Leaf& leaf : j.leaves) {
    leaf.node = d.node;
    c_.tree.leaves.push_back(std::move(leaf));
  }
  if (j.clip.cuts.empty()) return;
  ++c_.watch.result.clips;
  if (!c_.replayer) return;
  const std::int32_t rest = new_node();
  j.clip.low = rest;
  c_.tree.nodes[static_cast<std::size_t>(d.node)] = std::move(j.clip);
  d.node = rest;
  d.enclosing = std::move(j.replayed);
}

bool InputSearch::split(Domain& d, const Judged& j) {
  const double steepest = j.slope.empty() ? 0.0 : *std::max_element(j.slope.begin(), j.slope.end());
  std::size_t best = j.slope.size();
  double most = -1;
  for (std::size_t k = 0; k < j.slope.size(); ++k) {
    const double middle = d.lower[k] + (d.upper[k] - d.lower[k]) / 2;
    if (!(middle > d.lower[k] && middle < d.upper[k])) continue;
    const double score = std::max({j.slope[k], kLeastSlope * steepest, 1e-30}) * (d.upper[k] - d.lower[k]);
    if (!(score > most)) continue;
    most = score;
    best = k;
  }
  if (best == j.slope.size()) return false;
  const double middle = d.lower[best] + (d.upper[best] - d.lower[best]) / 2;
  ++c_.watch.result.splits;
  Domain low = std::move(d);
  low.volume /= 2;
  ++low.depth;
  c_.watch.result.deepest = std::max<std::int64_t>(c_.watch.result.deepest, low.depth);
  Domain high = low;
  low.upper[best] = high.lower[best] = middle;
  if (c_.replayer) {
    const std::int32_t at = low.node;
    low.node = new_node();
    high.node = new_node();
    check::Node& n = c_.tree.nodes[static_cast<std::size_t>(at)];
    n.kind = check::Node::Kind::input_split;
    n.neuron = static_cast<std::uint32_t>(group_.varying[best]);
    n.at = middle;
    n.low = low.node;
    n.high = high.node;
  }
  push(std::move(high));
  push(std::move(low));
  return true;
}

// The corners where the planes are least, and whether they violate.
Result<bool> InputSearch::look_for_witness(const std::vector<Domain>& batch) {
  const auto n = group_.lower.size(), m = static_cast<std::size_t>(c_.property.outputs);
  std::vector<double> points;
  std::vector<std::size_t> of;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    if (judged_[b].corner.empty()) continue;
    const auto x = snapped(c_.property.boxes[group_.box], judged_[b].corner.data());
    if (x.empty()) continue;
    points.insert(points.end(), x.begin(), x.end());
    of.push_back(b);
  }
  if (of.empty()) return false;
  BL_TRY(y, c_.engine.evaluate(points, static_cast<std::int64_t>(of.size()), {network_.outputs[0]}, Precision::dual));
  std::vector<double> violating;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    bool any = false;
    for (std::size_t t = 0; t < group_.targets.size(); ++t)
      any = any || (batch[of[i]].open[t] && violation(group_.targets[t], points.data() + i * n, y[0].data() + i * m, nullptr) >= 0);
    if (!any) continue;
    violating.insert(violating.end(), points.begin() + static_cast<std::ptrdiff_t>(i * n), points.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
    ++count;
  }
  BL_TRY(found, confirm(c_.engine, c_.property, violating, count, c_.exact));
  if (found.near_miss && !c_.watch.result.near_miss) c_.watch.result.near_miss = std::move(found.near_miss);
  if (found.proved) c_.watch.result.counterexample = std::move(found.proved);
  return c_.watch.result.counterexample.has_value();
}

// One batch through bounds, verdicts and splits. True: a witness was found.
Result<bool> InputSearch::step(std::vector<Domain>& batch) {
  BL_CHECK(bound(batch));
  if (c_.watch.stop.stop_requested()) {  // bounds may be loose; the regions stay open
    for (Domain& d : batch) push(std::move(d));
    return false;
  }
  judged_.assign(batch.size(), {});
  tbb::parallel_for(std::size_t{0}, batch.size(), [&](std::size_t b) { judge(batch[b], b); });
  BL_TRY(witness, look_for_witness(batch));
  if (witness) return true;
  double worst = kInfinity;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    Domain& d = batch[b];
    const double before = d.volume;
    ++c_.watch.result.domains;
    settle(d, judged_[b]);
    if (std::none_of(d.open.begin(), d.open.end(), [](std::uint8_t o) { return o != 0; })) {
      ++c_.watch.result.leaves;
      closed(before);
      continue;
    }
    worst = std::min(worst, judged_[b].margin);
    d.margin = std::max(d.margin, judged_[b].margin);
    const double proved = d.margin;
    if (!split(d, judged_[b])) give_up(proved);
  }
  tell(worst, worst);
  return false;
}

// The boxes that the checker will have at a node: those of the nearest clip above, or of the root.
std::shared_ptr<const check::Boxes> InputSearch::enclosing(std::int32_t node) const {
  const auto& nodes = c_.tree.nodes;
  std::vector<std::int32_t> parent(nodes.size(), -1), path;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::int32_t child : {nodes[i].low, nodes[i].high})
      if (child >= 0) parent[static_cast<std::size_t>(child)] = static_cast<std::int32_t>(i);
  for (std::int32_t at = node; at >= 0; at = parent[static_cast<std::size_t>(at)]) path.push_back(at);
  check::Box box{group_.lower, group_.upper};
  std::shared_ptr<const check::Boxes> boxes = c_.replayer->boxes(box, nullptr, {}, nullptr);
  for (std::size_t i = path.size(); i-- > 1;) {
    const check::Node& n = nodes[static_cast<std::size_t>(path[i])];
    if (n.kind == check::Node::Kind::input_split) (path[i - 1] == n.low ? box.upper : box.lower)[n.neuron] = n.at;
    if (n.kind != check::Node::Kind::clip) continue;
    boxes = c_.replayer->boxes(box, boxes.get(), {}, &c_.replayer->certificate().bounds[n.bounds - 1]);
    for (const check::Cut& cut : n.cuts) (cut.above ? box.upper : box.lower)[cut.dimension] = cut.at;
  }
  return boxes;
}

Result<bool> InputSearch::start() {
  Domain root;
  for (const std::int64_t i : group_.varying) {
    root.lower.push_back(group_.lower[static_cast<std::size_t>(i)]);
    root.upper.push_back(group_.upper[static_cast<std::size_t>(i)]);
  }
  for (const bool o : c_.open) root.open.push_back(o ? 1 : 0);
  if (c_.replayer) root.enclosing = c_.replayer->boxes(full_box(root), nullptr, {}, nullptr);
  push(std::move(root));
  return false;
}

Result<void> InputSearch::go_on() {
  for (Domain& d : open_parts())
    if (c_.replayer) d.enclosing = enclosing(d.node);
  return {};
}

}  // namespace
}  // namespace input_search

Result<End> search_inputs(SearchContext& context) { return input_search::InputSearch(context).run(); }

}  // namespace boundlight::bab
