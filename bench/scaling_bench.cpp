// Cost of crown against width, depth and batch: random dense ReLU networks, every intermediate bound recomputed. Prints CSV:
// what varies, its value, milliseconds of processor time, rows, multiply-adds, peak memory. bench/plot_scaling.py draws it.
#include <cmath>
#include <cstdio>
#include <random>

#include "bench_models.hpp"
#include "support/dense_net.hpp"

using namespace boundlight;
using namespace boundlight::bench;

namespace {

constexpr std::size_t kInputs = 256, kOutputs = 10;

// Weights of variance 2 / inputs, so that values keep their size from layer to layer.
test::DenseNet random_net(std::size_t width, std::size_t depth) {
  test::DenseNet net;
  std::mt19937_64 random(width * 1000 + depth);
  std::size_t from = kInputs;
  for (std::size_t l = 0; l <= depth; ++l) {
    const std::size_t to = l == depth ? kOutputs : width;
    std::normal_distribution<double> normal(0, std::sqrt(2.0 / static_cast<double>(from)));
    test::DenseNet::Layer layer;
    for (std::size_t o = 0; o < to; ++o) {
      std::vector<double> row;
      for (std::size_t i = 0; i < from; ++i) row.push_back(test::in_type(DataType::float32, normal(random)));
      layer.weight.push_back(row);
      layer.bias.push_back(test::in_type(DataType::float32, 0.1 * normal(random)));
    }
    net.layers.push_back(std::move(layer));
    from = to;
  }
  return net;
}

void measure(const char* what, std::size_t value, std::size_t width, std::size_t depth, std::int64_t batch) {
  const auto engine = test::engine_of(random_net(width, depth));
  Regions boxes;
  boxes.batch = batch;
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch) * kInputs; ++i) {
    const double x = uniform(random);
    boxes.lower.push_back(x - 0.002);
    boxes.upper.push_back(x + 0.002);
  }
  const Forms forms = logits_of(engine->network());
  BoundResult last;
  reset_peak();
  const double s = timed(5, 2, [&] { last = test::must(engine->bound(boxes, forms, BoundOptions())); }).cpu;
  std::printf("%s,%zu,%.3f,%lld,%lld,%.0f\n", what, value, 1e3 * s, static_cast<long long>(last.counters.rows), static_cast<long long>(last.counters.multiply_adds), peak_megabytes());
  std::fflush(stdout);
}

}  // namespace

int main() {
  std::printf("varies,value,cpu_ms,rows,multiply_adds,peak_mib\n");
  for (const std::size_t width : {32, 64, 128, 256, 512, 1024, 2048}) measure("width", width, width, 4, 1);
  for (const std::size_t depth : {1, 2, 4, 6, 8, 10}) measure("depth", depth, 256, depth, 1);
  for (const std::int64_t batch : {1, 4, 16, 64, 256}) measure("batch", static_cast<std::size_t>(batch), 256, 4, batch);
  return 0;
}
