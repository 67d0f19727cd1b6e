// EVA against a peer's verified overlaps (auto_LiRPA in double, margins): expected/peer_eva.npz of the shared data.
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include "boundlight/explain/statistics.hpp"
#include "shared_case.hpp"

using namespace boundlight;

namespace {

struct Case {
  std::string model, images;
  double eps;
  std::int64_t side, cell;
  std::vector<double> mean, deviation;
};
const Case kPeerCases[] = {
    {"mnist-net_256x2", "mnist_1000.npz", 0.02, 28, 1, {}, {}},
    {"mnist-net_256x4", "mnist_1000.npz", 0.02, 28, 1, {}, {}},
    {"mnist_cnn_small", "mnist_1000.npz", 0.03, 28, 2, {}, {}},
    {"decoy_mnist_cnn", "mnist_1000.npz", 0.03, 28, 4, {}, {}},
    {"cifar_base_kw", "cifar10_200.npz", 0.008, 32, 2, {.485, .456, .406}, {.225, .225, .225}},
    {"resnet_2b", "cifar10_200.npz", 0.002, 32, 4, {.4914, .4822, .4465}, {.2471, .2435, .2616}},
};

std::vector<double> peer(const Case& c, int image, const std::string& method) {
  std::ostringstream key;
  key << c.model << "|image" << image << "|eps" << c.eps << "|cell" << c.cell << "|" << method;
  std::ifstream in(*test::shared_data() / "expected/peer_eva.npz", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto tensor = decode_npz(bytes, key.str(), "peer_eva.npz");
  if (!tensor.ok()) FAIL(tensor.error().text());
  return tensor->to_doubles();
}

EvaMap map_of(test::SharedCase& c, EvaTier tier, Method method) {
  EvaOptions o;
  o.tier = tier;
  o.bounds.method = method;
  o.bounds.precision = Precision::dual;
  o.starts = 1, o.steps = 0, o.cell_steps = 0;
  const auto map = eva(*c.engine, c.question, o);
  if (!map.ok()) FAIL(map.error().text());
  return *map;
}

}  // namespace

TEST_CASE("verified overlaps are not looser than the peer's, interval ones equal, no score is negative", "[long]") {
  if (!test::shared_data()) {
    WARN("skipped: no shared data folder");
    return;
  }
  for (const Case& k : kPeerCases)
    for (const int image : {0, 1}) {
      // Every cell recomputed is dear for deep networks: the second image only where it is cheap.
      if (image == 1 && k.model != "mnist-net_256x2" && k.model != "cifar_base_kw") continue;
      const auto cells = grid_cells(k.side, k.side, k.side / k.cell, k.side / k.cell);
      auto c = test::shared_case(k.model, k.images, image, k.eps, *cells, k.mean, k.deviation);
      CAPTURE(k.model, image);
      for (std::size_t i = 0; i < c.exact_x.size(); ++i) c.question.x[i] = std::clamp(c.exact_x[i], c.question.inner_lower[i], c.question.inner_upper[i]);  // as the peer
      const auto crown = peer(k, image, "CROWN"), ibp = peer(k, image, "IBP");
      REQUIRE(crown.size() == static_cast<std::size_t>(cells->count) + 1);
      const EvaMap interval = map_of(c, EvaTier::full, Method::interval);
      const EvaMap full = map_of(c, EvaTier::full, Method::crown), refined = map_of(c, EvaTier::refined, Method::crown), shared = map_of(c, EvaTier::shared, Method::crown);
      // Reported are the charges of the last rows; those of the boxes in between widen the relaxations a little more.
      const auto slack = [](double x) { return 1e-9 * (1 + std::fabs(x)); };
      double closest = 1e300, farthest = 0;
      CHECK(full.verified_base <= crown[0] + full.charge_base + slack(crown[0]));
      CHECK(std::fabs(interval.verified_base - ibp[0]) <= interval.charge_base + 1e-9 * (1 + std::fabs(ibp[0])));
      for (std::size_t u = 0; u < full.verified.size(); ++u) {
        CHECK(full.verified[u] <= crown[u + 1] + full.charge[u] + slack(crown[u + 1]));
        CHECK(interval.verified[u] <= ibp[u + 1] + interval.charge[u] + 1e-9 * (1 + std::fabs(ibp[u + 1])));
        CHECK(interval.verified[u] >= ibp[u + 1] - 1e-9 * (1 + std::fabs(ibp[u + 1])));
        CHECK(full.verified[u] <= refined.verified[u] + slack(refined.verified[u]));
        CHECK(refined.verified[u] <= shared.verified[u] + slack(shared.verified[u]));
        closest = std::min(closest, crown[u + 1] - full.verified[u]);
        farthest = std::max(farthest, crown[u + 1] - full.verified[u]);
      }
      for (const auto* map : {&interval, &full, &refined, &shared})
        for (const double score : map->score) CHECK(score >= 0);
      CHECK(rank_correlation(full.score, refined.score) > 0.9);
      UNSCOPED_INFO(k.model << " image " << image << ": peer minus ours between " << closest << " and " << farthest);
    }
}
