#include "boundlight/solver/bab/relu_bounds.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab {
namespace {

constexpr std::size_t kShortList = 4;  // neurons tried per part, half of them by either measure
// Besides, on the condensed network: neurons of every activation, and steps of estimates. Small networks can afford more of both, and
// interval steps for every half that is tried: mnist-net_256x4 prop_5_0.03 then takes less than a tenth of the regions.
constexpr std::size_t kSmallNetwork = 4096;  // inputs and activations
constexpr int kOfActivation = 2, kQuickSteps = 5, kOfActivationSmall = 3, kQuickStepsSmall = 15;
constexpr std::size_t kProvedAtOnce = 64;

std::vector<std::uint8_t> eighth_bits(const std::vector<float>& slopes) {
  std::vector<std::uint8_t> made;
  for (const float s : slopes) made.push_back(static_cast<std::uint8_t>(std::lround((s >= 0 ? std::min(s, 1.0F) : 0.0F) * 255)));
  return made;
}

}  // namespace

Result<void> ReluBounds::prepare(const std::vector<Activation>& activations, const ValueBoxes& root, const ReluTargets& targets) {
  acts_ = activations;
  root_ = root;
  targets_ = targets;
  for (std::size_t k = 0; k < acts_.size(); ++k) {
    const auto &lower = root_.lower[static_cast<std::size_t>(acts_[k].in)], &upper = root_.upper[static_cast<std::size_t>(acts_[k].in)];
    for (std::int64_t i = 0; i < acts_[k].size; ++i) {
      const bool undecided = lower[static_cast<std::size_t>(i)] < 0 && upper[static_cast<std::size_t>(i)] > 0;
      place_.push_back(undecided ? static_cast<std::int32_t>(free_.size()) : -1);
      if (undecided) free_.push_back({static_cast<std::int32_t>(k), static_cast<std::int32_t>(i)});
    }
  }
  small_ = place_.size() + group_.lower.size() <= kSmallNetwork;
  BL_TRY(condensed, condense(engine_, group_, acts_, free_, root_, targets_, stop_));
  condensed_ = std::move(condensed);
  return {};
}

Result<ReluBounds::Found> ReluBounds::bound(std::vector<SignPart>& parts, int steps) { return condensed_ ? bound_condensed(parts, steps) : bound_by_engine(parts, steps); }

Result<std::vector<double>> ReluBounds::estimates(const std::vector<SignPart>& parts) {
  std::vector<double> made;
  if (condensed_) {
    DualPlan plan;
    plan.steps = small_ ? kQuickStepsSmall : kQuickSteps;
    std::vector<SignPart> tried = parts;
    if (small_) BL_CHECK(narrow(tried));
    for (const DualFound& f : dual_ascent(*condensed_, tasks_of(tried), plan, stop_).parts) made.push_back(f.bound);
    return made;
  }
  constexpr std::size_t kAtOnce = 128;
  for (std::size_t from = 0; from < parts.size(); from += kAtOnce) {
    const std::vector<SignPart> some(parts.begin() + static_cast<std::ptrdiff_t>(from), parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), from + kAtOnce)));
    SplitSearch s;
    BL_CHECK(ask(some, 0, false, s, Precision::single));
    made.insert(made.end(), s.lower.begin(), s.lower.end());
  }
  return made;
}

std::vector<DualTask> ReluBounds::tasks_of(const std::vector<SignPart>& parts) const {
  std::vector<DualTask> tasks;
  for (const SignPart& p : parts) {
    DualTask& t = tasks.emplace_back();
    t.target = p.target;
    for (std::size_t i = 0; i < p.path.size(); ++i) {
      const std::int32_t place = place_of(p.path[i]);
      if (place < 0) continue;
      t.splits.emplace_back(place, p.path[i].positive);
      t.beta.push_back(i < p.beta.size() ? p.beta[i] : 0.0F);
    }
    t.slopes = p.slopes.get();
    t.boxes = p.boxes.get();
    t.enough = targets_.enough(p.target) + reserve_;
  }
  return tasks;
}

