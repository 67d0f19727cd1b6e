// Certificates of a reference prover on small networks whose truth is known exactly: accepted when the claim is true and
// proved, never when it is false, whatever is done to them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "tiny_nets.hpp"

using namespace boundlight;
using namespace boundlight::check;
using namespace tiny;

namespace {

struct Case {
  Net net;
  std::array<Rational, 2> lower, upper;
  std::vector<Goal> goals;
  std::string spec;
  Certificate certificate;
  bool proved = true;
};

Verdict verdict_of(const Certificate& c, const std::string& model, const std::string& spec) {
  return check_bytes(serialize(c), model, spec).value();
}

// Thresholds below the exact least value by `slack`: true claims.
Case true_case(std::uint64_t seed, const Options& options = {}) {
  std::mt19937_64 random(seed);
  Case k;
  const std::size_t outputs = 1 + random() % 3;
  k.net = Net::random(random, outputs);
  for (int t = 0; t < 2; ++t) {
    k.lower[t] = dyadic(random, 1, 8);
    k.upper[t] = k.lower[t] + Rational(1 + static_cast<int>(random() % 12), 8);
  }
  const Polygon region = box_polygon(k.lower, k.upper);
  for (std::size_t g = 1 + random() % 2; g > 0; --g) {
    Goal goal;
    std::vector<Rational> first, second;
    for (std::size_t j = 0; j < outputs; ++j) {
      first.push_back(dyadic(random, 2, 4));
      second.push_back(dyadic(random, 2, 4));
    }
    if (std::all_of(first.begin(), first.end(), [](const Rational& q) { return q == 0; })) first[0] = 1;
    const Rational slack = Rational(1, 1000);
    if (outputs > 1 && random() % 2) {
      // Two constraints, each satisfiable alone where possible, not together: bisect the second threshold.
      goal.c = {first, second};
      goal.strict = {random() % 2 == 0, random() % 2 == 0};
      const Rational low1 = least_output(k.net, region, first), low2 = least_output(k.net, region, second);
      goal.d = {low1 + Rational(static_cast<int>(random() % 8), 8), low2 - 1};
      Rational bad = low2 + 16;
      for (int i = 0; i < 20; ++i) {
        Goal trial = goal;
        trial.d[1] = (goal.d[1] + bad) / 2;
        (violated(k.net, region, trial) ? bad : goal.d[1]) = trial.d[1];
      }
      goal.d[1] -= slack;
    } else {
      goal.c = {first};
      goal.d = {least_output(k.net, region, first) - slack};
      goal.strict = {random() % 2 == 0};
    }
    k.goals.push_back(std::move(goal));
  }
  k.spec = property_text(k.lower, k.upper, outputs, k.goals);
  k.certificate.engine = "reference prover";
  k.certificate.model_sha256 = sha256_hex(k.net.onnx);
  k.certificate.spec_sha256 = sha256_hex(k.spec);
  Statement statement;
  k.certificate.statements = {statement};
  const Model model = read_model(k.net.onnx);
  Region exact_region;
  exact_region.lower = {k.lower[0], k.lower[1]};
  exact_region.upper = {k.upper[0], k.upper[1]};
  round_outward(exact_region);
  for (std::uint32_t g = 0; g < k.goals.size(); ++g)
    k.proved = prove(k.net, model, k.goals[g], exact_region, k.certificate, 0, g, random, options) && k.proved;
  return k;
}

// The same question with one goal made false: a threshold at or above the exact least value.
std::string false_spec(const Case& k, std::mt19937_64& random, std::vector<Goal>& goals) {
  goals = k.goals;
  Goal& goal = goals[random() % goals.size()];
  const Polygon region = box_polygon(k.lower, k.upper);
  const std::size_t last = goal.c.size() - 1;
  if (last == 0 && random() % 2) {
    goal.d[0] = least_output(k.net, region, goal.c[0]);  // a tie violates
    goal.strict[0] = false;
  } else {
    while (!violated(k.net, region, goal)) goal.d[last] += Rational(1, 512);
  }
  return property_text(k.lower, k.upper, k.net.layers.back().out, goals);
}

// ---- one random change anywhere in a certificate ----

class Mutator {
 public:
  explicit Mutator(std::mt19937_64& random) : random_(random) {}

