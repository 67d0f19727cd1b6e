// Regions beyond boxes: balls, half-spaces, low-dimensional edits. Bounds hold at points of the region, in exact arithmetic, and
// are tighter than the box's where they should be. Planes hold at every vertex of every linear piece.
#include <catch2/catch.hpp>
#include <cmath>

#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::vector<Rational> output_at(const DenseNet& net, const std::vector<double>& x) {
  std::vector<Rational> point;
  for (const double v : x) point.push_back(exact(v));
  return exact_values(net, point).back();
}

BoundResult bound_of(Engine& engine, const Regions& regions, const BoundOptions& options) {
  const Network& n = engine.network();
  auto found = engine.bound(regions, elements_of(n, n.values[static_cast<std::size_t>(n.outputs[0])].name), options);
  if (!found.ok()) throw std::runtime_error(found.error().text());
  return std::move(found.value());
}

void contains(const BoundResult& b, const std::vector<Rational>& y) {
  for (std::size_t r = 0; r < y.size(); ++r) {
    CHECK((b.lower[r] == -INFINITY || exact(b.lower[r]) <= y[r]));
    CHECK((b.upper[r] == INFINITY || exact(b.upper[r]) >= y[r]));
  }
}

std::vector<BoundOptions> all_settings() {
  std::vector<BoundOptions> all;
  for (const Method m : {Method::interval, Method::forward, Method::crown, Method::combined, Method::alpha})
    for (const Precision p : {Precision::single, Precision::automatic, Precision::dual}) {
      BoundOptions o;
      o.method = m;
      o.precision = p;
      o.alpha_steps = 4;
      all.push_back(o);
    }
  return all;
}

}  // namespace

TEST_CASE("balls: bounds hold inside of them") {
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % 5), seed + 100);
    auto engine = engine_of(c.net);
    const std::size_t n = c.lower.size();
    for (const auto norm : {Regions::Norm::l2, Regions::Norm::l1}) {
      Regions r = box_of(c.lower, c.upper);
      r.norm = norm;
      std::mt19937_64 random(seed);
      for (std::size_t i = 0; i < n; ++i) {
        r.centre.push_back(c.lower[i] / 2 + c.upper[i] / 2);
        r.scale.push_back((c.upper[i] - c.lower[i]) / 2);
      }
      // Directions at random, from the centre to just inside of the ball; points outside of the box by rounding are skipped.
      std::vector<std::vector<double>> points{r.centre};
      for (int k = 0; k < 12; ++k) {
        std::vector<double> d(n), x(n);
        double size = 0;
        for (auto& v : d) {
          v = std::normal_distribution<double>()(random);
          size += norm == Regions::Norm::l2 ? v * v : std::fabs(v);
        }
        if (norm == Regions::Norm::l2) size = std::sqrt(size);
        bool inside = true;
        for (std::size_t i = 0; i < n; ++i) {
          x[i] = r.centre[i] + r.scale[i] * d[i] / size * 0.999999;
          inside = inside && x[i] >= c.lower[i] && x[i] <= c.upper[i];
        }
        if (inside) points.push_back(x);
      }
      for (const BoundOptions& o : all_settings()) {
        const BoundResult b = bound_of(*engine, r, o);
        for (const auto& x : points) contains(b, output_at(c.net, x));
      }
    }
  }
}

TEST_CASE("balls are tighter than their box") {
  DenseNet net;
  net.layers.push_back({{{1, 1, 1, 1}}, {0}});
  auto engine = engine_of(net);
  Regions r = box_of({-1, -1, -1, -1}, {1, 1, 1, 1});
  r.centre = {0, 0, 0, 0};
  r.scale = {1, 1, 1, 1};
  r.norm = Regions::Norm::l2;
  for (const Method m : {Method::crown, Method::forward}) {
    BoundOptions o;
    o.method = m;
    CHECK(bound_of(*engine, r, o).upper[0] == Approx(2).epsilon(1e-9));
    r.norm = Regions::Norm::l1;
    CHECK(bound_of(*engine, r, o).upper[0] == Approx(1).epsilon(1e-9));
    r.norm = Regions::Norm::l2;
  }
}

