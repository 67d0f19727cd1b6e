#include "boundlight/solver/audit/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/bab/problem.hpp"

namespace boundlight {
namespace {

constexpr std::size_t kMostInputs = 64;

// A box: along varying input j it is part `place[j]` of 2^halvings[j] equal parts of the region.
struct Cell {
  std::vector<std::uint64_t> place;
  std::vector<std::uint8_t> halvings;
  std::int64_t depth = 0;          // sum of halvings
  std::vector<bool> excluded;      // per disjunct: shown to hold nowhere in an enclosing box
};

// A row of the property: its form over the outputs, and which disjunct it belongs to.
struct Row {
  std::size_t target = 0;
  const bab::ConstraintRow* row = nullptr;
  Rational exact_bound;            // scale * d, for claims of violation
};

class Cover {
 public:
  Cover(std::shared_ptr<const Network> network, const Property& property, const bab::Group& group, const CoverageOptions& options)
      : network_(std::move(network)), box_(property.boxes[group.box]), group_(group), o_(options) {
    for (const std::int64_t j : group.varying)
      if (box_.lower[static_cast<std::size_t>(j)] < box_.upper[static_cast<std::size_t>(j)]) result_.dimensions.push_back(j);
    for (std::size_t t = 0; t < group.targets.size(); ++t) {
      const auto& constraints = property.disjuncts[group.targets[t].disjunct].constraints;
      for (std::size_t i = 0; i < constraints.size(); ++i)
        rows_.push_back({t, &group.targets[t].rows[i], constraints[i].bound * exact(group.targets[t].rows[i].scale)});
    }
    forms_.value = network_->outputs[0];
    forms_.rows = static_cast<std::int64_t>(rows_.size());
    for (const Row& r : rows_) forms_.coefficient.insert(forms_.coefficient.end(), r.row->b.begin(), r.row->b.end());
  }

  Result<Coverage> run() {
    if (result_.dimensions.size() > kMostInputs)
      return Error{ErrorKind::unsupported, "coverage", "the region has " + std::to_string(result_.dimensions.size()) + " varying inputs; volumes make sense for few (at most " +
                                                          std::to_string(kMostInputs) + "): use the share of samples instead"};
    for (const auto& target : group_.targets)
      if (target.rows.empty()) {  // a disjunct without constraints: every point violates
        result_.unsafe = 1;
        result_.complete = true;
        return std::move(result_);
      }
    BL_TRY(engine, make_engine(network_, o_.device));
    engine_ = std::move(engine);
    Cell root;
    root.place.assign(result_.dimensions.size(), 0);
    root.halvings.assign(result_.dimensions.size(), 0);
    root.excluded.assign(group_.targets.size(), false);
    open_.push_back(std::move(root));
    while (!open_.empty()) {
      if (o_.stop.stop_requested()) { result_.reason = o_.stop.cancelled() ? "stopped on request" : "the time budget is spent"; break; }
      if (o_.most_boxes > 0 && result_.boxes >= o_.most_boxes) { result_.reason = "the number of boxes allowed is reached"; break; }
      BL_CHECK(step());
      if (o_.progress) o_.progress(std::to_string(open_.size()) + " boxes open", Rational(result_.safe + result_.unsafe).convert_to<double>(), 1);
    }
    result_.open_boxes = static_cast<std::int64_t>(open_.size()) + stuck_;
    result_.complete = result_.open_boxes == 0;
    if (!result_.complete && result_.reason.empty()) result_.reason = "boxes of the smallest size that doubles allow stay undecided";
    return std::move(result_);
  }

 private:
  // The doubles around a cell.
  void ends_of(const Cell& cell, std::vector<double>& lower, std::vector<double>& upper) const {
    std::vector<double> low = group_.lower, high = group_.upper;
    for (std::size_t k = 0; k < result_.dimensions.size(); ++k) {
      const auto j = static_cast<std::size_t>(result_.dimensions[k]);
      if (cell.halvings[k] == 0) continue;
      const Rational part = (box_.upper[j] - box_.lower[j]) / (boost::multiprecision::cpp_int(1) << cell.halvings[k]);
      const Rational from = box_.lower[j] + part * cell.place[k];
      low[j] = std::max(low[j], round_down(from));
      high[j] = std::min(high[j], round_up(Rational(from + part)));
    }
    lower.insert(lower.end(), low.begin(), low.end());
    upper.insert(upper.end(), high.begin(), high.end());
  }