  void change(Certificate& c) {
    switch (pick(12)) {
      case 0: if (!c.names.empty()) std::swap(any(c.names), any(c.names)); break;
      case 1: if (!c.bounds.empty()) section(any(c.bounds), c); break;
      case 2: if (!c.proofs.empty()) any(c.proofs).member = static_cast<std::uint32_t>(pick(3)); break;
      case 3: if (c.proofs.size() > 1) std::swap(any(c.proofs).tree, any(c.proofs).tree); break;
      case 4: if (c.proofs.size() > 1) std::swap(any(c.proofs).disjunct, any(c.proofs).disjunct); break;
      default: if (!c.proofs.empty()) tree(any(c.proofs).tree, c);
    }
  }

 private:
  std::size_t pick(std::size_t n) { return random_() % n; }
  template <class T> T& any(std::vector<T>& v) { return v[pick(v.size())]; }
  double number(double x) {
    static const double odd[] = {0, -0.0, 1, -1, 1e30, -1e30, 1e300, INFINITY, -INFINITY, NAN, 5e-324};
    switch (pick(6)) {
      case 0: return odd[pick(11)];
      case 1: return -x;
      case 2: return x * 2;
      case 3: return x / 2;
      case 4: return x + std::ldexp(1.0, static_cast<int>(pick(8)) - 4);
      default: return x * (1 + 1e-6 * static_cast<double>(pick(100)));
    }
  }
  void slopes(SlopeSet& set, Certificate& c) {
    if (set.empty() || pick(4) == 0) {
      Slopes s;
      s.value = static_cast<std::uint32_t>(pick(c.names.size() + 1));
      for (std::size_t n = pick(6); n > 0; --n) s.numbers.push_back(static_cast<std::uint16_t>(pick(256)));
      set.push_back(s);
      return;
    }
    Slopes& s = any(set);
    if (!s.numbers.empty()) any(s.numbers) = static_cast<std::uint16_t>(pick(s.width == 1 ? 256 : 65536));
    if (pick(4) == 0) s.value = static_cast<std::uint32_t>(pick(c.names.size()));
    if (pick(8) == 0 && !s.neurons.empty()) s.neurons.pop_back();
  }
  void section(Bounds& b, Certificate& c) {
    if (pick(3) == 0) b.mode = static_cast<Bounds::Mode>(pick(2));
    else if (b.steps.empty() || pick(4) == 0) slopes(b.slopes, c);
    else {
      BackwardStep& s = any(b.steps);
      switch (pick(5)) {
        case 0: s.value = static_cast<std::uint32_t>(pick(c.names.size())); break;
        case 1: if (!s.each_lower.empty()) slopes(any(s.each_lower), c); break;
        case 2: if (!s.each_upper.empty()) slopes(any(s.each_upper), c); break;
        case 3: std::swap(s.each_lower, s.each_upper); break;
        default: if (!s.listed.empty()) s.listed.pop_back();
      }
    }
  }
  void tree(Tree& t, Certificate& c) {
    Node& n = any(t.nodes);
    switch (pick(14)) {
      case 0: if (!n.lambda.empty()) any(n.lambda) = number(any(n.lambda)); break;
      case 1: if (!n.beta.empty()) any(n.beta) = static_cast<float>(number(any(n.beta))); break;
      case 2: if (n.kind == Node::Kind::relu_split || n.kind == Node::Kind::input_split) std::swap(n.low, n.high); break;
      case 3: n.neuron = static_cast<std::uint32_t>(pick(6)); break;
      case 4: n.value = static_cast<std::uint32_t>(pick(c.names.size() + 1)); break;
      case 5: n.at = number(n.at); break;
      case 6: if (!n.cuts.empty()) any(n.cuts).at = number(any(n.cuts).at); break;
      case 7: if (!n.cuts.empty()) any(n.cuts).above = !any(n.cuts).above; break;
      case 8: if (!n.cuts.empty()) any(n.cuts).dimension = static_cast<std::uint32_t>(pick(3)); break;
      case 9: n.bounds = static_cast<std::uint32_t>(pick(c.bounds.size() + 2)); break;
      case 10: slopes(n.slopes, c); break;
      case 11: n.lambda.resize(pick(4), 1); break;
      case 12: n.beta.resize(pick(6), 0.5F); break;
      default: prune(t, static_cast<std::int32_t>(&n - t.nodes.data()));
    }
  }
  // A split or clip is replaced by one of its children, or by a leaf.
  void prune(Tree& t, std::int32_t at) {
    Node& n = t.nodes[at];
    if (n.kind == Node::Kind::leaf) return;
    const std::int32_t child = n.kind == Node::Kind::clip || pick(2) ? n.low : n.high;
    if (pick(2)) n = t.nodes[child];
    else {
      n = Node{};
      n.lambda.assign(1 + pick(2), 1);
    }
    Tree kept;  // what is still reached
    std::vector<std::pair<std::int32_t, std::int32_t*>> open;
    copy(t, 0, kept);
    t = kept;
  }
  static std::int32_t copy(const Tree& from, std::int32_t i, Tree& to) {
    const auto at = static_cast<std::int32_t>(to.nodes.size());
    to.nodes.push_back(from.nodes[i]);
    const Node n = from.nodes[i];
    if (n.kind != Node::Kind::leaf) to.nodes[at].low = -1;
    if (n.kind != Node::Kind::leaf) { const std::int32_t c = copy(from, n.low, to); to.nodes[at].low = c; }
    if (n.kind == Node::Kind::relu_split || n.kind == Node::Kind::input_split) { const std::int32_t c = copy(from, n.high, to); to.nodes[at].high = c; }
    return at;
  }

