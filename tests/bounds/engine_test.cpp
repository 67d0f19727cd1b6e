// What engines promise beside soundness: the same bits for any number of threads, an answer after a stop, searched slopes that
// are not looser, work left out where it cannot help.
#include <catch2/catch.hpp>
#include <tbb/global_control.h>

#include <atomic>
#include <cmath>

#include "support/answers_apart.hpp"
#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

// Wide enough that passes are cut into chunks and products into tiles.
DenseNet wide_net(std::uint64_t seed, std::vector<std::size_t> widths) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  DenseNet net;
  for (std::size_t l = 1; l < widths.size(); ++l) {
    DenseNet::Layer layer;
    const double scale = 1.5 / std::sqrt(static_cast<double>(widths[l - 1]));
    for (std::size_t o = 0; o < widths[l]; ++o) {
      std::vector<double> row;
      for (std::size_t i = 0; i < widths[l - 1]; ++i) row.push_back(in_type(DataType::float32, scale * normal(random)));
      layer.weight.push_back(row);
      layer.bias.push_back(in_type(DataType::float32, 0.1 * normal(random)));
    }
    net.layers.push_back(layer);
  }
  return net;
}

Regions boxes(std::size_t inputs, std::int64_t batch, double radius, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Regions r;
  r.batch = batch;
  for (std::size_t i = 0; i < inputs * static_cast<std::size_t>(batch); ++i) {
    const double c = std::normal_distribution<double>()(random);
    r.lower.push_back(c - radius);
    r.upper.push_back(c + radius);
  }
  return r;
}

Forms outputs_of(const Engine& engine) {
  const Network& n = engine.network();
  return elements_of(n, n.values[static_cast<std::size_t>(n.outputs[0])].name);
}

BoundResult bound(Engine& engine, const Regions& r, const BoundOptions& o) {
  auto found = engine.bound(r, outputs_of(engine), o);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return std::move(found.value());
}

}  // namespace

TEST_CASE("the same bits for one thread and for all") {
  if (answers_apart() > 0) return;  // a device that gives no bits twice
  const DenseNet net = wide_net(1, {40, 120, 120, 6});
  for (const Method m : {Method::interval, Method::forward, Method::crown, Method::combined, Method::alpha}) {
    BoundOptions o;
    o.method = m;
    o.alpha_steps = 3;
    const Regions r = boxes(40, 5, 0.05, 2);
    const auto run = [&](std::size_t threads) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      auto engine = engine_of(net);
      return bound(*engine, r, o);
    };
    const BoundResult one = run(1), many = run(4);
    INFO("method " << static_cast<int>(m));
    CHECK(one.lower == many.lower);
    CHECK(one.upper == many.upper);
    CHECK(one.charge == many.charge);
  }
}

TEST_CASE("the answer for a region does not depend on the regions beside it by more than the charges") {
  auto engine = engine_of(wide_net(2, {20, 60, 60, 4}));
  const Regions all = boxes(20, 7, 0.1, 3);
  BoundOptions o;
  o.precision = Precision::dual;
  const BoundResult together = bound(*engine, all, o);
  for (std::size_t b = 0; b < 7; ++b) {
    Regions one;
    one.batch = 1;
    one.lower.assign(all.lower.begin() + static_cast<std::ptrdiff_t>(20 * b), all.lower.begin() + static_cast<std::ptrdiff_t>(20 * b + 20));
    one.upper.assign(all.upper.begin() + static_cast<std::ptrdiff_t>(20 * b), all.upper.begin() + static_cast<std::ptrdiff_t>(20 * b + 20));
    const BoundResult alone = bound(*engine, one, o);
    for (std::size_t r = 0; r < 4; ++r) CHECK(std::fabs(alone.lower[r] - together.lower[4 * b + r]) <= 1e-9 * (1 + std::fabs(alone.lower[r])));
  }
}

TEST_CASE("searched slopes are not looser than fixed ones, and gain on a network with slack") {
  for (const Precision p : {Precision::single, Precision::automatic, Precision::dual}) {
    auto engine = engine_of(wide_net(3, {10, 40, 40, 3}));
    const Regions r = boxes(10, 2, 0.2, 4);
    BoundOptions o;
    o.precision = p;
    const BoundResult crown = bound(*engine, r, o);
    o.method = Method::alpha;
    const BoundResult alpha = bound(*engine, r, o);
    double width_crown = 0, width_alpha = 0;
    for (std::size_t i = 0; i < crown.lower.size(); ++i) {
      width_crown += crown.upper[i] - crown.lower[i];
      width_alpha += alpha.upper[i] - alpha.lower[i];
    }
    CHECK(width_alpha < 0.9 * width_crown);
  }
}

