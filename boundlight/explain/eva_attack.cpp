// a(.): concrete points with a large overlap. A strong attack on B; its best points, reset on each cell, start a short attack
// on every B_u, all cells in one batch. Every claim is re-evaluated soundly at the point.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

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
  ascent.steps = o.steps;
  ascent.stop = o.bounds.stop;
  BL_TRY(found, ascend(engine, base, ascent));

  // The two best points of B, reset on every cell.
  std::vector<std::size_t> order(static_cast<std::size_t>(o.starts));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return found.score[a] > found.score[b]; });
  const std::int64_t seeds = std::min<std::int64_t>(2, o.starts);
  AscentProblem cells = base;
  cells.score = [&](std::int64_t, const double* logits, double* weight) { return overlap(rivals, -1, logits, weight); };
  cells.batch = q.cells * seeds;
  cells.start.resize(static_cast<std::size_t>(cells.batch) * n);
  cells.lower.resize(cells.start.size());
  cells.upper.resize(cells.start.size());
  for (std::int64_t i = 0; i < cells.batch; ++i) {
    const std::int64_t u = i / seeds;
    const double* from = found.point.data() + order[static_cast<std::size_t>(i % seeds)] * n;
    for (std::size_t j = 0; j < n; ++j) {
      const bool held = q.cell[j] == u;
      const std::size_t at = static_cast<std::size_t>(i) * n + j;
      cells.start[at] = held ? q.x[j] : from[j];
      cells.lower[at] = held ? q.x[j] : q.inner_lower[j];
      cells.upper[at] = held ? q.x[j] : q.inner_upper[j];
    }
  }
  ascent.steps = o.cell_steps;
  ascent.first_step = 0.25;
  BL_TRY(held, ascend(engine, cells, ascent));

  // Sound values: the best of B, and of every cell the better of its two points.
  std::vector<double> points(found.point.begin() + static_cast<std::ptrdiff_t>(order[0] * n), found.point.begin() + static_cast<std::ptrdiff_t>(order[0] * n + n));
  for (std::int64_t u = 0; u < q.cells; ++u) {
    std::int64_t best = u * seeds;
    for (std::int64_t i = best; i < (u + 1) * seeds; ++i)
      if (held.score[static_cast<std::size_t>(i)] > held.score[static_cast<std::size_t>(best)]) best = i;
    points.insert(points.end(), held.point.begin() + best * static_cast<std::ptrdiff_t>(n), held.point.begin() + (best + 1) * static_cast<std::ptrdiff_t>(n));
  }
  BL_TRY(a, overlap_at(engine, points, q.cells + 1, rivals));
  map.attained.assign(a.begin() + 1, a.end());
  const auto best = static_cast<std::size_t>(std::max_element(a.begin(), a.end()) - a.begin());
  map.attained_base = a[best];  // points of B_u are points of B
  map.worst_point.assign(points.begin() + static_cast<std::ptrdiff_t>(best * n), points.begin() + static_cast<std::ptrdiff_t>(best * n + n));
  map.evaluations += found.evaluations + held.evaluations;
  return {};
}

}  // namespace boundlight::eva_parts
