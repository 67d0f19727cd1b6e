// RISE against the expectation over all of its masks, Greedy-AS and sampled EVA where the damage is additive, and what all
// methods share: budgets counted, seeds, stopping.
#include <catch2/catch.hpp>
#include <atomic>
#include <cmath>
#include <numeric>
#include <set>

#include "sampling_case.hpp"
#include "support/answers_apart.hpp"

using namespace boundlight;
using test::SamplingCase;

namespace {

// Counts model evaluations, a gradient as two.
class CountingEngine : public Engine {
 public:
  explicit CountingEngine(Engine& inner) : inner_(inner) {}
  std::int64_t evaluations = 0;
  [[nodiscard]] const Network& network() const override { return inner_.network(); }
  [[nodiscard]] std::string device() const override { return inner_.device(); }
  Result<std::vector<std::vector<double>>> evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted, Precision precision) override {
    evaluations += batch;
    return inner_.evaluate(inputs, batch, wanted, precision);
  }
  Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, Precision precision, ValueId wrt) override {
    evaluations += 2 * batch;
    return inner_.gradient(inputs, batch, value, weight_of, precision, wrt);
  }
  Result<BoundResult> bound(const Regions& r, const Forms& f, const BoundOptions& o, const ValueBoxes* known) override { return inner_.bound(r, f, o, known); }
  Result<FamilyResult> family(const BoxFamily& b, const Forms& f, Tier t, const BoundOptions& o) override { return inner_.family(b, f, t, o); }
  Result<ValueBoxes> boxes(const Regions& r, const BoundOptions& o, const ValueBoxes* known) override { return inner_.boxes(r, o, known); }
  Result<void> search(SplitSearch& s) override { return inner_.search(s); }

 private:
  Engine& inner_;
};

// One conv layer of two maps, 4 x 4 image, dense on top: every method applies.
std::shared_ptr<const Network> small_conv() {
  test::GraphBuilder g(DataType::float32);
  test::Draws draws(77);
  const ValueId x = g.input({1, 1, 4, 4});
  const ValueId conv = g.node("Conv", {x, g.constant({2, 1, 3, 3}, draws.reals(18, -1, 1))}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}});
  const ValueId flat = g.node("Flatten", {g.node("Relu", {conv})}, {{"axis", std::int64_t{1}}});
  return g.network({g.node("MatMul", {flat, g.constant({32, 3}, draws.reals(96, -1, 1))})});
}

// The mask of RISE from its grid and shifts, written from the paper: a grid of 2 x 2 enlarged to 6 x 6 pixels bilinearly at
// pixel centres, cut at (down, right) to 4 x 4.
std::vector<double> rise_mask(unsigned bits, int down, int right) {
  const auto blend = [](int pixel) {  // weight of the second grid line
    const double at = (pixel + 0.5) * 2 / 6 - 0.5;
    return std::min(1.0, std::max(0.0, at));
  };
  std::vector<double> mask;
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) {
      const double y = blend(r + down), x = blend(c + right);
      mask.push_back((1 - y) * ((1 - x) * (bits & 1) + x * (bits >> 1 & 1)) + y * ((1 - x) * (bits >> 2 & 1) + x * (bits >> 3 & 1)));
    }
  return mask;
}

}  // namespace

TEST_CASE("RISE tends to its expectation over all masks") {
  // A linear model of two classes; the score is its probability, as published.
  const auto net = test::random_net({16, 2}, 61);
  const auto engine = test::engine_of(net);
  test::Draws draws(2);
  SamplingCase c(draws.reals(16, 0, 1), draws.reals(16, -0.5, 0.5), 4, 4, test::cells_of({0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 2, 4, 4, 4, 4}, 4, 4));
  std::vector<double> mean(5, 0.0), square(5, 0.0), members(5, 0.0);
  for (const auto cell : c.region.cell) ++members[static_cast<std::size_t>(cell)];
  for (unsigned bits = 0; bits < 16; ++bits)
    for (int shift = 0; shift < 4; ++shift) {
      const auto mask = rise_mask(bits, shift / 2, shift % 2);
      std::vector<double> z(16), s(5, 0.0);
      for (std::size_t i = 0; i < 16; ++i) z[i] = mask[i] * c.region.x[i] + (1 - mask[i]) * c.q.baseline[i];
      const auto y = test::exact_logits(net, z);
      const double p = 1 / (1 + std::exp(y[1] - y[0]));
      for (std::size_t i = 0; i < 16; ++i) s[static_cast<std::size_t>(c.region.cell[i])] += p * mask[i] / 0.5 / members[static_cast<std::size_t>(c.region.cell[i])];
      for (std::size_t u = 0; u < 5; ++u) mean[u] += s[u] / 64, square[u] += s[u] * s[u] / 64;
    }
  constexpr std::int64_t kMasks = 20000;
  const auto a = c.run(*engine, "rise", kMasks, 3);
  for (std::size_t u = 0; u < 5; ++u) {
    CAPTURE(u, a.cell[u], mean[u]);
    CHECK(std::fabs(a.cell[u] - mean[u]) <= 4.5 * std::sqrt((square[u] - mean[u] * mean[u]) / kMasks));
  }
}

