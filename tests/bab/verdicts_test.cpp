// No wrong verdict on small ReLU networks whose exact answer is known in rationals (T5, T14, T19, T20), with every way of splitting,
// with and without the attack; every unsat comes with a certificate that the checker accepts.
// BOUNDLIGHT_VERDICT_NETS=2000 test_bab "[verdicts]" tries more.
#include <cstdlib>

#include "nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

int nets_to_try() {
  const char* n = std::getenv("BOUNDLIGHT_VERDICT_NETS");
  return n ? std::atoi(n) : 60;
}

Rational form_at(const std::vector<std::int64_t>& form, const std::vector<Rational>& y) {
  Rational sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += form[i] * y[i];
  return sum;
}

LinearConstraint below(const std::vector<std::int64_t>& form, const Rational& bound, bool strict = false) {
  LinearConstraint c;
  for (std::size_t i = 0; i < form.size(); ++i)
    if (form[i] != 0) c.outputs.push_back({static_cast<std::int64_t>(i), Rational(form[i])});
  c.bound = bound;
  c.strict = strict;
  return c;
}

// A disjunct about a random form, its threshold `gap` below (unsat) or above (sat) the exact least value.
struct Drawn {
  Case c;
  bool violated = false;
};
Drawn draw(std::mt19937_64& random) {
  const auto pick = [&](int n) { return static_cast<std::size_t>(std::uniform_int_distribution<int>(0, n - 1)(random)); };
  std::vector<std::size_t> sizes = {2 + pick(2), 3 + pick(4), 3 + pick(3), 2 + pick(2)};
  DenseNet net = random_net(random, sizes);
  std::vector<double> lower, upper;
  for (std::size_t i = 0; i < sizes[0]; ++i) {
    lower.push_back(static_cast<double>(pick(9)) / 4 - 1);
    upper.push_back(lower.back() + static_cast<double>(pick(5)) / 4);
  }
  const ExactCells cells(net, lower, upper);
  std::vector<std::vector<LinearConstraint>> disjuncts;
  const std::size_t count = 1 + pick(3);
  for (std::size_t d = 0; d < count; ++d) {
    std::vector<std::int64_t> form;
    for (std::size_t i = 0; i < sizes.back(); ++i) form.push_back(static_cast<std::int64_t>(pick(5)) - 2);
    form[0] = 1;
    ExactRange range;
    for (const auto& v : cells.vertices()) range.include(form_at(form, v.values.back()));
    const double gaps[] = {1e-2, 1e-4, 1e-1, 1};
    const double gap = gaps[pick(4)];
    const double at = round_down(range.lower) + (pick(3) == 0 ? gap : -gap);
    disjuncts.push_back({below(form, exact(at), pick(4) == 0)});
  }
  Drawn drawn{case_of(std::move(net), lower, upper, disjuncts), false};
  drawn.violated = truly_violated(drawn.c, cells);
  return drawn;
}

}  // namespace

TEST_CASE("random networks: never a wrong verdict, every unsat is certified", "[verdicts]") {
  std::mt19937_64 random(11);
  int decided = 0, all = 0;
  for (int n = 0; n < nets_to_try(); ++n) {
    const Drawn drawn = draw(random);
    for (const Splits splits : {Splits::inputs, Splits::relus}) {
      VerifyOptions o;
      o.device = test_device();
      o.splits = splits;
      o.attack = n % 2 == 0;
      o.certificate = true;
      o.most_domains = 2000;
      o.batch = 1 + n % 7;
      o.clip = n % 3 != 0;
      o.model_bytes = std::make_shared<const std::string>(drawn.c.model);
      auto result = verify(drawn.c.network, drawn.c.property, o);
      INFO("network " << n << ", splits " << static_cast<int>(splits));
      REQUIRE(result.ok());
      const VerifyResult& r = result.value();
      ++all;
      if (r.answer == Answer::sat) {
        CHECK(drawn.violated);
        check_counterexample(drawn.c, r);
        ++decided;
      }
      if (r.answer != Answer::unsat) continue;
      CHECK_FALSE(drawn.violated);
      ++decided;
      INFO(r.certificate_reason);
      REQUIRE(r.certificate);
      const check::Verdict verdict = checked(drawn.c, *r.certificate);
      INFO(verdict.place << ": " << verdict.reason);
      CHECK(verdict.kind == check::Verdict::Kind::accepted);
    }
  }
  CHECK(decided * 10 >= all * 9);
}

