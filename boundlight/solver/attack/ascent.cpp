#include "boundlight/solver/attack/ascent.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace boundlight {
namespace {

constexpr double kMoment1 = 0.5, kMoment2 = 0.9;

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
    for (std::int64_t i = 0; i < count_; ++i) {
      const std::size_t at = static_cast<std::size_t>(i) * n_, side = shared ? 0 : static_cast<std::size_t>(from_ + i) * n_;
      double squares = 0;
      if (o_.rule == StepRule::length)
        for (std::size_t j = 0; j < n_; ++j) squares += std::pow(g[at + j] * (p_.upper[side + j] - p_.lower[side + j]) / 2, 2);
      const double length = std::sqrt(squares / static_cast<double>(n_));
      for (std::size_t j = 0; j < n_; ++j) {
        const double lo = p_.lower[side + j], hi = p_.upper[side + j], r = (hi - lo) / 2;
        const double by = direction(at + j, g[at + j], r, length);
        if (std::isfinite(by)) x_[at + j] = std::clamp(x_[at + j] + step * by * r, lo, hi);
      }
    }
  }

  double direction(std::size_t at, double g, double r, double length) {
    switch (o_.rule) {
      case StepRule::sign: return g > 0 ? 1 : g < 0 ? -1 : 0;
      case StepRule::length: return length > 0 ? g * r / length : 0;
      case StepRule::adam: break;
    }
    // Near a kink the sign of a coordinate's gradient flips from step to step, and its moments bring it to rest.
    double &m = first_[at], &v = second_[at];
    m = kMoment1 * m + (1 - kMoment1) * g;
    v = kMoment2 * v + (1 - kMoment2) * g * g;
    return v > 0 ? (m / (1 - power1_)) / std::sqrt(v / (1 - power2_)) : 0;
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
