#include "boundlight/solver/attack/falsify.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

namespace boundlight {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kClose = 1e-5;

// A constraint in doubles, for search only.
struct Slack {
  std::vector<std::pair<std::size_t, double>> inputs, outputs;
  double bound = 0, scale = 0;  // scale: largest coefficient
};

std::vector<std::pair<std::size_t, double>> in_doubles(const std::vector<LinearTerm>& terms) {
  std::vector<std::pair<std::size_t, double>> found;
  for (const LinearTerm& t : terms) found.emplace_back(static_cast<std::size_t>(t.index), t.coefficient.convert_to<double>());
  return found;
}

std::vector<std::vector<Slack>> slacks_of(const Property& property) {
  std::vector<std::vector<Slack>> all;
  for (const Disjunct& d : property.disjuncts) {
    auto& mine = all.emplace_back();
    for (const LinearConstraint& c : d.constraints) {
      Slack s{in_doubles(c.inputs), in_doubles(c.outputs), c.bound.convert_to<double>(), 0};
      for (const auto& terms : {s.inputs, s.outputs})
        for (const auto& t : terms) s.scale = std::max(s.scale, std::fabs(t.second));
      if (!(s.scale > 0)) s.scale = 1;
      mine.push_back(std::move(s));
    }
  }
  return all;
}

double slack_at(const Slack& s, const double* x, const double* y) {
  double sum = s.bound;
  for (const auto& [i, a] : s.inputs) sum -= a * x[i];
  for (const auto& [j, b] : s.outputs) sum -= b * y[j];
  return sum / s.scale;
}

// The least slack of a disjunct, and its gradient.
double score_of(const std::vector<Slack>& slacks, const double* x, const double* y, double* weight, double* input_weight) {
  double least = kInfinity;
  const Slack* tightest = nullptr;
  for (const Slack& s : slacks) {
    const double slack = slack_at(s, x, y);
    if (std::isnan(slack)) return -kInfinity;
    if (slack < least) least = slack, tightest = &s;
  }
  if (!tightest) return 1;  // no constraint: every point violates
  for (const auto& [j, b] : tightest->outputs) weight[j] -= b / tightest->scale;
  for (const auto& [i, a] : tightest->inputs) input_weight[i] -= a / tightest->scale;
  return least;
}

// The float32 number nearest to x inside [lower, upper]; x itself where there is none.
double float_inside(double x, double lower, double upper) {
  float f = static_cast<float>(x);
  if (static_cast<double>(f) < lower) f = std::nextafter(f, HUGE_VALF);
  if (static_cast<double>(f) > upper) f = std::nextafter(f, -HUGE_VALF);
  const double d = static_cast<double>(f);
  return d >= lower && d <= upper ? d : std::clamp(x, lower, upper);
}

bool is_float32(double x) { return static_cast<double>(static_cast<float>(x)) == x; }

bool holds_doubles(const InputBox& box) {
  if (box.empty) return false;
  for (std::size_t i = 0; i < box.lower_inward.size(); ++i)
    if (!(box.lower_inward[i] <= box.upper_inward[i])) return false;
  return true;
}

class Search {
 public:
  Search(Engine& engine, ValueId output, const Property& property, const FalsifyOptions& options)
      : engine_(engine), output_(output), property_(property), o_(options), slacks_(slacks_of(property)), n_(static_cast<std::size_t>(property.inputs)) {
    result_.best = -kInfinity;
    for (std::size_t d = 0; d < property.disjuncts.size(); ++d)
      if (holds_doubles(property.box_of(property.disjuncts[d])) && (d >= options.skip.size() || !options.skip[d])) live_.push_back(d);
  }

  Result<Falsification> run() {
    if (live_.empty()) return std::move(result_);
    static constexpr StepRule kRules[] = {StepRule::adam, StepRule::sign, StepRule::length};
    for (int round = 0; round < o_.rounds && !result_.violation; ++round) {
      if (round > 0 && o_.stop.stop_requested()) break;
      BL_CHECK(attack(round, kRules[(static_cast<std::size_t>(o_.first_rule) + static_cast<std::size_t>(round)) % 3], o_.starts << std::min(round, 20)));
    }
    return std::move(result_);
  }

