// Tightening by parts: B is cut at neurons (z_j >= 0 or z_j <= 0) into a tree of parts, one per rival class. A part's planes
// bound the overlap on the part, hence on its share of every B_u, and are read off for all cells at once (overlap_planes.hpp):
// one tree serves the whole map. AOv(B_u) is the largest bound of any part; a part needs no further cut when it lies within the
// tolerance of what is attained on every cell.
//
// Bounds of a part: intermediate boxes of B cut by the part's splits, slopes searched for its row, and the splits' own
// half-spaces, taken from planes of the split neurons on B (the multipliers of beta-CROWN; Wang et al. 2021, moved to the
// inputs). What the search of solver/bab does better can replace expand() without a change elsewhere.
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <queue>

#include "boundlight/explain/eva_parts.hpp"
#include "boundlight/explain/overlap_planes.hpp"

namespace boundlight::eva_parts {
namespace {

constexpr std::int64_t kPartsAtOnce = 128;
constexpr int kSlopeSteps = 8;
constexpr std::size_t kMostBytes = std::size_t{1} << 29;  // of parts that wait
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Cut {
  std::int32_t layer = 0, element = 0;
  bool active = false;  // z >= 0
};

struct Part {
  std::int64_t rival = 0;
  std::vector<Cut> cuts;
  double base = kInfinity;
  std::vector<float> cell;
  double gap = kInfinity;  // the largest distance to what is attained, over B and all cells
  Cut next;
  bool splittable = false;
};
struct LargerGap {
  bool operator()(const Part& a, const Part& b) const { return a.gap < b.gap; }
};

// Values whose sign makes an operator linear, and the values behind it.
struct Layer {
  ValueId before = kAbsent, after = kAbsent;
};

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

 private:
  BoundOptions options(const StopToken& stop) const;
  Result<void> bound(std::vector<Part>& parts, const StopToken& stop);
  Result<void> choose(std::vector<Part>& parts, const std::vector<CellOverlaps>& found);
  Result<void> learn_faces(const std::vector<Part>& parts, const StopToken& stop);
  std::shared_ptr<const HalfSpace> face(const Cut& cut) const;
  ValueBoxes boxes_of(const std::vector<Part>& parts) const;
  double gap_of(const Part& part) const;
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
  std::map<std::pair<std::int32_t, std::int32_t>, std::pair<std::shared_ptr<const HalfSpace>, std::shared_ptr<const HalfSpace>>> faces_;  // active, inactive
  std::priority_queue<Part, std::vector<Part>, LargerGap> waiting_;
  double done_base_ = -kInfinity;
  std::vector<float> done_;
  double best_score_ = -kInfinity;
  std::vector<double> best_point_;
};

BoundOptions Tree::options(const StopToken& stop) const {
  BoundOptions b = o_.bounds;
  b.method = Method::alpha;
  b.alpha_steps = kSlopeSteps;
  b.precision = Precision::single;
  b.intermediate_by_interval = true;  // cut by the boxes of B that come along
  b.planes = true;
  b.stop = stop;
  b.progress = nullptr;
  return b;
}

Result<void> Tree::start(const StopToken& stop) {
  BoundOptions b = o_.bounds;
  b.method = Method::alpha;
  b.stop = stop;
  BL_TRY(boxes, engine_.boxes(region_, b, nullptr));
  root_ = std::move(boxes);
  for (const NetworkNode& node : network_.nodes) {
    if (node.node.op != "Relu") continue;  // the operator that a sign makes linear
    const auto v = static_cast<std::size_t>(node.node.inputs[0]);
    if (!network_.values[v].constant && !root_.lower[v].empty()) layers_.push_back({node.node.inputs[0], node.node.outputs[0]});
  }
  done_.assign(static_cast<std::size_t>(q_.cells), -std::numeric_limits<float>::infinity());
  std::vector<Part> parts(rivals_.rival.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].rival = rivals_.rival[i];
    parts[i].base = map_.verified_base;
    for (const double v : map_.verified) parts[i].cell.push_back(std::nextafter(static_cast<float>(v), std::numeric_limits<float>::infinity()));
  }
  return bound(parts, stop);
}

double Tree::tolerance() const {
  double largest = 0;
  for (const double a : map_.attained) largest = std::max(largest, map_.attained_base - a);
  return std::max(1e-6, o_.tau > 0 ? o_.tau / 4 : largest / 400);
}

double Tree::gap_of(const Part& part) const {
  double gap = part.base - map_.attained_base;
  for (std::size_t u = 0; u < part.cell.size(); ++u) gap = std::max(gap, static_cast<double>(part.cell[u]) - map_.attained[u]);
  return gap;
}

