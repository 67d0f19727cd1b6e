// Maps against the exact overlaps and against what peers took (expected/exact_eva.npz, peer_eva.npz, peer_times.json), in one
// run; counters beside the times, because machines differ. Prints tables in Markdown.
//   bench_explain [exact|speed|tiers|decoy|budgets ...] [--repeat 5] [--parts N] [--budget S] [--data DIR]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "boundlight/bounds/pixel_region.hpp"
#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/explain/statistics.hpp"
#include "boundlight/models/array.hpp"
#include "support/shared_models.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

struct Model {
  std::string name, images;
  double eps;
  std::int64_t side, cell;  // of the image, of a square cell, in pixels
  std::vector<double> mean, std;
};

const std::vector<Model> kModels = {
    {"mnist-net_256x2", "mnist_1000", 0.02, 28, 1, {}, {}},
    {"mnist-net_256x4", "mnist_1000", 0.02, 28, 1, {}, {}},
    {"mnist_cnn_small", "mnist_1000", 0.03, 28, 2, {}, {}},
    {"cifar_base_kw", "cifar10_200", 0.008, 32, 2, {0.485, 0.456, 0.406}, {0.225, 0.225, 0.225}},
    {"resnet_2b", "cifar10_200", 0.002, 32, 4, {0.4914, 0.4822, 0.4465}, {0.2471, 0.2435, 0.2616}},
};

struct Options {
  std::filesystem::path data;
  std::set<std::string> what;
  int repeat = 5, alpha_steps = 20;
  double alpha_rate = 0.25, budget = 0, eps = 0;
  std::int64_t parts = 0, images = 100;
  EvaOptions eva;  // the attack's settings
};

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
// One unmeasured run, then the median of `repeat`.
double timed(int repeat, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  for (int i = 0; i < repeat; ++i) times.push_back(seconds(work));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}
double peak_megabytes() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_maxrss) / 1024;
}

EvaQuestion question(const Options& o, const Model& m, const Network& network, std::int64_t index, std::int64_t rows) {
  PixelBall ball;
  ball.pixel = shared_pixels(o.data, m.images, index, network);
  ball.eps = m.eps;
  ball.clip = {0, 1};
  const auto pixels = static_cast<std::size_t>(m.side * m.side);
  const Cells cells = must(grid_cells(m.side, m.side, rows, rows));
  EvaQuestion q;
  for (std::size_t i = 0; i < ball.pixel.size(); ++i) {
    if (!m.mean.empty()) ball.mean.push_back(m.mean[i / pixels]), ball.deviation.push_back(m.std[i / pixels]);
    q.cell.push_back(cells.label[i % pixels]);
  }
  const PixelRegion region = must(pixel_region(ball));
  q.x = region.x;
  q.lower = region.lower;
  q.upper = region.upper;
  q.inner_lower = region.inner_lower;
  q.inner_upper = region.inner_upper;
  q.cells = cells.count;
  return q;
}

const char* name_of(EvaTier tier) { return tier == EvaTier::shared ? "shared" : tier == EvaTier::refined ? "refined" : tier == EvaTier::full ? "full" : "alpha"; }
constexpr EvaTier kTiers[] = {EvaTier::shared, EvaTier::refined, EvaTier::full, EvaTier::alpha};

double stage(const EvaMap& map, const std::string& name) {
  for (const auto& [stage, s] : map.seconds)
    if (stage == name) return s;
  return 0;
}

double share(std::int64_t part, const EvaMap& map) { return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, map.ordered + map.equal + map.undecided)); }

// Rank correlations with the exact drops, mnist-net_256x2, image 0, 12 x 12.
void against_truth(const Options& o) {
  const auto exact = must(load_array((o.data / "expected/exact_eva.npz").string())).to_doubles();
  const auto network = shared_network(o.data, kModels[0].name);
  auto engine = must(make_engine(network));
  const EvaQuestion q = question(o, kModels[0], *network, 0, 12);
  std::vector<double> drop;
  for (std::size_t u = 1; u < exact.size(); ++u) drop.push_back(exact[0] - exact[u]);
  std::printf("| tier | AOv(B) (exact %.4f) | a(B) | estimate's rank correlation | verified score's | pairs ordered %% | s in all | s attack | s verify |\n|---|---|---|---|---|---|---|---|---|\n", exact[0]);
  for (const EvaTier tier : kTiers) {
    EvaOptions options;
    options.tier = tier;
    options.bounds.alpha_steps = o.alpha_steps;
    options.bounds.alpha_rate = o.alpha_rate;
    options.most_parts = o.parts;
    options.budget = o.budget;
    EvaMap map;
    const double s = timed(o.repeat, [&] { map = must(eva(*engine, q, options)); });
    std::printf("| %s | %.4f | %.4f | %.4f | %.4f | %.1f | %.3f | %.3f | %.3f |\n", name_of(tier), map.verified_base, map.attained_base, rank_correlation(map.estimate, drop),
                rank_correlation(map.score, drop), share(map.ordered, map), s, stage(map, "attack"), stage(map, "verify"));
    std::fflush(stdout);
  }
}