TEST_CASE("half-spaces: bounds hold on the part of the box that they leave, and use it") {
  DenseNet net;
  net.layers.push_back({{{1, 1}}, {0}});
  auto engine = engine_of(net);
  Regions r = box_of({0, 0}, {1, 1});
  r.half_spaces.push_back({0, {1, 1}, 1});
  CHECK(bound_of(*engine, r, {}).upper[0] == Approx(1).epsilon(1e-5));
  CHECK(bound_of(*engine, r, {}).upper[0] >= 1);
  r.half_spaces.push_back({0, {-1, 0}, -0.5});  // x_0 >= 0.5
  CHECK(bound_of(*engine, r, {}).lower[0] == Approx(0.5).epsilon(1e-5));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % 3), seed + 200);
    auto other = engine_of(c.net);
    const std::size_t n = c.lower.size();
    std::mt19937_64 random(seed);
    Regions cut = box_of(c.lower, c.upper);
    std::vector<double> normal(n);
    double offset = 0;
    for (std::size_t i = 0; i < n; ++i) {
      normal[i] = std::normal_distribution<double>()(random);
      offset += normal[i] * (c.lower[i] + c.upper[i]) / 2;
    }
    cut.half_spaces.push_back({0, normal, offset});
    std::vector<std::vector<double>> points;
    for (int k = 0; k < 40; ++k) {
      std::vector<double> x(n);
      Rational side = -exact(offset);
      for (std::size_t i = 0; i < n; ++i) {
        x[i] = std::clamp(c.lower[i] + (c.upper[i] - c.lower[i]) * std::uniform_real_distribution<double>()(random), c.lower[i], c.upper[i]);
        side += exact(normal[i]) * exact(x[i]);
      }
      if (side <= 0) points.push_back(x);
    }
    for (const BoundOptions& o : all_settings()) {
      const BoundResult b = bound_of(*other, cut, o);
      for (const auto& x : points) contains(b, output_at(c.net, x));
    }
  }
}

TEST_CASE("low-dimensional edits: bounds hold along them and know how the inputs move together") {
  DenseNet difference;
  difference.layers.push_back({{{1, -1}}, {0}});
  auto engine = engine_of(difference);
  Regions r = box_of({-1, -1}, {1, 1});
  r.directions = 1;
  r.anchor = {0, 0};
  r.direction = {1, 1};
  r.p_lower = {-1};
  r.p_upper = {1};
  for (const Method m : {Method::crown, Method::forward, Method::combined}) {
    BoundOptions o;
    o.method = m;
    CHECK(std::fabs(bound_of(*engine, r, o).upper[0]) < 1e-9);
    CHECK(std::fabs(bound_of(*engine, r, o).lower[0]) < 1e-9);
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % 3), seed + 400);
    auto other = engine_of(c.net);
    const std::size_t n = c.lower.size();
    std::mt19937_64 random(seed);
    Regions edit = box_of(std::vector<double>(n, -100), std::vector<double>(n, 100));
    edit.directions = 2;
    for (std::size_t i = 0; i < n; ++i) edit.anchor.push_back(c.lower[i]);
    for (std::size_t i = 0; i < 2 * n; ++i) edit.direction.push_back(std::normal_distribution<double>()(random));
    edit.p_lower = {-0.5, 0};
    edit.p_upper = {0.5, 1};
    for (const BoundOptions& o : all_settings()) {
      const BoundResult b = bound_of(*other, edit, o);
      for (const double p : {-0.5, 0.0, 0.25, 0.5})
        for (const double q : {0.0, 0.5, 1.0}) {
          std::vector<Rational> x;
          for (std::size_t i = 0; i < n; ++i) x.push_back(exact(edit.anchor[i]) + exact(p) * exact(edit.direction[i]) + exact(q) * exact(edit.direction[n + i]));
          contains(b, exact_values(c.net, x).back());
        }
    }
  }
}

TEST_CASE("planes that are handed out hold at every vertex of every linear piece") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const HardCase c = hard_case(static_cast<Style>(seed % static_cast<int>(Style::count)), seed + 700);
    auto engine = engine_of(c.net);
    const ExactCells cells(c.net, c.lower, c.upper);
    const std::size_t n = c.lower.size();
    for (BoundOptions o : all_settings()) {
      if (o.method == Method::interval) continue;
      o.planes = true;
      const BoundResult b = bound_of(*engine, box_of(c.lower, c.upper), o);
      for (std::size_t r = 0; r < c.net.outputs(); ++r) {
        if (!std::isfinite(b.lower_offset[r]) || !std::isfinite(b.upper_offset[r])) continue;
        for (const auto& v : cells.vertices()) {
          Rational low = exact(b.lower_offset[r]), high = exact(b.upper_offset[r]);
          for (std::size_t i = 0; i < n; ++i) {
            low += exact(b.lower_plane[r * n + i]) * v.x[i];
            high += exact(b.upper_plane[r * n + i]) * v.x[i];
          }
          const bool holds = low <= v.values.back()[r] && v.values.back()[r] <= high;
          if (!holds) FAIL_CHECK("seed " << seed << " method " << static_cast<int>(o.method) << " precision " << static_cast<int>(o.precision));
        }
      }
    }
  }
}
