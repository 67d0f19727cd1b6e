// Tightening by parts: B is cut at neurons (z_j >= 0 or z_j <= 0) into a tree of parts, one per rival class. A part's planes
// bound the overlap on the part, hence on its share of every B_u, and are read off for all cells at once (overlap_planes.hpp):
// one tree serves the whole map. AOv(B_u) is the largest bound of any part; a part needs no further cut when it lies within the
// tolerance of what is attained on every cell.
//
// Bounds of a part come from the engine's joint search of slopes and multipliers (split_search.hpp).
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <queue>

#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"
#include "boundlight/explain/overlap_planes.hpp"

namespace boundlight::eva_parts {
namespace {

constexpr std::int64_t kPartsAtOnce = 128;
constexpr int kFirstSteps = 20, kSteps = 8;
constexpr int kLastSteps = 40, kLastSearches = 5;  // of a part in which no neuron is left to cut at
constexpr std::size_t kMostBytes = std::size_t{1} << 29;  // of parts that wait
constexpr double kDearCharge = 0.2;  // rounding in float that costs more of a part's gap: searches are in double from then on
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Cut = EvaEvidence::Cut;

struct Part {
  std::int64_t rival = 0;
  std::vector<Cut> cuts;
  std::vector<float> beta;                                   // of the cuts: where the next search starts
  std::shared_ptr<const std::vector<std::uint8_t>> slopes;   // of all layers, in 255ths; null: the relaxations' own
  double base = kInfinity;
  std::vector<float> cell;
  double gap = kInfinity;    // the largest distance to what is attained, over B and all cells
  std::int64_t aim = -1;     // the cell where it is; -1: B
  Cut next;
  bool splittable = false;
  int searched = 0;          // again, after nothing was left to cut
};
struct LargerGap {
  bool operator()(const Part& a, const Part& b) const { return a.gap < b.gap; }
};

using Layer = EvaEvidence::Layer;  // values whose sign makes an operator linear, and the values behind it

class Tree {
 public:
  Tree(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) : engine_(engine), network_(engine.network()), q_(q), rivals_(rivals), o_(o), map_(map) {
    region_.batch = 1;
    region_.lower = q.lower;
    region_.upper = q.upper;
  }

  Result<void> start(const StopToken& stop);
  // Cuts the most urgent parts; false: there is nothing left to do.
  Result<bool> expand(const StopToken& stop);
  // What is proven so far, into the map.
  Result<void> report();
  // At the end: the parts that wait join those that are done.
  void give_evidence();

 private:
  Result<void> bound(std::vector<Part>& parts, int steps, const StopToken& stop);
  Result<void> ask(const std::vector<Part>& parts, int steps, const StopToken& stop, SplitSearch& s) const;
  void take(std::vector<Part>& parts, const SplitSearch& s);
  void choose(Part& part, std::size_t line, const SplitSearch& s) const;
  Result<void> look_at(const std::vector<double>& points, const std::vector<std::int64_t>& aims);
  Result<void> take_seen();
  void measure(Part& part) const;
  double tolerance() const;
  void keep(Part&& part);

