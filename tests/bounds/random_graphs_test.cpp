// Bounds of random graphs of mixed operators against values at points of the region. A point's value is enclosed by interval
// steps on the box that holds only this point, whose rules obey laws of their own (laws_test.cpp), so that a bound which
// misses the enclosure misses the value.
//
// BOUNDLIGHT_GRAPHS=N tries N graphs (default 80); BOUNDLIGHT_GRAPH_SEED=S starts at another seed.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "boundlight/core/rational.hpp"
#include "support/exact_cells.hpp"
#include "support/random_graphs.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct GraphCase {
  Regions region;
  std::vector<double> points;  // [count][inputs]
  std::int64_t count = 0;
  std::vector<double> lower, upper;  // enclosures of the values, [count][outputs]
};

Regions points_as_boxes(const std::vector<double>& points, std::int64_t count) {
  Regions r;
  r.batch = count;
  r.lower = r.upper = points;
  return r;
}

GraphCase case_of(Engine& engine, Draws& draws) {
  GraphCase c;
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  const double radius = std::pow(10.0, draws.real(-4, 0));
  c.region.batch = 1;
  for (std::size_t j = 0; j < n; ++j) {
    const double x = draws.real(-1, 1), r = draws.integer(0, 5) ? radius : 0;
    c.region.lower.push_back(static_cast<float>(x - r));  // ends and points that a binary32 run takes unrounded
    c.region.upper.push_back(static_cast<float>(x + r));
  }
  c.count = 40;
  const auto& low = c.region.lower;
  const auto& high = c.region.upper;
  for (std::int64_t i = 0; i < c.count; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const double inside = std::clamp<double>(static_cast<float>(draws.real(low[j], high[j])), low[j], high[j]);
      c.points.push_back(i % 4 == 3 ? inside : draws.integer(0, 1) ? low[j] : high[j]);
    }
  BoundOptions o;
  o.method = Method::interval;
  o.precision = Precision::dual;
  auto found = engine.bound(points_as_boxes(c.points, c.count), identity_forms(engine.network()), o);
  if (!found.ok()) FAIL(found.error().text());
  c.lower = found.value().lower;
  c.upper = found.value().upper;
  return c;
}

// How many enclosures of values the bounds miss.
std::size_t missed(const GraphCase& c, const BoundResult& b) {
  const auto rows = static_cast<std::size_t>(b.rows);
  std::size_t misses = 0;
  for (std::size_t i = 0; i < c.lower.size(); ++i)
    if (!(b.lower[i % rows] <= c.upper[i]) || !(b.upper[i % rows] >= c.lower[i])) ++misses;
  return misses;
}

Rational at(const double* plane, double offset, const double* x, std::size_t n) {
  Rational sum = exact(offset);
  for (std::size_t j = 0; j < n; ++j) sum += exact(plane[j]) * exact(x[j]);
  return sum;
}

std::size_t planes_missed(const GraphCase& c, const BoundResult& b, std::size_t n) {
  const auto rows = static_cast<std::size_t>(b.rows);
  std::size_t misses = 0;
  for (std::size_t i = 0; i < c.lower.size(); i += 7) {
    const double* x = c.points.data() + i / rows * n;
    const std::size_t r = i % rows;
    if (std::isfinite(c.upper[i]) && std::isfinite(b.lower_offset[r]) && at(b.lower_plane.data() + r * n, b.lower_offset[r], x, n) > exact(c.upper[i])) ++misses;
    if (std::isfinite(c.lower[i]) && std::isfinite(b.upper_offset[r]) && at(b.upper_plane.data() + r * n, b.upper_offset[r], x, n) < exact(c.lower[i])) ++misses;
  }
  return misses;
}

// What an IEEE binary32 run gives at the points lies in the bounds of deployed semantics.
std::size_t deployed_missed(Engine& engine, const GraphCase& c, const BoundResult& b) {
  auto values = engine.evaluate(c.points, c.count, {engine.network().outputs[0]}, Precision::single);
  if (!values.ok()) FAIL(values.error().text());
  const auto rows = static_cast<std::size_t>(b.rows);
  std::size_t misses = 0;
  const auto& v = values.value()[0];
  for (std::size_t i = 0; i < v.size(); ++i)
    if (std::isfinite(v[i]) && !(b.lower[i % rows] <= v[i] && v[i] <= b.upper[i % rows])) ++misses;
  return misses;
}

