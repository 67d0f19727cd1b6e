#include "boundlight/solver/attack/ascent.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace boundlight {
namespace {

constexpr double kMoment1 = 0.5, kMoment2 = 0.9;

// First and second moments of the gradient (Adam; Kingma and Ba 2015): near a kink the sign of a coordinate's gradient flips
// from step to step, and its moments bring it to rest where the plain sign method keeps jumping.
struct Moments {
  double *first, *second;
  double correct1, correct2;  // of their start at zero
};

// One sample's step uphill, back into its box. A moment that is zero moves nothing (0 / tiny = 0); NaN neither.
void move_by_moments(double* __restrict x, Moments m, const double* __restrict gradient, const double* lower, const double* upper, double step, std::size_t n) {
  constexpr double kTiny = 1e-290;
  double *__restrict first = m.first, *__restrict second = m.second;
  for (std::size_t j = 0; j < n; ++j) {
    const double g = gradient[j];
    first[j] = kMoment1 * first[j] + (1 - kMoment1) * g;
    second[j] = kMoment2 * second[j] + (1 - kMoment2) * g * g;
    const double by = step * (first[j] * m.correct1) / std::sqrt(second[j] * m.correct2 + kTiny) * (upper[j] - lower[j]) / 2;
    const double to = by - by == 0 ? x[j] + by : x[j];
    const double above = to < lower[j] ? lower[j] : to;
    x[j] = above > upper[j] ? upper[j] : above;
  }
}

// The state of one chunk of samples [from, from + count).
class Chunk {
 public:
  Chunk(Engine& engine, const AscentProblem& p, const AscentOptions& o, std::int64_t from, std::int64_t to, AscentResult& result)
      : engine_(engine), p_(p), o_(o), from_(from), count_(to - from), result_(result), n_(static_cast<std::size_t>(engine.network().input_size())),
        width_(static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(p.value)].size)),
        x_(p.start.begin() + from * static_cast<std::ptrdiff_t>(n_), p.start.begin() + to * static_cast<std::ptrdiff_t>(n_)), own_(x_.size()) {
    if (o.rule == StepRule::adam) first_.assign(x_.size(), 0.0), second_.assign(x_.size(), 0.0);
  }

  Result<void> run() {
    const double decay = o_.steps > 1 ? std::pow(o_.last_step / o_.first_step, 1.0 / (o_.steps - 1)) : 1.0;
    double step = o_.first_step;
    for (int s = 0;; ++s, step *= decay) {
      result_.evaluations += count_;
      if (s == o_.steps || o_.stop.stop_requested()) {
        BL_TRY(values, engine_.evaluate(x_, count_, {p_.value}, o_.precision));
        std::vector<double> unused(values[0].size(), 0.0);
        record(values[0], unused);
        return {};
      }
      BL_TRY(gradient, engine_.gradient(x_, count_, p_.value, [&](const std::vector<double>& v, std::vector<double>& w) { record(v, w); }, o_.precision));
      if (enough_) return {};
      for (std::size_t j = 0; j < x_.size(); ++j) gradient.inputs[j] += own_[j];
      move(gradient.inputs, step);
    }
  }

 private:
  // Scores the points at hand and keeps the better ones; fills the weights of the next gradient.
  void record(const std::vector<double>& values, std::vector<double>& weight) {
    std::fill(own_.begin(), own_.end(), 0.0);
    for (std::int64_t i = 0; i < count_; ++i) {
      const double* v = values.data() + static_cast<std::size_t>(i) * width_;
      double* w = weight.data() + static_cast<std::size_t>(i) * width_;
      const std::size_t at = static_cast<std::size_t>(i) * n_;
      const double score = p_.input_score ? p_.input_score(from_ + i, x_.data() + at, v, w, own_.data() + at) : p_.score(from_ + i, v, w);
      double& best = result_.score[static_cast<std::size_t>(from_ + i)];
      if (!(score > best)) continue;
      best = score;
      enough_ = enough_ || score > o_.enough;
      std::copy_n(x_.begin() + static_cast<std::ptrdiff_t>(at), n_, result_.point.begin() + from_ * static_cast<std::ptrdiff_t>(n_) + static_cast<std::ptrdiff_t>(at));
    }
  }

  void move(const std::vector<double>& g, double step) {
    const bool shared = p_.lower.size() == n_ && p_.batch > 1;
    power1_ *= kMoment1, power2_ *= kMoment2;
    tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, count_, 8), [&](const tbb::blocked_range<std::int64_t>& range) {
      for (std::int64_t i = range.begin(); i < range.end(); ++i) {
        const std::size_t at = static_cast<std::size_t>(i) * n_, side = shared ? 0 : static_cast<std::size_t>(from_ + i) * n_;
        if (o_.rule != StepRule::adam) {
          move_by_gradient(g.data() + at, at, side, step);
          continue;
        }
        const Moments moments{first_.data() + at, second_.data() + at, 1 / (1 - power1_), 1 / (1 - power2_)};
        move_by_moments(x_.data() + at, moments, g.data() + at, p_.lower.data() + side, p_.upper.data() + side, step, n_);
      }
    });
  }

  void move_by_gradient(const double* g, std::size_t at, std::size_t side, double step) {
    const auto half = [&](std::size_t j) { return (p_.upper[side + j] - p_.lower[side + j]) / 2; };
    double squares = 0;
    for (std::size_t j = 0; o_.rule == StepRule::length && j < n_; ++j) squares += g[j] * half(j) * (g[j] * half(j));
    const double length = std::sqrt(squares / static_cast<double>(n_));
    for (std::size_t j = 0; j < n_; ++j) {
      double by = 0;
      if (o_.rule == StepRule::sign) by = g[j] > 0 ? 1 : g[j] < 0 ? -1 : 0;
      else if (length > 0) by = g[j] * half(j) / length;
      if (std::isfinite(by)) x_[at + j] = std::clamp(x_[at + j] + step * by * half(j), p_.lower[side + j], p_.upper[side + j]);
    }
  }

  Engine& engine_;
  const AscentProblem& p_;
  const AscentOptions& o_;
  const std::int64_t from_, count_;
  AscentResult& result_;
  const std::size_t n_, width_;
  std::vector<double> x_, own_;  // points; gradients of the scores' own part in x
  std::vector<double> first_, second_;
  double power1_ = 1, power2_ = 1;
  bool enough_ = false;
};

}  // namespace

