// What every network of linear operators must satisfy, checked against its exact matrix. The matrix comes from the slow
// host evaluation at unit vectors; with integer weights and inputs every number in it is exact.
#pragma once

#include "support/graph_build.hpp"

namespace boundlight::test {

struct AffineMap {
  std::size_t rows = 0, columns = 0;
  std::vector<double> matrix, offset;
};

inline AffineMap affine_map(const Network& network) {
  AffineMap m;
  m.columns = static_cast<std::size_t>(network.input_size());
  std::vector<double> x(m.columns, 0.0);
  m.offset = reference(network, x);
  m.rows = m.offset.size();
  m.matrix.resize(m.rows * m.columns);
  for (std::size_t i = 0; i < m.columns; ++i) {
    x[i] = 1;
    const auto y = reference(network, x);
    for (std::size_t r = 0; r < m.rows; ++r) m.matrix[r * m.columns + i] = y[r] - m.offset[r];
    x[i] = 0;
  }
  return m;
}

// Values, gradient, interval and backward bounds of a linear network against its matrix. `tolerance` is relative, for
// weights that are not exact in double (averages).
inline void check_linear_network(const std::shared_ptr<const Network>& network, std::uint64_t seed = 1, double tolerance = 1e-12) {
  const AffineMap m = affine_map(*network);
  auto engine = engine_of(network);
  Draws draw(seed);
  const std::int64_t batch = 3;
  const auto n = m.columns;
  const auto x = draw.integers(batch * static_cast<std::int64_t>(n), -8, 8);
  const auto weight = draw.integers(batch * static_cast<std::int64_t>(m.rows), -3, 3);
  const auto values = engine->evaluate(x, batch, {network->outputs[0]}, Precision::dual);
  REQUIRE(values.ok());
  const auto gradient = engine->gradient(x, batch, network->outputs[0], weight, Precision::dual);
  REQUIRE(gradient.ok());
  Regions regions;
  regions.batch = batch;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double r = i % 5 == 0 ? 0.0 : static_cast<double>(draw.integer(0, 4)) / 4;
    regions.lower.push_back(x[i] - r);
    regions.upper.push_back(x[i] + r);
  }
  int wrong = 0;
  for (const Method method : {Method::interval, Method::crown}) {
    BoundOptions options;
    options.method = method;
    options.precision = Precision::dual;
    const auto rows = engine->bound(regions, identity_forms(*network), options);
    const auto boxes = engine->boxes(regions, options);
    REQUIRE(rows.ok());
    REQUIRE(boxes.ok());
    const auto output = static_cast<std::size_t>(network->outputs[0]);
    const auto& found_lower = method == Method::interval ? boxes.value().lower[output] : rows.value().lower;
    const auto& found_upper = method == Method::interval ? boxes.value().upper[output] : rows.value().upper;
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::size_t r = 0; r < m.rows; ++r) {
        double lower = m.offset[r], upper = lower, value = lower;
        for (std::size_t i = 0; i < n; ++i) {
          const double w = m.matrix[r * n + i];
          const auto e = static_cast<std::size_t>(b) * n + i;
          value += w * x[e];
          lower += w * (w > 0 ? regions.lower[e] : regions.upper[e]);
          upper += w * (w > 0 ? regions.upper[e] : regions.lower[e]);
        }
        const auto e = static_cast<std::size_t>(b) * m.rows + r;
        const double slack = tolerance > 1e-12 ? tolerance * (1 + std::fabs(lower) + std::fabs(upper)) : 0;
        wrong += !near(values.value()[0][e], value, tolerance);
        const double lo = found_lower[e], hi = found_upper[e];
        wrong += !(lo <= lower + slack) || !(hi >= upper - slack);
        // One operator by interval, or any number of them by rows, loses nothing but rounding.
        if (method == Method::crown || network->nodes.size() == 1) wrong += !near(lo, lower, 100 * tolerance) || !near(hi, upper, 100 * tolerance);
      }
    CHECK(wrong == 0);
  }
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < n; ++i) {
      double g = 0;
      for (std::size_t r = 0; r < m.rows; ++r) g += weight[static_cast<std::size_t>(b) * m.rows + r] * m.matrix[r * n + i];
      wrong += !near(gradient.value().inputs[static_cast<std::size_t>(b) * n + i], g, tolerance);
    }
  CHECK(wrong == 0);
}

}  // namespace boundlight::test
