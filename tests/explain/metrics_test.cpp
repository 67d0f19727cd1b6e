// Faithfulness metrics by hand: linear models, where curves, correlations and smallest changes have formulas.
#include <catch2/catch.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>

#include "boundlight/explain/metrics.hpp"
#include "sampling_case.hpp"
#include "support/errors.hpp"

using namespace boundlight;

namespace {

// Four pixels, one per cell, f_0 = 4 x_0 + 3 x_1 + 2 x_2 + x_3, f_1 = 0.
test::DenseNet four() {
  test::DenseNet net;
  net.type = DataType::float64;
  net.layers.push_back({{{4, 3, 2, 1}, {0, 0, 0, 0}}, {0, 0}});
  return net;
}

PixelFrame plain_frame(std::size_t n, double low = 0, double high = 1) {
  PixelFrame f;
  f.height = 1;
  f.width = static_cast<std::int64_t>(n);
  f.pixel.resize(n);
  std::iota(f.pixel.begin(), f.pixel.end(), 0);
  f.channel.assign(n, 0);
  f.mean.assign(n, 0.0);
  f.deviation.assign(n, 1.0);
  f.low = low, f.high = high;
  return f;
}

MetricQuestion question_about(std::vector<double> x, std::vector<double> baseline, double low = 0, double high = 1) {
  MetricQuestion q;
  q.frame = plain_frame(x.size(), low, high);
  q.cells = static_cast<std::int64_t>(x.size());
  q.cell.assign(q.frame.pixel.begin(), q.frame.pixel.end());
  q.x = std::move(x);
  q.baseline = std::move(baseline);
  return q;
}

}  // namespace

TEST_CASE("Deletion and Insertion are the areas under the curves of the ranked cells") {
  const auto engine = test::engine_of(four());
  const auto q = question_about({1, 1, 1, 1}, {0, 0.5, 0, 0});
  MetricOptions o;
  o.probability = false;
  o.steps = 4;
  // Ranked 1, 3, 0, 2: f = 10, then 10 - 1.5, - 1, - 4, - 2.
  const std::vector<double> map = {0.2, 0.9, -3, 0.5};
  const auto gone = deletion(*engine, q, {map, {4, 3, 2, 1}}, o);
  REQUIRE(gone.ok());
  CHECK(gone.value()[0].curve == std::vector<double>{10, 8.5, 7.5, 3.5, 1.5});
  CHECK(gone.value()[0].score == Approx((10 / 2.0 + 8.5 + 7.5 + 3.5 + 1.5 / 2) / 4));
  CHECK(gone.value()[1].curve == std::vector<double>{10, 6, 4.5, 2.5, 1.5});
  const auto back = insertion(*engine, q, {map}, o);
  REQUIRE(back.ok());
  CHECK(back.value()[0].curve == std::vector<double>{1.5, 3, 4, 8, 10});
  CHECK(back.value()[0].score == Approx((1.5 / 2 + 3 + 4 + 8 + 10 / 2.0) / 4));
  // The default ten steps: floor(4 j / 10) cells at checkpoint j, and probabilities.
  const auto ten = deletion(*engine, q, {map}, {});
  REQUIRE(ten.ok());
  const double f[] = {10, 8.5, 7.5, 3.5, 1.5};
  const int count[] = {0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4};
  double area = 0;
  for (int j = 0; j <= 10; ++j) {
    const double p = 1 / (1 + std::exp(-f[count[j]]));
    CHECK(ten.value()[0].curve[static_cast<std::size_t>(j)] == Approx(p).epsilon(1e-12));
    area += p * (j == 0 || j == 10 ? 0.05 : 0.1);
  }
  CHECK(ten.value()[0].score == Approx(area).epsilon(1e-12));
}

TEST_CASE("cells rank by falling importance; ties in their own order, NaN last") {
  CHECK(by_importance({1, 3, std::nan(""), 3, -2}) == std::vector<std::size_t>{1, 3, 0, 4, 2});
}