 private:
  // One round: chunks of samples, the disjuncts side by side; what a chunk finds is proved before the next begins.
  Result<void> attack(int round, StepRule rule, std::int64_t starts) {
    const auto proposals = round == 0 ? static_cast<std::int64_t>(o_.points.size()) : 0;
    const auto disjuncts = static_cast<std::int64_t>(live_.size());
    std::vector<std::vector<double>> by_box(property_.boxes.size());  // starts, the same for the disjuncts of a box
    for (std::int64_t from = 0; from < (starts + proposals) * disjuncts && !result_.violation; from += o_.chunk) {
      if (from > 0 && o_.stop.stop_requested()) return {};
      const std::int64_t count = std::min(o_.chunk, (starts + proposals) * disjuncts - from);
      AscentProblem p;
      p.value = output_;
      p.batch = count;
      std::vector<std::size_t> disjunct;
      for (std::int64_t i = from; i < from + count; ++i) {
        const std::size_t d = live_[static_cast<std::size_t>(i % disjuncts)];
        const InputBox& box = property_.box_of(property_.disjuncts[d]);
        const std::int64_t s = i / disjuncts;
        auto& random = by_box[property_.disjuncts[d].box];
        if (random.empty()) random = random_starts(box.lower_inward, box.upper_inward, starts + (round > 0), o_.seed + static_cast<std::uint64_t>(round));
        // Later rounds leave out the middle, with which the list begins.
        const double* start = s < proposals ? o_.points[static_cast<std::size_t>(s)].data() : random.data() + static_cast<std::size_t>(s - proposals + (round > 0)) * n_;
        disjunct.push_back(d);
        for (std::size_t j = 0; j < n_; ++j) p.start.push_back(std::clamp(start[j], box.lower_inward[j], box.upper_inward[j]));
        p.lower.insert(p.lower.end(), box.lower_inward.begin(), box.lower_inward.end());
        p.upper.insert(p.upper.end(), box.upper_inward.begin(), box.upper_inward.end());
      }
      p.input_score = [&](std::int64_t b, const double* x, const double* y, double* w, double* v) { return score_of(slacks_[disjunct[static_cast<std::size_t>(b)]], x, y, w, v); };
      BL_CHECK(ascend_and_prove(p, rule, disjunct));
    }
    return {};
  }

  Result<void> ascend_and_prove(const AscentProblem& p, StepRule rule, const std::vector<std::size_t>& disjunct) {
    AscentOptions a;
    a.steps = o_.steps;
    a.rule = rule;
    a.first_step = rule == StepRule::sign ? 0.5 : 1.0;
    a.last_step = 0.02;
    a.enough = kClose;  // above what rounding could take back, usually; a proof decides
    a.stop = o_.stop;
    a.chunk = p.batch;
    BL_TRY(found, ascend(engine_, p, a));
    result_.evaluations += found.evaluations;
    std::vector<std::size_t> order(disjunct.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t k) { return found.score[i] > found.score[k]; });
    std::vector<std::size_t> close;
    for (const std::size_t i : order) {
      if (found.score[i] > result_.best) result_.best = found.score[i], result_.best_point = point(found, i);
      // A score a little below 0 may be a tie, or float32's doing.
      if (found.score[i] < -kClose || close.size() == 4) break;
      close.push_back(i);
      BL_CHECK(prove(disjunct[i], point(found, i)));
      if (result_.violation) return {};
    }
    if (close.empty()) return {};
    // So close that float32's rounding hides the way: on from there in double.
    AscentProblem polish = p;
    polish.batch = static_cast<std::int64_t>(close.size());
    polish.start.clear(), polish.lower.clear(), polish.upper.clear();
    for (const std::size_t i : close) {
      const auto copy = [&](const std::vector<double>& from, std::vector<double>& to) { to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(i * n_), from.begin() + static_cast<std::ptrdiff_t>((i + 1) * n_)); };
      copy(found.point, polish.start), copy(p.lower, polish.lower), copy(p.upper, polish.upper);
    }
    polish.input_score = [&](std::int64_t b, const double* x, const double* y, double* w, double* v) { return p.input_score(static_cast<std::int64_t>(close[static_cast<std::size_t>(b)]), x, y, w, v); };
    a.precision = Precision::dual;
    a.enough = 1e-9;
    a.chunk = polish.batch;
    BL_TRY(polished, ascend(engine_, polish, a));
    result_.evaluations += polished.evaluations;
    for (std::size_t k = 0; k < close.size(); ++k) {
      if (!(polished.score[k] >= 0)) continue;
      if (polished.score[k] > result_.best) result_.best = polished.score[k], result_.best_point = point(polished, k);
      BL_CHECK(prove(disjunct[close[k]], point(polished, k)));
      if (result_.violation) return {};
      if (!result_.near_miss) BL_CHECK(note_near_miss(disjunct[close[k]], point(polished, k)));
    }
    return {};
  }

  std::vector<double> point(const AscentResult& r, std::size_t i) const {
    return {r.point.begin() + static_cast<std::ptrdiff_t>(i * n_), r.point.begin() + static_cast<std::ptrdiff_t>((i + 1) * n_)};
  }

  Result<void> prove(std::size_t disjunct, const std::vector<double>& x) {
    BL_TRY(proved, prove_violation(engine_, output_, property_, disjunct, x));
    if (!proved) return {};
    result_.violation = std::move(*proved);
    result_.near_miss.reset();
    return {};
  }

  Result<void> note_near_miss(std::size_t disjunct, const std::vector<double>& x) {
    BL_TRY(output, enclose_outputs(engine_, output_, x));
    BL_TRY(replay, replay_outputs(engine_, output_, x));
    result_.near_miss = Violation{x, std::move(output), std::move(replay), disjunct, std::all_of(x.begin(), x.end(), is_float32)};
    return {};
  }

  Engine& engine_;
  const ValueId output_;
  const Property& property_;
  const FalsifyOptions& o_;
  const std::vector<std::vector<Slack>> slacks_;
  const std::size_t n_;
  std::vector<std::size_t> live_;  // disjuncts
  Falsification result_;
};

}  // namespace

