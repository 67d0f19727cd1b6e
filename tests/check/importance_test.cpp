// Certificates of importance maps: made by explain on small networks whose overlaps are known exactly, accepted by the checker, true;
// and changed at random, accepted only where what they then say is true.
#include <catch2/catch.hpp>
#include <cmath>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_certificate.hpp"
#include "boundlight/models/onnx.hpp"
#include "support/folders.hpp"
#include "tiny_nets.hpp"

using namespace boundlight;
using namespace tiny;
using check::Importance;
using check::Verdict;

namespace {

struct Map {
  Net net;
  std::string file;
  std::shared_ptr<const Network> network;
  EvaQuestion question;
  CertifiedImage image;
};

// A random network of two inputs, each a cell, and a region with or without clipping, normalisation and sides.
Map random_map(std::mt19937_64& random, const test::ScratchFolder& folder) {
  Map m;
  m.net = Net::random(random, 2 + random() % 2);
  m.file = (folder / "net.onnx").string();
  REQUIRE(write_file(m.file, m.net.onnx).ok());
  m.network = prepare(parse_onnx(m.net.onnx, m.file, {}).value()).value();
  PixelBall& ball = m.image.ball;
  for (int i = 0; i < 2; ++i) {
    ball.pixel.push_back(static_cast<double>(random() % 17) / 16);
    if (random() % 2 || !ball.mean.empty()) ball.mean.resize(2, 0.25), ball.deviation.resize(2, 0.3);
    m.question.cell.push_back(i);
  }
  ball.eps = 0.05 * static_cast<double>(1 + random() % 8);
  if (random() % 2) ball.clip = {0, 1};
  m.image.half = static_cast<int>(random() % 3) - 1;
  m.image.title = "random";
  const auto region = pixel_region(ball);
  REQUIRE(region.ok());
  m.question.x = region->x;
  m.question.lower = m.image.half > 0 ? region->x : region->lower;
  m.question.upper = m.image.half < 0 ? region->x : region->upper;
  m.question.inner_lower = m.image.half > 0 ? region->x : region->inner_lower;
  m.question.inner_upper = m.image.half < 0 ? region->x : region->inner_upper;
  m.question.cells = 2;
  return m;
}

struct Made {
  double engine = 0;  // the engine's own AOv(B)
  EvaMap map;
  check::Certificate certificate;
};

Made make(const Map& m, EvaTier tier, std::int64_t parts) {
  auto engine = make_engine(m.network).value();
  EvaOptions o;
  o.tier = tier;
  o.most_parts = parts;
  o.evidence = true;
  o.starts = 8, o.steps = 10;
  auto map = eva(*engine, m.question, o);
  if (!map.ok()) FAIL(map.error().text());
  Made made{map->verified_base, std::move(*map), {}};
  auto c = certify(*engine, m.question, m.image, o, made.map);
  if (!c.ok()) FAIL(c.error().text());
  made.certificate = std::move(*c);
  return made;
}

// AO of B and of every B_u as the statement describes them, in rationals; nothing where it describes none.
std::vector<Rational> overlaps(const Net& net, const Importance& m) {
  const std::size_t outputs = net.layers.back().out;
  if (m.pixels.size() != 2 || m.x.size() != 2 || m.cell.size() != 2 || m.label >= outputs || m.rivals.empty() || m.verified.size() < 2) return {};
  std::array<Rational, 2> low, high;
  for (std::size_t i = 0; i < 2; ++i) {
    const Rational mean = m.mean.empty() ? Rational(0) : exact(m.mean.at(i)), deviation = m.deviation.empty() ? Rational(1) : exact(m.deviation.at(i));
    if (deviation <= 0) return {};
    low[i] = exact(m.pixels[i]) - exact(m.eps), high[i] = exact(m.pixels[i]) + exact(m.eps);
    if (!m.clip.empty()) low[i] = std::max(low[i], exact(m.clip.at(0))), high[i] = std::min(high[i], exact(m.clip.at(1)));
    low[i] = (low[i] - mean) / deviation, high[i] = (high[i] - mean) / deviation;
    if (m.half == Importance::Half::plus) low[i] = exact(m.x[i]);
    if (m.half == Importance::Half::minus) high[i] = exact(m.x[i]);
    if (low[i] > exact(m.x[i]) || high[i] < exact(m.x[i])) return {};
  }
  std::vector<Rational> all;
  for (std::size_t k = 0; k < m.verified.size(); ++k) {
    std::array<Rational, 2> l = low, u = high;
    for (std::size_t i = 0; i < 2; ++i)
      if (m.cell[i] + 1 == k) l[i] = u[i] = exact(m.x[i]);
    std::optional<Rational> top;
    for (const std::uint32_t rival : m.rivals) {
      if (rival >= outputs || rival == m.label) return {};
      std::vector<Rational> c(outputs, 0);
      c[m.label] = 1, c[rival] = -1;
      const Rational greatest = -least_output(net, box_polygon(l, u), c);  // of f_k - f_c
      if (!top || greatest > *top) top = greatest;
    }
    all.push_back(*top);
  }
  return all;
}

// x <= q, where x may be infinite.
bool below(double x, const Rational& q) { return std::isinf(x) ? x < 0 : exact(x) <= q; }
bool above(double x, const Rational& q) { return std::isinf(x) ? x > 0 : exact(x) >= q; }

// Is everything true that the statement says?
bool is_true(const Net& net, const Importance& m) {
  const std::vector<Rational> ao = overlaps(net, m);
  if (ao.empty() || m.attained.size() != ao.size() || m.lower.size() + 1 != ao.size() || m.upper.size() + 1 != ao.size()) return false;
  std::uint64_t different = 0, close = 0, pairs = 0;
  for (std::size_t k = 0; k < ao.size(); ++k) {
    if (!below(m.attained[k], ao[k]) || !above(m.verified[k], ao[k])) return false;
    if (k == 0) continue;
    const Rational drop = ao[0] - ao[k];
    if (!below(m.lower[k - 1], drop) || !above(m.upper[k - 1], drop)) return false;
    for (std::size_t w = k + 1; w < ao.size(); ++w) {
      ++pairs;
      different += ao[k] != ao[w];
      close += std::isinf(m.tau) || abs(ao[k] - ao[w]) <= exact(m.tau);
    }
  }
  return m.ordered <= different && m.equal <= close && m.ordered + m.equal + m.undecided == pairs;
}

Verdict judge(const check::Certificate& c, const Net& net) { return check::check_bytes(check::serialize(c), net.onnx, std::nullopt).value(); }

class MapMutator {
 public:
  explicit MapMutator(std::mt19937_64& random) : random_(random) {}
  void change(check::Certificate& c) {
    Importance& m = c.statements[0].importance;
    switch (pick(20)) {
      case 0: real(m.pixels); break;
      case 1: m.eps = number(m.eps); break;
      case 2: if (m.clip.empty()) m.clip = {0, 1}; else if (pick(2)) m.clip.clear(); else real(m.clip); break;
      case 3: m.half = static_cast<Importance::Half>(pick(3)); break;
      case 4: real(m.x); break;
      case 5: m.cell[pick(2)] = static_cast<std::uint32_t>(pick(3)); break;
      case 6: m.label = static_cast<std::uint32_t>(pick(4)); break;
      case 7: m.rivals = {static_cast<std::uint32_t>(pick(4))}; break;
      case 8: case 9: real(m.verified); break;
      case 10: case 11: real(m.attained); break;
      case 12: real(m.points[pick(m.points.size())]); break;
      case 13: std::swap(m.points[pick(m.points.size())], m.points[pick(m.points.size())]); break;
      case 14: real(pick(2) ? m.lower : m.upper); break;
      case 15: m.tau = number(m.tau); break;
      case 16: (pick(3) == 0 ? m.undecided : pick(2) ? m.ordered : m.equal) = pick(3); break;
      case 17: real(pick(2) ? m.mean : m.deviation); break;
      case 18: if (!c.proofs.empty()) c.proofs[pick(c.proofs.size())].member = static_cast<std::uint32_t>(pick(5)); break;
      default: if (!c.proofs.empty()) node(c.proofs[pick(c.proofs.size())].tree);
    }
  }

