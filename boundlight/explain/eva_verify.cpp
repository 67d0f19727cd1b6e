// AOv(.): verified overlaps of B and of every B_u.
#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/explain/eva_parts.hpp"

namespace boundlight::eva_parts {
namespace {

// margin: rows f_k - f_c; separate: rows f_k (all) and f_c, of which the wanted sides are used.
Forms forms_of(const Network& network, const Rivals& r, Overlap overlap) {
  Forms f;
  f.value = network.logits;
  const bool margin = overlap == Overlap::margin;
  f.rows = static_cast<std::int64_t>(r.rival.size()) + (margin ? 0 : 1);
  f.want_lower = !margin;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * r.classes), 0.0);
  for (std::size_t i = 0; i < r.rival.size(); ++i) {
    f.coefficient[i * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.rival[i])] = 1;
    if (margin) f.coefficient[i * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.label)] = -1;
  }
  if (!margin) f.coefficient[r.rival.size() * static_cast<std::size_t>(r.classes) + static_cast<std::size_t>(r.label)] = 1;
  return f;
}

double overlap_of(const BoundResult& b, std::int64_t box, std::size_t rivals, Overlap overlap) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < rivals; ++k) top = std::max(top, b.upper[static_cast<std::size_t>(box * b.rows) + k]);
  if (overlap == Overlap::margin) return top;
  return sub_up(top, b.lower[static_cast<std::size_t>(box * b.rows) + rivals]);
}

}  // namespace

Result<void> verify(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) {
  const std::size_t n = q.x.size();
  const Forms forms = forms_of(engine.network(), rivals, o.overlap);
  Regions r;
  r.batch = q.cells + 1;
  r.lower.reserve(static_cast<std::size_t>(r.batch) * n);
  for (std::int64_t u = -1; u < q.cells; ++u)
    for (std::size_t j = 0; j < n; ++j) {
      r.lower.push_back(q.cell[j] == u ? q.x[j] : q.lower[j]);
      r.upper.push_back(q.cell[j] == u ? q.x[j] : q.upper[j]);
    }
  BL_TRY(bounds, engine.bound(r, forms, o.bounds));
  map.counters = bounds.counters;
  map.complete = map.complete && bounds.complete;
  map.notes.insert(map.notes.end(), bounds.notes.begin(), bounds.notes.end());
  map.verified_base = overlap_of(bounds, 0, rivals.rival.size(), o.overlap);
  map.verified.resize(static_cast<std::size_t>(q.cells));
  for (std::int64_t u = 0; u < q.cells; ++u)
    map.verified[static_cast<std::size_t>(u)] = std::min(map.verified_base, overlap_of(bounds, u + 1, rivals.rival.size(), o.overlap));
  return {};
}

}  // namespace boundlight::eva_parts
