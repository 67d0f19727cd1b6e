// Pools and normalisation: averages are their matrix, maxima lie between their planes, enclosed factors are enclosed.
#include <catch2/catch.hpp>

#include "support/linear_check.hpp"
#include "support/planes_check.hpp"

using namespace boundlight;
using namespace boundlight::test;
using Integers = std::vector<std::int64_t>;

namespace {

struct Pool {
  const char* name;
  Shape input;
  GraphBuilder::Attributes attributes;
};

std::vector<Pool> pools() {
  return {
      {"two by two", {1, 2, 4, 4}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}}},
      {"overlapping, padded", {1, 1, 5, 4}, {{"kernel_shape", Integers{3, 2}}, {"strides", Integers{2, 1}}, {"pads", Integers{1, 0, 1, 1}}}},
      {"ceil", {1, 1, 5, 5}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}, {"ceil_mode", std::int64_t{1}}}},
      {"ceil, last window behind the input", {1, 1, 3, 3}, {{"kernel_shape", Integers{1, 1}}, {"strides", Integers{2, 2}}, {"ceil_mode", std::int64_t{1}}}},
      {"dilated", {1, 1, 6, 5}, {{"kernel_shape", Integers{2, 2}}, {"dilations", Integers{3, 2}}}},
      {"same", {2, 1, 5, 4}, {{"kernel_shape", Integers{3, 2}}, {"strides", Integers{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {"one axis", {1, 2, 6}, {{"kernel_shape", Integers{3}}, {"strides", Integers{2}}, {"pads", Integers{1, 1}}}},
      {"three axes", {1, 1, 3, 3, 3}, {{"kernel_shape", Integers{2, 2, 2}}}},
  };
}

// Elements of every window, written from the standard's text: one axis at a time.
std::vector<std::vector<std::size_t>> windows_by_hand(const Pool& p, const Shape& out) {
  const auto attribute = [&](const char* name, std::int64_t fallback, std::size_t axis) {
    const auto found = p.attributes.find(name);
    return found == p.attributes.end() ? fallback : std::get<Integers>(found->second)[axis];
  };
  const std::size_t axes = p.input.size() - 2;
  std::vector<std::vector<std::size_t>> windows;
  for (std::int64_t e = 0; e < *element_count(out); ++e) {
    std::vector<std::size_t> cells{0};
    std::int64_t rest = e, step = 1;
    for (std::size_t a = axes; a-- > 0;) {
      const std::int64_t position = rest % out[a + 2], k = attribute("kernel_shape", 1, a), stride = attribute("strides", 1, a), dilation = attribute("dilations", 1, a);
      rest /= out[a + 2];
      std::int64_t pad = attribute("pads", 0, a);
      if (p.attributes.count("auto_pad")) pad = std::max<std::int64_t>(0, (out[a + 2] - 1) * stride + k - p.input[a + 2]) / 2;
      std::vector<std::size_t> next;
      for (const auto cell : cells)
        for (std::int64_t i = 0; i < k; ++i) {
          const std::int64_t at = position * stride - pad + i * dilation;
          if (at >= 0 && at < p.input[a + 2]) next.push_back(cell + static_cast<std::size_t>(at * step));
        }
      cells = next;
      step *= p.input[a + 2];
    }
    for (auto& c : cells) c += static_cast<std::size_t>(rest * step);
    windows.push_back(cells);
  }
  return windows;
}

std::vector<Digits100> maxima(const std::vector<Digits100>& x, const std::vector<std::vector<std::size_t>>& windows) {
  std::vector<Digits100> y;
  for (const auto& w : windows) {
    Digits100 best = x[w[0]];
    for (const auto i : w) best = x[i] > best ? x[i] : best;
    y.push_back(best);
  }
  return y;
}

}  // namespace

TEST_CASE("MaxPool lies between its planes for every kind of window", "[pools]") {
  for (const auto& p : pools()) {
    INFO(p.name);
    GraphBuilder g;
    const auto network = g.network({g.node("MaxPool", {g.input(p.input)}, p.attributes)});
    const Shape out = network->values[static_cast<std::size_t>(network->outputs[0])].shape;
    const auto windows = windows_by_hand(p, out);
    PlanesCheck c;
    c.rounds = 2;
    const auto report = check_planes(network, [&](const auto& x) { return maxima(x, windows); }, c);
    require_sound(report, windows[0].size() > 1);
  }
}

TEST_CASE("MaxPool: a window's winner that dominates is exact, positions come back", "[pools]") {
  GraphBuilder g;
  const auto outputs = g.nodes("MaxPool", {g.input({1, 1, 2, 4})}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}}, 2);
  const auto network = g.network({outputs[0], outputs[1]});
  auto engine = engine_of(network);
  const auto values = engine->evaluate({1, 5, 2, 3, 4, 0, 9, 1}, 1, network->outputs, Precision::dual);
  CHECK(values.value()[0] == std::vector<double>{5, 9});
  CHECK(values.value()[1] == std::vector<double>{1, 6});
  Regions r;
  r.batch = 1;
  r.lower = {0, 4, 0, 0, 0, 0, 3, 0};
  r.upper = {1, 5, 1, 1, 1, 1, 9, 1};
  BoundOptions options;
  options.planes = true;
  const auto bounds = engine->bound(r, identity_forms(*network), options);
  CHECK(bounds.value().lower_plane[1] == 1);
  CHECK(bounds.value().upper_plane[1] == 1);
  CHECK(bounds.value().upper[0] == Approx(5).epsilon(1e-14));
  Forms positions;
  positions.value = network->outputs[1];
  positions.rows = 1;
  positions.coefficient = {1, -1};
  const auto where = engine->bound(r, positions, {});
  CHECK(where.value().lower[0] <= 1 - 6);
  CHECK(where.value().upper[0] >= 1 - 6);
  CHECK(std::isfinite(where.value().lower[0]));
}