TEST_CASE("sampled EVA: exact where corners attain the overlap and are all drawn, never negative, never above the truth") {
  auto net = test::random_net({4, 2}, 71);
  const auto engine = test::engine_of(net);
  SamplingCase c({0.5, 0.25, -0.5, 1}, std::vector<double>(4, 0.0), 2, 2, test::cells_of({0, 1, 1, 2}, 2, 2));
  const auto& layer = net.layers[0];
  std::vector<double> drop(3, 0.0);
  double base = layer.bias[1] - layer.bias[0];
  for (std::size_t i = 0; i < 4; ++i) {
    const double d = layer.weight[1][i] - layer.weight[0][i];
    base += d * c.region.x[i] + std::fabs(d) * 0.25;
    drop[static_cast<std::size_t>(c.region.cell[i])] += std::fabs(d) * 0.25;
  }
  const auto a = c.run(*engine, "sampled-eva", 4 * 400);
  for (std::size_t u = 0; u < 3; ++u) CHECK(a.cell[u] == Approx(drop[u]).margin(1e-6));
  REQUIRE(a.overlap);
  CHECK(*a.overlap == Approx(base).margin(1e-6));
  CHECK(a.evaluations == 1600);
  // Few points on a deep network: an underestimate of AO(B), but no negative drop.
  const auto deep = test::random_net({16, 12, 8, 3}, 72);
  const auto deep_engine = test::engine_of(deep);
  test::Draws draws(12);
  SamplingCase d(draws.reals(16, -1, 1), std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 4, 2));
  const auto few = d.run(*deep_engine, "sampled-eva", 45);
  for (const double v : few.cell) CHECK(v >= 0);
  CHECK(*few.overlap < *d.run(*deep_engine, "sampled-eva", 9000).overlap);
}

TEST_CASE("Greedy-AS adds cells in the order of their damage when damage adds up") {
  // A linear model of two classes: the damage of a set is the sum over its elements of |w_1 - w_0| eps.
  test::DenseNet net;
  net.type = DataType::float64;
  const std::vector<double> damage = {3, 11, 7, 1, 9, 5, 13, 2};
  net.layers.push_back({{std::vector<double>(8, 0.0), {3, -11, 7, 1, -9, 5, 13, -2}}, {0, -100}});
  const auto engine = test::engine_of(net);
  SamplingCase c(std::vector<double>(8, 0.5), std::vector<double>(8, 0.0), 2, 4, *grid_cells(2, 4, 2, 4));
  const auto a = c.run(*engine, "greedy-as", 6000);
  std::vector<std::size_t> order(8);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return a.cell[i] > a.cell[j]; });
  CHECK(order == std::vector<std::size_t>{6, 1, 4, 2, 5, 0, 7, 3});
  CHECK(std::set<double>(a.cell.begin(), a.cell.end()).size() == 8);
}

TEST_CASE("every method counts its evaluations, keeps to the budget, and follows its seed") {
  const auto engine = test::engine_of(small_conv());
  test::Draws draws(15);
  SamplingCase c(draws.reals(16, 0, 1), std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 4, 4));
  const std::set<std::string> random = {"smoothgrad", "vargrad", "rise", "lime", "kernelshap", "sobol", "greedy-as", "sampled-eva"};
  std::set<std::string> names;
  for (const auto& m : sampled_methods()) {
    CAPTURE(m.name);
    names.insert(m.name);
    CountingEngine counting(*engine);
    const auto a = c.run(counting, m.name, 700);
    CHECK(a.evaluations == counting.evaluations);
    CHECK(a.evaluations <= 700);
    CHECK(*std::max_element(a.cell.begin(), a.cell.end()) > *std::min_element(a.cell.begin(), a.cell.end()));
    if (test::answers_apart() == 0) {
      CHECK(c.run(*engine, m.name, 700).cell == a.cell);
      CHECK((c.run(*engine, m.name, 700, 2).cell == a.cell) == (random.count(m.name) == 0));
    }
    CHECK(m.drop == (std::string(m.name) == "sampled-eva"));
    CHECK(find_method(m.name) == &m);
  }
  CHECK(names.size() == 14);
  CHECK(find_method("shap") == nullptr);
}

TEST_CASE("a stop ends the long methods with an error, not with half an answer") {
  const auto engine = test::engine_of(small_conv());
  SamplingCase c(std::vector<double>(16, 0.5), std::vector<double>(16, 0.0), 4, 4, *grid_cells(4, 4, 4, 4));
  const std::atomic<bool> now = true;
  c.q.stop = StopToken::on(&now);
  for (const char* name : {"ig", "smoothgrad", "vargrad", "occlusion", "rise", "lime", "kernelshap", "sobol", "greedy-as", "sampled-eva"}) {
    CAPTURE(name);
    const auto a = find_method(name)->run(*engine, c.q, {});
    REQUIRE(!a.ok());
    CHECK(a.error().kind == ErrorKind::cancelled);
  }
}