Result<AscentResult> ascend(Engine& engine, const AscentProblem& problem, const AscentOptions& options) {
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  demand(problem.start.size() == static_cast<std::size_t>(problem.batch) * n, "ascend: start needs batch x input size numbers");
  demand(problem.lower.size() == problem.upper.size() && (problem.lower.size() == n || problem.lower.size() == problem.start.size()),
         "ascend: boxes need input size or batch x input size numbers");
  AscentResult result;
  result.point = problem.start;
  result.score.assign(static_cast<std::size_t>(problem.batch), -std::numeric_limits<double>::infinity());
  for (std::int64_t from = 0; from < problem.batch; from += options.chunk) {
    if (from > 0 && options.stop.stop_requested()) break;
    BL_CHECK(Chunk(engine, problem, options, from, std::min(problem.batch, from + options.chunk), result).run());
  }
  return result;
}

std::vector<double> random_starts(const std::vector<double>& lower, const std::vector<double>& upper, std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const std::size_t n = lower.size();
  std::vector<double> starts(static_cast<std::size_t>(count) * n);
  std::uniform_real_distribution<double> unit(0, 1);
  for (std::int64_t c = 0; c < count; ++c)
    for (std::size_t j = 0; j < n; ++j) {
      double t = 0.5;
      if (c > 0) t = c % 2 ? (random() & 1 ? 1.0 : 0.0) : unit(random);
      starts[static_cast<std::size_t>(c) * n + j] = std::clamp(lower[j] + t * (upper[j] - lower[j]), lower[j], upper[j]);
    }
  return starts;
}

}  // namespace boundlight