  std::mt19937_64& random_;
};

}  // namespace

TEST_CASE("true claims with a proof are accepted") {
  int proved = 0, nodes = 0, clips = 0, splits = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const Case k = true_case(seed);
    INFO("seed " << seed);
    if (!k.proved) continue;
    ++proved;
    for (const Proof& p : k.certificate.proofs)
      for (const Node& n : p.tree.nodes) {
        ++nodes;
        clips += n.kind == Node::Kind::clip;
        splits += n.kind == Node::Kind::relu_split;
      }
    const Verdict v = verdict_of(k.certificate, k.net.onnx, k.spec);
    INFO(text(v));
    CHECK(v.kind == Verdict::Kind::accepted);
    CHECK(v.least_margin > 0);
    CHECK(v.disjuncts == k.goals.size());
    const auto again = parse_certificate(serialize(k.certificate));
    REQUIRE(again.ok());
    CHECK(serialize(again.value()) == serialize(k.certificate));
  }
  CHECK(proved > 120);
  CHECK(nodes > 500);
  CHECK(clips > 20);
  CHECK(splits > 100);
}

TEST_CASE("full trees without early leaves are closed by exact dual multipliers") {
  Options options;
  options.early_leaves = options.clips = options.rows = options.input_splits = false;
  int proved = 0, empty_leaves = 0;
  for (std::uint64_t seed = 1000; seed < 1060; ++seed) {
    const Case k = true_case(seed, options);
    if (!k.proved) continue;
    ++proved;
    for (const Proof& p : k.certificate.proofs)
      for (const Node& n : p.tree.nodes)
        empty_leaves += n.kind == Node::Kind::leaf && std::all_of(n.lambda.begin(), n.lambda.end(), [](double x) { return x == 0; });
    const Verdict v = verdict_of(k.certificate, k.net.onnx, k.spec);
    INFO("seed " << seed << "\n" << text(v));
    CHECK(v.kind == Verdict::Kind::accepted);
  }
  CHECK(proved > 50);
  CHECK(empty_leaves > 20);  // infeasible ones: lambda 0
}