// What the splits say about neurons behind them, by interval steps.
Result<void> ReluBounds::narrow(std::vector<SignPart>& parts) const {
  for (std::size_t from = 0; from < parts.size(); from += kProvedAtOnce) {
    const std::vector<SignPart> some(parts.begin() + static_cast<std::ptrdiff_t>(from), parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), from + kProvedAtOnce)));
    Regions r;
    r.batch = static_cast<std::int64_t>(some.size());
    for (std::size_t p = 0; p < some.size(); ++p) {
      r.lower.insert(r.lower.end(), group_.lower.begin(), group_.lower.end());
      r.upper.insert(r.upper.end(), group_.upper.begin(), group_.upper.end());
    }
    SplitSearch unused;
    ValueBoxes known;
    add_splits(some, unused, known);
    BoundOptions o = bound_options(options_, stop_);
    o.method = Method::interval;
    o.precision = Precision::single;
    BL_TRY(boxes, engine_.boxes(r, o, &known));
    tbb::parallel_for(std::size_t{0}, some.size(), [&](std::size_t p) {
      auto made = std::make_shared<std::vector<float>>();
      made->resize(2 * free_.size());
      for (std::size_t j = 0; j < free_.size(); ++j) {
        const Activation& act = acts_[static_cast<std::size_t>(free_[j].act)];
        const std::size_t at = p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(free_[j].element), v = static_cast<std::size_t>(act.in);
        (*made)[j] = static_cast<float>(boxes.lower[v][at]);
        (*made)[free_.size() + j] = static_cast<float>(boxes.upper[v][at]);
      }
      parts[from + p].boxes = std::move(made);
    });
  }
  return {};
}

Result<ReluBounds::Found> ReluBounds::bound_condensed(std::vector<SignPart>& parts, int steps) {
  BL_CHECK(narrow(parts));
  DualPlan plan;
  plan.steps = steps;
  plan.finish = true;
  DualBatch made = dual_ascent(*condensed_, tasks_of(parts), plan, stop_);
  Found found;
  found.complete = made.complete;
  const std::size_t n = group_.lower.size();
  found.points.resize(parts.size() * n);
  std::vector<SignPart*> close;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    SignPart& part = parts[p];
    DualFound& f = made.parts[p];
    std::copy(group_.lower.begin(), group_.lower.end(), found.points.begin() + static_cast<std::ptrdiff_t>(p * n));
    for (std::size_t k = 0; k < f.point.size(); ++k) found.points[p * n + static_cast<std::size_t>(group_.varying[k])] = static_cast<double>(f.point[k]);
    part.estimate = f.bound;
    part.beta.assign(part.path.size(), 0.0F);
    for (std::size_t i = 0, next = 0; i < part.path.size(); ++i)
      if (place_of(part.path[i]) >= 0) part.beta[i] = f.beta[next++];
    part.slopes = std::make_shared<const std::vector<std::uint8_t>>(eighth_bits(f.slopes));
    if (targets_.closes(part.target, f.bound) || std::isinf(part.bound)) {  // the root's is proved in any case: all others are no worse
      part.exact_slopes = std::move(f.slopes);
      close.push_back(&part);
    }
  }
  BL_CHECK(prove(close, found));
  tbb::parallel_for(std::size_t{0}, parts.size(), [&](std::size_t p) {
    const DualFound& f = made.parts[p];
    std::vector<Scored> all;
    for (std::size_t j = 0; j < f.worst.size(); ++j)
      if (f.worst[j] > 0) all.push_back({static_cast<std::int32_t>(j), static_cast<double>(f.here[j]), static_cast<double>(f.worst[j])});
    make_list(parts[p], std::move(all));
    for (std::size_t j = 0; j < f.open.size() && parts[p].list.empty(); ++j)  // nothing is lost where the search stands, yet it does not suffice
      if (f.open[j]) parts[p].list.push_back({free_[j].act, free_[j].element, false});
  });
  return found;
}

// The engine's own word on parts whose estimates suffice.
Result<void> ReluBounds::prove(std::vector<SignPart*> parts, Found& found) {
  for (std::size_t from = 0; from < parts.size(); from += kProvedAtOnce) {
    std::vector<SignPart> some;
    std::vector<SignPart*> of(parts.begin() + static_cast<std::ptrdiff_t>(from), parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), from + kProvedAtOnce)));
    for (const SignPart* p : of) some.push_back(*p);
    SplitSearch s;
    BL_CHECK(ask(some, 0, false, s, Precision::single));
    found.rows += s.counters.rows;
    for (std::size_t i = 0; i < of.size(); ++i) {
      of[i]->bound = std::max(of[i]->bound, s.lower[i]);
      if (std::isfinite(s.charge[i])) reserve_ = std::max(reserve_, s.charge[i]);
    }
    BL_CHECK(ask_in_double(of, s.charge));
  }
  return {};
}