double peer_seconds(const nlohmann::json& peers, const std::string& model) {
  for (const auto& [tool, tables] : peers.items()) {
    if (tool.rfind("auto_LiRPA", 0) != 0) continue;
    for (const auto& [name, table] : tables.items()) {
      if (name.rfind("EVA map", 0) != 0) continue;
      for (const auto& [what, times] : table.items())
        if (what.rfind(model + " ", 0) == 0) return times["CROWN"];
    }
  }
  return NAN;
}

void speed(const Options& o) {
  std::ifstream in(o.data / "expected/peer_times.json");
  const auto peers = nlohmann::json::parse(in);
  std::printf("| model | cells | tier | bounds s | peer s | times faster | whole map s | times faster | rows | pairs ordered %% |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Model& m : kModels) {
    const auto network = shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    const EvaQuestion q = question(o, m, *network, 0, m.side / m.cell);
    for (const EvaTier tier : kTiers) {
      EvaOptions options;
      options.tier = tier;
      EvaMap map;
      std::vector<double> verify;
      const double whole = timed(o.repeat, [&] {
        map = must(eva(*engine, q, options));
        verify.push_back(stage(map, "verify"));
      });
      std::sort(verify.begin(), verify.end());
      const double bounds = verify[verify.size() / 2], peer = peer_seconds(peers, m.name);
      std::printf("| %s | %lld | %s | %.4f | %.2f | %.1f | %.3f | %.1f | %lld | %.1f |\n", m.name.c_str(), static_cast<long long>(q.cells), name_of(tier), bounds, peer, peer / bounds, whole, peer / whole,
                  static_cast<long long>(map.counters.rows), share(map.ordered, map));
      std::fflush(stdout);
    }
  }
  std::printf("peak memory: %.0f MiB\n", peak_megabytes());
}

// How far apart the tiers are: rank correlation with tier full, largest distance of an overlap from it.
void tiers(const Options& o) {
  std::printf("| model | image | tier | AOv(B) | rank correlation with full | largest distance from full | lowest score |\n|---|---|---|---|---|---|---|\n");
  for (const Model& m : kModels) {
    const auto network = shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    for (const std::int64_t index : {0, 1}) {
      const EvaQuestion q = question(o, m, *network, index, m.side / m.cell);
      EvaMap maps[4];
      for (int t = 0; t < 4; ++t) {
        EvaOptions options;
        options.tier = kTiers[t];
        options.starts = 1, options.steps = 0, options.cell_steps = 0;
        maps[t] = must(eva(*engine, q, options));
      }
      for (int t = 0; t < 4; ++t) {
        double distance = 0;
        for (std::size_t u = 0; u < maps[t].verified.size(); ++u) distance = std::max(distance, std::fabs(maps[t].verified[u] - maps[2].verified[u]));
        std::printf("| %s | %lld | %s | %.5f | %.4f | %.5f | %.3g |\n", m.name.c_str(), static_cast<long long>(index), name_of(kTiers[t]), maps[t].verified_base,
                    rank_correlation(maps[t].score, maps[2].score), distance, *std::min_element(maps[t].score.begin(), maps[t].score.end()));
        std::fflush(stdout);
      }
    }
  }
}

// What is proven about pairs of cells after 1, 10, 60 ... seconds, as rows of numbers (bench/plot_budgets.py draws them).
void budgets(const Options& o) {
  std::printf("model,image,cells,seconds,ordered,equal,undecided,verified overlap,attained overlap\n");
  for (const auto& [m, index, rows] : {std::tuple{&kModels[0], 0, 12}, {&kModels[0], 1, 12}, {&kModels[2], 0, 14}}) {
    const auto network = shared_network(o.data, m->name);
    auto engine = must(make_engine(network));
    EvaOptions options;
    options.tier = EvaTier::alpha;
    options.budget = o.budget > 0 ? o.budget : 60;
    const EvaMap map = must(eva(*engine, question(o, *m, *network, index, rows), options));
    for (const EvaMoment& at : map.moments)
      std::printf("%s,%d,%lld,%.2f,%lld,%lld,%lld,%.5f,%.5f\n", m->name.c_str(), index, static_cast<long long>(map.cells), at.seconds, static_cast<long long>(at.ordered), static_cast<long long>(at.equal),
                  static_cast<long long>(at.undecided), at.verified_base, map.attained_base);
    std::fflush(stdout);
  }
}