  Engine& engine_;
  const Network& network_;
  const EvaQuestion& q_;
  const Rivals& rivals_;
  const EvaOptions& o_;
  EvaMap& map_;
  Regions region_;
  ValueBoxes root_;
  std::vector<Layer> layers_;
  std::size_t neurons_ = 0;
  std::priority_queue<Part, std::vector<Part>, LargerGap> waiting_;
  double done_base_ = -kInfinity;
  std::vector<float> done_;
  struct Seen {
    double score = -kInfinity;
    std::vector<double> point;
  };
  Precision precision_ = Precision::single;
  std::map<std::int64_t, Seen> seen_;  // the best point for B (-1) and for cells that parts were aimed at
};

Result<void> Tree::start(const StopToken& stop) {
  BoundOptions b = o_.bounds;
  b.method = Method::alpha;
  b.stop = stop;
  BL_TRY(boxes, engine_.boxes(region_, b, nullptr));
  root_ = std::move(boxes);
  for (const NetworkNode& node : network_.nodes) {
    if (node.node.op != "Relu") continue;  // the operator that a sign makes linear
    const auto v = static_cast<std::size_t>(node.node.inputs[0]);
    if (network_.values[v].constant || root_.lower[v].empty()) continue;
    layers_.push_back({node.node.inputs[0], node.node.outputs[0], root_.lower[v].size(), neurons_});
    neurons_ += root_.lower[v].size();
  }
  done_.assign(static_cast<std::size_t>(q_.cells), -std::numeric_limits<float>::infinity());
  std::vector<Part> parts(rivals_.rival.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].rival = rivals_.rival[i];
    parts[i].base = map_.verified_base;
    for (const double v : map_.verified) parts[i].cell.push_back(std::nextafter(static_cast<float>(v), std::numeric_limits<float>::infinity()));
  }
  return bound(parts, kFirstSteps, stop);
}

double Tree::tolerance() const {
  double largest = 0;
  for (const double a : map_.attained) largest = std::max(largest, map_.attained_base - a);
  return std::max(1e-6, o_.tau > 0 ? o_.tau / 4 : largest / 20000);
}

void Tree::measure(Part& part) const {
  part.gap = part.base - map_.attained_base;
  part.aim = -1;
  for (std::size_t u = 0; u < part.cell.size(); ++u) {
    const double gap = static_cast<double>(part.cell[u]) - map_.attained[u];
    if (gap > part.gap) part.gap = gap, part.aim = static_cast<std::int64_t>(u);
  }
}

void Tree::keep(Part&& part) {
  if (part.gap > tolerance() && (part.splittable || part.searched < kLastSearches)) return waiting_.push(std::move(part));
  if (map_.evidence) map_.evidence->parts.push_back({part.rival, part.cuts, part.beta, part.slopes});
  done_base_ = std::max(done_base_, part.base);
  for (std::size_t u = 0; u < done_.size(); ++u) done_[u] = std::max(done_[u], part.cell[u]);
}

Result<void> Tree::ask(const std::vector<Part>& parts, int steps, const StopToken& stop, SplitSearch& s) const {
  const auto classes = static_cast<std::size_t>(rivals_.classes);
  Regions regions;
  regions.batch = static_cast<std::int64_t>(parts.size());
  Forms forms;
  forms.value = network_.logits;
  forms.rows = 1;
  forms.per_region = true;
  forms.want_upper = false;
  forms.coefficient.assign(parts.size() * classes, 0.0);
  ValueBoxes known;
  known.batch = regions.batch;
  known.lower.resize(network_.values.size());
  known.upper.resize(network_.values.size());
  Regions aim;
  aim.batch = regions.batch;
  const double close = tolerance() / 2;
  const bool warm = std::all_of(parts.begin(), parts.end(), [](const Part& p) { return p.slopes != nullptr; });
  for (std::size_t p = 0; p < parts.size(); ++p) {
    regions.lower.insert(regions.lower.end(), q_.lower.begin(), q_.lower.end());
    regions.upper.insert(regions.upper.end(), q_.upper.begin(), q_.upper.end());
    for (std::size_t j = 0; j < q_.x.size(); ++j) {
      const bool held = parts[p].aim == q_.cell[j];
      aim.lower.push_back(held ? q_.x[j] : q_.lower[j]);
      aim.upper.push_back(held ? q_.x[j] : q_.upper[j]);
    }
    s.enough.push_back(-(parts[p].aim < 0 ? map_.attained_base : map_.attained[static_cast<std::size_t>(parts[p].aim)]) - close);
    forms.coefficient[p * classes + static_cast<std::size_t>(parts[p].rival)] = -1;
    forms.coefficient[p * classes + static_cast<std::size_t>(rivals_.label)] = 1;
    for (const Layer& layer : layers_) {
      const auto v = static_cast<std::size_t>(layer.before);
      known.lower[v].insert(known.lower[v].end(), root_.lower[v].begin(), root_.lower[v].end());
      known.upper[v].insert(known.upper[v].end(), root_.upper[v].begin(), root_.upper[v].end());
      auto& lines = s.slopes[layer.after];
      for (std::size_t i = 0; warm && i < layer.size; ++i) lines.push_back(static_cast<float>((*parts[p].slopes)[layer.first + i]) / 255.0F);
    }
    for (std::size_t i = 0; i < parts[p].cuts.size(); ++i) {
      const Cut& cut = parts[p].cuts[i];
      const Layer& layer = layers_[static_cast<std::size_t>(cut.layer)];
      const std::size_t at = p * layer.size + static_cast<std::size_t>(cut.element);
      (cut.active ? known.lower : known.upper)[static_cast<std::size_t>(layer.before)][at] = 0;
      s.splits.push_back({static_cast<std::int64_t>(p), layer.before, cut.element, cut.active});
      s.multipliers.push_back(i < parts[p].beta.size() ? parts[p].beta[i] : 0.0F);
    }
  }
  if (!warm) s.slopes.clear();
  s.regions = &regions;
  s.forms = &forms;
  s.known = &known;
  s.aim = &aim;
  s.options = o_.bounds;
  s.options.method = Method::alpha;
  s.options.precision = precision_;
  s.options.alpha_steps = steps;
  s.options.stop = stop;
  s.options.progress = nullptr;
  s.want_trace = s.want_planes = true;
  BL_CHECK(engine_.search(s));
  s.regions = nullptr;
  s.forms = nullptr;
  s.known = nullptr;
  s.aim = nullptr;
  return {};
}

// Where the children's searches start.
void Tree::take(std::vector<Part>& parts, const SplitSearch& s) {
  std::size_t split = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    auto slopes = std::make_shared<std::vector<std::uint8_t>>(neurons_, std::uint8_t{0});
    for (const Layer& layer : layers_) {
      const auto found = s.slopes.find(layer.after);
      for (std::size_t i = 0; found != s.slopes.end() && i < layer.size; ++i)
        (*slopes)[layer.first + i] = static_cast<std::uint8_t>(std::lround(std::clamp(found->second[p * layer.size + i], 0.0F, 1.0F) * 255));
    }
    parts[p].slopes = std::move(slopes);
    parts[p].beta.assign(s.multipliers.begin() + static_cast<std::ptrdiff_t>(split), s.multipliers.begin() + static_cast<std::ptrdiff_t>(split + parts[p].cuts.size()));
    split += parts[p].cuts.size();
  }
}

