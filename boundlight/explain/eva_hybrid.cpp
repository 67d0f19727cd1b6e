// EVA for networks too large to bound from the input (Fel et al., CVPR 2023, section 3.4): f = g o h. Points of a region are
// sent through h; the smallest box around their images stands in for h(region), and g is bounded on it. The box is a subset of
// the true set of images, so nothing is verified. The same random offsets serve B and every cell (held at x there), so that the
// drop is not drowned in sampling noise.
#include <algorithm>
#include <cmath>
#include <random>

#include "boundlight/bounds/network_behind.hpp"
#include "boundlight/explain/eva_parts.hpp"

namespace boundlight::eva_parts {
namespace {

constexpr std::int64_t kPointsAtOnce = 64, kBoxesAtOnce = 64;

// `samples` points of B in the network's units, uniform in the surely inner box; the first is x. [samples][inputs].
std::vector<double> points_of(const EvaQuestion& q, std::int64_t samples, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<double> points(q.x);
  for (std::int64_t s = 1; s < samples; ++s)
    for (std::size_t j = 0; j < q.x.size(); ++j) points.push_back(std::clamp(q.inner_lower[j] + unit(random) * (q.inner_upper[j] - q.inner_lower[j]), q.inner_lower[j], q.inner_upper[j]));
  return points;
}

// Coordinate-wise extremes of h over the points, held at x on cell u (-1: nowhere).
Result<void> image_box(Engine& engine, ValueId value, const EvaQuestion& q, const std::vector<double>& points, std::int64_t u, double* lower, double* upper) {
  const std::size_t n = q.x.size(), count = points.size() / n;
  std::vector<double> some;
  for (std::size_t from = 0; from < count; from += kPointsAtOnce) {
    const std::size_t to = std::min(count, from + static_cast<std::size_t>(kPointsAtOnce));
    some.assign(points.begin() + static_cast<std::ptrdiff_t>(from * n), points.begin() + static_cast<std::ptrdiff_t>(to * n));
    for (std::size_t i = 0; u >= 0 && i < some.size(); ++i)
      if (q.cell[i % n] == u) some[i] = q.x[i % n];
    BL_TRY(values, engine.evaluate(some, static_cast<std::int64_t>(to - from), {value}, Precision::single));
    const std::size_t width = values[0].size() / (to - from);
    for (std::size_t i = 0; i < values[0].size(); ++i) {
      double &lo = lower[i % width], &hi = upper[i % width];
      lo = std::min(lo, values[0][i]);
      hi = std::max(hi, values[0][i]);
    }
  }
  return {};
}

}  // namespace

Result<void> estimate_by_samples(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) {
  BL_TRY(behind, network_behind(engine.network(), o.hybrid));
  BL_TRY(rest, make_engine(behind, engine.device()));
  const Forms forms = forms_of(*behind, rivals, o.overlap);
  const std::vector<double> points = points_of(q, std::max<std::int64_t>(1, o.samples), o.seed);
  const auto width = static_cast<std::size_t>(behind->input_size()), samples = points.size() / q.x.size();
  std::vector<double> overlaps;
  for (std::int64_t from = -1; from < q.cells; from += kBoxesAtOnce) {
    const std::int64_t to = std::min(q.cells, from + kBoxesAtOnce);
    Regions boxes;
    boxes.batch = to - from;
    boxes.lower.assign(static_cast<std::size_t>(boxes.batch) * width, HUGE_VAL);
    boxes.upper.assign(boxes.lower.size(), -HUGE_VAL);
    for (std::int64_t u = from; u < to; ++u) {
      if (o.bounds.stop.stop_requested()) return Error{ErrorKind::cancelled, "explain", "stopped before the samples of every cell were drawn; nothing can be said"};
      const std::size_t at = static_cast<std::size_t>(u - from) * width;
      BL_CHECK(image_box(engine, o.hybrid, q, points, u, boxes.lower.data() + at, boxes.upper.data() + at));
    }
    map.evaluations += boxes.batch * static_cast<std::int64_t>(samples);
    BL_TRY(bounds, rest->bound(boxes, forms, o.bounds));
    for (std::int64_t i = 0; i < bounds.batch; ++i)
      overlaps.push_back(overlap_of(bounds.lower.empty() ? nullptr : bounds.lower.data() + i * bounds.rows, bounds.upper.data() + i * bounds.rows, rivals.rival.size(), o.overlap));
    map.counters.rows += bounds.counters.rows;
  }
  map.certified = false;
  map.verified_base = overlaps[0];
  map.verified.assign(overlaps.begin() + 1, overlaps.end());
  map.charge.assign(map.verified.size(), 0.0);
  map.notes.push_back("NOT VERIFIED: boxes at " + engine.network().values[static_cast<std::size_t>(o.hybrid)].name + " come from " + std::to_string(samples) +
                      " samples per region; scores are estimates, no interval is certified");
  return {};
}

}  // namespace boundlight::eva_parts