// Planted evidence: decoy_mnist_cnn reads a 4 x 4 corner patch. In how many test images is the patch's cell (7 x 7 cells) among
// the three most important, by each of the numbers that a map has? A cell that ties with the patch counts as above it.
void decoy(const Options& o) {
  const auto network = shared_network(o.data, "decoy_mnist_cnn");
  auto engine = must(make_engine(network));
  const auto bytes = must(load_array((o.data / "images/decoy_mnist.npz").string() + ":test_images[0:" + std::to_string(o.images) + "]")).to_doubles();
  const Cells cells = must(grid_cells(28, 28, 7, 7));
  std::printf("| eps | drawn by default | (verified score drawn) | attained | verified | midpoint | lower | upper | AOv(B) median | a(B) median | s a map |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  std::vector<double> radii = {0.01, 0.03, 0.1, 0.2};
  if (o.eps > 0) radii = {o.eps};
  for (const double eps : radii) {
    int found[6] = {}, verified_drawn = 0;
    std::vector<double> bases, attained;
    const double s = seconds([&] {
      for (std::int64_t i = 0; i < o.images; ++i) {
        PixelBall ball;
        ball.eps = eps;
        ball.clip = {0, 1};
        for (std::size_t p = 0; p < 784; ++p) ball.pixel.push_back(bytes[static_cast<std::size_t>(i) * 784 + p] / 255);
        const PixelRegion region = must(pixel_region(ball));
        const EvaQuestion q{region.x, region.lower, region.upper, region.inner_lower, region.inner_upper, cells.label, cells.count, -1, -1};
        std::size_t corner = 0;
        double brightest = -1;
        for (const std::size_t r : {0, 24})
          for (const std::size_t c : {0, 24}) {
            double sum = 0;
            for (std::size_t k = 0; k < 16; ++k) sum += ball.pixel[(r + k / 4) * 28 + c + k % 4];
            if (sum > brightest) brightest = sum, corner = r / 4 * 7 + c / 4;
          }
        EvaOptions options = o.eva;
        options.tier = EvaTier::alpha;
        options.most_parts = o.parts;
        const EvaMap map = must(eva(*engine, q, options));
        std::vector<double> middle;
        for (std::size_t u = 0; u < map.lower.size(); ++u) middle.push_back(map.lower[u] / 2 + map.upper[u] / 2);
        std::vector<double> drop;
          for (std::size_t u = 0; u < map.lower.size(); ++u) drop.push_back(std::clamp(map.attained_base - map.attained[u], map.lower[u], map.upper[u]));
        verified_drawn += map.drawn == Estimate::verified;
        const std::vector<double>* values[] = {&map.estimate, &drop, &map.score, &middle, &map.lower, &map.upper};
        for (int v = 0; v < 6; ++v) {
          const auto above = std::count_if(values[v]->begin(), values[v]->end(), [&](double a) { return a >= (*values[v])[corner]; }) - 1;
          found[v] += above < 3;
        }
        bases.push_back(map.verified_base);
        attained.push_back(map.attained_base);
      }
    });
    std::sort(bases.begin(), bases.end()), std::sort(attained.begin(), attained.end());
    std::printf("| %g | %d | (%d) | %d | %d | %d | %d | %d | %.3f | %.3f | %.3f |\n", eps, found[0], verified_drawn, found[1], found[2], found[3], found[4], found[5], bases[bases.size() / 2], attained[attained.size() / 2],
                s / static_cast<double>(o.images));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  if (const auto data = shared_data()) o.data = *data;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : "";
    if (a == "--data") o.data = next, ++i;
    else if (a == "--repeat") o.repeat = std::max(1, std::atoi(next)), ++i;
    else if (a == "--parts") o.parts = std::atoll(next), ++i;
    else if (a == "--budget") o.budget = std::atof(next), ++i;
    else if (a == "--alpha-steps") o.alpha_steps = std::atoi(next), ++i;
    else if (a == "--alpha-rate") o.alpha_rate = std::atof(next), ++i;
    else if (a == "--images") o.images = std::atoll(next), ++i;
    else if (a == "--eps") o.eps = std::atof(next), ++i;
    else if (a == "--starts") o.eva.starts = std::atoi(next), ++i;
    else if (a == "--steps") o.eva.steps = std::atoi(next), ++i;
    else if (a == "--cell-steps") o.eva.cell_steps = std::atoi(next), ++i;
    else o.what.insert(a);
  }
  if (o.data.empty()) {
    std::fprintf(stderr, "bench_explain: there is no shared data folder; name it with --data\n");
    return 2;
  }
  if (o.what.empty()) o.what = {"exact", "speed", "tiers"};
  try {
    if (o.what.count("exact")) against_truth(o);
    if (o.what.count("speed")) speed(o);
    if (o.what.count("tiers")) tiers(o);
    if (o.what.count("decoy")) decoy(o);
    if (o.what.count("budgets")) budgets(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_explain: %s\n", e.what());
    return 1;
  }
}
