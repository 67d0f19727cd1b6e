// AOv(.): verified overlaps of B and of every B_u.
#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"

namespace boundlight::eva_parts {

Forms forms_of(const Network& network, const Rivals& r, Overlap overlap) {
  Forms f;
  f.value = network.logits;
  const bool margin = overlap == Overlap::margin;
  f.rows = static_cast<std::int64_t>(r.rival.size()) + (margin ? 0 : 1);
  f.want_lower = !margin;
  f.largest_only = margin;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * r.classes), 0.0);
  for (std::size_t i = 0; i < r.rival.size(); ++i) {
    f.coefficient[i * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.rival[i])] = 1;
    if (margin) f.coefficient[i * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.label)] = -1;
  }
  if (!margin) f.coefficient[r.rival.size() * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.label)] = 1;
  return f;
}

double overlap_of(const double* lower, const double* upper, std::size_t rivals, Overlap overlap) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < rivals; ++k) top = std::max(top, upper[k]);
  return overlap == Overlap::margin ? top : sub_up(top, lower[rivals]);
}

namespace {

Tier tier_of(EvaTier tier) {
  switch (tier) {
    case EvaTier::shared: return Tier::shared;
    case EvaTier::full: return Tier::full;
    case EvaTier::refined: case EvaTier::alpha: break;
  }
  return Tier::refined;
}

}  // namespace

Result<void> verify(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) {
  const Forms forms = forms_of(engine.network(), rivals, o.overlap);
  Regions base;
  base.batch = 1;
  base.lower = q.lower;
  base.upper = q.upper;
  std::vector<std::vector<std::int64_t>> cells(static_cast<std::size_t>(q.cells));
  for (std::size_t j = 0; j < q.cell.size(); ++j) cells[static_cast<std::size_t>(q.cell[j])].push_back(static_cast<std::int64_t>(j));
  BoundOptions options = o.bounds;
  if (o.tier == EvaTier::alpha) options.method = Method::alpha;
  BL_TRY(bounds, engine.family(frozen_family(std::move(base), q.x, cells), forms, tier_of(o.tier), options));
  map.counters = bounds.counters;
  map.complete = map.complete && bounds.complete;
  map.notes.insert(map.notes.end(), bounds.notes.begin(), bounds.notes.end());
  map.verified_base = overlap_of(bounds.base_lower.data(), bounds.base_upper.data(), rivals.rival.size(), o.overlap);
  map.verified.resize(static_cast<std::size_t>(q.cells));
  map.charge.resize(map.verified.size());
  map.charge_base = *std::max_element(bounds.base_charge.begin(), bounds.base_charge.end());
  for (std::size_t u = 0; u < map.charge.size(); ++u)
    map.charge[u] = *std::max_element(bounds.charge.begin() + static_cast<std::ptrdiff_t>(u) * bounds.rows, bounds.charge.begin() + static_cast<std::ptrdiff_t>(u + 1) * bounds.rows);
  for (std::int64_t u = 0; u < q.cells; ++u)
    map.verified[static_cast<std::size_t>(u)] =
        std::min(map.verified_base, overlap_of(bounds.lower.data() + u * bounds.rows, bounds.upper.data() + u * bounds.rows, rivals.rival.size(), o.overlap));
  return {};
}

}  // namespace boundlight::eva_parts