// Members that hold one input each: their bounds contain the values at the points moved there.
std::size_t members_missed(Engine& engine, const GraphCase& c, const BoundOptions& o, Tier tier) {
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  std::vector<std::vector<std::int64_t>> cells;
  for (std::size_t j = 0; j < n; ++j) cells.push_back({static_cast<std::int64_t>(j)});
  std::vector<double> middle;
  for (std::size_t j = 0; j < n; ++j) middle.push_back(std::clamp(c.region.lower[j] / 2 + c.region.upper[j] / 2, c.region.lower[j], c.region.upper[j]));
  auto family = engine.family(frozen_family(c.region, middle, cells), identity_forms(engine.network()), tier, o);
  if (!family.ok()) FAIL(family.error().text());
  std::vector<double> moved;
  const std::size_t each = 4;
  for (std::size_t m = 0; m < n; ++m)
    for (std::size_t k = 0; k < each; ++k) {
      moved.insert(moved.end(), c.points.begin() + static_cast<std::ptrdiff_t>(k * n), c.points.begin() + static_cast<std::ptrdiff_t>((k + 1) * n));
      moved[moved.size() - n + m] = middle[m];
    }
  BoundOptions exactly;
  exactly.method = Method::interval;
  exactly.precision = Precision::dual;
  auto values = engine.bound(points_as_boxes(moved, static_cast<std::int64_t>(n * each)), identity_forms(engine.network()), exactly);
  if (!values.ok()) FAIL(values.error().text());
  const FamilyResult& f = family.value();
  const auto rows = static_cast<std::size_t>(f.rows);
  std::size_t misses = 0;
  for (std::size_t i = 0; i < values.value().lower.size(); ++i) {
    const std::size_t row = i / (each * rows) * rows + i % rows;
    if (!(f.lower[row] <= values.value().upper[i]) || !(f.upper[row] >= values.value().lower[i])) ++misses;
  }
  return misses;
}

std::size_t misses_of(Engine& engine, const GraphCase& c, BoundOptions o) {
  const auto n = static_cast<std::size_t>(engine.network().input_size());
  const bool single = engine.network().values[static_cast<std::size_t>(engine.network().inputs[0])].type == DataType::float32;
  std::size_t misses = 0;
  for (const Method m : {Method::interval, Method::forward, Method::crown, Method::combined, Method::alpha})
    for (const Precision p : {Precision::single, Precision::automatic, Precision::dual}) {
      o.method = m;
      o.precision = p;
      o.planes = m != Method::interval;
      auto found = engine.bound(c.region, identity_forms(engine.network()), o);
      if (!found.ok()) FAIL(found.error().text());
      const std::size_t values = missed(c, found.value()), planes = o.planes ? planes_missed(c, found.value(), n) : 0;
      const std::size_t deployed = o.semantics == Semantics::float32_any_order && single ? deployed_missed(engine, c, found.value()) : 0;
      INFO("method " << static_cast<int>(m) << " precision " << static_cast<int>(p) << ": values missed " << values << ", planes " << planes << ", float runs " << deployed);
      CHECK(values + planes + deployed == 0);
      misses += values + planes + deployed;
    }
  return misses;
}

}  // namespace

TEST_CASE("bounds of random graphs of mixed operators contain the values at points", "[graphs][long]") {
  const std::uint64_t graphs = number_from("BOUNDLIGHT_GRAPHS", 80), first = number_from("BOUNDLIGHT_GRAPH_SEED", 1);
  std::size_t finite = 0;
  for (std::uint64_t seed = first; seed < first + graphs; ++seed) {
    RandomGraph graph(seed, 2 + static_cast<int>(seed % 7));
    auto engine = engine_of(graph.network());
    INFO("BOUNDLIGHT_GRAPH_SEED=" << seed << ": " << graph.text());
    for (int round = 0; round < 2; ++round) {
      const GraphCase c = case_of(*engine, graph.draws());
      BoundOptions o;
      o.alpha_steps = 3;
      o.semantics = graph.draws().integer(0, 1) ? Semantics::real : Semantics::float32_any_order;
      misses_of(*engine, c, o);
      o.method = Method::crown;
      const Tier tier = static_cast<Tier>(graph.draws().integer(0, 2));
      INFO("tier " << static_cast<int>(tier));
      CHECK(members_missed(*engine, c, o, tier) == 0);
      auto found = engine->bound(c.region, identity_forms(engine->network()), o);
      finite += found.ok() && std::isfinite(found.value().lower[0]) && std::isfinite(found.value().upper[0]);
    }
  }
  CHECK(finite * 10 > graphs * 2 * 9);  // bounds that are lost prove nothing
}

TEST_CASE("points of random graphs catch bounds that are drawn in", "[graphs]") {
  std::size_t caught = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RandomGraph graph(seed, 4);
    auto engine = engine_of(graph.network());
    const GraphCase c = case_of(*engine, graph.draws());
    BoundOptions o;
    o.method = Method::alpha;
    o.planes = true;
    auto found = engine->bound(c.region, identity_forms(engine->network()), o);
    REQUIRE(found.ok());
    BoundResult b = found.value();
    REQUIRE(missed(c, b) + planes_missed(c, b, static_cast<std::size_t>(engine->network().input_size())) == 0);
    for (std::size_t i = 0; i < b.lower.size(); ++i) {
      const double quarter = (b.upper[i] - b.lower[i]) / 4;
      b.lower[i] += quarter;
      b.upper_offset[i] -= quarter;
    }
    caught += missed(c, b) > 0;
    caught += planes_missed(c, b, static_cast<std::size_t>(engine->network().input_size())) > 0;
  }
  CHECK(caught >= 20);
}