// The next cut: the neuron whose relaxation loses most at the part's own minimiser, a little for what it loses at worst.
void Tree::choose(Part& part, std::size_t line, const SplitSearch& s) const {
  double best = 0;
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    const Layer& layer = layers_[k];
    const auto found = s.trace.find(layer.after);
    if (found == s.trace.end() || found->second.coefficient.empty()) continue;
    const auto &lower = root_.lower[static_cast<std::size_t>(layer.before)], &upper = root_.upper[static_cast<std::size_t>(layer.before)];
    for (std::size_t i = 0; i < layer.size; ++i) {
      const double l = lower[i], u = upper[i];
      if (!(l < 0 && u > 0)) continue;
      const std::size_t at = line * layer.size + i;
      const double a = found->second.coefficient[at], z = std::clamp<double>(found->second.point[at], l, u);
      const double slope = static_cast<double>((*part.slopes)[layer.first + i]) / 255, relu = std::max(z, 0.0);
      const double here = a < 0 ? -a * (u * (z - l) / (u - l) - relu) : a * (relu - slope * z);
      const double worst = a < 0 ? -a * u * -l / (u - l) : a * std::max((1 - slope) * u, slope * -l) * 0.5;
      const double score = here + 1e-3 * worst;
      if (!(score > best)) continue;
      const auto same = [&](const Cut& c) { return c.layer == static_cast<std::int32_t>(k) && c.element == static_cast<std::int32_t>(i); };
      if (std::any_of(part.cuts.begin(), part.cuts.end(), same)) continue;
      best = score;
      part.next = {static_cast<std::int32_t>(k), static_cast<std::int32_t>(i), false};
      part.splittable = true;
    }
  }
}

