// The engine against a plain dense implementation in the same run, and against what peers took (expected/peer_times.json).
// Medians of repeated runs; counters beside the times, because machines differ. Prints tables in Markdown.
//   bench_engine [--models a,b] [--batches 1,64] [--repeat 5] [--plain] [--price] [--data DIR]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "plain_dense.hpp"
#include "support/shared_models.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

struct Model {
  std::string name, images;
  double eps;
  std::vector<double> mean, std;
};

const std::vector<Model> kModels = {
    {"acasxu/ACASXU_run2a_1_1_batch_2000", "", 0.05, {}, {}},
    {"mnist-net_256x2", "mnist_1000", 0.02, {}, {}},
    {"mnist-net_256x4", "mnist_1000", 0.02, {}, {}},
    {"mnist_cnn_small", "mnist_1000", 0.03, {}, {}},
    {"cifar_base_kw", "cifar10_200", 0.008, {0.485, 0.456, 0.406}, {0.225, 0.225, 0.225}},
    {"cifar_deep_kw", "cifar10_200", 0.008, {0.485, 0.456, 0.406}, {0.225, 0.225, 0.225}},
    {"resnet_2b", "cifar10_200", 0.002, {0.4914, 0.4822, 0.4465}, {0.2471, 0.2435, 0.2616}},
    {"resnet_4b", "cifar10_200", 0.001, {0.4914, 0.4822, 0.4465}, {0.2471, 0.2435, 0.2616}},
};

struct Options {
  std::filesystem::path data;
  std::vector<std::string> models;
  std::vector<std::int64_t> batches{1, 64};
  int repeat = 5;
  bool plain = false, price = false;
};

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}
// One unmeasured run, then at least `repeat` or two seconds' worth.
double timed(int repeat, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  double total = 0;
  while (static_cast<int>(times.size()) < repeat || (total < 0.5 && times.size() < 200)) {
    times.push_back(seconds(work));
    total += times.back();
    if (total > 60) break;
  }
  return median(times);
}
double peak_megabytes() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_maxrss) / 1024;
}

Regions regions(const Options& o, const Model& m, const Network& network, std::int64_t batch) {
  Regions all;
  all.batch = batch;
  const auto n = static_cast<std::size_t>(network.input_size());
  for (std::int64_t b = 0; b < batch; ++b) {
    Regions one;
    if (m.images.empty()) {
      one.lower.assign(n, -m.eps + 0.001 * static_cast<double>(b));
      one.upper.assign(n, m.eps + 0.001 * static_cast<double>(b));
    } else {
      one = pixel_box(shared_pixels(o.data, m.images, b, network), m.eps, m.mean, m.std);
    }
    all.lower.insert(all.lower.end(), one.lower.begin(), one.lower.end());
    all.upper.insert(all.upper.end(), one.upper.begin(), one.upper.end());
  }
  return all;
}

Forms logits(const Network& network) {
  Forms f;
  f.value = network.logits;
  f.rows = network.values[static_cast<std::size_t>(f.value)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t i = 0; i < f.rows; ++i) f.coefficient[static_cast<std::size_t>(i * f.rows + i)] = 1;
  return f;
}

double width(const BoundResult& b) {
  double sum = 0;
  for (std::size_t i = 0; i < b.lower.size(); ++i) sum += b.upper[i] - b.lower[i];
  return sum / static_cast<double>(b.lower.size());
}

double peer_seconds(const nlohmann::json& peers, const std::string& model, std::int64_t batch) {
  for (const auto& [tool, tables] : peers.items()) {
    if (tool.rfind("auto_LiRPA", 0) != 0) continue;
    for (const auto& [name, table] : tables.items())
      if (table.is_object() && table.contains(model) && table[model].contains("CROWN_B" + std::to_string(batch))) return table[model]["CROWN_B" + std::to_string(batch)];
  }
  return model.rfind("acasxu", 0) == 0 && batch == 1 ? 0.037 : NAN;
}

