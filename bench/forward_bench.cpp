// Throughput of concrete evaluation in float: prints milliseconds per batch (medians), wall and processor time of the values, then of
// the gradient of the outputs' sum. bench/forward.py compares values with onnxruntime.
//   bench_forward MODEL BATCH [REPEAT]
#include <algorithm>
#include <cstdio>
#include <random>

#include "bench_models.hpp"

using namespace boundlight;
using namespace boundlight::bench;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_forward MODEL BATCH [REPEAT]\n");
    return 1;
  }
  try {
    const auto network = test::must(prepare(test::must(load_onnx(argv[1]))));
    const std::int64_t batch = std::max(1, std::atoi(argv[2]));
    auto engine = test::must(make_engine(network));
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> pixel(0, 1);
    std::vector<double> inputs(static_cast<std::size_t>(batch * network->input_size()));
    for (double& x : inputs) x = static_cast<double>(static_cast<float>(pixel(random)));
    const Timing t = timed(argc > 3 ? std::max(1, std::atoi(argv[3])) : 9, 20, [&] { (void)test::must(engine->evaluate(inputs, batch, network->outputs, Precision::single)); });
    const auto sum = [](const std::vector<double>&, std::vector<double>& weight) { std::fill(weight.begin(), weight.end(), 1.0); };
    const Timing g = timed(argc > 3 ? std::max(1, std::atoi(argv[3])) : 9, 20, [&] { (void)test::must(engine->gradient(inputs, batch, network->outputs[0], sum, Precision::single, kAbsent)); });
    std::printf("%.3f %.3f %.3f %.3f\n", 1e3 * t.wall, 1e3 * t.cpu, 1e3 * g.wall, 1e3 * g.cpu);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