void Tree::keep(Part&& part) {
  if (part.gap > tolerance() && part.splittable) return waiting_.push(std::move(part));
  done_base_ = std::max(done_base_, part.base);
  for (std::size_t u = 0; u < done_.size(); ++u) done_[u] = std::max(done_[u], part.cell[u]);
}

ValueBoxes Tree::boxes_of(const std::vector<Part>& parts) const {
  ValueBoxes all;
  all.batch = static_cast<std::int64_t>(parts.size());
  all.lower.resize(root_.lower.size());
  all.upper.resize(root_.upper.size());
  for (std::size_t v = 0; v < root_.lower.size(); ++v)
    for (std::size_t p = 0; p < parts.size() && !root_.lower[v].empty(); ++p) {
      all.lower[v].insert(all.lower[v].end(), root_.lower[v].begin(), root_.lower[v].end());
      all.upper[v].insert(all.upper[v].end(), root_.upper[v].begin(), root_.upper[v].end());
    }
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (const Cut& cut : parts[p].cuts) {
      const auto v = static_cast<std::size_t>(layers_[static_cast<std::size_t>(cut.layer)].before);
      const std::size_t at = p * root_.lower[v].size() + static_cast<std::size_t>(cut.element);
      (cut.active ? all.lower : all.upper)[v][at] = 0;
    }
  return all;
}

std::shared_ptr<const HalfSpace> Tree::face(const Cut& cut) const {
  const auto& sides = faces_.at({cut.layer, cut.element});
  return cut.active ? sides.first : sides.second;
}

// Planes on B of the neurons that the parts are cut at: where z >= 0 its upper plane is >= 0 too, where z <= 0 its lower one <= 0.
Result<void> Tree::learn_faces(const std::vector<Part>& parts, const StopToken& stop) {
  std::map<std::int32_t, std::vector<std::int32_t>> unknown;
  for (const Part& part : parts) {
    const Cut& cut = part.cuts.back();
    auto& list = unknown[cut.layer];
    if (!faces_.count({cut.layer, cut.element}) && std::find(list.begin(), list.end(), cut.element) == list.end()) list.push_back(cut.element);
  }
  const std::size_t n = q_.x.size();
  for (const auto& [layer, elements] : unknown) {
    if (elements.empty()) continue;
    Forms forms;
    forms.value = layers_[static_cast<std::size_t>(layer)].before;
    const auto size = static_cast<std::size_t>(network_.values[static_cast<std::size_t>(forms.value)].size);
    forms.rows = static_cast<std::int64_t>(elements.size());
    forms.coefficient.assign(elements.size() * size, 0.0);
    for (std::size_t r = 0; r < elements.size(); ++r) forms.coefficient[r * size + static_cast<std::size_t>(elements[r])] = 1;
    BoundOptions b = options(stop);
    b.alpha_steps = 20;
    BL_TRY(bounds, engine_.bound(region_, forms, b, &root_));
    for (std::size_t r = 0; r < elements.size(); ++r) {
      auto active = std::make_shared<HalfSpace>(), inactive = std::make_shared<HalfSpace>();
      for (std::size_t j = 0; j < n; ++j) {
        active->normal.push_back(-bounds.upper_plane[r * n + j]);
        inactive->normal.push_back(bounds.lower_plane[r * n + j]);
      }
      active->offset = bounds.upper_offset[r];
      inactive->offset = -bounds.lower_offset[r];
      faces_[{layer, elements[r]}] = {active, inactive};
    }
  }
  return {};
}