TEST_CASE("a stop in the middle gives sound bounds, marked as incomplete") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const HardCase c = hard_case(Style::plain, seed + 60);
    auto engine = engine_of(c.net);
    const ExactCells cells(c.net, c.lower, c.upper);
    const std::atomic<bool> stopped = true;
    for (const Method m : {Method::interval, Method::forward, Method::crown, Method::combined, Method::alpha}) {
      BoundOptions o;
      o.method = m;
      o.stop = StopToken::on(&stopped);
      const BoundResult b = bound(*engine, box_of(c.lower, c.upper), o);
      if (m != Method::interval) CHECK_FALSE(b.complete);
      for (std::size_t r = 0; r < b.lower.size(); ++r) {
        CHECK(std::isfinite(b.lower[r]));
        CHECK(exact(b.lower[r]) <= cells.ranges.back()[r].lower);
        CHECK(exact(b.upper[r]) >= cells.ranges.back()[r].upper);
      }
    }
  }
}

TEST_CASE("a deadline anywhere on the way gives sound bounds, marked as incomplete unless all was done") {
  int stopped = 0, finished = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const HardCase c = hard_case(Style::plain, seed + 160);
    auto engine = engine_of(c.net);
    const ExactCells cells(c.net, c.lower, c.upper);
    for (const Method m : {Method::forward, Method::crown, Method::combined, Method::alpha}) {
      BoundOptions o;
      o.method = m;
      o.precision = seed % 2 == 0 ? Precision::automatic : Precision::single;
      const BoundResult all = bound(*engine, box_of(c.lower, c.upper), o);
      CHECK(all.complete);
      // Deadlines that fall before, between and after the checks of a run, however fast the machine is.
      for (double seconds = 1e-6; seconds < 1e4; seconds *= 1.7) {
        o.stop = StopToken::after(seconds);
        const BoundResult b = bound(*engine, box_of(c.lower, c.upper), o);
        for (std::size_t r = 0; r < b.lower.size(); ++r) {
          CHECK(exact(b.lower[r]) <= cells.ranges.back()[r].lower);
          CHECK(exact(b.upper[r]) >= cells.ranges.back()[r].upper);
        }
        (b.complete ? finished : stopped) += 1;
        if (b.complete) break;
      }
    }
  }
  CHECK(stopped > 0);
  CHECK(finished > 0);
}

TEST_CASE("chunks small enough for a small memory give the same bounds up to rounding") {
  auto engine = engine_of(wide_net(5, {30, 90, 90, 5}));
  const Regions r = boxes(30, 6, 0.05, 6);
  BoundOptions o;
  o.precision = Precision::dual;
  const BoundResult large = bound(*engine, r, o);
  o.memory = 200000;
  const BoundResult small = bound(*engine, r, o);
  for (std::size_t i = 0; i < large.lower.size(); ++i) CHECK(std::fabs(large.lower[i] - small.lower[i]) <= 1e-9 * (1 + std::fabs(large.lower[i])));
}

TEST_CASE("rows are made for open neurons only, and dropped once they are decided") {
  auto engine = engine_of(wide_net(7, {20, 50, 50, 50, 50, 4}));
  BoundOptions o;
  o.precision = Precision::single;
  const BoundResult narrow = bound(*engine, boxes(20, 1, 1e-4, 8), o), wide = bound(*engine, boxes(20, 1, 0.05, 8), o);
  CHECK(narrow.counters.rows < wide.counters.rows);
  CHECK(wide.counters.retired > 0);
}

TEST_CASE("known boxes are used and intersected with") {
  DenseNet net;
  net.layers.push_back({{{1}, {-1}}, {0, 0}});
  net.layers.push_back({{{1, 1}}, {0}});  // |x|
  auto engine = engine_of(net);
  ValueBoxes known;
  known.batch = 1;
  known.lower.resize(engine->network().values.size());
  known.upper.resize(engine->network().values.size());
  const auto y1 = static_cast<std::size_t>(engine->network().find("y1").value());
  known.lower[y1] = {0, -1};
  known.upper[y1] = {1, 0};  // x >= 0
  auto with = engine->bound(box_of({-1}, {1}), outputs_of(*engine), {}, &known);
  REQUIRE(with.ok());
  // Half the box is out: the sum of the ReLUs is x there, and x >= -1 all the planes know of it.
  CHECK(with.value().upper[0] == Approx(1).epsilon(1e-6));
  CHECK(with.value().lower[0] >= -1 - 1e-6);
}

TEST_CASE("bounds without charges say that they are none") {
  auto engine = engine_of(hard_case(Style::plain, 1).net);
  BoundOptions o;
  o.sound = false;
  const HardCase c = hard_case(Style::plain, 1);
  const BoundResult b = bound(*engine, box_of(c.lower, c.upper), o);
  REQUIRE_FALSE(b.notes.empty());
  CHECK(b.notes.back().find("UNSOUND") != std::string::npos);
}
