// Sampled methods where the answer is known: linear models, Shapley values by enumeration, quadratic and multiplicative
// functions. Oracles work in rationals or by formula, never through the engine.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "sampling_case.hpp"

using namespace boundlight;
using test::SamplingCase;

namespace {

double maximum(const std::vector<double>& v) {
  double top = 0;
  for (const double x : v) top = std::max(top, std::fabs(x));
  return top;
}

// Differs nowhere by more than `tolerance`.
void check_close(const std::vector<double>& found, const std::vector<double>& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i, found[i], expected[i]);
    CHECK(std::fabs(found[i] - expected[i]) <= tolerance);
  }
}

// x with the cells outside of `kept` (a bit each) at the baseline.
std::vector<double> coalition(const SamplingCase& c, std::uint64_t kept) {
  auto z = c.region.x;
  for (std::size_t i = 0; i < z.size(); ++i)
    if ((kept >> c.region.cell[i] & 1) == 0) z[i] = c.q.baseline[i];
  return z;
}

// Shapley values from the definition: mean over all subsets of the others, weighted by s! (M - 1 - s)! / M!.
std::vector<double> shapley(const SamplingCase& c, const test::DenseNet& net) {
  const auto cells = static_cast<std::size_t>(c.region.cells);
  std::vector<double> value;
  for (std::uint64_t s = 0; s < std::uint64_t{1} << cells; ++s) value.push_back(test::exact_logits(net, coalition(c, s))[static_cast<std::size_t>(c.q.label)]);
  std::vector<double> factorial(cells + 1, 1.0), phi(cells, 0.0);
  for (std::size_t i = 1; i <= cells; ++i) factorial[i] = factorial[i - 1] * static_cast<double>(i);
  for (std::uint64_t s = 0; s < value.size(); ++s) {
    const auto size = static_cast<std::size_t>(__builtin_popcountll(s));
    for (std::size_t u = 0; u < cells; ++u)
      if ((s >> u & 1) == 0) phi[u] += factorial[size] * factorial[cells - 1 - size] / factorial[cells] * (value[s | std::uint64_t{1} << u] - value[s]);
  }
  return phi;
}

// f_0 = sum_i a_i x_i^2, f_1 = 0; float64.
std::unique_ptr<Engine> quadratic(const std::vector<double>& a) {
  test::GraphBuilder g;
  const auto n = static_cast<std::int64_t>(a.size());
  const ValueId x = g.input({1, n});
  const ValueId square = g.node("Mul", {x, x});
  std::vector<double> w;
  for (const double v : a) w.insert(w.end(), {v, 0.0});
  return test::engine_of(g.network({g.node("MatMul", {square, g.constant({n, 2}, w)})}));
}

}  // namespace

TEST_CASE("on a linear model every gradient and masking method has the known answer") {
  // 2 channels of 3 x 4 pixels; cells of different sizes.
  const auto net = test::random_net({24, 3}, 7);
  const auto engine = test::engine_of(net);
  const Cells cells = test::cells_of({0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 4}, 3, 4);
  test::Draws draws(3);
  SamplingCase c(draws.reals(24, 0, 1), draws.reals(24, -1, 1), 3, 4, cells);
  c.q.label = 1;
  const auto& w = net.layers[0].weight[1];
  std::vector<double> magnitude(5, 0.0), share(5, 0.0);
  for (std::size_t p = 0; p < 12; ++p) magnitude[static_cast<std::size_t>(cells.label[p])] += std::max(std::fabs(w[p]), std::fabs(w[p + 12]));
  for (std::size_t i = 0; i < 24; ++i) share[static_cast<std::size_t>(c.region.cell[i])] += w[i] * (c.region.x[i] - c.q.baseline[i]);
  const double top = maximum(share);

  check_close(c.run(*engine, "saliency").cell, magnitude, 1e-12);
  check_close(c.run(*engine, "smoothgrad").cell, magnitude, 1e-12);
  check_close(c.run(*engine, "vargrad").cell, std::vector<double>(5, 0.0), 1e-12);
  check_close(c.run(*engine, "gradinput").cell, share, 1e-12);
  check_close(c.run(*engine, "ig").cell, share, 1e-12);
  check_close(c.run(*engine, "occlusion").cell, share, 1e-12);
  check_close(c.run(*engine, "kernelshap").cell, share, 1e-8);
  // Ridge 1 against the spread of thousands of masks: a shrinkage of under a hundredth.
  const auto lime = c.run(*engine, "lime", 6000).cell;
  check_close(lime, share, 0.01 * top);
  CHECK(lime != share);
  CHECK(c.run(*engine, "lime", 6000, 2).cell != lime);
}

