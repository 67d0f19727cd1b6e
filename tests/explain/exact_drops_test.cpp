// Certified intervals against exact drops: small dense ReLU networks, every overlap enumerated in rationals
// (support/exact_cells.hpp), random questions, tiers, overlaps and parts.
#include <catch2/catch.hpp>

#include "boundlight/explain/eva.hpp"
#include "support/dense_net.hpp"
#include "support/exact_cells.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

constexpr int kCases = 1000;

DenseNet random_net(std::mt19937_64& random, std::size_t inputs, std::size_t classes) {
  std::normal_distribution<double> normal;
  const std::vector<std::size_t> widths = random() % 2 ? std::vector<std::size_t>{inputs, 4, classes} : std::vector<std::size_t>{inputs, 3, 3, classes};
  DenseNet net;
  for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
    DenseNet::Layer layer;
    for (std::size_t o = 0; o < widths[l + 1]; ++o) {
      layer.weight.emplace_back();
      for (std::size_t i = 0; i < widths[l]; ++i) layer.weight.back().push_back(in_type(net.type, normal(random)));
      layer.bias.push_back(in_type(net.type, normal(random) / 2));
    }
    net.layers.push_back(layer);
  }
  return net;
}

// AO of class c against the rivals over a box: a maximum of convex functions on every linear piece, so attained at a vertex.
Rational exact_overlap(const DenseNet& net, const std::vector<double>& lower, const std::vector<double>& upper, const std::vector<std::int64_t>& rivals, std::int64_t c) {
  const ExactCells cells(net, lower, upper);
  bool any = false;
  Rational best = 0;
  for (const auto& v : cells.vertices())
    for (const std::int64_t k : rivals) {
      const Rational overlap = v.values.back()[static_cast<std::size_t>(k)] - v.values.back()[static_cast<std::size_t>(c)];
      if (!any || overlap > best) best = overlap;
      any = true;
    }
  return best;
}

EvaQuestion random_question(std::mt19937_64& random, std::size_t inputs) {
  std::uniform_real_distribution<double> unit(0, 1);
  EvaQuestion q;
  for (std::size_t i = 0; i < inputs; ++i) {
    const double x = in_type(DataType::float32, unit(random)), eps = in_type(DataType::float32, 0.05 + unit(random));
    q.x.push_back(x);
    q.lower.push_back(random() % 5 ? x - eps : x);  // sometimes one side only
    q.upper.push_back(x + eps);
    q.cell.push_back(static_cast<std::int32_t>(inputs == 3 && random() % 2 && i == 2 ? 1 : i));
  }
  std::int32_t top = 0;
  for (const auto c : q.cell) top = std::max(top, c);
  q.cells = top + 1;
  q.inner_lower = q.lower;
  q.inner_upper = q.upper;
  return q;
}

}  // namespace

TEST_CASE("exact drops lie inside the certified intervals: 1000 random questions") {
  std::mt19937_64 random(5);
  const EvaTier tiers[] = {EvaTier::shared, EvaTier::refined, EvaTier::full, EvaTier::alpha};
  const Method methods[] = {Method::crown, Method::crown, Method::interval, Method::combined, Method::alpha, Method::forward};
  int cells = 0, tight = 0, differences = 0, by_difference = 0;
  for (int i = 0; i < kCases; ++i) {
    const std::size_t inputs = 2 + random() % 2, classes = 2 + random() % 2;
    const DenseNet net = random_net(random, inputs, classes);
    EvaQuestion q = random_question(random, inputs);
    const auto engine = engine_of(net);
    EvaOptions o;
    o.tier = tiers[random() % 4];
    o.bounds.method = methods[random() % 6];
    o.overlap = random() % 4 ? Overlap::margin : Overlap::separate;
    o.bounds.precision = random() % 2 ? Precision::automatic : Precision::single;
    if (i % 3 == 0) o.most_parts = 64;
    o.starts = 4, o.steps = 6, o.cell_steps = 3;
    o.seed = random();
    o.differences = i % 2 == 0;
    if (classes > 2 && random() % 4 == 0) q.label = 0, q.target = 1;
    const auto map = eva(*engine, q, o);
    if (!map.ok()) FAIL(map.error().text());
    std::vector<std::int64_t> rivals;
    for (std::int64_t k = 0; k < static_cast<std::int64_t>(classes); ++k)
      if (k != map->label && (q.target < 0 || k == q.target)) rivals.push_back(k);
    const Rational whole = exact_overlap(net, q.lower, q.upper, rivals, map->label);
    CAPTURE(i, static_cast<int>(o.tier), static_cast<int>(o.bounds.method), static_cast<int>(o.overlap), o.most_parts, map->verified_base, map->attained_base, static_cast<double>(whole));
    CHECK(exact(map->verified_base) >= whole);
    CHECK(exact(map->attained_base) <= whole);
    std::vector<Rational> exact_cell;
    for (std::int64_t u = 0; u < q.cells; ++u) {
      const auto at = static_cast<std::size_t>(u);
      std::vector<double> lower = q.lower, upper = q.upper;
      for (std::size_t j = 0; j < inputs; ++j)
        if (q.cell[j] == u) lower[j] = upper[j] = q.x[j];
      exact_cell.push_back(exact_overlap(net, lower, upper, rivals, map->label));
      const Rational drop = whole - exact_cell.back();
      CHECK(exact(map->verified[at]) >= exact_cell.back());
      CHECK(exact(map->attained[at]) <= exact_cell.back());
      CHECK(exact(map->lower[at]) <= drop);
      CHECK(exact(map->upper[at]) >= drop);
      CHECK(map->score[at] >= 0);
      if (!map->difference.empty()) {
        CHECK(exact(map->difference[at]) >= drop);
        ++differences;
        by_difference += map->upper[at] == map->difference[at];
      }
      ++cells;
      tight += map->upper[at] - map->lower[at] < 0.05;
    }
    std::int64_t ordered = 0;
    for (std::size_t u = 0; u < exact_cell.size(); ++u)
      for (std::size_t v = u + 1; v < exact_cell.size(); ++v) ordered += exact_cell[u] != exact_cell[v];
    CHECK(map->ordered <= ordered);
  }
  CHECK(tight > cells / 4);  // the intervals are not all of the line
  CHECK(differences > cells / 3);
  CHECK(by_difference > 0);  // sometimes the better bound
}