// The cut of every part that is not done: the neuron with the steepest overlap times the height of its relaxation.
Result<void> Tree::choose(std::vector<Part>& parts, const std::vector<CellOverlaps>& found) {
  std::vector<std::size_t> open;
  std::vector<double> points;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (parts[p].gap <= tolerance()) continue;
    open.push_back(p);
    points.insert(points.end(), found[p].worst.begin(), found[p].worst.end());
  }
  if (open.empty()) return {};
  const auto count = static_cast<std::int64_t>(open.size()), classes = rivals_.classes;
  std::vector<double> best(open.size(), -1.0);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const auto before = static_cast<std::size_t>(layers_[l].before);
    const auto weights = [&](const std::vector<double>& values, std::vector<double>& weight) {
      for (std::int64_t i = 0; i < count; ++i) {
        const Part& part = parts[open[static_cast<std::size_t>(i)]];
        weight[static_cast<std::size_t>(i * classes + part.rival)] = 1;
        weight[static_cast<std::size_t>(i * classes + rivals_.label)] = -1;
        const double score = values[static_cast<std::size_t>(i * classes + part.rival)] - values[static_cast<std::size_t>(i * classes + rivals_.label)];
        if (l > 0 || !(score > best_score_)) continue;
        best_score_ = score;
        best_point_.assign(points.begin() + i * static_cast<std::ptrdiff_t>(q_.x.size()), points.begin() + (i + 1) * static_cast<std::ptrdiff_t>(q_.x.size()));
      }
    };
    BL_TRY(gradient, engine_.gradient(points, count, network_.logits, weights, Precision::single, layers_[l].after));
    map_.evaluations += count;
    const std::vector<double>&lower = root_.lower[before], &upper = root_.upper[before];
    const std::size_t size = lower.size();
    for (std::size_t i = 0; i < open.size(); ++i) {
      Part& part = parts[open[i]];
      for (std::size_t j = 0; j < size; ++j) {
        if (!(lower[j] < 0 && upper[j] > 0)) continue;
        const double score = (std::fabs(gradient.inputs[i * size + j]) + 1e-9) * (upper[j] * -lower[j] / (upper[j] - lower[j]));
        if (!(score > best[i])) continue;
        if (std::any_of(part.cuts.begin(), part.cuts.end(), [&](const Cut& c) { return c.layer == static_cast<std::int32_t>(l) && c.element == static_cast<std::int32_t>(j); })) continue;
        best[i] = score;
        part.next = {static_cast<std::int32_t>(l), static_cast<std::int32_t>(j), false};
        part.splittable = true;
      }
    }
  }
  return {};
}

// Bounds of the parts; cuts were made, bounds are the parents'. Keeps them.
Result<void> Tree::bound(std::vector<Part>& parts, const StopToken& stop) {
  const std::size_t n = q_.x.size(), classes = static_cast<std::size_t>(rivals_.classes);
  Regions regions;
  regions.batch = static_cast<std::int64_t>(parts.size());
  Forms forms;
  forms.value = network_.logits;
  forms.rows = 1;
  forms.per_region = true;
  forms.want_lower = false;
  forms.coefficient.assign(parts.size() * classes, 0.0);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    regions.lower.insert(regions.lower.end(), q_.lower.begin(), q_.lower.end());
    regions.upper.insert(regions.upper.end(), q_.upper.begin(), q_.upper.end());
    forms.coefficient[p * classes + static_cast<std::size_t>(parts[p].rival)] = 1;
    forms.coefficient[p * classes + static_cast<std::size_t>(rivals_.label)] = -1;
  }
  const ValueBoxes boxes = boxes_of(parts);
  BL_TRY(bounds, engine_.bound(regions, forms, options(stop), &boxes));
  map_.counters.rows += bounds.counters.rows;
  map_.parts += bounds.batch;
  std::vector<CellOverlaps> found(parts.size());
  tbb::parallel_for(std::size_t{0}, parts.size(), [&](std::size_t p) {
    OverlapPlane plane{bounds.upper_plane.data() + p * n, bounds.upper_offset[p], {}};
    for (const Cut& cut : parts[p].cuts) plane.faces.push_back(face(cut));
    found[p] = overlaps_of(q_, plane);
    Part& part = parts[p];
    part.base = std::min({part.base, found[p].base, bounds.upper[p]});
    for (std::size_t u = 0; u < part.cell.size(); ++u) part.cell[u] = std::min(part.cell[u], found[p].cell[u]);
    part.gap = gap_of(part);
  });
  BL_CHECK(choose(parts, found));
  for (Part& part : parts) keep(std::move(part));
  return {};
}

Result<bool> Tree::expand(const StopToken& stop) {
  const std::size_t each = sizeof(Part) + static_cast<std::size_t>(q_.cells) * sizeof(float) + 256;
  if (waiting_.empty() || waiting_.size() * each > kMostBytes) return false;
  std::vector<Part> parts;
  while (!waiting_.empty() && static_cast<std::int64_t>(parts.size()) < kPartsAtOnce) {
    Part part = waiting_.top();
    waiting_.pop();
    part.splittable = false;
    part.cuts.push_back(part.next);
    part.cuts.back().active = false;
    parts.push_back(part);
    part.cuts.back().active = true;
    parts.push_back(std::move(part));
  }
  BL_CHECK(learn_faces(parts, stop));
  BL_CHECK(bound(parts, stop));
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
  if (!best_point_.empty()) {
    BL_TRY(a, overlap_at(engine_, best_point_, 1, rivals_));
    if (a[0] > map_.attained_base) {
      map_.attained_base = a[0];
      map_.worst_point = best_point_;
    }
  }
  summarise(map_, o_.estimate, o_.tau);
  return {};
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
  moment();
  map.complete = map.complete && !o.bounds.stop.stop_requested();
  return {};
}

}  // namespace boundlight::eva_parts