TEST_CASE("least squares on masks: exact on linear data, shrunk by the ridge as the formula says") {
  test::Draws draws(5);
  const std::vector<double> slope = {2, -1, 0.5};
  std::vector<double> masks, y, weight;
  for (int r = 0; r < 40; ++r) {
    double value = 3;
    for (std::size_t c = 0; c < 3; ++c) {
      masks.push_back(draws.unit());
      value += slope[c] * masks.back();
    }
    y.push_back(value);
    weight.push_back(0.5 + draws.unit());
  }
  check_close(sampled::fit_masks(masks, y, weight, 3, 0), slope, 1e-12);
  // One column: slope = S_xy / (S_xx + ridge) around the weighted means.
  std::vector<double> one;
  double total = 0, mx = 0, my = 0, sxy = 0, sxx = 0;
  for (std::size_t r = 0; r < y.size(); ++r) {
    one.push_back(masks[3 * r]);
    total += weight[r], mx += weight[r] * one[r], my += weight[r] * y[r];
  }
  mx /= total, my /= total;
  for (std::size_t r = 0; r < y.size(); ++r) sxy += weight[r] * (one[r] - mx) * (y[r] - my), sxx += weight[r] * (one[r] - mx) * (one[r] - mx);
  check_close(sampled::fit_masks(one, y, weight, 1, 0.75), {sxy / (sxx + 0.75)}, 1e-12);
  CHECK(sampled::solve_symmetric({1, 2, 2, 1}, {1, 1}, 0).empty());  // not positive definite
}

TEST_CASE("LIME weighs a sample by its cosine distance, half of the exponent as in the authors' kernel") {
  // f = product of three cells' switches. All 2^3 masks are drawn often, so the fit tends to the weighted least squares over
  // them. By symmetry the three slopes are equal, so it is a line through f over the number s of kept cells.
  test::GraphBuilder g;
  const ValueId x = g.input({1, 3});
  const auto pick = [&](std::size_t i) {
    std::vector<double> w(6, 0.0);
    w[2 * i] = 1;
    return g.node("MatMul", {x, g.constant({3, 2}, w)});
  };
  const auto engine = test::engine_of(g.network({g.node("Mul", {g.node("Mul", {pick(0), pick(1)}), pick(2)})}));
  SamplingCase c({1, 1, 1}, {0, 0, 0}, 1, 3, *grid_cells(1, 3, 1, 3));
  const auto kernel = [](double kept) { return std::sqrt(std::exp(-std::pow(1 - std::sqrt(kept / 3), 2) / (0.25 * 0.25))); };
  // Weights of one mask; the slope of least squares of f on the three switches, from the normal equations of a symmetric
  // design: with m and v the weighted mean and covariances of the switches, slope = cov(switch, f) / (var + 2 cov).
  const double w[4] = {kernel(0), kernel(1), kernel(2), kernel(3)};
  const double total = w[0] + 3 * w[1] + 3 * w[2] + w[3], mean = (w[1] + 2 * w[2] + w[3]) / total, pair = (w[2] + w[3]) / total, full = w[3] / total;
  const double expected = (full - mean * full) / (mean - mean * mean + 2 * (pair - mean * mean));
  check_close(c.run(*engine, "lime", 40000).cell, {expected, expected, expected}, 0.015);
}