// Parts whose bound misses by no more than what rounding in float was charged, once more in double.
Result<void> ReluBounds::ask_in_double(std::vector<SignPart*> parts, const std::vector<double>& charge) const {
  std::vector<SignPart> near;
  std::vector<SignPart*> of;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (targets_.closes(parts[p]->target, parts[p]->bound) || !(parts[p]->bound + 2 * charge[p] > targets_.enough(parts[p]->target))) continue;
    near.push_back(*parts[p]);
    of.push_back(parts[p]);
  }
  if (near.empty()) return {};
  SplitSearch again;
  BL_CHECK(ask(near, 0, false, again, Precision::dual));
  for (std::size_t i = 0; i < of.size(); ++i) of[i]->bound = std::max(of[i]->bound, again.lower[i]);
  return {};
}

Result<ReluBounds::Found> ReluBounds::bound_by_engine(std::vector<SignPart>& parts, int steps) {
  SplitSearch s;
  BL_CHECK(ask(parts, steps, true, s, Precision::single));
  std::vector<SignPart*> all;
  std::size_t split = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    SignPart& part = parts[p];
    part.bound = part.estimate = std::max(part.bound, s.lower[p]);
    part.beta.assign(s.multipliers.begin() + static_cast<std::ptrdiff_t>(split), s.multipliers.begin() + static_cast<std::ptrdiff_t>(split + part.path.size()));
    split += part.path.size();
    std::vector<float> slopes;
    for (const FreeNeuron& f : free_) {
      const Activation& act = acts_[static_cast<std::size_t>(f.act)];
      const auto found = s.slopes.find(act.out);
      slopes.push_back(found == s.slopes.end() ? 0.0F : found->second[p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(f.element)]);
    }
    part.slopes = std::make_shared<const std::vector<std::uint8_t>>(eighth_bits(slopes));
    all.push_back(&part);
  }
  BL_CHECK(ask_in_double(all, s.charge));
  tbb::parallel_for(std::size_t{0}, parts.size(), [&](std::size_t p) { make_list(parts[p], losses(parts[p], p, s)); });
  return Found{std::vector<double>(s.points.begin(), s.points.end()), s.counters.rows, s.complete};
}

// The search of the engine over the parts, from their slopes and multipliers.
Result<void> ReluBounds::ask(const std::vector<SignPart>& parts, int steps, bool trace, SplitSearch& s, Precision precision) const {
  Regions r;
  r.batch = static_cast<std::int64_t>(parts.size());
  Forms f;
  f.value = network_.outputs[0];
  f.rows = 1;
  f.per_region = true;
  f.want_upper = false;
  for (const SignPart& p : parts) {
    r.lower.insert(r.lower.end(), group_.lower.begin(), group_.lower.end());
    r.upper.insert(r.upper.end(), group_.upper.begin(), group_.upper.end());
    const auto& form = targets_.coefficient(p.target);
    f.coefficient.insert(f.coefficient.end(), form.begin(), form.end());
    s.enough.push_back(targets_.enough(p.target));
  }
  ValueBoxes known;
  add_splits(parts, s, known);
  add_slopes(parts, s);
  s.regions = &r;
  s.forms = &f;
  s.known = &known;
  s.options = bound_options(options_, stop_);
  s.options.precision = precision;
  s.options.alpha_steps = steps;
  s.want_trace = s.want_points = trace;
  BL_CHECK(engine_.search(s));
  s.regions = nullptr;
  s.forms = nullptr;
  s.known = nullptr;
  return {};
}

void ReluBounds::add_splits(const std::vector<SignPart>& parts, SplitSearch& s, ValueBoxes& known) const {
  known.batch = static_cast<std::int64_t>(parts.size());
  known.lower.resize(network_.values.size());
  known.upper.resize(network_.values.size());
  for (const Activation& act : acts_) {
    const auto v = static_cast<std::size_t>(act.in);
    if (!known.lower[v].empty()) continue;  // two activations of one value
    for (std::size_t p = 0; p < parts.size(); ++p) {
      known.lower[v].insert(known.lower[v].end(), root_.lower[v].begin(), root_.lower[v].end());
      known.upper[v].insert(known.upper[v].end(), root_.upper[v].begin(), root_.upper[v].end());
    }
  }
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (std::size_t i = 0; i < parts[p].path.size(); ++i) {
      const SignCut& cut = parts[p].path[i];
      const Activation& act = acts_[static_cast<std::size_t>(cut.act)];
      const std::size_t at = p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(cut.neuron);
      auto &lower = known.lower[static_cast<std::size_t>(act.in)][at], &upper = known.upper[static_cast<std::size_t>(act.in)][at];
      if (cut.positive) lower = std::max(lower, 0.0);
      else upper = std::min(upper, 0.0);
      s.splits.push_back({static_cast<std::int64_t>(p), act.in, cut.neuron, cut.positive});
      s.multipliers.push_back(i < parts[p].beta.size() ? parts[p].beta[i] : 0.0F);
    }
}