TEST_CASE("MuFidelity: 1 for exact contributions, -1 for their opposite, 0 for a constant, Spearman's formula in between") {
  auto net = test::random_net({30, 2}, 3);
  const auto engine = test::engine_of(net);
  test::Draws draws(10);
  auto q = question_about(draws.reals(30, 0, 1), draws.reals(30, 0, 1));
  q.label = 1;
  MetricOptions o;
  o.probability = false;
  std::vector<double> exact, opposite, other = draws.reals(30, -1, 1);
  for (std::size_t i = 0; i < 30; ++i) exact.push_back(net.layers[0].weight[1][i] * (q.x[i] - q.baseline[i])), opposite.push_back(-exact.back());
  const auto found = mufidelity(*engine, q, {exact, opposite, std::vector<double>(30, 0.0), other, std::vector<double>(30, std::nan(""))}, o);
  REQUIRE(found.ok());
  CHECK(found.value()[0].score == Approx(1).margin(1e-3));  // sums in another order may swap near ties
  CHECK(found.value()[1].score == Approx(-1).margin(1e-3));
  CHECK(found.value()[2].score == 0);
  CHECK(found.value()[4].score == 0);
  // The 200 sets again: each cell joins with probability 0.2; ranks are distinct, so 1 - 6 sum d^2 / (n^3 - n).
  std::mt19937_64 random(o.seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<double> drop(200, 0.0), inside(200, 0.0);
  double members = 0;
  for (std::size_t s = 0; s < 200; ++s)
    for (std::size_t c = 0; c < 30; ++c)
      if (unit(random) < 0.2) drop[s] += exact[c], inside[s] += other[c], ++members;
  CHECK(members / 6000 == Approx(0.2).margin(0.02));
  double squares = 0;
  for (std::size_t s = 0; s < 200; ++s) {
    double above = 0;
    for (std::size_t t = 0; t < 200; ++t) above += (drop[t] < drop[s]) - (inside[t] < inside[s]);
    squares += above * above;
  }
  CHECK(found.value()[3].score == Approx(1 - 6 * squares / (200.0 * 200 * 200 - 200)).margin(0.005));
}

TEST_CASE("Robustness-S_r of a linear model is its distance from the boundary within the set") {
  // Standardised inputs: value = (pixel - mean) / deviation, so a weight per pixel is w / deviation.
  test::DenseNet net;
  net.type = DataType::float64;
  test::Draws draws(21);
  net.layers.push_back({{draws.reals(20, -1, 1), draws.reals(20, -1, 1), draws.reals(20, -1, 1)}, {0, 0, 0}});
  auto q = question_about(draws.reals(20, -0.2, 0.2), {}, -100, 100);
  for (std::size_t i = 0; i < 20; ++i) q.frame.deviation[i] = i % 2 ? 0.5 : 0.2, q.frame.mean[i] = 0.1;
  const auto logits = test::exact_logits(net, q.x);
  q.label = std::max_element(logits.begin(), logits.end()) - logits.begin();
  const auto engine = test::engine_of(net);
  std::vector<double> map(20), other;
  std::iota(map.begin(), map.end(), 0.0);
  other = draws.reals(20, 0, 1);
  MetricOptions o;
  o.parts = {0.05, 0.25, 0.5};
  const auto found = robustness(*engine, q, {map, other}, o);
  REQUIRE(found.ok());
  for (std::size_t m = 0; m < 2; ++m) {
    const auto order = by_importance(m == 0 ? map : other);
    double mean = 0;
    for (std::size_t p = 0; p < 3; ++p) {
      const std::size_t count[] = {1, 5, 10};
      double smallest = std::numeric_limits<double>::infinity();
      for (std::int64_t k = 0; k < 3; ++k) {
        if (k == q.label) continue;
        double square = 0;
        for (std::size_t c = 0; c < count[p]; ++c) {
          const std::size_t i = order[c];
          square += std::pow((net.layers[0].weight[static_cast<std::size_t>(k)][i] - net.layers[0].weight[static_cast<std::size_t>(q.label)][i]) / q.frame.deviation[i], 2);
        }
        smallest = std::min(smallest, (logits[static_cast<std::size_t>(q.label)] - logits[static_cast<std::size_t>(k)]) / std::sqrt(square));
      }
      CAPTURE(m, p, smallest);
      CHECK(found.value()[m].curve[p] >= smallest * (1 - 1e-9));
      CHECK(found.value()[m].curve[p] <= smallest * 1.02);
      mean += found.value()[m].curve[p] / 3;
    }
    CHECK(found.value()[m].score == Approx(mean));
    CHECK(found.value()[m].missing == 0);
  }
}

TEST_CASE("Robustness-S_r comes close to the smallest change of a ReLU network, found by a fine grid") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const auto net = test::random_net({2, 8, 8, 2}, 80 + seed);
    const auto engine = test::engine_of(net);
    auto q = question_about({0.4, 0.6}, {}, 0, 1);
    const auto logits = test::exact_logits(net, q.x);
    q.label = logits[0] > logits[1] ? 0 : 1;
    MetricOptions o;
    o.parts = {1.0};
    const auto found = robustness(*engine, q, {{1, 0}}, o);
    REQUIRE(found.ok());
    // All points of a grid of 1/128 in the valid range, in double arithmetic by the engine.
    std::vector<double> points;
    for (int r = 0; r <= 128; ++r)
      for (int c = 0; c <= 128; ++c) points.insert(points.end(), {r / 128.0, c / 128.0});
    const auto y = engine->evaluate(points, 129 * 129, {engine->network().logits}, Precision::dual);
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < 129 * 129; ++i) {
      const double* z = (*y)[0].data() + 2 * i;
      if (z[1 - q.label] > z[q.label]) smallest = std::min(smallest, std::hypot(points[2 * i] - 0.4, points[2 * i + 1] - 0.6));
    }
    CAPTURE(seed, smallest, found.value()[0].score);
    if (std::isinf(smallest)) {
      CHECK(found.value()[0].missing == 1);
      CHECK(found.value()[0].score == Approx(std::sqrt(2.0)));
    } else {
      CHECK(found.value()[0].missing == 0);
      CHECK(found.value()[0].score <= smallest * 1.05 + 0.006);
      CHECK(found.value()[0].score >= smallest - 0.012);  // the grid's own step
    }
  }
}

