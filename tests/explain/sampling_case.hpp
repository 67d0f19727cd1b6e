// Questions to sampled methods about networks small enough to know the answer.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/sampled/method.hpp"
#include "support/dense_net.hpp"
#include "support/graph_build.hpp"

namespace boundlight::test {

// x on a height x width image with `channels` channels first, cells as given, B = [x - eps, x + eps]. Points into itself.
struct SamplingCase {
  SamplingCase(std::vector<double> x, std::vector<double> baseline, std::int64_t height, std::int64_t width, const Cells& cells, double eps = 0.25) {
    const auto pixels = static_cast<std::size_t>(height * width);
    region.x = std::move(x);
    for (std::size_t i = 0; i < region.x.size(); ++i) {
      region.lower.push_back(region.x[i] - eps);
      region.upper.push_back(region.x[i] + eps);
      region.cell.push_back(cells.label[i % pixels]);
      q.pixel.push_back(static_cast<std::int32_t>(i % pixels));
    }
    region.inner_lower = region.lower;
    region.inner_upper = region.upper;
    region.cells = cells.count;
    q.baseline = std::move(baseline);
    q.height = height;
    q.width = width;
    q.region = &region;
  }
  SamplingCase(const SamplingCase&) = delete;
  SamplingCase& operator=(const SamplingCase&) = delete;

  Attribution run(Engine& engine, const std::string& method, std::int64_t budget = 4000, std::uint64_t seed = 1) const {
    const auto* m = find_method(method);
    if (m == nullptr) FAIL("no method " << method);
    SamplingOptions o;
    o.budget = budget;
    o.seed = seed;
    auto a = m->run(engine, q, o);
    if (!a.ok()) FAIL(method << ": " << a.error().text());
    CHECK(static_cast<std::int64_t>(a->cell.size()) == region.cells);
    return std::move(a.value());
  }

  EvaQuestion region;
  SamplingQuestion q;
};

// A dense float64 network with weights that binary fractions hold: sizes {inputs, hidden ..., classes}.
inline DenseNet random_net(const std::vector<std::int64_t>& sizes, std::uint64_t seed) {
  Draws draws(seed);
  DenseNet net;
  net.type = DataType::float64;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    DenseNet::Layer layer;
    for (std::int64_t o = 0; o < sizes[l + 1]; ++o) {
      auto row = draws.integers(sizes[l], -64, 64);
      for (auto& w : row) w /= 64;
      layer.weight.push_back(row);
      layer.bias.push_back(static_cast<double>(draws.integer(-16, 16)) / 64);
    }
    net.layers.push_back(std::move(layer));
  }
  return net;
}

// Logits in rational arithmetic: no code of the engine.
inline std::vector<double> exact_logits(const DenseNet& net, const std::vector<double>& x) {
  std::vector<Rational> point;
  for (const double v : x) point.push_back(exact(v));
  const auto values = exact_values(net, point);
  std::vector<double> y;
  for (const auto& v : values.back()) y.push_back(v.convert_to<double>());
  return y;
}

inline Cells cells_of(std::vector<std::int64_t> label, std::int64_t height, std::int64_t width) {
  auto cells = segment_cells(label, height, width);
  if (!cells.ok()) FAIL(cells.error().text());
  return std::move(cells.value());
}

}  // namespace boundlight::test