Result<Falsification> falsify(Engine& engine, ValueId output, const Property& property, const FalsifyOptions& options) {
  const Network& network = engine.network();
  if (property.inputs != network.input_size() || property.outputs != network.values[static_cast<std::size_t>(output)].size)
    return Error{ErrorKind::bad_input, property.source, "the property is about " + std::to_string(property.inputs) + " inputs and " + std::to_string(property.outputs) +
                                                            " outputs, the model has " + std::to_string(network.input_size()) + " and " +
                                                            std::to_string(network.values[static_cast<std::size_t>(output)].size)};
  for (const auto& point : options.points) demand(static_cast<std::int64_t>(point.size()) == property.inputs, "falsify: a proposal has not the input's size");
  demand(options.starts > 0 && options.chunk > 0, "falsify: starts and chunk must be positive");
  return Search(engine, output, property, options).run();
}

Result<std::vector<Interval>> enclose_outputs(Engine& engine, ValueId output, const std::vector<double>& x) {
  Regions r;
  r.batch = 1;
  r.lower = r.upper = x;
  Forms f;
  f.value = output;
  f.rows = engine.network().values[static_cast<std::size_t>(output)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t k = 0; k < f.rows; ++k) f.coefficient[static_cast<std::size_t>(k * f.rows + k)] = 1;
  BoundOptions o;
  o.method = Method::interval;
  o.precision = Precision::dual;
  BL_TRY(b, engine.bound(r, f, o));
  std::vector<Interval> y;
  for (std::int64_t k = 0; k < f.rows; ++k) y.emplace_back(b.lower[static_cast<std::size_t>(k)], b.upper[static_cast<std::size_t>(k)]);
  return y;
}

Result<std::vector<double>> replay_outputs(Engine& engine, ValueId output, const std::vector<double>& x) {
  BL_TRY(values, engine.evaluate(x, 1, {output}, Precision::single));
  return std::move(values[0]);
}

Result<std::optional<Violation>> prove_violation(Engine& engine, ValueId output, const Property& property, std::size_t disjunct, const std::vector<double>& x) {
  demand(disjunct < property.disjuncts.size() && static_cast<std::int64_t>(x.size()) == property.inputs, "prove_violation: no such disjunct, or a point of another size");
  const InputBox& box = property.box_of(property.disjuncts[disjunct]);
  if (!holds_doubles(box)) return std::optional<Violation>{};
  std::vector<double> rounded = x, inside = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) return std::optional<Violation>{};
    inside[i] = std::clamp(x[i], box.lower_inward[i], box.upper_inward[i]);
    rounded[i] = float_inside(inside[i], box.lower_inward[i], box.upper_inward[i]);
  }
  for (const auto& point : {rounded, inside}) {
    BL_TRY(y, enclose_outputs(engine, output, point));
    const auto violated = surely_violated_disjunct(property, point, y);
    if (!violated) continue;
    BL_TRY(replay, replay_outputs(engine, output, point));
    return std::optional(Violation{point, std::move(y), std::move(replay), *violated, std::all_of(point.begin(), point.end(), is_float32)});
  }
  return std::optional<Violation>{};
}

std::string to_counterexample(const Violation& v) {
  std::string text = "(";
  char line[64];
  const auto add = [&](char name, std::size_t i, double value) {
    std::snprintf(line, sizeof line, "%s(%c_%zu %.17g)", text.size() > 1 ? "\n " : "", name, i, value);
    text += line;
  };
  for (std::size_t i = 0; i < v.input.size(); ++i) add('X', i, v.input[i]);
  for (std::size_t j = 0; j < v.replay.size(); ++j) add('Y', j, v.replay[j]);
  return text + ")\n";
}

}  // namespace boundlight
