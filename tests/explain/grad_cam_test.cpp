// Grad-CAM and Grad-CAM++ by hand.
#include <catch2/catch.hpp>
#include <cmath>

#include "sampling_case.hpp"
#include "support/errors.hpp"

using namespace boundlight;
using test::SamplingCase;

namespace {

// x -> two maps (x, 1 - 2 x) -> ReLU -> dense weights v for class 0, zeros for class 1. `stride` 2 takes every other pixel.
std::unique_ptr<Engine> maps_net(const std::vector<double>& v, std::int64_t stride = 1, bool pool = false) {
  test::GraphBuilder g;
  const ValueId x = g.input({1, 1, 4, 4});
  ValueId at = g.node("Conv", {x, g.constant({2, 1, 1, 1}, {1, -2}), g.constant({2}, {0, 1})}, {{"strides", std::vector<std::int64_t>{stride, stride}}});
  at = g.node("Relu", {at});
  if (pool) at = g.node("MaxPool", {at}, {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}});
  at = g.node("Flatten", {at}, {{"axis", std::int64_t{1}}});
  std::vector<double> w;
  for (const double a : v) w.insert(w.end(), {a, 0.0});
  return test::engine_of(g.network({g.node("MatMul", {at, g.constant({static_cast<std::int64_t>(v.size()), 2}, w)})}));
}

}  // namespace

TEST_CASE("Grad-CAM and Grad-CAM++ follow their formulas on two feature maps") {
  test::Draws draws(1);
  const auto v = draws.reals(32, -0.5, 1);
  const auto x = draws.reals(16, 0, 1);
  const auto engine = maps_net(v);
  SamplingCase c(x, std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 2, 2));
  // Feature maps; their gradients are v.
  std::vector<double> map[2];
  for (const double p : x) map[0].push_back(std::max(0.0, p)), map[1].push_back(std::max(0.0, 1 - 2 * p));
  double mean[2] = {0, 0}, plus[2] = {0, 0};
  for (std::size_t k = 0; k < 2; ++k) {
    double sum = 0;
    for (const double a : map[k]) sum += a;
    for (std::size_t i = 0; i < 16; ++i) {
      const double g = v[16 * k + i];
      mean[k] += g / 16;
      const double alpha = g * g / (2 * g * g + sum * g * g * g);
      plus[k] += alpha * std::max(0.0, g);
    }
  }
  const auto expected = [&](const double* w) {
    std::vector<double> cell(4, 0.0);
    for (std::size_t i = 0; i < 16; ++i) cell[static_cast<std::size_t>(c.region.cell[i])] += std::max(0.0, w[0] * map[0][i] + w[1] * map[1][i]) / 4;
    return cell;
  };
  const auto cam = c.run(*engine, "gradcam").cell, pp = c.run(*engine, "gradcam++").cell;
  for (std::size_t u = 0; u < 4; ++u) {
    CAPTURE(u);
    CHECK(cam[u] == Approx(expected(mean)[u]).margin(1e-12));
    CHECK(pp[u] == Approx(expected(plus)[u]).margin(1e-12));
  }
}

TEST_CASE("a coarse map is enlarged bilinearly at pixel centres") {
  // One live map of 2 x 2 (every other pixel), weight 1 everywhere: the map is x at (0,0), (0,2), (2,0), (2,2).
  std::vector<double> x(16, 0.0), v(8, 0.0);
  x[0] = 1, x[2] = 2, x[8] = 5, x[10] = 9;
  std::fill(v.begin(), v.begin() + 4, 1.0);
  const auto engine = maps_net(v, 2);
  SamplingCase c(x, std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 2, 2));
  // A row of four pixels over two map columns a, b: a, 3/4 a + 1/4 b, 1/4 a + 3/4 b, b; a cell's mean has 7/8 and 1/8.
  const double near = 0.875, far = 0.125;
  const auto cell = [&](double own, double beside, double below, double across) { return near * (near * own + far * beside) + far * (near * below + far * across); };
  const std::vector<double> expected = {cell(1, 2, 5, 9), cell(2, 1, 9, 5), cell(5, 9, 1, 2), cell(9, 5, 2, 1)};
  const auto found = c.run(*engine, "gradcam").cell;
  for (std::size_t u = 0; u < 4; ++u) CHECK(found[u] == Approx(expected[u]).margin(1e-12));
}

TEST_CASE("Grad-CAM looks at the convolution's maps, not at what a pooling leaves of them") {
  std::vector<double> x(16, 0.0);
  x[5] = 1;  // the pooling, which keeps the size, spreads it to its eight neighbours
  std::vector<double> v(32, 0.0);
  std::fill(v.begin(), v.begin() + 16, 1.0);
  const auto engine = maps_net(v, 1, true);
  SamplingCase c(x, std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 4, 4));
  const auto found = c.run(*engine, "gradcam").cell;
  for (std::size_t u = 0; u < 16; ++u) CHECK((found[u] > 0) == (u == 5));
}

TEST_CASE("models without a convolution are refused by name, also when a value has rows and columns") {
  const auto dense = test::engine_of(test::random_net({16, 3}, 5));
  SamplingCase c(std::vector<double>(16, 0.5), std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 2, 2));
  test::check_refused(find_method("gradcam")->run(*dense, c.q, {}), "gradcam", "no convolution", ErrorKind::unsupported);
  test::GraphBuilder g;
  const ValueId x = g.input({1, 1, 4, 4});
  const ValueId flat = g.node("Flatten", {g.node("Sub", {x, g.constant({1, 1, 1, 1}, {0.5})})}, {{"axis", std::int64_t{1}}});
  const auto shifted = test::engine_of(g.network({g.node("MatMul", {flat, g.constant({16, 2}, std::vector<double>(32, 0.5))})}));
  test::check_refused(find_method("gradcam++")->run(*shifted, c.q, {}), "gradcam", "no convolution", ErrorKind::unsupported);
}
