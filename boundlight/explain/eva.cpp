#include "boundlight/explain/eva.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"

namespace boundlight {
namespace {

Error bad_question(const std::string& what) { return {ErrorKind::bad_input, "explain", what}; }

Result<void> check_question(const Network& network, const EvaQuestion& q) {
  const auto n = static_cast<std::size_t>(network.input_size());
  for (const auto* v : {&q.x, &q.lower, &q.upper, &q.inner_lower, &q.inner_upper})
    demand(v->size() == n, "eva: every array of the question needs " + std::to_string(n) + " numbers");
  demand(q.cell.size() == n, "eva: every input element needs a cell");
  if (q.cells < 1) return bad_question("there are no cells");
  std::vector<std::int64_t> members(static_cast<std::size_t>(q.cells));
  for (std::size_t i = 0; i < n; ++i) {
    demand(q.cell[i] >= 0 && q.cell[i] < q.cells, "eva: cell index out of range");
    ++members[static_cast<std::size_t>(q.cell[i])];
    if (!(q.lower[i] <= q.inner_lower[i] && q.inner_lower[i] <= q.x[i] && q.x[i] <= q.inner_upper[i] && q.inner_upper[i] <= q.upper[i]))
      return bad_question("the region does not contain the input (element " + std::to_string(i) +
                 "): EVA needs a region that is closed under resetting cells; change --clip or --eps");
  }
  for (std::size_t u = 0; u < members.size(); ++u)
    if (members[u] == 0) return bad_question("cell " + std::to_string(u) + " covers nothing");
  const std::int64_t classes = network.values[static_cast<std::size_t>(network.logits)].size;
  if (classes < 2) return bad_question("the model has one output; EVA compares classes and needs at least two");
  if (q.label >= classes || q.target >= classes)
    return bad_question("class " + std::to_string(std::max(q.label, q.target)) + " is out of range; the model has classes 0 to " + std::to_string(classes - 1));
  return {};
}

Estimate drawn_estimate(const EvaMap& m, Estimate asked) {
  if (asked != Estimate::automatic) return asked;
  if (!m.certified) return Estimate::verified;
  const double slack = m.verified_base - m.attained_base;
  return std::isfinite(slack) && slack > std::fabs(m.overlap) ? Estimate::verified : Estimate::attained;
}

}  // namespace

void summarise(EvaMap& m, Estimate estimate, double tau) {
  const auto n = static_cast<std::size_t>(m.cells);
  m.estimate.resize(n), m.lower.resize(n), m.upper.resize(n), m.score.resize(n);
  demand(m.difference.empty() || m.difference.size() == n, "summarise: one difference bound per cell is needed");
  m.drawn = drawn_estimate(m, estimate);
  double largest = 0;
  for (std::size_t u = 0; u < n; ++u) {
    const bool known = m.certified;
    m.lower[u] = known ? std::max(0.0, sub_down(m.attained_base, m.verified[u])) : 0.0;
    m.upper[u] = known ? std::max(m.lower[u], sub_up(m.verified_base, m.attained[u])) : std::numeric_limits<double>::infinity();
    if (known && !m.difference.empty()) m.upper[u] = std::max(m.lower[u], std::min(m.upper[u], m.difference[u]));
    m.score[u] = m.verified_base - m.verified[u];
    const double attained = std::clamp(m.attained_base - m.attained[u], m.lower[u], m.upper[u]);
    m.estimate[u] = m.drawn == Estimate::attained ? attained : m.drawn == Estimate::verified ? std::min(m.score[u], m.upper[u]) : m.lower[u] / 2 + m.upper[u] / 2;
    if (std::isfinite(m.upper[u])) largest = std::max(largest, m.upper[u]);
  }
  m.tau = tau > 0 ? tau : largest / 100;
  m.ordered = m.equal = m.undecided = m.irrelevant = 0;
  for (std::size_t u = 0; u < n; ++u) {
    m.irrelevant += m.upper[u] <= m.tau;
    for (std::size_t v = u + 1; v < n; ++v) {
      // D(u) - D(v) = AO(B_v) - AO(B_u)
      double u_above = sub_up(m.verified[v], m.attained[u]), v_above = sub_up(m.verified[u], m.attained[v]);
      bool apart = m.verified[u] < m.attained[v] || m.verified[v] < m.attained[u];
      if (!m.difference.empty()) {  // else the intervals know nothing more, and certificates count by overlaps alone
        u_above = std::min(u_above, sub_up(m.upper[u], m.lower[v]));
        v_above = std::min(v_above, sub_up(m.upper[v], m.lower[u]));
        apart = apart || m.lower[u] > m.upper[v] || m.lower[v] > m.upper[u];
      }
      if (!m.certified) ++m.undecided;
      else if (apart) ++m.ordered;
      else if (u_above <= m.tau && v_above <= m.tau) ++m.equal;
      else ++m.undecided;
    }
  }
  m.vacuous = m.cells > 1 && m.ordered == 0 && m.equal == 0;
}

Result<EvaMap> eva(Engine& engine, const EvaQuestion& question, const EvaOptions& options) {
  BL_CHECK(check_question(engine.network(), question));
  EvaMap map;
  map.cells = question.cells;
  if (options.evidence) map.evidence = std::make_shared<EvaEvidence>();
  Stopwatch watch(map.seconds);
  BL_TRY(logits, eva_parts::logits_at(engine, question.x));
  map.logits = std::move(logits);
  map.label = question.label >= 0 ? question.label : std::max_element(map.logits.begin(), map.logits.end()) - map.logits.begin();
  const auto predicted = std::max_element(map.logits.begin(), map.logits.end()) - map.logits.begin();
  if (predicted != map.label)
    map.notes.push_back("class " + std::to_string(map.label) + " is not the predicted class (" + std::to_string(predicted) + "): its overlap at the image itself is not below 0");
  if (question.target == map.label) return bad_question("the target class " + std::to_string(question.target) + " is the explained class itself");
  const eva_parts::Rivals rivals = eva_parts::rivals_of(static_cast<std::int64_t>(map.logits.size()), map.label, question.target);
  map.overlap = -std::numeric_limits<double>::infinity();
  for (const auto k : rivals.rival) map.overlap = std::max(map.overlap, map.logits[static_cast<std::size_t>(k)] - map.logits[static_cast<std::size_t>(map.label)]);
  watch.lap("evaluate");
  BL_CHECK(eva_parts::attack(engine, question, rivals, options, map));
  watch.lap("attack");
  if (options.hybrid == kAbsent) {
    BL_CHECK(eva_parts::verify(engine, question, rivals, options, map));
    watch.lap("verify");
  } else {
    BL_CHECK(eva_parts::estimate_by_samples(engine, question, rivals, options, map));
    watch.lap("samples");
  }
  if ((options.budget > 0 || options.most_parts > 0) && map.certified) {
    BL_CHECK(eva_parts::split(engine, question, rivals, options, watch, map));
    watch.lap("split");
  }
  if (map.evidence) std::copy(map.worst_point.begin(), map.worst_point.end(), map.evidence->points.begin());
  summarise(map, options.estimate, options.tau);
  if (map.certified && (map.vacuous || options.differences) && !options.bounds.stop.stop_requested()) {
    BL_CHECK(eva_parts::differences(engine, question, rivals, options, map));
    summarise(map, options.estimate, options.tau);
    watch.lap("differences");
  }
  map.complete = map.complete && !options.bounds.stop.stop_requested();
  watch.lap("compare");
  return map;
}

}  // namespace boundlight
