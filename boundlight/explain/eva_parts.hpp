// The stages of EVA (eva.hpp): rivals, attack (a), verification (AOv).
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "boundlight/explain/eva.hpp"

namespace boundlight {

// Seconds per stage.
class Stopwatch {
 public:
  explicit Stopwatch(std::vector<std::pair<std::string, double>>& laps) : laps_(laps), first_(Clock::now()), last_(first_) {}
  double seconds() const { return std::chrono::duration<double>(Clock::now() - first_).count(); }
  void lap(const std::string& stage) {
    const auto now = Clock::now();
    laps_.emplace_back(stage, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<std::pair<std::string, double>>& laps_;
  Clock::time_point first_, last_;
};

}  // namespace boundlight

namespace boundlight::eva_parts {

struct Rivals {
  std::int64_t classes = 0, label = 0;
  std::vector<std::int64_t> rival;
};
Rivals rivals_of(std::int64_t classes, std::int64_t label, std::int64_t target);

// Float64 logits at x.
Result<std::vector<double>> logits_at(Engine& engine, const std::vector<double>& x);

// Lower bounds of the overlap at concrete points: exact up to the charges of interval evaluation of a point. [points].
Result<std::vector<double>> overlap_at(Engine& engine, const std::vector<double>& points, std::int64_t count, const Rivals& rivals);

// a(B) and a(B_u): map.attained_base, map.attained, map.worst_point.
Result<void> attack(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map);

// AOv(B) and AOv(B_u): map.verified_base, map.verified; AOv(B_u) <= AOv(B).
Result<void> verify(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map);

// Improves map.verified_base and map.verified (and a(B), where a better point is met) by splitting B at neurons: one tree of
// parts for all cells, the part with the largest gap to any cell's attained overlap next. `clock`: since eva() began.
Result<void> split(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, const Stopwatch& clock, EvaMap& map);

// L(u) into map.difference, infinite where nothing is known (eva_difference.cpp). Needs certified boxes of B once more and one
// bound per cell of a network of the same size.
Result<void> differences(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map);

// Instead of verify(): boxes from samples at options.hybrid, bounds behind it. Not verified.
Result<void> estimate_by_samples(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map);

// margin: rows f_k - f_c, upper sides; separate: rows f_k and f_c, both sides. And the overlap from bounds of them.
Forms forms_of(const Network& network, const Rivals& rivals, Overlap overlap);
double overlap_of(const double* lower, const double* upper, std::size_t rivals, Overlap overlap);

}  // namespace boundlight::eva_parts
