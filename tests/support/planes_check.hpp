// What every nonlinear operator must satisfy, checked against its formula in 100 decimal digits: values, gradients,
// containment by interval and by rows, planes valid at every sampled point (corners of the box first), both precisions and
// both semantics. The formula shares no code with the operator.
#pragma once

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <functional>

#include "support/graph_build.hpp"

namespace boundlight::test {

using Digits100 = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<100>, boost::multiprecision::et_off>;
using DigitsFunction = std::function<std::vector<Digits100>(const std::vector<Digits100>&)>;

struct PlanesCheck {
  double lowest = -2, highest = 2;              // where boxes begin
  std::vector<double> widths{0, 0.01, 0.5, 2};  // one per box of the batch
  double tolerance = 1e-12;                     // of values in double, relative
  bool gradients = true;
  bool kinked = false;                          // gradients are compared at points away from ties only
  int rounds = 6;
};

struct PlanesReport {
  int outside = 0;        // points outside of bounds
  int above = 0;          // planes that a point violates
  int deployed = 0;       // binary32 values outside of float32_any_order bounds
  int values = 0;         // wrong values
  int gradients = 0;      // wrong gradients
  int tighter_lower = 0;  // planes inside of the interval at the middle of the box
  int tighter_upper = 0;
  int infinite = 0;       // outputs without finite bounds
  int checked = 0;
};

namespace planes_detail {

inline std::vector<std::vector<double>> points_of(Draws& draw, const double* lower, const double* upper, std::size_t n) {
  std::vector<std::vector<double>> points;
  const std::size_t corners = n <= 6 ? std::size_t{1} << n : 48;
  for (std::size_t c = 0; c < corners; ++c) {
    std::vector<double> x;
    for (std::size_t i = 0; i < n; ++i) x.push_back((n <= 6 ? c >> i & 1 : draw.next() >> 33 & 1) ? upper[i] : lower[i]);
    points.push_back(std::move(x));
  }
  for (int k = 0; k < 16; ++k) {
    std::vector<double> x;
    for (std::size_t i = 0; i < n; ++i) {
      const double t = k == 0 ? 0.5 : draw.unit();
      x.push_back(std::min(upper[i], std::max(lower[i], lower[i] + t * (upper[i] - lower[i]))));
    }
    points.push_back(std::move(x));
  }
  return points;
}

inline void check_gradient(Engine& engine, const DigitsFunction& f, const std::vector<double>& x, Draws& draw, const PlanesCheck& c, PlanesReport& report) {
  const Network& network = engine.network();
  const std::size_t n = x.size();
  const auto size = network.values[static_cast<std::size_t>(network.outputs[0])].size;
  const auto weight = draw.integers(size, -3, 3);
  const auto g = engine.gradient(x, 1, network.outputs[0], weight, Precision::dual);
  REQUIRE(g.ok());
  const Digits100 h("1e-30");
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<Digits100> up(x.begin(), x.end()), down(up);
    up[i] += h;
    down[i] -= h;
    const auto a = f(up), b = f(down), at = f({x.begin(), x.end()});
    Digits100 slope = 0, jump = 0;
    for (std::size_t e = 0; e < a.size(); ++e) {
      slope += Digits100(weight[e]) * (a[e] - b[e]) / (2 * h);
      jump += abs(a[e] + b[e] - 2 * at[e]) / h;
    }
    if (jump > Digits100("1e-10")) continue;  // a kink
    report.gradients += !near(g.value().inputs[i], static_cast<double>(slope), 1e-9);
  }
  (void)c;
}

}  // namespace planes_detail

