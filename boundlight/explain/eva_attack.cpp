// a(.): concrete points with a large overlap. A strong attack on B; its best points, reset on each cell, start a short attack
// on every B_u, all cells in one batch. Every claim is re-evaluated soundly at the point.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"
#include "boundlight/solver/attack/ascent.hpp"

namespace boundlight::eva_parts {
namespace {

// The overlap from logits. Its gradient follows the leading rival, or the one named: without that every start climbs the
// hill of the rival that leads at x, and the highest hill may be another's.
double overlap(const Rivals& rivals, std::int64_t follow, const double* logits, double* weight) {
  std::int64_t best = rivals.rival[0];
  for (const auto k : rivals.rival)
    if (logits[k] > logits[best]) best = k;
  weight[follow >= 0 ? follow : best] += 1;
  weight[rivals.label] -= 1;
  return logits[best] - logits[rivals.label];
}

}  // namespace

Rivals rivals_of(std::int64_t classes, std::int64_t label, std::int64_t target) {
  Rivals r{classes, label, {}};
  for (std::int64_t k = 0; k < classes; ++k)
    if (k != label && (target < 0 || k == target)) r.rival.push_back(k);
  return r;
}

Result<std::vector<double>> logits_at(Engine& engine, const std::vector<double>& x) {
  BL_TRY(values, engine.evaluate(x, 1, {engine.network().logits}, Precision::dual));
  return std::move(values[0]);
}

Result<std::vector<double>> overlap_at(Engine& engine, const std::vector<double>& points, std::int64_t count, const Rivals& rivals) {
  Regions r;
  r.batch = count;
  r.lower = r.upper = points;
  Forms f;
  f.value = engine.network().logits;
  f.rows = rivals.classes;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t k = 0; k < f.rows; ++k) f.coefficient[static_cast<std::size_t>(k * f.rows + k)] = 1;
  BoundOptions o;
  o.method = Method::interval;
  o.precision = Precision::dual;
  BL_TRY(bounds, engine.bound(r, f, o));
  std::vector<double> a(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const double* lower = bounds.lower.data() + i * rivals.classes;
    double best = -std::numeric_limits<double>::infinity();
    for (const auto k : rivals.rival) best = std::max(best, lower[k]);
    const double upper = bounds.upper[static_cast<std::size_t>(i * rivals.classes + rivals.label)];
    const double sound = next_down(best - upper);
    a[static_cast<std::size_t>(i)] = std::isnan(sound) ? -std::numeric_limits<double>::infinity() : sound;
  }
  return a;
}

namespace {

// Points of B that every cell may start from: all that climbed to the end on grids, fewer for many cells. Which hill is the highest changes with
// the cell that is held, so the best point of B alone leaves some cells far too low.
constexpr std::int64_t kResets = 8192, kFewestSeeds = 4;
constexpr std::int64_t kAtOnce = 256;

// For every cell the point (index into `points`) with the largest overlap once it is reset on the cell.
Result<std::vector<std::size_t>> best_seeds(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const std::vector<double>& points, const std::vector<std::size_t>& seeds,
                                            EvaMap& map) {
  const std::size_t n = q.x.size();
  const ValueId logits = engine.network().logits;
  std::vector<std::size_t> chosen(static_cast<std::size_t>(q.cells), seeds[0]);
  if (seeds.size() == 1) return chosen;
  std::vector<double> inputs, unused(static_cast<std::size_t>(rivals.classes));
  for (std::int64_t from = 0; from < q.cells; from += kAtOnce) {
    const std::int64_t to = std::min(q.cells, from + kAtOnce);
    std::vector<double> top(static_cast<std::size_t>(to - from), -std::numeric_limits<double>::infinity());
    for (const std::size_t seed : seeds) {
      inputs.clear();
      for (std::int64_t u = from; u < to; ++u) {
        inputs.insert(inputs.end(), points.begin() + static_cast<std::ptrdiff_t>(seed * n), points.begin() + static_cast<std::ptrdiff_t>((seed + 1) * n));
        double* z = inputs.data() + inputs.size() - n;
        for (std::size_t j = 0; j < n; ++j)
          if (q.cell[j] == u) z[j] = q.x[j];
      }
      BL_TRY(values, engine.evaluate(inputs, to - from, {logits}, Precision::single));
      map.evaluations += to - from;
      for (std::int64_t u = from; u < to; ++u) {
        const double score = overlap(rivals, -1, values[0].data() + static_cast<std::size_t>(u - from) * static_cast<std::size_t>(rivals.classes), unused.data());
        if (!(score > top[static_cast<std::size_t>(u - from)])) continue;
        top[static_cast<std::size_t>(u - from)] = score;
        chosen[static_cast<std::size_t>(u)] = seed;
      }
    }
  }
  return chosen;
}

std::vector<std::size_t> by_score(const AscentResult& found) {
  std::vector<std::size_t> order(found.score.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return found.score[a] > found.score[b]; });
  return order;
}