void speed(const Options& o, const nlohmann::json& peers) {
  std::printf("| model | boxes | precision | ms | peer ms | times faster | plain dense ms | rows | retired | mean width |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Model& m : kModels) {
    if (!o.models.empty() && std::find(o.models.begin(), o.models.end(), m.name.substr(m.name.find('/') + 1)) == o.models.end()) continue;
    const auto network = shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    const auto plain = o.plain ? bench::PlainDense::make(*network) : std::nullopt;
    for (const std::int64_t batch : o.batches) {
      const Regions boxes = regions(o, m, *network, batch);
      double plain_ms = NAN;
      if (plain && batch == 1) {
        const std::vector<float> lower(boxes.lower.begin(), boxes.lower.end()), upper(boxes.upper.begin(), boxes.upper.end());
        plain_ms = 1e3 * timed(1, [&] { (void)plain->bound(lower, upper); });
      }
      for (const auto& [precision, name] : {std::pair{Precision::single, "float"}, {Precision::automatic, "auto"}, {Precision::dual, "double"}}) {
        BoundOptions options;
        options.precision = precision;
        BoundResult last;
        const double s = timed(o.repeat, [&] { last = must(engine->bound(boxes, logits(*network), options)); });
        const double peer = peer_seconds(peers, m.name, batch);
        std::printf("| %s | %lld | %s | %.3f | %.1f | %.1f | %.1f | %lld | %lld | %.5f |\n", m.name.c_str(), static_cast<long long>(batch), name, 1e3 * s, 1e3 * peer, peer / s, plain_ms,
                    static_cast<long long>(last.counters.rows), static_cast<long long>(last.counters.retired), width(last));
        std::fflush(stdout);
      }
    }
    std::printf("peak memory so far: %.0f MiB\n", peak_megabytes());
  }
}

// Sound against unsound runs, taken in turns so that a busy machine slows both.
void price(const Options& o) {
  std::printf("| model | method | precision | sound ms | unsound ms | ratio | width sound | width unsound |\n|---|---|---|---|---|---|---|---|\n");
  for (const Model& m : kModels) {
    if (!o.models.empty() && std::find(o.models.begin(), o.models.end(), m.name.substr(m.name.find('/') + 1)) == o.models.end()) continue;
    const auto network = shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    const Regions boxes = regions(o, m, *network, 1);
    for (const auto& [method, method_name] : {std::pair{Method::crown, "crown"}, {Method::combined, "combined"}})
      for (const auto& [precision, name] : {std::pair{Precision::single, "float"}, {Precision::automatic, "auto"}}) {
        BoundOptions options;
        options.method = method;
        options.precision = precision;
        std::vector<double> times[2];
        double widths[2] = {};
        for (int i = 0; i < 2 * std::max(o.repeat, 15); ++i) {
          options.sound = i % 2 == 0;
          BoundResult b;
          const double s = seconds([&] { b = must(engine->bound(boxes, logits(*network), options)); });
          if (i > 1) times[i % 2].push_back(s);
          widths[i % 2] = width(b);
        }
        std::printf("| %s | %s | %s | %.3f | %.3f | %.3f | %.6f | %.6f |\n", m.name.c_str(), method_name, name, 1e3 * median(times[0]), 1e3 * median(times[1]), median(times[0]) / median(times[1]),
                    widths[0], widths[1]);
        std::fflush(stdout);
      }
  }
}

std::vector<std::string> split(const char* text) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  if (const auto data = shared_data()) o.data = *data;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : "";
    if (a == "--models") o.models = split(next), ++i;
    else if (a == "--data") o.data = next, ++i;
    else if (a == "--repeat") o.repeat = std::atoi(next), ++i;
    else if (a == "--plain") o.plain = true;
    else if (a == "--price") o.price = true;
    else if (a == "--batches") {
      o.batches.clear();
      for (const auto& b : split(next)) o.batches.push_back(std::atoll(b.c_str()));
      ++i;
    }
  }
  if (o.data.empty()) {
    std::fprintf(stderr, "no shared data: give its folder with --data\n");
    return 1;
  }
  try {
    if (o.price) price(o);
    else speed(o, nlohmann::json::parse(std::ifstream(o.data / "expected" / "peer_times.json")));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