  Result<void> step() {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(o_.batch, static_cast<std::int64_t>(open_.size())));
    Regions r;
    r.batch = static_cast<std::int64_t>(count);
    for (std::size_t c = 0; c < count; ++c) ends_of(open_[c], r.lower, r.upper);
    BoundOptions b;
    b.method = o_.method;
    b.semantics = o_.semantics;
    b.planes = true;
    BL_TRY(bounds, engine_->bound(r, forms_, b));
    result_.boxes += r.batch;
    const auto n = static_cast<std::size_t>(network_->input_size());
    for (std::size_t c = 0; c < count; ++c) {
      Cell cell = std::move(open_.front());
      open_.pop_front();
      judge(std::move(cell), r.lower.data() + c * n, r.upper.data() + c * n, bounds, c);
    }
    return {};
  }

  void judge(Cell cell, const double* lower, const double* upper, const BoundResult& bounds, std::size_t c) {
    std::vector<bool> holds(group_.targets.size(), true);  // every constraint so far holds everywhere
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const Row& r = rows_[i];
      const std::size_t at = c * rows_.size() + i;
      double low = bounds.lower[at], high = bounds.upper[at];
      if (!r.row->a.empty()) {
        std::vector<double> mirrored = r.row->a;
        for (double& a : mirrored) a = -a;
        low = add_down(low, bab::least(r.row->a, lower, upper));
        high = add_up(high, -bab::least(mirrored, lower, upper));
      }
      if (bab::excludes(*r.row, low)) cell.excluded[r.target] = true;
      const bool all = std::isfinite(high) && (r.row->strict ? exact(high) < r.exact_bound : exact(high) <= r.exact_bound);
      holds[r.target] = holds[r.target] && all;
    }
    bool safe = true, unsafe = false;
    for (std::size_t t = 0; t < holds.size(); ++t) {
      safe = safe && cell.excluded[t];
      unsafe = unsafe || holds[t];
    }
    const Rational share = Rational(1) / (boost::multiprecision::cpp_int(1) << static_cast<unsigned>(cell.depth));
    if (safe) result_.safe += share, ++result_.safe_boxes;
    else if (unsafe) result_.unsafe += share, ++result_.unsafe_boxes;
    else halve(std::move(cell), lower, upper, bounds, c);
  }

  // Along the input that moves the undecided forms most, by their planes.
  void halve(Cell cell, const double* lower, const double* upper, const BoundResult& bounds, std::size_t c) {
    const auto n = static_cast<std::size_t>(network_->input_size());
    std::size_t best = SIZE_MAX;
    double most = -1;
    for (std::size_t k = 0; k < result_.dimensions.size(); ++k) {
      const auto j = static_cast<std::size_t>(result_.dimensions[k]);
      const double middle = lower[j] + (upper[j] - lower[j]) / 2;
      if (!(lower[j] < middle && middle < upper[j]) || cell.halvings[k] >= 60) continue;
      double moves = 0;
      for (std::size_t i = 0; i < rows_.size(); ++i) {
        if (cell.excluded[rows_[i].target]) continue;
        const std::size_t at = (c * rows_.size() + i) * n + j;
        const double own = rows_[i].row->a.empty() ? 0 : rows_[i].row->a[j];
        const double slope = std::max(std::fabs(bounds.lower_plane[at] + own), std::fabs(bounds.upper_plane[at] + own));
        if (std::isfinite(slope)) moves += slope * (upper[j] - lower[j]);
      }
      // Planes that say nothing (flat, or lost): the widest share of the region.
      moves += 1e-9 * std::ldexp(1.0, -cell.halvings[k]);
      if (moves > most) most = moves, best = k;
    }
    if (best == SIZE_MAX) {
      ++stuck_;
      return;
    }
    ++cell.halvings[best];
    ++cell.depth;
    result_.deepest = std::max(result_.deepest, cell.depth);
    cell.place[best] *= 2;
    Cell other = cell;
    ++other.place[best];
    open_.push_back(std::move(cell));
    open_.push_back(std::move(other));
  }

  std::shared_ptr<const Network> network_;
  const InputBox& box_;
  const bab::Group& group_;
  const CoverageOptions& o_;
  std::unique_ptr<Engine> engine_;
  std::vector<Row> rows_;
  Forms forms_;
  std::deque<Cell> open_;  // depths never fall along it: the front is the largest
  std::int64_t stuck_ = 0;
  Coverage result_;
};

}  // namespace

Result<Coverage> cover(std::shared_ptr<const Network> network, const Property& property, std::size_t box, const CoverageOptions& options) {
  demand(box < property.boxes.size() && options.batch > 0, "cover: no such box, or an empty batch");
  if (property.boxes[box].empty) return Error{ErrorKind::bad_input, property.source, "box " + std::to_string(box) + " holds no point, so it has no shares"};
  BL_TRY(problem, bab::make_problem(*network, property));
  for (const bab::Group& group : problem.groups)
    if (group.box == box) return Cover(std::move(network), property, group, options).run();
  Coverage all;  // no disjunct speaks about this box: nothing of it violates
  all.safe = 1;
  all.complete = true;
  return all;
}

}  // namespace boundlight