 private:
  std::size_t pick(std::size_t n) { return random_() % n; }
  void real(std::vector<double>& v) { if (!v.empty()) v[pick(v.size())] = number(v[pick(v.size())]); }
  double number(double x) {
    static const double odd[] = {0, 1, -1, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    switch (pick(6)) {
      case 0: return odd[pick(8)];
      case 1: return -x;
      case 2: return x * 1.25;
      case 3: return x + 0.0625;
      case 4: return x - 1e-3;
      default: return x * (1 + 1e-9 * static_cast<double>(pick(100)));
    }
  }
  void node(check::Tree& t) {
    check::Node& n = t.nodes[pick(t.nodes.size())];
    switch (pick(6)) {
      case 0: real(n.lambda); break;
      case 1: if (!n.beta.empty()) n.beta[pick(n.beta.size())] = static_cast<float>(number(n.beta[0])); break;
      case 2: std::swap(n.low, n.high); break;
      case 3: n.neuron = static_cast<std::uint32_t>(pick(5)); break;
      case 4: n.bounds = static_cast<std::uint32_t>(pick(4)); break;
      default: n.slopes.clear();
    }
    if (n.kind == check::Node::Kind::leaf) n.low = n.high = -1;
  }
  std::mt19937_64& random_;
};

}  // namespace

TEST_CASE("certified maps are accepted at every tier, true, and as tight as the map") {
  const test::ScratchFolder folder;
  std::mt19937_64 random(31);
  int ordered = 0, cut = 0;
  double slack = 0, worst = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Map m = random_map(random, folder);
    for (const auto& [tier, parts] : {std::pair{EvaTier::shared, 0}, {EvaTier::refined, 0}, {EvaTier::full, 0}, {EvaTier::alpha, 1}, {EvaTier::alpha, 200}}) {
      const Made made = make(m, tier, parts);
      const Importance& i = made.certificate.statements[0].importance;
      const Verdict v = judge(made.certificate, m.net);
      INFO("trial " << trial << " tier " << static_cast<int>(tier) << " engine " << made.engine << "\n" << check::text(v));
      CHECK(v.kind == Verdict::Kind::accepted);
      CHECK(is_true(m.net, i));
      CHECK(i.verified[0] == made.map.verified_base);
      CHECK(i.upper == made.map.upper);
      CHECK(i.lower == made.map.lower);
      for (const auto& p : made.certificate.proofs) cut += p.tree.nodes.size() > 1;
      ordered += parts > 1 ? static_cast<int>(made.map.ordered) : 0;
      slack += i.verified[0] - made.engine;
      worst = std::max(worst, i.verified[0] - made.engine);
      if (parts > 1) CHECK(exact(i.verified[0]) - overlaps(m.net, i)[0] < Rational(1, 2));
    }
  }
  WARN("AOv(B) of the certificates lies " << slack / 200 << " above the engine's in the mean, " << worst << " at most");
  CHECK(ordered > 10);
  CHECK(cut > 10);
}

