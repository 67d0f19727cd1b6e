// Bounds with splits and multipliers against the exact least value over the half that is kept, and that a wrong sign is noticed.
#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/core/contract.hpp"
#include "nets.hpp"
#include "support/answers_apart.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

struct Asked {
  Regions regions;
  Forms forms;
  ValueBoxes known;
  SplitSearch search;
};

// min of the output over { sign z1[element] >= 0 } by SplitSearch.
std::unique_ptr<Asked> ask(Engine& engine, const std::vector<double>& lower, const std::vector<double>& upper, std::int64_t element, bool positive, bool cut_box, Precision precision, int steps) {
  auto a = std::make_unique<Asked>();
  const Network& network = engine.network();
  a->regions = box_of(lower, upper);
  a->forms.value = network.outputs[0];
  a->forms.rows = 1;
  a->forms.coefficient.assign(static_cast<std::size_t>(network.values[static_cast<std::size_t>(a->forms.value)].size), 0.0);
  a->forms.coefficient[0] = 1;
  a->forms.want_upper = false;
  a->known = engine.boxes(a->regions, {}).value();
  const ValueId y1 = network.find("y1").value();
  if (cut_box) {
    auto& side = (positive ? a->known.lower : a->known.upper)[static_cast<std::size_t>(y1)][static_cast<std::size_t>(element)];
    side = positive ? std::max(side, 0.0) : std::min(side, 0.0);
  }
  a->search.regions = &a->regions;
  a->search.forms = &a->forms;
  a->search.known = &a->known;
  a->search.options.precision = precision;
  a->search.options.alpha_steps = steps;
  a->search.splits = {{0, y1, element, positive}};
  return a;
}

// Exact least value of output 0 over the half; nothing when the half is empty.
std::optional<Rational> least_of_half(const ExactCells& cells, std::size_t element, bool positive) {
  std::optional<Rational> least;
  for (const auto& v : cells.vertices()) {
    const Rational& z = v.values[0][element];
    if (positive ? z < 0 : z > 0) continue;
    if (!least || v.values.back()[0] < *least) least = v.values.back()[0];
  }
  return least;
}

}  // namespace

TEST_CASE("bounds of halves hold, and those of the other sign do not") {
  std::mt19937_64 random(17);
  int wrong_sign_caught = 0, better = 0, halves = 0;
  for (int n = 0; n < 60; ++n) {
    const DenseNet net = random_net(random, {2, 5, 4, 2});
    const std::vector<double> lower = {-1, -0.5}, upper = {0.75, 1};
    const auto engine = engine_of(net);
    const ExactCells cells(net, lower, upper);  // cut along every hyperplane: halves are unions of cells
    for (std::int64_t element = 0; element < 5; ++element) {
      const ExactRange& z = cells.ranges[0][static_cast<std::size_t>(element)];
      if (z.lower >= 0 || z.upper <= 0) continue;
      for (const bool positive : {false, true}) {
        for (const Precision precision : {Precision::single, Precision::dual}) {
          auto with = ask(*engine, lower, upper, element, positive, true, precision, 15);
          REQUIRE(engine->search(with->search).ok());
          const auto least = least_of_half(cells, static_cast<std::size_t>(element), positive);
          REQUIRE(least);
          CHECK(exact(with->search.lower[0]) <= *least);
          CHECK(with->search.multipliers[0] >= 0);
          auto start = ask(*engine, lower, upper, element, positive, true, precision, 0);
          REQUIRE(engine->search(start->search).ok());
          CHECK(with->search.lower[0] >= start->search.lower[0] - answers_apart() * (1 + std::fabs(start->search.lower[0])));
          better += with->search.lower[0] > start->search.lower[0];
          ++halves;
          // A large multiplier of the wrong sign is no bound of this half any more.
          auto wrong = ask(*engine, lower, upper, element, !positive, false, precision, 0);
          wrong->search.multipliers = {1.0F};
          REQUIRE(engine->search(wrong->search).ok());
          const auto other = least_of_half(cells, static_cast<std::size_t>(element), !positive);
          CHECK(exact(wrong->search.lower[0]) <= *other);
          wrong_sign_caught += exact(wrong->search.lower[0]) > *least;
        }
      }
    }
  }
  CHECK(halves > 200);
  CHECK(better > halves / 2);
  CHECK(wrong_sign_caught > 0);
}

TEST_CASE("a part that boxes show to be empty is closed") {
  std::mt19937_64 random(6);
  const DenseNet net = random_net(random, {2, 5, 4, 2});
  const auto engine = engine_of(net);
  // z1 of neuron 0 over the whole box, then asked about the sign that it never has.
  const std::vector<double> lower = {1, 1}, upper = {1.125, 1.125};
  const ExactCells cells(net, lower, upper);
  int empty = 0;
  for (std::int64_t element = 0; element < 5; ++element) {
    const ExactRange& z = cells.ranges[0][static_cast<std::size_t>(element)];
    for (const bool positive : {false, true}) {
      auto a = ask(*engine, lower, upper, element, positive, true, Precision::single, 5);
      REQUIRE(engine->search(a->search).ok());
      const bool nothing = positive ? z.upper < 0 : z.lower > 0;
      CHECK((a->search.lower[0] == INFINITY) == nothing);
      empty += nothing;
    }
  }
  CHECK(empty > 0);
}

TEST_CASE("a negative multiplier is refused") {
  std::mt19937_64 random(2);
  const auto engine = engine_of(random_net(random, {2, 5, 4, 2}));
  auto a = ask(*engine, {-1, -1}, {1, 1}, 0, true, true, Precision::dual, 0);
  a->search.multipliers = {-0.5F};
  CHECK_THROWS_AS(engine->search(a->search), ContractViolation);
}

TEST_CASE("slopes and multipliers that were found give the same bound again") {
  std::mt19937_64 random(9);
  for (int n = 0; n < 10; ++n) {
    const auto engine = engine_of(random_net(random, {3, 6, 5, 2}));
    auto first = ask(*engine, {-1, -1, 0}, {1, 1, 1}, 1, true, true, Precision::single, 12);
    REQUIRE(engine->search(first->search).ok());
    auto again = ask(*engine, {-1, -1, 0}, {1, 1, 1}, 1, true, true, Precision::single, 0);
    again->search.slopes = first->search.slopes;
    again->search.multipliers = first->search.multipliers;
    REQUIRE(engine->search(again->search).ok());
    CHECK(std::fabs(again->search.lower[0] - first->search.lower[0]) <= answers_apart() * (1 + std::fabs(first->search.lower[0])));
  }
}
