// Engines that answer wrongly on purpose: each error is found by the law made for it.
#include <catch2/catch.hpp>
#include <cmath>

#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/bounds/ops/op.hpp"
#include "support/laws.hpp"
#include "support/test_device.hpp"

namespace {

using namespace boundlight;
using namespace boundlight::test;

// What a test changes: the regions before the engine sees them, its bounds, its gradients.
struct Spoil {
  std::function<void(Regions&)> regions = [](Regions&) {};
  std::function<void(const BoundOptions&, BoundResult&)> bounds = [](const BoundOptions&, BoundResult&) {};
  std::function<void(std::vector<double>&, ValueId)> gradient = [](std::vector<double>&, ValueId) {};
};

class Spoiled : public Engine {
 public:
  Spoiled(std::unique_ptr<Engine> good, Spoil spoil) : good_(std::move(good)), spoil_(std::move(spoil)) {}
  const Network& network() const override { return good_->network(); }
  std::string device() const override { return good_->device(); }
  Result<std::vector<std::vector<double>>> evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted, Precision precision) override {
    return good_->evaluate(inputs, batch, wanted, precision);
  }
  Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, Precision precision, ValueId wrt) override {
    auto g = good_->gradient(inputs, batch, value, weight_of, precision, wrt);
    if (g.ok()) spoil_.gradient(g->inputs, wrt);
    return g;
  }
  Result<BoundResult> bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known) override {
    Regions changed = regions;
    spoil_.regions(changed);
    auto r = good_->bound(changed, forms, options, known);
    if (r.ok()) spoil_.bounds(options, *r);
    return r;
  }
  Result<FamilyResult> family(const BoxFamily& family, const Forms& forms, Tier tier, const BoundOptions& options) override { return good_->family(family, forms, tier, options); }
  Result<void> search(SplitSearch& search) override { return good_->search(search); }
  Result<ValueBoxes> boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known) override { return good_->boxes(regions, options, known); }

 private:
  std::unique_ptr<Engine> good_;
  Spoil spoil_;
};

// The first case of an operator (with constant weights, where it has any) on an engine that is spoiled.
LawFindings spoiled(const std::string& op, const Spoil& spoil) {
  for (const auto& c : law_cases()) {
    if (c.op != op || c.label.find("variable weights") != std::string::npos) continue;
    LawRun run{c, 17, [spoil](std::shared_ptr<const Network> n) -> Result<std::unique_ptr<Engine>> {
                 auto good = make_engine(std::move(n), test_device());
                 if (!good.ok()) return good.error();
                 return std::unique_ptr<Engine>(std::make_unique<Spoiled>(std::move(good.value()), spoil));
               }};
    run.deployed = covers_deployment(*find_op(op));
    run.weights = std::string_view(find_op(op)->gradient).find("weights") != std::string_view::npos;
    return check_laws(run);
  }
  FAIL("no case of " << op);
  return {};
}

Spoil bounds_of(Method method, std::function<void(BoundResult&)> change) {
  Spoil s;
  s.bounds = [=](const BoundOptions& o, BoundResult& r) {
    if (o.method == method) change(r);
  };
  return s;
}

}  // namespace

TEST_CASE("the laws find errors planted in an engine") {
  CHECK(spoiled("Tanh", {}).violations.empty());
  // Bounds a thousandth of their width too narrow, by each method.
  const auto narrow = [](BoundResult& r) {
    for (std::size_t i = 0; i < r.lower.size(); ++i)
      if (std::isfinite(r.upper[i]) && std::isfinite(r.lower[i])) r.lower[i] += (r.upper[i] - r.lower[i]) * 1e-3;
  };
  CHECK(spoiled("Tanh", bounds_of(Method::interval, narrow)).found("interval"));
  CHECK(spoiled("Add", bounds_of(Method::forward, narrow)).found("forward"));
  CHECK(spoiled("Conv", bounds_of(Method::crown, narrow)).found("rows"));
  // A part in 10^12 at a vertex: an exact operator's interval ends at a value. (To the last bit: law_unary_test.cpp.)
  CHECK(spoiled("MaxPool", bounds_of(Method::interval, [](BoundResult& r) {
          for (double& x : r.upper) x -= 1e-12 * std::fabs(x);
        })).found("interval"));
  // A swapped sign in a plane, and a plane lowered by a part in 10^12.
  CHECK(spoiled("Softmax", bounds_of(Method::crown, [](BoundResult& r) {
          for (double& x : r.lower_plane) x = -x;
        })).found("planes"));
  CHECK(spoiled("Relu", bounds_of(Method::crown, [](BoundResult& r) {
          for (double& x : r.upper_offset) x -= 1e-12;
        })).found("planes"));
  // The second region's bounds for every region.
  Spoil same;
  same.regions = [](Regions& regions) {
    if (regions.batch < 2) return;
    const std::size_t n = regions.lower.size() / static_cast<std::size_t>(regions.batch);
    for (std::size_t i = 0; i < regions.lower.size(); ++i) regions.lower[i] = regions.lower[n + i % n], regions.upper[i] = regions.upper[n + i % n];
  };
  CHECK(spoiled("Relu", same).found("batch"));
  // A NaN that should have become infinity, and overflow that saturates.
  CHECK(spoiled("Exp", bounds_of(Method::interval, [](BoundResult& r) {
          for (double& x : r.upper)
            if (x > 1e30) x = std::nan("");
        })).found("degenerate"));
  CHECK(spoiled("Abs", bounds_of(Method::crown, [](BoundResult& r) {
          for (double& x : r.upper) x = std::min(x, 3.4e38);
        })).found("degenerate"));
  // Widths that grow where boxes shrink; a point with a wide bound.
  const auto wider = [](BoundResult& r) {
    for (std::size_t i = 0; i < r.lower.size(); ++i)
      if (r.upper[i] - r.lower[i] < 0.5) r.lower[i] -= 1;
  };
  CHECK(spoiled("Neg", bounds_of(Method::interval, wider)).found("monotone"));
  CHECK(spoiled("Neg", bounds_of(Method::interval, wider)).found("point"));
  // Gradients: of the wrong sign, without an element, of the weights without their scale.
  Spoil negative, missing, unscaled;
  negative.gradient = [](std::vector<double>& g, ValueId) {
    for (double& x : g) x = -x;
  };
  missing.gradient = [](std::vector<double>& g, ValueId) { g[0] = 0; };
  unscaled.gradient = [](std::vector<double>& g, ValueId wrt) {
    if (wrt != kAbsent)
      for (double& x : g) x *= 2;
  };
  CHECK(spoiled("Sigmoid", negative).found("difference"));
  CHECK(spoiled("Neg", missing).found("difference"));
  CHECK(spoiled("Conv", unscaled).found("weights"));
}