TEST_CASE("changed certificates are accepted only where they still prove their claim, and never for a false one", "[mutations]") {
  const int total = mutations(800);
  int done = 0, accepted = 0, other_claims = 0;
  for (std::uint64_t seed = 5000; done < total; ++seed) {
    const Case k = true_case(seed), other = true_case(seed + 100000);
    if (!k.proved) continue;
    std::mt19937_64 random(seed);
    std::vector<Goal> goals;
    const std::string wrong = false_spec(k, random, goals);
    // Another network, and a wider box, for which the claim is false.
    const Polygon region = box_polygon(k.lower, k.upper);
    const std::array<Rational, 2> low = {k.lower[0] - 100, k.lower[1] - 100}, high = {k.upper[0] + 100, k.upper[1] + 100};
    const std::string wide = property_text(low, high, k.net.layers.back().out, k.goals);
    bool false_elsewhere = false, false_wide = false;
    for (const Goal& g : k.goals) {
      false_elsewhere = false_elsewhere || (other.net.layers.back().out == k.net.layers.back().out && violated(other.net, region, g));
      false_wide = false_wide || violated(k.net, box_polygon(low, high), g);
    }
    for (int i = 0; i < 40 && done < total; ++i, ++done) {
      Certificate c = k.certificate;
      for (std::size_t n = i == 0 ? 0 : 1 + random() % 3; n > 0; --n) Mutator(random).change(c);
      INFO("seed " << seed << " mutation " << i);
      if (verdict_of(c, k.net.onnx, k.spec).kind == Verdict::Kind::accepted) {
        ++accepted;
        CHECK(truly_proves(k.net, k.lower, k.upper, k.goals, c));
      }
      const auto never = [&](const std::string& model, const std::string& spec) {
        c.model_sha256 = sha256_hex(model);
        c.spec_sha256 = sha256_hex(spec);
        const Verdict v = verdict_of(c, model, spec);
        CHECK(v.kind == Verdict::Kind::rejected);
        CHECK(!v.reason.empty());
        ++other_claims;
      };
      never(k.net.onnx, wrong);
      if (false_elsewhere && i % 4 == 0) never(other.net.onnx, k.spec);
      if (false_wide && i % 4 == 1) never(k.net.onnx, wide);
    }
  }
  CHECK(accepted > total / 20);  // many changes do no harm; the test is not vacuous
  CHECK(accepted < total);
  CHECK(other_claims > total);
  WARN("trees: " << done << " changed certificates, " << accepted << " accepted and proved again exactly; 0 of " << other_claims << " accepted for false claims");
}

TEST_CASE("a certificate does not speak for another model, property, box or threshold") {
  int tried = 0;
  for (std::uint64_t seed = 300; tried < 20; ++seed) {
    const Case k = true_case(seed), other = true_case(seed + 7000);
    if (!k.proved) continue;
    ++tried;
    CHECK(verdict_of(k.certificate, other.net.onnx, k.spec).place == "header");
    CHECK(verdict_of(k.certificate, k.net.onnx, other.spec).place == "header");
    CHECK(verdict_of(k.certificate, k.net.onnx, k.spec + " ").place == "header");
    CHECK(check_bytes(serialize(k.certificate), k.net.onnx, std::nullopt).value().place == "header");
    // Hashes made to fit: the claim itself must fail. The other network's least values differ.
    Certificate c = k.certificate;
    c.model_sha256 = sha256_hex(other.net.onnx);
    const Polygon region = box_polygon(k.lower, k.upper);
    if (other.net.layers.back().out == k.net.layers.back().out) {
      bool false_there = false;
      for (const Goal& g : k.goals) false_there = false_there || violated(other.net, region, g);
      if (false_there) CHECK(verdict_of(c, other.net.onnx, k.spec).kind == Verdict::Kind::rejected);
    } else {
      CHECK(verdict_of(c, other.net.onnx, k.spec).kind == Verdict::Kind::rejected);
    }
    // A larger box.
    const std::string wide = property_text({k.lower[0] - 100, k.lower[1] - 100}, {k.upper[0] + 100, k.upper[1] + 100}, k.net.layers.back().out, k.goals);
    const Polygon wide_region = box_polygon({k.lower[0] - 100, k.lower[1] - 100}, {k.upper[0] + 100, k.upper[1] + 100});
    bool false_there = false;
    for (const Goal& g : k.goals) false_there = false_there || violated(k.net, wide_region, g);
    c = k.certificate;
    c.spec_sha256 = sha256_hex(wide);
    if (false_there) CHECK(verdict_of(c, k.net.onnx, wide).kind == Verdict::Kind::rejected);
  }
}