TEST_CASE("occlusion is the exact difference of logits") {
  const auto net = test::random_net({12, 9, 3}, 11);
  const auto engine = test::engine_of(net);
  test::Draws draws(4);
  SamplingCase c(draws.reals(12, 0, 1), draws.reals(12, 0, 1), 3, 4, test::cells_of({0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 5}, 3, 4));
  c.q.label = 2;
  const auto logit = [&](std::uint64_t kept) { return test::exact_logits(net, coalition(c, kept))[2]; };
  std::vector<double> expected;
  for (std::uint64_t u = 0; u < 6; ++u) expected.push_back(logit(63) - logit(63 & ~(std::uint64_t{1} << u)));
  const auto a = c.run(*engine, "occlusion");
  check_close(a.cell, expected, 1e-12);
  CHECK(a.evaluations == 7);
}

TEST_CASE("KernelSHAP is the Shapley value when the budget covers all coalitions, and close to it when it does not") {
  for (const std::int64_t cells : {2, 3, 5, 8}) {
    const auto net = test::random_net({cells * 2, 10, 6, 2}, static_cast<std::uint64_t>(20 + cells));
    const auto engine = test::engine_of(net);
    test::Draws draws(6);
    std::vector<std::int64_t> label;
    for (std::int64_t i = 0; i < 2 * cells; ++i) label.push_back(i / 2);
    SamplingCase c(draws.reals(2 * cells, -1, 1), draws.reals(2 * cells, -1, 1), 1, 2 * cells, test::cells_of(label, 1, 2 * cells));
    const auto a = c.run(*engine, "kernelshap", 256);
    CAPTURE(cells);
    CHECK(a.evaluations == std::int64_t{1} << cells);
    check_close(a.cell, shapley(c, net), 1e-8);
  }
  const auto net = test::random_net({10, 12, 2}, 31);
  const auto engine = test::engine_of(net);
  test::Draws draws(8);
  SamplingCase c(draws.reals(10, -1, 1), std::vector<double>(10, 0.0), 1, 10, *grid_cells(1, 10, 1, 10));
  const auto expected = shapley(c, net);
  const auto a = c.run(*engine, "kernelshap", 300);  // sizes 1, 2, 8, 9 whole; the rest drawn
  check_close(a.cell, expected, 0.05 * maximum(expected));
  CHECK(a.cell != c.run(*engine, "kernelshap", 300, 2).cell);
  const double all = test::exact_logits(net, c.region.x)[0] - test::exact_logits(net, c.q.baseline)[0];
  CHECK(std::accumulate(a.cell.begin(), a.cell.end(), 0.0) == Approx(all).margin(1e-10));
  SamplingOptions small;
  small.budget = 11;
  const auto refused = find_method("kernelshap")->run(*engine, c.q, small);
  REQUIRE(!refused.ok());
  CHECK(refused.error().text().find("raise it to") != std::string::npos);
}

TEST_CASE("Integrated Gradients: exact on quadratics, complete on networks") {
  const std::vector<double> a = {1, -2, 0.5, 3};
  const auto engine = quadratic(a);
  SamplingCase c({0.5, 1, -1, 0.25}, {0.1, -0.5, 0, 1}, 2, 2, test::cells_of({0, 0, 1, 2}, 2, 2));
  std::vector<double> expected(3, 0.0);
  for (std::size_t i = 0; i < 4; ++i) expected[static_cast<std::size_t>(c.region.cell[i])] += a[i] * (std::pow(c.region.x[i], 2) - std::pow(c.q.baseline[i], 2));
  check_close(c.run(*engine, "ig").cell, expected, 1e-12);
  std::vector<double> product(3, 0.0);
  for (std::size_t i = 0; i < 4; ++i) product[static_cast<std::size_t>(c.region.cell[i])] += 2 * a[i] * c.region.x[i] * (c.region.x[i] - c.q.baseline[i]);
  check_close(c.run(*engine, "gradinput").cell, product, 1e-12);

  const auto net = test::random_net({12, 20, 10, 3}, 41);
  const auto deep = test::engine_of(net);
  test::Draws draws(9);
  SamplingCase d(draws.reals(12, -1, 1), draws.reals(12, -1, 1), 3, 4, *grid_cells(3, 4, 3, 2));
  const auto ig = d.run(*deep, "ig");
  const double all = test::exact_logits(net, d.region.x)[0] - test::exact_logits(net, d.q.baseline)[0];
  CAPTURE(all);
  CHECK(std::fabs(std::accumulate(ig.cell.begin(), ig.cell.end(), 0.0) - all) <= 0.01 * std::fabs(all) + 0.01);
  CHECK(ig.evaluations == 256);
}

