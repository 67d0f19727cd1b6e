#include "boundlight/solver/attack/ascent.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace boundlight {
namespace {

constexpr double kMoment1 = 0.5, kMoment2 = 0.9;

// One chunk of samples [from, to) through all steps.
Result<void> ascend_chunk(Engine& engine, const AscentProblem& p, const AscentOptions& o, std::int64_t from, std::int64_t to, AscentResult& result) {
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  const auto width = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(p.value)].size);
  const std::int64_t count = to - from;
  const bool shared = p.lower.size() == n && p.batch > 1;
  const auto box = [&](const std::vector<double>& side, std::int64_t b) { return side.data() + (shared ? 0 : static_cast<std::size_t>(b) * n); };
  std::vector<double> x(p.start.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(from) * n), p.start.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(to) * n));
  const double decay = o.steps > 1 ? std::pow(o.last_step / o.first_step, 1.0 / (o.steps - 1)) : 1.0;
  double step = o.first_step;
  // First and second moments of the gradient (Adam; Kingma and Ba 2015): near a kink the sign of a coordinate's gradient
  // flips from step to step, and its moments bring it to rest where the plain sign method keeps jumping.
  std::vector<double> first(x.size(), 0.0), second(x.size(), 0.0);
  double power1 = 1, power2 = 1;
  for (int s = 0;; ++s, step *= decay) {
    const auto record = [&](const std::vector<double>& values, std::vector<double>& weight) {
      for (std::int64_t i = 0; i < count; ++i) {
        const double score = p.score(from + i, values.data() + static_cast<std::size_t>(i) * width, weight.data() + static_cast<std::size_t>(i) * width);
        double& best = result.score[static_cast<std::size_t>(from + i)];
        if (!(score > best)) continue;
        best = score;
        std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * n), n, result.point.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(from + i) * n));
      }
    };
    result.evaluations += count;
    if (s == o.steps || o.stop.stop_requested()) {
      BL_TRY(values, engine.evaluate(x, count, {p.value}, o.precision));
      std::vector<double> unused(values[0].size(), 0.0);
      record(values[0], unused);
      return {};
    }
    BL_TRY(gradient, engine.gradient(x, count, p.value, record, o.precision));
    power1 *= kMoment1, power2 *= kMoment2;
    for (std::int64_t i = 0; i < count; ++i) {
      const double *lo = box(p.lower, from + i), *hi = box(p.upper, from + i);
      for (std::size_t j = 0; j < n; ++j) {
        const double g = gradient.inputs[static_cast<std::size_t>(i) * n + j];
        double& to_move = x[static_cast<std::size_t>(i) * n + j];
        double& m = first[static_cast<std::size_t>(i) * n + j];
        double& v = second[static_cast<std::size_t>(i) * n + j];
        m = kMoment1 * m + (1 - kMoment1) * g;
        v = kMoment2 * v + (1 - kMoment2) * g * g;
        if (v > 0) to_move += step * (m / (1 - power1)) / std::sqrt(v / (1 - power2)) * (hi[j] - lo[j]) / 2;
        to_move = std::clamp(to_move, lo[j], hi[j]);
      }
    }
  }
}

}  // namespace

Result<AscentResult> ascend(Engine& engine, const AscentProblem& problem, const AscentOptions& options) {
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  demand(problem.start.size() == static_cast<std::size_t>(problem.batch) * n, "ascend: start needs batch x input size numbers");
  demand(problem.lower.size() == problem.upper.size() && (problem.lower.size() == n || problem.lower.size() == problem.start.size()),
         "ascend: boxes need input size or batch x input size numbers");
  AscentResult result;
  result.point = problem.start;
  result.score.assign(static_cast<std::size_t>(problem.batch), -std::numeric_limits<double>::infinity());
  for (std::int64_t from = 0; from < problem.batch; from += options.chunk)
    BL_CHECK(ascend_chunk(engine, problem, options, from, std::min(problem.batch, from + options.chunk), result));
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