// Every start climbs for the first third of the steps, the best third of them for the rest: which hills are low shows early.
Result<AscentResult> climb(Engine& engine, const AscentProblem& all, AscentOptions options, int steps) {
  const std::size_t n = all.lower.size();
  const int early = (steps + 2) / 3;
  const double middle = std::pow(options.last_step / options.first_step, 1.0 / 3) * options.first_step, last = options.last_step;
  const std::int64_t kept = (all.batch + 2) / 3;
  options.steps = early;
  options.last_step = middle;
  BL_TRY(found, ascend(engine, all, options));
  if (early == steps) return found;
  auto order = by_score(found);
  order.resize(static_cast<std::size_t>(kept));
  AscentProblem best = all;
  best.batch = kept;
  best.start.clear();
  for (const std::size_t i : order) best.start.insert(best.start.end(), found.point.begin() + static_cast<std::ptrdiff_t>(i * n), found.point.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
  best.score = [&](std::int64_t b, const double* logits, double* weight) { return all.score(static_cast<std::int64_t>(order[static_cast<std::size_t>(b)]), logits, weight); };
  options.steps = steps - early;
  options.first_step = middle;
  options.last_step = last;
  BL_TRY(climbed, ascend(engine, best, options));
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::copy_n(climbed.point.begin() + static_cast<std::ptrdiff_t>(i * n), n, found.point.begin() + static_cast<std::ptrdiff_t>(order[i] * n));
    found.score[order[i]] = climbed.score[i];
  }
  found.evaluations += climbed.evaluations;
  return found;
}

}  // namespace

Result<void> attack(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) {
  const std::size_t n = q.x.size();
  AscentProblem base;
  base.value = engine.network().logits;
  base.batch = o.starts;
  base.lower = q.inner_lower;
  base.upper = q.inner_upper;
  base.start = random_starts(q.inner_lower, q.inner_upper, o.starts, o.seed);
  std::copy(q.x.begin(), q.x.end(), base.start.begin());
  const auto hills = static_cast<std::int64_t>(rivals.rival.size());
  base.score = [&](std::int64_t b, const double* logits, double* weight) {
    return overlap(rivals, rivals.rival[static_cast<std::size_t>(b % hills)], logits, weight);
  };
  AscentOptions ascent;
  ascent.stop = o.bounds.stop;
  BL_TRY(found, climb(engine, base, ascent, o.steps));

  // The best points of B, reset on every cell; the one that stays best there starts a short attack on the cell's region.
  std::vector<std::size_t> order = by_score(found);  // those that climbed to the end
  order.resize(std::min(order.size(), static_cast<std::size_t>(std::max(kFewestSeeds, std::min<std::int64_t>(kResets / q.cells, (o.starts + 2) / 3)))));
  BL_TRY(chosen, best_seeds(engine, q, rivals, found.point, order, map));
  AscentProblem cells = base;
  cells.score = [&](std::int64_t, const double* logits, double* weight) { return overlap(rivals, -1, logits, weight); };
  cells.batch = q.cells;
  cells.start.resize(static_cast<std::size_t>(cells.batch) * n);
  cells.lower.resize(cells.start.size());
  cells.upper.resize(cells.start.size());
  for (std::int64_t u = 0; u < q.cells; ++u) {
    const double* from = found.point.data() + chosen[static_cast<std::size_t>(u)] * n;
    for (std::size_t j = 0; j < n; ++j) {
      const bool held = q.cell[j] == u;
      const std::size_t at = static_cast<std::size_t>(u) * n + j;
      cells.start[at] = held ? q.x[j] : from[j];
      cells.lower[at] = held ? q.x[j] : q.inner_lower[j];
      cells.upper[at] = held ? q.x[j] : q.inner_upper[j];
    }
  }
  ascent.steps = o.cell_steps;
  ascent.first_step = 0.25;
  BL_TRY(held, ascend(engine, cells, ascent));

  std::vector<double> points(found.point.begin() + static_cast<std::ptrdiff_t>(order[0] * n), found.point.begin() + static_cast<std::ptrdiff_t>(order[0] * n + n));
  points.insert(points.end(), held.point.begin(), held.point.end());
  BL_TRY(a, overlap_at(engine, points, q.cells + 1, rivals));
  map.attained.assign(a.begin() + 1, a.end());
  const auto best = static_cast<std::size_t>(std::max_element(a.begin(), a.end()) - a.begin());
  map.attained_base = a[best];  // points of B_u are points of B
  map.worst_point.assign(points.begin() + static_cast<std::ptrdiff_t>(best * n), points.begin() + static_cast<std::ptrdiff_t>(best * n + n));
  map.evaluations += found.evaluations + held.evaluations;
  if (map.evidence) map.evidence->points = std::move(points);
  return {};
}

}  // namespace boundlight::eva_parts
