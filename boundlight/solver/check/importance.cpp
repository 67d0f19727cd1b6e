#include <tbb/parallel_for.h>

#include <algorithm>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {
namespace {

// Every point lies in its member, and the overlap there is at least what is said.
void check_points(const Importance& m, const Region& region, const Model& model, const Propagation& propagation) {
  for (std::size_t k = 0; k < m.points.size(); ++k) {
    need(m.points[k].size() == m.x.size(), "a point does not fit the model's input");
    for (std::size_t i = 0; i < m.x.size(); ++i) {
      const Rational at = finite(m.points[k][i]);
      need(region.lower[i] <= at && at <= region.upper[i] && (m.cell[i] + 1 != k || m.points[k][i] == m.x[i]), "a point lies outside of its region");
    }
  }
  std::vector<char> reached(m.points.size(), 0);
  tbb::parallel_for(std::size_t{0}, reached.size(), [&](std::size_t k) {
    const auto boxes = propagation.boxes({m.points[k], m.points[k]}, nullptr, {}, nullptr);
    const Box& y = boxes->of[model.output];
    for (const std::uint32_t rival : m.rivals) reached[k] |= sub_down(y.lower[rival], y.upper[m.label]) >= m.attained[k];
  });
  need(std::find(reached.begin(), reached.end(), 0) == reached.end(), "an overlap is not attained at its point");
}

// The intervals and the order of cells follow from the overlaps.
void check_cells(const Importance& m) {
  const std::size_t cells = m.verified.size() - 1;
  const double *v = m.verified.data() + 1, *a = m.attained.data() + 1;
  std::uint64_t ordered = 0, equal = 0;
  for (std::size_t u = 0; u < cells; ++u) {
    need(m.lower[u] <= std::max(0.0, sub_down(m.attained[0], v[u])) && m.upper[u] >= sub_up(m.verified[0], a[u]), "an interval does not follow from the overlaps");
    for (std::size_t w = u + 1; w < cells; ++w) {
      if (v[u] < a[w] || v[w] < a[u]) ++ordered;
      else equal += sub_up(v[w], a[u]) <= m.tau && sub_up(v[u], a[w]) <= m.tau;
    }
  }
  need(m.tau >= 0 && ordered == m.ordered && equal == m.equal && ordered + equal + m.undecided == cells * (cells - 1) / 2, "the numbers of ordered and equal pairs do not follow from the overlaps");
}

}  // namespace

Rational finite(double x) {
  if (!std::isfinite(x)) throw Refusal("", "a number is infinite or NaN");
  return exact(x);
}

Region importance_region(const Importance& m, std::size_t n) {
  need(m.pixels.size() == n && m.x.size() == n && m.cell.size() == n, "pixels, inputs and cells do not fit the model's input");
  need((m.mean.empty() || m.mean.size() == n) && (m.deviation.empty() || m.deviation.size() == n) && (m.clip.empty() || m.clip.size() == 2) && m.eps >= 0, "the normalisation or the clip has the wrong length, or eps is negative");
  Region region;
  for (std::size_t i = 0; i < n; ++i) {
    const Rational p = finite(m.pixels[i]), x = finite(m.x[i]), mean = m.mean.empty() ? Rational(0) : finite(m.mean[i]), deviation = m.deviation.empty() ? Rational(1) : finite(m.deviation[i]);
    need(deviation > 0, "a deviation is not positive");
    Rational low = p - finite(m.eps), high = p + finite(m.eps);
    if (!m.clip.empty()) low = std::max(low, finite(m.clip[0])), high = std::min(high, finite(m.clip[1]));
    low = (low - mean) / deviation, high = (high - mean) / deviation;
    need(low <= x && x <= high && abs(x * deviation + mean - p) <= (abs(p) + abs(mean)) / (1 << 20), "the input is not the image, or not in its region");
    region.lower.push_back(m.half == Importance::Half::plus ? x : low), region.upper.push_back(m.half == Importance::Half::minus ? x : high);
  }
  round_outward(region);
  return region;
}

Requirement importance_claim(const Importance& m, const Model& model, const Propagation& propagation) {
  Requirement r{model.tensors[model.input].size, model.tensors[model.output].size, {importance_region(m, model.tensors[model.input].size)}, {}, {}, ""};
  const std::size_t members = m.verified.size(), cells = members - 1;
  need(members >= 2 && m.attained.size() == members && m.points.size() == members && m.lower.size() == cells && m.upper.size() == cells, "there is not one number per cell");
  r.members.resize(members);
  for (std::uint32_t i = 0; i < r.inputs; ++i) {
    need(m.cell[i] < cells, "an input lies in no cell");
    r.members[m.cell[i] + 1].push_back({i, m.x[i], m.x[i]});
  }
  need(m.label < r.outputs && !m.rivals.empty() && m.rivals.back() < r.outputs, "a class is not there");
  for (const std::uint32_t k : m.rivals) {
    need(k != m.label, "the class is its own rival");
    Disjunct& d = r.disjuncts.emplace_back();
    d.constraints.push_back({{}, {{m.label, 1}, {k, -1}}, {}, true});  // f_c - f_k < -verified
    for (const double v : m.verified) d.constraints[0].bounds.push_back(-finite(v));
  }
  check_points(m, r.regions[0], model, propagation);
  check_cells(m);
  r.words = "importance map of class " + std::to_string(m.label) + " against " + std::to_string(m.rivals.size()) + " rivals, eps " + std::to_string(m.eps) + ": overlap from " +
                std::to_string(m.attained[0]) + " to " + std::to_string(m.verified[0]) + ", an interval for each of " + std::to_string(cells) + " cells, " + std::to_string(m.ordered) +
                " pairs ordered, " + std::to_string(m.equal) + " equal within " + std::to_string(m.tau) + ", " + std::to_string(m.undecided) + " undecided";
  return r;
}

}  // namespace boundlight::check