TEST_CASE("changed bytes are refused or still prove a true claim") {
  std::mt19937_64 random(11);
  int parsed = 0;
  for (std::uint64_t seed = 400; seed < 420; ++seed) {
    const Case k = true_case(seed);
    if (!k.proved) continue;
    std::vector<Goal> goals;
    const std::string wrong = false_spec(k, random, goals);
    Certificate about_wrong = k.certificate;
    about_wrong.spec_sha256 = sha256_hex(wrong);
    const std::string bytes = serialize(about_wrong);
    for (std::size_t n = 0; n < bytes.size(); n += 1 + bytes.size() / 40) {
      const Verdict cut_off = check_bytes(std::string_view(bytes).substr(0, n), k.net.onnx, wrong).value();
      CHECK(cut_off.kind == Verdict::Kind::rejected);
      CHECK(cut_off.place.find("byte") != std::string::npos);
    }
    CHECK(check_bytes(bytes + '\0', k.net.onnx, wrong).value().kind == Verdict::Kind::rejected);
    for (int i = 0; i < 100; ++i) {
      std::string noisy = bytes;
      for (std::size_t n = 1 + random() % 3; n > 0; --n) noisy[random() % noisy.size()] ^= static_cast<char>(1 << random() % 8);
      parsed += parse_certificate(noisy).ok();
      CHECK(check_bytes(noisy, k.net.onnx, wrong).value().kind == Verdict::Kind::rejected);
    }
  }
  CHECK(parsed > 100);
}

TEST_CASE("a cut of an input that is not there is refused before anything is done with it") {
  int tried = 0;
  for (std::uint64_t seed = 0; seed < 4000 && tried < 3; ++seed) {
    Case k = true_case(seed);
    if (!k.proved) continue;
    for (Node& n : k.certificate.proofs[0].tree.nodes) {
      if (n.cuts.empty()) continue;
      ++tried;
      const Cut kept = n.cuts[0];
      for (const std::uint32_t beyond : {static_cast<std::uint32_t>(1000), static_cast<std::uint32_t>(1) << 30}) {
        n.cuts[0].dimension = beyond;
        const Verdict v = verdict_of(k.certificate, k.net.onnx, k.spec);
        CHECK(v.kind == Verdict::Kind::rejected);
        CHECK(v.reason.find("cuts an input that is not there") != std::string::npos);
      }
      n.cuts[0] = kept;
      break;
    }
  }
  CHECK(tried == 3);
}

TEST_CASE("the first failing step is named, the same for every run") {
  int tried = 0;
  for (std::uint64_t seed = 600; tried < 10; ++seed) {
    Case k = true_case(seed);
    if (!k.proved || k.certificate.proofs[0].tree.nodes.size() < 6) continue;
    ++tried;
    std::vector<Node>& nodes = k.certificate.proofs[0].tree.nodes;
    for (Node& n : nodes) n.lambda.assign(k.goals[0].c.size(), 0), n.beta.clear();
    const Verdict first = verdict_of(k.certificate, k.net.onnx, k.spec);
    CHECK(first.kind == Verdict::Kind::rejected);
    CHECK(first.place.find("proof 0: node ") == 0);
    for (int i = 0; i < 5; ++i) {
      const Verdict again = verdict_of(k.certificate, k.net.onnx, k.spec);
      CHECK(again.place == first.place);
      CHECK(again.reason == first.reason);
    }
  }
}

TEST_CASE("every disjunct needs its proof, once") {
  int tried = 0;
  for (std::uint64_t seed = 800; tried < 5; ++seed) {
    const Case k = true_case(seed);
    if (!k.proved || k.goals.size() < 2) continue;
    ++tried;
    Certificate c = k.certificate;
    c.proofs.pop_back();
    CHECK(verdict_of(c, k.net.onnx, k.spec).reason == "has no proof");
    c = k.certificate;
    c.proofs.push_back(c.proofs[0]);
    CHECK(verdict_of(c, k.net.onnx, k.spec).reason.find("second") != std::string::npos);
    c = k.certificate;
    c.statements.clear();
    CHECK(verdict_of(c, k.net.onnx, k.spec).kind == Verdict::Kind::rejected);
  }
}