void ReluBounds::add_slopes(const std::vector<SignPart>& parts, SplitSearch& s) const {
  if (!std::all_of(parts.begin(), parts.end(), [](const SignPart& p) { return p.slopes != nullptr; })) return;
  for (const Activation& act : acts_) s.slopes[act.out].assign(parts.size() * static_cast<std::size_t>(act.size), 0.0F);
  for (std::size_t j = 0; j < free_.size(); ++j) {
    const Activation& act = acts_[static_cast<std::size_t>(free_[j].act)];
    auto& lines = s.slopes[act.out];
    for (std::size_t p = 0; p < parts.size(); ++p)
      lines[p * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(free_[j].element)] =
          parts[p].exact_slopes.empty() ? static_cast<float>((*parts[p].slopes)[j]) / 255.0F : parts[p].exact_slopes[j];
  }
}

// What the relaxations of the engine's last step lose: at the part's minimiser, and at worst (the intercept of the upper plane).
std::vector<ReluBounds::Scored> ReluBounds::losses(const SignPart& part, std::size_t line, const SplitSearch& s) const {
  std::vector<Scored> all;
  for (std::size_t j = 0; j < free_.size(); ++j) {
    const Activation& act = acts_[static_cast<std::size_t>(free_[j].act)];
    const auto found = s.trace.find(act.out);
    if (found == s.trace.end()) continue;
    const auto e = static_cast<std::size_t>(free_[j].element);
    const double l = root_.lower[static_cast<std::size_t>(act.in)][e], u = root_.upper[static_cast<std::size_t>(act.in)][e];
    const std::size_t at = line * static_cast<std::size_t>(act.size) + e;
    const double a = found->second.coefficient[at], z = std::clamp<double>(found->second.point[at], l, u);
    if (a == 0) continue;
    const double slope = static_cast<double>((*part.slopes)[j]) / 255, chord = u * (z - l) / (u - l), relu = std::max(z, 0.0);
    all.push_back({static_cast<std::int32_t>(j), a < 0 ? -a * (chord - relu) : a * (relu - slope * z), a < 0 ? -a * u * -l / (u - l) : a * std::max((1 - slope) * u, slope * -l) * 0.5});
  }
  std::erase_if(all, [&](const Scored& a) {
    const FreeNeuron& f = free_[static_cast<std::size_t>(a.neuron)];
    return std::any_of(part.path.begin(), part.path.end(), [&](const SignCut& c) { return c.act == f.act && c.neuron == f.element; });
  });
  return all;
}

// The best by either measure, and the best of every activation: what a split far from the output is worth shows only when it is tried.
void ReluBounds::make_list(SignPart& part, std::vector<Scored> all) const {
  part.list.clear();
  const auto add = [&](const Scored& a) {
    const FreeNeuron& f = free_[static_cast<std::size_t>(a.neuron)];
    if (std::none_of(part.list.begin(), part.list.end(), [&](const SignCut& c) { return c.act == f.act && c.neuron == f.element; })) part.list.push_back({f.act, f.element, false});
  };
  const auto best_by = [&](auto score, std::size_t count) {
    const std::size_t n = std::min(all.size(), count);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(), [&](const Scored& a, const Scored& b) { return score(a) > score(b); });
    for (std::size_t i = 0; i < n; ++i) add(all[i]);
  };
  const auto loss = [](const Scored& a) { return a.here + 1e-3 * a.worst; };
  best_by(loss, kShortList / 2);
  best_by([](const Scored& a) { return a.worst; }, kShortList / 2);
  if (!condensed_) return;
  std::sort(all.begin(), all.end(), [&](const Scored& a, const Scored& b) { return loss(a) > loss(b); });
  std::vector<int> taken(acts_.size(), 0);
  for (const Scored& a : all)
    if (taken[static_cast<std::size_t>(free_[static_cast<std::size_t>(a.neuron)].act)]++ < (small_ ? kOfActivationSmall : kOfActivation)) add(a);
}

}  // namespace boundlight::bab
