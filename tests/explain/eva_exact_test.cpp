// EVA against the exact overlaps of the shared data (mixed-integer programming, gap 1e-7).
#include <catch2/catch.hpp>

#include "boundlight/explain/statistics.hpp"
#include "shared_case.hpp"

using namespace boundlight;

TEST_CASE("certified intervals contain the exact drops, and the estimate ranks like them") {
  if (!test::shared_data()) {
    WARN("skipped: no shared data folder");
    return;
  }
  const auto exact = load_array((*test::shared_data() / "expected/exact_eva.npz").string());
  REQUIRE(exact.ok());
  const auto overlaps = exact->to_doubles();
  auto cells = grid_cells(28, 28, 12, 12);
  auto c = test::shared_case("mnist-net_256x2", "mnist_1000.npz", 0, 0.02, *cells);
  EvaOptions o;
  o.tier = GENERATE(EvaTier::refined, EvaTier::alpha);
  if (o.tier == EvaTier::alpha) o.most_parts = 256;
  const auto map = eva(*c.engine, c.question, o);
  if (!map.ok()) FAIL(map.error().text());
  CHECK(map->drawn == Estimate::attained);
  const double gap = 1e-6;  // of the exact values themselves
  CHECK(map->verified_base >= overlaps[0] - gap);
  CHECK(map->attained_base <= overlaps[0] + gap);
  std::vector<double> drop;
  for (std::size_t u = 0; u < 144; ++u) {
    drop.push_back(overlaps[0] - overlaps[u + 1]);
    CHECK(map->verified[u] >= overlaps[u + 1] - gap);
    CHECK(map->attained[u] <= overlaps[u + 1] + gap);
    CHECK(map->lower[u] <= drop[u] + gap);
    CHECK(map->upper[u] >= drop[u] - gap);
  }
  const double estimate = rank_correlation(map->estimate, drop), score = rank_correlation(map->score, drop);
  CAPTURE(estimate, score, map->verified_base, map->attained_base, overlaps[0]);
  for (const auto& [stage, seconds] : map->seconds) UNSCOPED_INFO(stage << " " << seconds << " s");
  CHECK(estimate >= 0.99);
  CHECK(score >= (o.tier == EvaTier::alpha ? 0.95 : 0.7));
}
