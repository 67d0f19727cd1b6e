// Box families: every member's bounds contain the member's exact range, and are never outside of the base's.
#include <catch2/catch.hpp>

#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

TEST_CASE("family bounds contain every member's exact range and never leave the base's") {
  for (int seed = 0; seed < 80; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % static_cast<int>(Style::count)), static_cast<std::uint64_t>(seed) + 5000);
    auto engine = engine_of(c.net);
    std::vector<double> point;
    std::vector<std::vector<std::int64_t>> cells;
    for (std::size_t i = 0; i < c.lower.size(); ++i) {
      point.push_back(seed % 2 ? c.lower[i] : c.lower[i] / 2 + c.upper[i] / 2);
      cells.push_back({static_cast<std::int64_t>(i)});
    }
    const BoxFamily family = frozen_family(box_of(c.lower, c.upper), point, cells);
    const Forms forms = elements_of(engine->network(), engine->network().values[static_cast<std::size_t>(engine->network().outputs[0])].name);
    for (const Tier tier : {Tier::shared, Tier::refined, Tier::full}) {
      const auto found = engine->family(family, forms, tier, {});
      REQUIRE(found.ok());
      const FamilyResult& f = found.value();
      for (std::size_t m = 0; m < cells.size(); ++m) {
        auto lower = c.lower, upper = c.upper;
        lower[m] = upper[m] = point[m];
        const ExactCells exact_cells(c.net, lower, upper);
        for (std::size_t r = 0; r < static_cast<std::size_t>(forms.rows); ++r) {
          const ExactRange& range = exact_cells.ranges.back()[r];
          const double lo = f.lower[m * static_cast<std::size_t>(forms.rows) + r], hi = f.upper[m * static_cast<std::size_t>(forms.rows) + r];
          INFO("seed " << seed << " tier " << static_cast<int>(tier) << " member " << m << " row " << r);
          CHECK((lo == -INFINITY || exact(lo) <= range.lower));
          CHECK((hi == INFINITY || exact(hi) >= range.upper));
          CHECK(lo >= f.base_lower[r]);
          CHECK(hi <= f.base_upper[r]);
        }
      }
    }
  }
}

TEST_CASE("a shared plane gains from freezing an input that matters") {
  DenseNet net;
  net.layers.push_back({{{1, 1}, {1, -1}}, {0, 0}});
  net.layers.push_back({{{1, 2}}, {0}});
  auto engine = engine_of(net);
  const auto family = frozen_family(box_of({-1, -1}, {1, 1}), {0, 0}, {{0}, {1}, {0, 1}});
  const auto found = engine->family(family, elements_of(engine->network(), "y2"), Tier::shared, {});
  REQUIRE(found.ok());
  CHECK(found.value().upper[0] < found.value().base_upper[0] - 0.1);
  CHECK(found.value().upper[2] < found.value().upper[0] - 0.1);
}

TEST_CASE("a point outside of the base region is refused") {
  CHECK_THROWS_AS(frozen_family(box_of({-1, -1}, {1, 1}), {0, 2}, {{1}}), ContractViolation);
}
