// Box families: every member's bounds contain the member's exact range, and are never outside of the base's.
#include <catch2/catch.hpp>
#include <algorithm>

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
      BoundOptions options;
      options.method = seed % 3 == 2 ? Method::alpha : Method::crown;
      options.alpha_steps = 3;
      options.precision = seed % 2 ? Precision::single : Precision::automatic;
      const auto found = engine->family(family, forms, tier, options);
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

TEST_CASE("the refined tier is between the shared and the full one, and near the full one") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  DenseNet net;
  const std::size_t widths[] = {12, 30, 30, 3};
  for (int l = 0; l < 3; ++l) {
    DenseNet::Layer layer;
    for (std::size_t o = 0; o < widths[l + 1]; ++o) {
      layer.weight.emplace_back();
      for (std::size_t i = 0; i < widths[l]; ++i) layer.weight.back().push_back(in_type(DataType::float32, normal(random) / 3));
      layer.bias.push_back(in_type(DataType::float32, normal(random) / 5));
    }
    net.layers.push_back(layer);
  }
  auto engine = engine_of(net);
  std::vector<std::vector<std::int64_t>> cells;
  for (std::int64_t i = 0; i < 12; ++i) cells.push_back({i});
  const BoxFamily family = frozen_family(box_of(std::vector<double>(12, -0.2), std::vector<double>(12, 0.2)), std::vector<double>(12, 0.05), cells);
  Forms forms = elements_of(engine->network(), "y3");
  BoundOptions options;
  options.precision = Precision::dual;
  const auto shared = engine->family(family, forms, Tier::shared, options), refined = engine->family(family, forms, Tier::refined, options),
             full = engine->family(family, forms, Tier::full, options);
  double gain_refined = 0, gain_full = 0;
  for (std::size_t i = 0; i < shared.value().upper.size(); ++i) {
    CHECK(refined.value().upper[i] <= shared.value().upper[i] + 1e-12);
    CHECK(full.value().upper[i] <= refined.value().upper[i] + 1e-12);
    gain_refined += shared.value().upper[i] - refined.value().upper[i];
    gain_full += shared.value().upper[i] - full.value().upper[i];
  }
  CHECK(gain_refined > 0.5 * gain_full);
  CHECK(gain_full > 0);
  // Only the largest of the upper bounds: the same largest one.
  forms.want_lower = false;
  forms.largest_only = true;
  const auto largest = engine->family(family, forms, Tier::refined, options);
  for (std::size_t m = 0; m < cells.size(); ++m) {
    const double* all = refined.value().upper.data() + 3 * m;
    const double* some = largest.value().upper.data() + 3 * m;
    CHECK(*std::max_element(some, some + 3) == Approx(*std::max_element(all, all + 3)).epsilon(1e-9));
  }
}

TEST_CASE("a point outside of the base region is refused") {
  CHECK_THROWS_AS(frozen_family(box_of({-1, -1}, {1, 1}), {0, 2}, {{1}}), ContractViolation);
}