// Corners that bounds point at are good places to look: for B, and for the cell that a part is aimed at.
Result<void> Tree::look_at(const std::vector<double>& points, const std::vector<std::int64_t>& aims) {
  if (aims.empty()) return {};
  const auto count = static_cast<std::int64_t>(aims.size());
  const std::size_t n = q_.x.size();
  BL_TRY(values, engine_.evaluate(points, count, {network_.logits}, Precision::single));
  map_.evaluations += count;
  for (std::size_t i = 0; i < aims.size(); ++i) {
    const double* logits = values[0].data() + static_cast<std::int64_t>(i) * rivals_.classes;
    double rival = -kInfinity;
    for (const auto k : rivals_.rival) rival = std::max(rival, logits[k]);
    const double score = rival - logits[rivals_.label];
    Seen& best = seen_[aims[i]];
    if (!(score > std::max(best.score, aims[i] < 0 ? map_.attained_base : map_.attained[static_cast<std::size_t>(aims[i])]))) continue;
    best.score = score;
    best.point.assign(points.begin() + static_cast<std::ptrdiff_t>(i * n), points.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
  }
  return {};
}

// Sound values of the points seen; the parts' gaps are measured against them from then on.
Result<void> Tree::take_seen() {
  std::vector<double> points;
  std::vector<std::int64_t> aims;
  for (const auto& [aim, best] : seen_) {
    if (best.point.empty()) continue;
    points.insert(points.end(), best.point.begin(), best.point.end());
    aims.push_back(aim);
  }
  if (aims.empty()) return {};
  BL_TRY(a, overlap_at(engine_, points, static_cast<std::int64_t>(aims.size()), rivals_));
  const auto n = static_cast<std::ptrdiff_t>(q_.x.size());
  for (std::size_t i = 0; i < aims.size(); ++i) {
    if (aims[i] >= 0 && a[i] > map_.attained[static_cast<std::size_t>(aims[i])]) {
      map_.attained[static_cast<std::size_t>(aims[i])] = a[i];
      if (map_.evidence) std::copy_n(points.begin() + static_cast<std::ptrdiff_t>(i) * n, n, map_.evidence->points.begin() + (1 + static_cast<std::ptrdiff_t>(aims[i])) * n);
    }
    if (!(a[i] > map_.attained_base)) continue;  // points of B_u are points of B
    map_.attained_base = a[i];
    map_.worst_point.assign(points.begin() + static_cast<std::ptrdiff_t>(i) * n, points.begin() + static_cast<std::ptrdiff_t>(i + 1) * n);
  }
  seen_.clear();
  return {};
}

// Bounds of the parts (cuts were made, bounds are the parents'); keeps them.
Result<void> Tree::bound(std::vector<Part>& parts, int steps, const StopToken& stop) {
  const std::size_t n = q_.x.size();
  SplitSearch s;
  BL_CHECK(ask(parts, steps, stop, s));
  take(parts, s);
  map_.counters.rows += s.counters.rows;
  map_.parts += static_cast<std::int64_t>(parts.size());
  std::vector<CellOverlaps> found(parts.size());
  tbb::parallel_for(std::size_t{0}, parts.size(), [&](std::size_t p) {
    Part& part = parts[p];
    found[p] = overlaps_of(q_, s.planes.data() + p * n, s.offset[p]);
    part.base = std::min(part.base, found[p].base);
    if (part.aim < 0) part.base = std::min(part.base, -s.lower[p]);
    else part.cell[static_cast<std::size_t>(part.aim)] = std::min(part.cell[static_cast<std::size_t>(part.aim)], round_up_to<float>(-s.lower[p]));
    for (std::size_t u = 0; u < part.cell.size(); ++u) part.cell[u] = std::min(part.cell[u], found[p].cell[u]);
    measure(part);
    choose(part, p, s);
  });
  std::vector<double> points;
  std::vector<std::int64_t> aims;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (!(parts[p].gap > tolerance())) continue;
    if (s.charge[p] > kDearCharge * parts[p].gap) precision_ = Precision::dual;
    points.insert(points.end(), found[p].worst.begin(), found[p].worst.end());
    aims.push_back(parts[p].aim);
    double* z = points.data() + points.size() - n;
    for (std::size_t j = 0; aims.back() >= 0 && j < n; ++j)
      if (q_.cell[j] == aims.back()) z[j] = q_.x[j];
  }
  BL_CHECK(look_at(points, aims));
  for (Part& part : parts) keep(std::move(part));
  return {};
}