TEST_CASE("false statements about a map are refused by name") {
  const test::ScratchFolder folder;
  std::mt19937_64 random(32);
  for (int trial = 0; trial < 10; ++trial) {
    const Map m = random_map(random, folder);
    const Made made = make(m, EvaTier::alpha, 64);
    const std::vector<Rational> ao = overlaps(m.net, made.certificate.statements[0].importance);
    const auto refused = [&](const auto& change, const std::string& why) {
      check::Certificate c = made.certificate;
      change(c.statements[0].importance);
      const Verdict v = judge(c, m.net);
      INFO(check::text(v));
      CHECK(v.kind == Verdict::Kind::rejected);
      CHECK(v.reason.find(why) != std::string::npos);
    };
    refused([&](Importance& i) { i.attained[1] = next_up(round_up(ao[1])); }, "not attained");
    refused([&](Importance& i) { i.attained[1] = next_up(round_up(ao[1])); i.upper[0] = i.verified[0] - i.attained[1] + 1; }, "not attained");
    refused([&](Importance& i) { i.points[1][0] = i.x[0] + 1e-3; }, "outside of its region");
    refused([&](Importance& i) { i.points[0][1] = i.pixels[1] + 2 * i.eps / (i.deviation.empty() ? 1 : i.deviation[1]) + 10; }, "outside of its region");
    refused([&](Importance& i) { i.lower[0] = i.upper[0] + 1; }, "does not follow");
    refused([&](Importance& i) { i.upper[1] = i.lower[1] - 1e-9; }, "does not follow");
    refused([&](Importance& i) { i.undecided += 1; }, "pairs do not follow");
    refused([&](Importance& i) { i.pixels[0] += 0.125; }, "not the image");
    refused([&](Importance& i) { i.cell[1] = 2; }, "no cell");
    refused([&](Importance& i) { i.rivals = {i.label}; }, "own rival");
    refused([&](Importance& i) { i.eps = NAN; }, "");
    // One ulp below the truth no tree can help.
    refused([&](Importance& i) {
      i.verified[2] = next_down(round_down(ao[2]));
      for (std::size_t u = 0; u < 2; ++u) i.lower[u] = 0;
      const bool apart = i.verified[1] < i.attained[2] || i.verified[2] < i.attained[1];
      const bool same = sub_up(i.verified[2], i.attained[1]) <= i.tau && sub_up(i.verified[1], i.attained[2]) <= i.tau;
      i.ordered = apart, i.equal = !apart && same, i.undecided = !apart && !same;
    }, "misses the threshold");
  }
}

TEST_CASE("changed maps are accepted only where what they say is true", "[mutations]") {
  const test::ScratchFolder folder;
  std::mt19937_64 random(33);
  const int total = mutations(600);
  int done = 0, accepted = 0;
  while (done < total) {
    const Map m = random_map(random, folder);
    const Made made = make(m, done % 80 < 40 ? EvaTier::alpha : EvaTier::full, done % 80 < 40 ? 30 : 0);
    for (int k = 0; k < 40 && done < total; ++k, ++done) {
      check::Certificate c = made.certificate;
      for (std::size_t n = 1 + random() % 2; n > 0; --n) MapMutator(random).change(c);
      INFO("mutation " << done);
      if (judge(c, m.net).kind != Verdict::Kind::accepted) continue;
      ++accepted;
      CHECK(is_true(m.net, c.statements[0].importance));
    }
  }
  CHECK(accepted > total / 40);
  CHECK(accepted < total / 2);
  WARN("maps: " << done << " changed certificates, " << accepted << " accepted, all of them true");
}
