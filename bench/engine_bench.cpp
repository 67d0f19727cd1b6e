// The engine against a plain dense implementation in the same run, and against what peers took (expected/peer_times.json).
// Medians of repeated runs; counters beside the times, because machines differ. Prints tables in Markdown.
//   bench_engine [--models a,b] [--batches 1,64] [--methods interval,crown,combined,alpha] [--precisions float,auto,double]
//                [--repeat 5] [--plain] [--price] [--calibrate] [--data DIR]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench_models.hpp"
#include "plain_dense.hpp"

using namespace boundlight;
using namespace boundlight::bench;
using test::must;

namespace {

struct Options {
  std::filesystem::path data;
  std::vector<std::string> models, methods{"interval", "crown", "combined", "alpha"}, precisions{"float", "auto", "double"};
  std::vector<std::int64_t> batches{1, 64};
  int repeat = 5;
  double enough = 5;  // seconds: a longer first run is the only one
  bool plain = false, price = false, calibration = false;
};

Method method_of(const std::string& name) {
  for (const auto& [text, method] : {std::pair{"interval", Method::interval}, {"forward", Method::forward}, {"crown", Method::crown}, {"combined", Method::combined}, {"alpha", Method::alpha}})
    if (name == text) return method;
  throw std::runtime_error("no such method: " + name);
}
Precision precision_of(const std::string& name) { return name == "float" ? Precision::single : name == "double" ? Precision::dual : Precision::automatic; }

bool has(const std::vector<std::string>& list, const std::string& item) { return std::find(list.begin(), list.end(), item) != list.end(); }
std::vector<BenchModel> chosen(const Options& o) {
  std::vector<BenchModel> some;
  for (const BenchModel& m : bench_models())
    if (o.models.empty() || has(o.models, m.name.substr(m.name.find('/') + 1))) some.push_back(m);
  return some;
}

// Seconds of the peer, NaN when it was not measured.
double peer_seconds(const nlohmann::json& peers, const std::string& model, const std::string& method, std::int64_t batch) {
  const std::string key = (method == "interval" ? "IBP_B" : method == "crown" ? "CROWN_B" : "none") + std::to_string(batch);
  for (const auto& [tool, tables] : peers.items()) {
    if (tool.rfind("auto_LiRPA", 0) != 0) continue;
    for (const auto& [name, table] : tables.items())
      if (table.is_object() && table.contains(model) && table[model].contains(key)) return table[model][key];
  }
  return model.rfind("acasxu", 0) == 0 && batch == 1 && method == "crown" ? 0.037 : NAN;
}

std::string number(const char* format, double x) {
  if (std::isnan(x)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

void speed(const Options& o, const nlohmann::json& peers) {
  std::printf("| model | method | boxes | precision | ms | cpu ms | peer ms | times faster | rows | retired | 10^6 multiply-adds | peak MiB | mean width | notes |\n"
              "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const BenchModel& m : chosen(o)) {
    const auto network = test::shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    for (const std::int64_t batch : o.batches) {
      const Regions boxes = bench_regions(o.data, m, *network, batch);
      for (const std::string& method : o.methods)
        for (const std::string& precision : o.precisions) {
          BoundOptions options;
          options.method = method_of(method);
          options.precision = precision_of(precision);
          BoundResult last;
          reset_peak();
          const auto [s, cpu] = timed(o.repeat, o.enough, [&] { last = must(engine->bound(boxes, logits_of(*network), options)); });
          const double peer = peer_seconds(peers, m.name, method, batch);
          std::string notes;
          for (const auto& n : last.notes) notes += (notes.empty() ? "" : "; ") + n;
          std::printf("| %s | %s | %lld | %s | %.3f | %.3f | %s | %s | %lld | %lld | %.1f | %.0f | %.6f | %s |\n", m.name.c_str(), method.c_str(), static_cast<long long>(batch), precision.c_str(), 1e3 * s, 1e3 * cpu,
                      number("%.1f", 1e3 * peer).c_str(), number("%.1f", peer / s).c_str(), static_cast<long long>(last.counters.rows), static_cast<long long>(last.counters.retired),
                      1e-6 * static_cast<double>(last.counters.multiply_adds), peak_megabytes(), mean_width(last), notes.c_str());
          std::fflush(stdout);
        }
    }
  }
}

// Crown in float against every neuron's rows through dense matrices, one box, taken in turns.
void plain(const Options& o) {
  std::printf("| model | crown ms | plain dense ms | times faster | largest difference | matrices MiB |\n|---|---|---|---|---|---|\n");
  for (const BenchModel& m : chosen(o)) {
    const auto network = test::shared_network(o.data, m.name);
    std::int64_t widest = 0;  // matrices of wider values do not fit, and take minutes to write down
    for (const auto& v : network->values)
      if (!v.constant) widest = std::max(widest, v.size);
    const auto dense = widest < 4000 ? PlainDense::make(*network) : std::nullopt;
    if (!dense) continue;
    auto engine = must(make_engine(network));
    const Regions boxes = bench_regions(o.data, m, *network, 1);
    const std::vector<float> lower(boxes.lower.begin(), boxes.lower.end()), upper(boxes.upper.begin(), boxes.upper.end());
    BoundOptions options;
    options.precision = Precision::single;
    BoundResult ours;
    PlainDense::Bounds theirs;
    const double a = timed(o.repeat, o.enough, [&] { ours = must(engine->bound(boxes, logits_of(*network), options)); }).wall;
    const double b = timed(3, o.enough, [&] { theirs = dense->bound(lower, upper); }).wall;
    double difference = 0;
    for (std::size_t r = 0; r < theirs.lower.size(); ++r)
      difference = std::max({difference, std::fabs(ours.lower[r] - static_cast<double>(theirs.lower[r])), std::fabs(ours.upper[r] - static_cast<double>(theirs.upper[r]))});
    std::printf("| %s | %.3f | %.1f | %.1f | %.2g | %.0f |\n", m.name.c_str(), 1e3 * a, 1e3 * b, b / a, difference, dense->bytes() / (1 << 20));
    std::fflush(stdout);
  }
}

// Sound against unsound runs, in turns; processor time of all threads, which other work on the machine disturbs least.
void price(const Options& o) {
  std::printf("| model | method | boxes | precision | sound cpu ms | unsound cpu ms | ratio | width sound | width unsound |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const BenchModel& m : chosen(o)) {
    const auto network = test::shared_network(o.data, m.name);
    auto engine = must(make_engine(network));
    for (const std::int64_t batch : o.batches) {
      const Regions boxes = bench_regions(o.data, m, *network, batch);
      for (const std::string& method : o.methods)
        for (const std::string& precision : o.precisions) {
          BoundOptions options;
          options.method = method_of(method);
          options.precision = precision_of(precision);
          std::vector<double> times[2];
          double widths[2] = {}, total = 0;
          for (int i = 0; i < 400 && (i < 2 * o.repeat + 2 || total < o.enough); ++i) {
            options.sound = i % 2 == 0;
            BoundResult b;
            const double before = cpu_seconds();
            b = must(engine->bound(boxes, logits_of(*network), options));
            const double s = cpu_seconds() - before;
            if (i > 1) times[i % 2].push_back(s);
            total += s;
            widths[i % 2] = mean_width(b);
          }
          std::printf("| %s | %s | %lld | %s | %.3f | %.3f | %.3f | %.9g | %.9g |\n", m.name.c_str(), method.c_str(), static_cast<long long>(batch), precision.c_str(), 1e3 * median(times[0]),
                      1e3 * median(times[1]), median(times[0]) / median(times[1]), widths[0], widths[1]);
          std::fflush(stdout);
        }
    }
  }
}

void calibration(const nlohmann::json& peers) {
  const Calibration c = calibrate();
  std::printf("| calibration, 2 threads | here | peers' machine |\n|---|---|---|\n");
  const auto& theirs = peers.value("calibration on the same machine, 2 threads", nlohmann::json::object());
  const auto row = [&](const char* name, double here) { std::printf("| %s | %.1f | %s |\n", name, here, theirs.contains(name) ? theirs[name].dump().c_str() : "-"); };
  row("sgemm 2048 GFLOP/s", c.sgemm);
  row("dgemm 2048 GFLOP/s", c.dgemm);
  row("copy GB/s", c.copy);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

Options read(int argc, char** argv) {
  Options o;
  if (const auto data = test::shared_data()) o.data = *data;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--plain") o.plain = true;
    else if (a == "--price") o.price = true;
    else if (a == "--calibrate") o.calibration = true;
    else if (i + 1 == argc) throw std::runtime_error(a + " needs a value");
    else if (a == "--models") o.models = split(argv[++i]);
    else if (a == "--methods") o.methods = split(argv[++i]);
    else if (a == "--precisions") o.precisions = split(argv[++i]);
    else if (a == "--data") o.data = argv[++i];
    else if (a == "--repeat") o.repeat = std::max(1, std::atoi(argv[++i]));
    else if (a == "--enough") o.enough = std::atof(argv[++i]);
    else if (a == "--batches") {
      o.batches.clear();
      for (const auto& b : split(argv[++i])) o.batches.push_back(std::max(1LL, std::atoll(b.c_str())));
    } else {
      throw std::runtime_error("no such option: " + a);
    }
  }
  if (o.data.empty()) throw std::runtime_error("no shared data: give its folder with --data");
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options o = read(argc, argv);
    const auto peers = nlohmann::json::parse(std::ifstream(o.data / "expected" / "peer_times.json"));
    if (o.calibration) calibration(peers);
    else if (o.price) price(o);
    else if (o.plain) plain(o);
    else speed(o, peers);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