Result<bool> Tree::expand(const StopToken& stop) {
  const std::size_t each = sizeof(Part) + static_cast<std::size_t>(q_.cells) * sizeof(float) + neurons_ + 256;
  if (waiting_.empty() || waiting_.size() * each > kMostBytes) return false;
  std::vector<Part> parts, again;
  while (!waiting_.empty() && static_cast<std::int64_t>(parts.size() + again.size()) < kPartsAtOnce) {
    Part part = waiting_.top();
    waiting_.pop();
    if (map_.evidence) map_.evidence->parts.push_back({part.rival, part.cuts, part.beta, part.slopes});
    if (!part.splittable) {
      ++part.searched;
      again.push_back(std::move(part));
      continue;
    }
    part.splittable = false;
    part.cuts.push_back(part.next);
    part.cuts.back().active = false;
    parts.push_back(part);
    part.cuts.back().active = true;
    parts.push_back(std::move(part));
  }
  if (!again.empty()) BL_CHECK(bound(again, kLastSteps, stop));
  if (!parts.empty()) BL_CHECK(bound(parts, kSteps, stop));
  BL_CHECK(take_seen());
  return true;
}

Result<void> Tree::report() {
  double base = done_base_;
  std::vector<float> cell = done_;
  auto waiting = waiting_;  // a priority queue shows its top only
  for (; !waiting.empty(); waiting.pop()) {
    base = std::max(base, waiting.top().base);
    for (std::size_t u = 0; u < cell.size(); ++u) cell[u] = std::max(cell[u], waiting.top().cell[u]);
  }
  map_.verified_base = std::min(map_.verified_base, base);
  for (std::size_t u = 0; u < cell.size(); ++u) map_.verified[u] = std::min({map_.verified[u], static_cast<double>(cell[u]), map_.verified_base});
  BL_CHECK(take_seen());
  summarise(map_, o_.estimate, o_.tau);
  return {};
}

void Tree::give_evidence() {
  map_.evidence->layers = layers_;
  for (; !waiting_.empty(); waiting_.pop()) {
    const Part& part = waiting_.top();
    map_.evidence->parts.push_back({part.rival, part.cuts, part.beta, part.slopes});
  }
}

}  // namespace

Result<void> split(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, const Stopwatch& clock, EvaMap& map) {
  if (o.overlap != Overlap::margin || o.bounds.semantics != Semantics::real || (o.bounds.method != Method::crown && o.bounds.method != Method::alpha)) {
    map.notes.push_back("the budget was not used: parts of the region are bounded for margins, by crown or alpha, in real semantics only");
    return {};
  }
  const StopToken stop = o.budget > 0 ? o.bounds.stop.with_deadline(o.budget - clock.seconds()) : o.bounds.stop;
  const auto moment = [&] { map.moments.push_back({clock.seconds(), map.ordered, map.equal, map.undecided, map.verified_base}); };
  Tree tree(engine, q, rivals, o, map);
  BL_CHECK(tree.start(stop));
  double mark = 1;
  while (!stop.stop_requested() && (o.most_parts == 0 || map.parts < o.most_parts)) {
    BL_TRY(more, tree.expand(stop));
    if (!more) break;
    if (o.bounds.progress) o.bounds.progress("splitting", std::min(clock.seconds(), o.budget), o.budget);
    if (o.budget == 0 || clock.seconds() < mark || mark >= o.budget) continue;
    BL_CHECK(tree.report());
    moment();
    mark = mark < 10 ? 10 : mark * 6;
  }
  BL_CHECK(tree.report());
  if (map.evidence) tree.give_evidence();
  moment();
  map.complete = map.complete && !o.bounds.stop.stop_requested();
  return {};
}

}  // namespace boundlight::eva_parts