inline PlanesReport check_planes(const std::shared_ptr<const Network>& network, const DigitsFunction& f, const PlanesCheck& c, std::uint64_t seed = 1) {
  PlanesReport report;
  Draws draw(seed);
  auto engine = engine_of(network);
  const auto n = static_cast<std::size_t>(network->input_size());
  const auto size = static_cast<std::size_t>(network->values[static_cast<std::size_t>(network->outputs[0])].size);
  const auto batch = static_cast<std::int64_t>(c.widths.size());
  for (int round = 0; round < c.rounds; ++round) {
    Regions regions;
    regions.batch = batch;
    for (const double width : c.widths)
      for (std::size_t i = 0; i < n; ++i) {
        regions.lower.push_back(draw.real(c.lowest, c.highest));
        if (round % 2 == 1) regions.lower.back() = std::round(regions.lower.back() * 4) / 4;
        regions.upper.push_back(regions.lower.back() + width * (draw.integer(0, 3) == 0 ? 0.0 : round % 2 == 1 ? 1.0 : draw.unit()));
      }
    for (const Precision precision : {Precision::single, Precision::dual})
      for (const Semantics semantics : {Semantics::real, Semantics::float32_any_order}) {
        BoundOptions options;
        options.precision = precision;
        options.semantics = semantics;
        options.method = Method::interval;
        const auto boxes = engine->boxes(regions, options);
        REQUIRE(boxes.ok());
        struct { std::vector<double> lower, upper; } interval{boxes.value().lower[static_cast<std::size_t>(network->outputs[0])], boxes.value().upper[static_cast<std::size_t>(network->outputs[0])]};
        options.method = Method::crown;
        options.planes = true;
        const auto crown = engine->bound(regions, identity_forms(*network), options);
        REQUIRE(crown.ok());
        const auto& planes = crown.value();
        for (std::int64_t b = 0; b < batch; ++b) {
          const auto base = static_cast<std::size_t>(b) * n;
          const auto points = planes_detail::points_of(draw, &regions.lower[base], &regions.upper[base], n);
          for (const auto& x : points) {
            const auto y = f({x.begin(), x.end()});
            std::vector<double> rounded;
            if (semantics == Semantics::float32_any_order) {
              std::vector<double> x32(x);
              for (std::size_t i = 0; i < n; ++i) {
                x32[i] = static_cast<double>(static_cast<float>(x[i]));
                if (x32[i] < regions.lower[base + i] || x32[i] > regions.upper[base + i]) x32.clear();
                if (x32.empty()) break;
              }
              if (!x32.empty()) rounded = engine->evaluate(x32, 1, {network->outputs[0]}, Precision::single).value()[0];
            }
            for (std::size_t e = 0; e < size; ++e) {
              const auto r = static_cast<std::size_t>(b) * size + e;
              ++report.checked;
              for (const auto& [lower, upper] : {std::pair{interval.lower[r], interval.upper[r]}, std::pair{planes.lower[r], planes.upper[r]}}) {
                report.outside += !(Digits100(lower) <= y[e]) || !(y[e] <= Digits100(upper));
                if (!rounded.empty()) report.deployed += !(lower <= rounded[e]) || !(rounded[e] <= upper);
              }
              if (planes.lower_plane.empty() || !std::isfinite(planes.lower[r]) || !std::isfinite(planes.upper[r])) {
                ++report.infinite;
                continue;
              }
              Digits100 low = planes.lower_offset[r], high = planes.upper_offset[r];
              for (std::size_t i = 0; i < n; ++i) {
                low += Digits100(planes.lower_plane[r * n + i]) * Digits100(x[i]);
                high += Digits100(planes.upper_plane[r * n + i]) * Digits100(x[i]);
              }
              report.above += !(low <= y[e]) || !(y[e] <= high);
            }
          }
          // How planes compare with the interval at the middle.
          for (std::size_t e = 0; e < size && !planes.lower_plane.empty(); ++e) {
            const auto r = static_cast<std::size_t>(b) * size + e;
            double low = planes.lower_offset[r], high = planes.upper_offset[r];
            for (std::size_t i = 0; i < n; ++i) {
              const double middle = (regions.lower[base + i] + regions.upper[base + i]) / 2;
              low += planes.lower_plane[r * n + i] * middle;
              high += planes.upper_plane[r * n + i] * middle;
            }
            const double margin = 1e-3 * (interval.upper[r] - interval.lower[r]) + 1e-9;
            report.tighter_lower += low > interval.lower[r] + margin;
            report.tighter_upper += high < interval.upper[r] - margin;
          }
        }
      }
    std::vector<double> x(regions.lower.begin(), regions.lower.begin() + static_cast<std::ptrdiff_t>(n));
    const auto y = f({x.begin(), x.end()});
    const auto value = engine->evaluate(x, 1, {network->outputs[0]}, Precision::dual);
    const auto slow = reference(*network, x);
    for (std::size_t e = 0; e < size; ++e) {
      report.values += !near(value.value()[0][e], static_cast<double>(y[e]), c.tolerance);
      report.values += !near(slow[e], static_cast<double>(y[e]), c.tolerance);
    }
    if (c.gradients) planes_detail::check_gradient(*engine, f, x, draw, c, report);
  }
  return report;
}

// Everything that must hold; and, when planes are expected, that they are strictly better than the interval.
inline void require_sound(const PlanesReport& r, bool planes = true) {
  CHECK(r.outside == 0);
  CHECK(r.above == 0);
  CHECK(r.deployed == 0);
  CHECK(r.values == 0);
  CHECK(r.gradients == 0);
  CHECK(r.infinite == 0);
  CHECK(r.checked > 0);
  if (planes) {
    CHECK(r.tighter_lower > 0);
    CHECK(r.tighter_upper > 0);
  }
}

}  // namespace boundlight::test