TEST_CASE("a set that cannot change the class within the valid range counts as missing") {
  test::DenseNet net;
  net.type = DataType::float64;
  net.layers.push_back({{{10, 0, 1, 1}, {0, 0, 0, 0}}, {0, 5}});
  const auto engine = test::engine_of(net);
  const auto q = question_about({1, 1, 1, 1}, {});
  MetricOptions o;
  o.parts = {0.25, 0.5};
  // Only pixel 0 matters enough: 12 - 5 = 7 must go, of 10 in reach; the others together have 2.
  const auto found = robustness(*engine, q, {{0, 3, 2, 1}, {9, 3, 2, 1}}, o);
  REQUIRE(found.ok());
  CHECK(found.value()[0].missing == 2);
  CHECK(found.value()[0].curve == std::vector<double>{2 * std::sqrt(0.25), 2 * std::sqrt(0.5)});
  CHECK(found.value()[1].missing == 0);
  CHECK(found.value()[1].curve[0] == Approx(0.7).epsilon(1e-3));
}

TEST_CASE("baselines in pixel units") {
  PixelFrame f = plain_frame(8);
  f.height = 2, f.width = 2;
  f.pixel = {0, 1, 2, 3, 0, 1, 2, 3};
  f.channel = {0, 0, 0, 0, 1, 1, 1, 1};
  for (std::size_t i = 0; i < 8; ++i) f.mean[i] = i < 4 ? 0.5 : 0.25, f.deviation[i] = 0.25;
  const std::vector<double> x = {0, 1, 2, -1, 0, 0, 0, 1};  // pixels .5 .75 1 .25 and .25 .25 .25 .5
  const auto pixel = [&](const std::vector<double>& v, std::size_t i) { return v[i] * f.deviation[i] + f.mean[i]; };
  const auto zero = baseline_values(Baseline::zero, f, x, 1), mean = baseline_values(Baseline::mean, f, x, 1);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(pixel(zero, i) == Approx(0).margin(1e-15));
    CHECK(pixel(mean, i) == Approx(i < 4 ? 0.625 : 0.3125));
  }
  const auto random = baseline_values(Baseline::random, f, x, 1);
  for (std::size_t i = 0; i < 8; ++i) CHECK((pixel(random, i) >= 0 && pixel(random, i) <= 1));
  CHECK(random == baseline_values(Baseline::random, f, x, 1));
  CHECK(random != baseline_values(Baseline::random, f, x, 2));
  // A range that leaves 0 out is entered at its nearer end.
  f.low = 0.25;
  CHECK(pixel(baseline_values(Baseline::zero, f, x, 1), 0) == Approx(0.25));
}

TEST_CASE("the blur is a Gaussian of a tenth of the shorter side, edges continued") {
  PixelFrame f = plain_frame(20 * 30);
  f.height = 20, f.width = 30;
  std::vector<double> x(600, 0.0);
  x[10 * 30 + 15] = 1;
  const auto spread = baseline_values(Baseline::blur, f, x, 1);
  double w[13], total = 0;
  for (int d = -6; d <= 6; ++d) total += w[d + 6] = std::exp(-d * d / 8.0);  // deviation 2, cut at three
  for (int r = 0; r < 20; ++r)
    for (int c = 0; c < 30; ++c) {
      const bool near = std::abs(r - 10) <= 6 && std::abs(c - 15) <= 6;
      CHECK(spread[static_cast<std::size_t>(r * 30 + c)] == Approx(near ? w[r - 4] * w[c - 9] / total / total : 0).margin(1e-12));
    }
  const auto flat = baseline_values(Baseline::blur, f, std::vector<double>(600, 0.3), 1);
  for (const double v : flat) CHECK(v == Approx(0.3));
}

TEST_CASE("names, and stopping") {
  for (const auto& m : metrics()) CHECK(find_metric(m.name).value() == &m);
  test::check_refused(find_metric("auc"), "metric 'auc'", "deletion, insertion, mufidelity, robustness");
  test::check_refused(find_baseline("grey"), "baseline 'grey'", "zero, mean, blur, random");
  CHECK(find_baseline("blur").value() == Baseline::blur);
  const auto engine = test::engine_of(four());
  const auto q = question_about({1, 1, 1, 1}, {0, 0, 0, 0});
  const std::atomic<bool> now = true;
  MetricOptions o;
  o.stop = StopToken::on(&now);
  for (const auto& m : metrics()) CHECK(m.run(*engine, q, {{1, 2, 3, 4}}, o).error().kind == ErrorKind::cancelled);
}