TEST_CASE("the verdict does not depend on threads, seed or batch", "[verdicts]") {
  std::mt19937_64 random(5);
  for (int n = 0; n < 8; ++n) {
    const Drawn drawn = draw(random);
    for (const Splits splits : {Splits::inputs, Splits::relus}) {
      std::optional<std::int64_t> domains;
      for (const int threads : {1, 2, 0}) {
        VerifyOptions o;
        o.device = test_device();
        o.splits = splits;
        o.attack = false;
        o.threads = threads;
        o.most_domains = 500;
        const auto r = verify(drawn.c.network, drawn.c.property, o);
        REQUIRE(r.ok());
        CHECK(domains.value_or(r.value().domains) == r.value().domains);
        domains = r.value().domains;
        CHECK((r.value().answer == Answer::unsat) <= !drawn.violated);
      }
    }
  }
}

TEST_CASE("hidden counterexamples are never called verified", "[verdicts]") {
  // y = 1 everywhere but in a spike: y = 1 - relu(1 - k |x - c|_1 / r) * 2 <= 0 near c only; built from ReLUs, obfuscated by a random
  // change of basis of the hidden layer's order and scale (powers of two, exact).
  std::mt19937_64 random(3);
  for (int n = 0; n < 20; ++n) {
    const double c[2] = {std::uniform_int_distribution<int>(-60, 60)(random) / 64.0, std::uniform_int_distribution<int>(-60, 60)(random) / 64.0};
    const double steep = std::ldexp(1.0, 6 + n % 6);
    DenseNet net;
    DenseNet::Layer first, second, third;
    std::vector<double> scale;
    for (int i = 0; i < 2; ++i)
      for (const double s : {1.0, -1.0}) {
        scale.push_back(std::ldexp(1.0, std::uniform_int_distribution<int>(-3, 3)(random)));
        std::vector<double> row(2, 0.0);
        row[static_cast<std::size_t>(i)] = s * scale.back();
        first.weight.push_back(row);
        first.bias.push_back(-s * c[i] * scale.back());
      }
    second.weight.push_back({});
    for (const double s : scale) second.weight[0].push_back(-steep / s);
    second.bias.push_back(1);
    third.weight.push_back({-2});
    third.bias.push_back(1);
    net.layers = {first, second, third};
    const Case spike = case_of(net, {-1, -1}, {1, 1}, {{below({1}, 0)}});
    for (const Splits splits : {Splits::inputs, Splits::relus, Splits::none}) {
      VerifyOptions o;
      o.device = test_device();
      o.splits = splits;
      o.attack = false;
      o.most_domains = 300;
      const auto r = verify(spike.network, spike.property, o);
      REQUIRE(r.ok());
      CHECK(r.value().answer != Answer::unsat);
      if (r.value().answer == Answer::sat) check_counterexample(spike, r.value());
    }
  }
}

TEST_CASE("mutated certificates prove nothing false", "[verdicts]") {
  std::mt19937_64 random(23);
  int accepted = 0, tried = 0;
  for (int n = 0; n < 12; ++n) {
    const Drawn drawn = draw(random);
    if (drawn.violated) continue;
    VerifyOptions o;
    o.device = test_device();
    o.attack = false;
    o.splits = n % 2 ? Splits::inputs : Splits::relus;
    o.certificate = true;
    o.most_domains = 1000;
    o.model_bytes = std::make_shared<const std::string>(drawn.c.model);
    const auto r = verify(drawn.c.network, drawn.c.property, o);
    REQUIRE(r.ok());
    if (r.value().answer != Answer::unsat) continue;
    // The same certificate for a property that is violated: thresholds raised by 4.
    Property raised = drawn.c.property;
    for (Disjunct& d : raised.disjuncts)
      for (LinearConstraint& k : d.constraints) k.bound += 4;
    const std::string spec = to_vnnlib(raised);
    check::Certificate wrong = *r.value().certificate;
    wrong.spec_sha256 = sha256_hex(spec);
    const auto verdict = check::check_bytes(check::serialize(wrong), drawn.c.model, spec);
    REQUIRE(verdict.ok());
    CHECK(verdict.value().kind == check::Verdict::Kind::rejected);
    ++tried;
    // Other multipliers, or a child taken for its sibling: rejected, or true all the same.
    for (int m = 0; m < 20; ++m) {
      check::Certificate changed = *r.value().certificate;
      auto& tree = changed.proofs[static_cast<std::size_t>(m) % changed.proofs.size()].tree.nodes;
      check::Node& node = tree[std::uniform_int_distribution<std::size_t>(0, tree.size() - 1)(random)];
      if (m % 2 && node.high >= 0) std::swap(node.low, node.high);
      else
        for (double& l : node.lambda) l = 0;
      const auto again = check::check_bytes(check::serialize(changed), drawn.c.model, drawn.c.spec);
      accepted += again.ok() && again.value().kind == check::Verdict::Kind::accepted ? 1 : 0;
      ++tried;
    }
  }
  CHECK(tried > 60);
  CHECK(accepted < tried);
}