TEST_CASE("GlobalMaxPool and GlobalAveragePool", "[pools]") {
  GraphBuilder g;
  const auto network = g.network({g.node("GlobalMaxPool", {g.input({1, 2, 2, 2})})});
  require_sound(check_planes(network, [](const auto& x) { return maxima(x, {{0, 1, 2, 3}, {4, 5, 6, 7}}); }, {}));
  GraphBuilder h;
  check_linear_network(h.network({h.node("GlobalAveragePool", {h.input({2, 3, 2, 2})})}));
  GraphBuilder thirds;
  check_linear_network(thirds.network({thirds.node("GlobalAveragePool", {thirds.input({1, 2, 3})})}), 5, 1e-14);
}

TEST_CASE("AveragePool is its matrix", "[pools]") {
  std::uint64_t seed = 60;
  for (const auto& p : pools())
    for (const std::int64_t count : {0, 1}) {
      INFO(p.name << ", count_include_pad " << count);
      auto attributes = p.attributes;
      attributes["count_include_pad"] = count;
      GraphBuilder g;
      const auto network = g.network({g.node("AveragePool", {g.input(p.input)}, attributes)});
      check_linear_network(network, ++seed, 1e-14);
      // and the matrix is what the windows say
      const Shape out = network->values[static_cast<std::size_t>(network->outputs[0])].shape;
      const auto windows = windows_by_hand(p, out);
      const AffineMap m = affine_map(*network);
      int wrong = 0;
      for (std::size_t e = 0; e < windows.size(); ++e) {
        std::vector<double> row(m.columns, 0.0);
        for (const auto i : windows[e]) row[i] += 1.0 / static_cast<double>(windows[e].size());
        for (std::size_t i = 0; i < m.columns; ++i) {
          if (count == 0) wrong += !near(m.matrix[e * m.columns + i], row[i], 1e-14);
          else wrong += (m.matrix[e * m.columns + i] != 0) != (row[i] != 0);
        }
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE("BatchNormalization encloses its factor and offset", "[pools]") {
  GraphBuilder g;
  Draws draw(5);
  const std::vector<double> scale{0.7, -1.3, 0}, bias{0.1, 100, -2}, mean{3e3, -77, 0.3}, var{0.04, 2, 1e-7};
  const ValueId x = g.input({1, 3, 1, 2});
  const double epsilon = static_cast<double>(1e-5F);
  const auto network = g.network({g.node("BatchNormalization", {x, g.constant({3}, scale), g.constant({3}, bias), g.constant({3}, mean), g.constant({3}, var)}, {{"epsilon", epsilon}})});
  PlanesCheck c;
  c.tolerance = 1e-9;
  const auto f = [&](const std::vector<Digits100>& v) {
    std::vector<Digits100> y;
    for (std::size_t i = 0; i < v.size(); ++i) y.push_back(Digits100(scale[i / 2]) * (v[i] - Digits100(mean[i / 2])) / sqrt(Digits100(var[i / 2]) + Digits100(epsilon)) + Digits100(bias[i / 2]));
    return y;
  };
  require_sound(check_planes(network, f, c), false);
}