TEST_CASE("SmoothGrad and VarGrad: moments of a gradient that is linear in the noise") {
  const std::vector<double> a = {1, -2, 0.5, 3};
  const auto engine = quadratic(a);
  SamplingCase c({0.5, 1, -1, 0.25}, std::vector<double>(4, 0.0), 2, 2, *grid_cells(2, 2, 2, 2));
  // The gradient at x + noise is 2 a (x + noise), noise of deviation 0.1 times the range 2 of x.
  const double deviation = 0.2;
  std::vector<double> mean(4, 0.0), variance(4, 0.0);
  constexpr int kSeeds = 4000;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto m = c.run(*engine, "smoothgrad", 4000, seed).cell, v = c.run(*engine, "vargrad", 4000, seed).cell;
    for (std::size_t i = 0; i < 4; ++i) mean[i] += m[i] / kSeeds, variance[i] += v[i] / kSeeds;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    const double exact_mean = std::fabs(2 * a[i] * c.region.x[i]), exact_variance = 4 * a[i] * a[i] * deviation * deviation;
    CHECK(std::fabs(mean[i] - exact_mean) <= 5 * std::sqrt(exact_variance / (50 * kSeeds)));
    CHECK(variance[i] == Approx(exact_variance).epsilon(5 * std::sqrt(2.0 / (49 * kSeeds))));
  }
}

TEST_CASE("Sobol total indices of additive and multiplicative functions") {
  // Additive: f = sum of w_c m_c, whose total indices are w_c^2 / sum w^2.
  const auto net = test::random_net({6, 2}, 51);
  const auto linear = test::engine_of(net);
  SamplingCase c({1, 0.5, -1, 0.25, 0.75, 1}, std::vector<double>(6, 0.0), 2, 3, test::cells_of({0, 0, 1, 2, 3, 3}, 2, 3));
  std::vector<double> w(4, 0.0), expected;
  for (std::size_t i = 0; i < 6; ++i) w[static_cast<std::size_t>(c.region.cell[i])] += net.layers[0].weight[0][i] * c.region.x[i];
  double all = 0;
  for (const double v : w) all += v * v;
  for (const double v : w) expected.push_back(v * v / all);
  check_close(c.run(*linear, "sobol", 50000).cell, expected, 0.02);

  // f = m_0 m_1, m_2 unused: V = 1/9 - 1/16 and ST = (1/12)(1/3) / V = 4/7 for both.
  test::GraphBuilder g;
  const ValueId x = g.input({1, 3});
  const ValueId left = g.node("MatMul", {x, g.constant({3, 2}, {1, 0, 0, 0, 0, 0})}), right = g.node("MatMul", {x, g.constant({3, 2}, {0, 0, 1, 0, 0, 0})});
  const auto product = test::engine_of(g.network({g.node("Mul", {left, right})}));
  SamplingCase d({1, 1, 1}, {0, 0, 0}, 1, 3, *grid_cells(1, 3, 1, 3));
  const auto a = d.run(*product, "sobol", 40000);
  check_close(a.cell, {4.0 / 7, 4.0 / 7, 0}, 0.025);
  CHECK(a.cell[2] == 0);
  CHECK(a.evaluations == 40000);
  // A model that does not depend on the masks has no variance to share out.
  SamplingCase same({1, 1, 1}, {1, 1, 1}, 1, 3, *grid_cells(1, 3, 1, 3));
  check_close(same.run(*product, "sobol", 400).cell, {0, 0, 0}, 0);
}
