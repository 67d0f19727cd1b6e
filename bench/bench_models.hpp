// What the benchmarks share: the shared models with the regions that the peers were timed on, medians, memory, calibration.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/shared_models.hpp"

namespace boundlight::bench {

struct BenchModel {
  std::string name, images;  // under models/ and images/; no images: a small box around 0
  double eps;
  std::vector<double> mean, std;
};
// Every shared model that has bounds to compare, small ones first.
const std::vector<BenchModel>& bench_models();

// The boxes around the first `batch` images of the model's set.
Regions bench_regions(const std::filesystem::path& data, const BenchModel& model, const Network& network, std::int64_t batch);
// Every element of the logits.
Forms logits_of(const Network& network);
double mean_width(const BoundResult& bounds);

double seconds_of(const std::function<void()>& work);
double median(std::vector<double> times);
// One run that is not counted, then `repeat` of them, or as many as fill half a second (at most 200); a first run of more than
// `enough` seconds counts and is the only one.
struct Timing {
  double wall, cpu;  // medians; cpu: seconds of all threads together, which other work on the machine disturbs less
};
Timing timed(int repeat, double enough, const std::function<void()>& work);
double cpu_seconds();  // of this process so far

// Peak resident memory since the last reset, MiB (Linux: /proc/self).
void reset_peak();
double peak_megabytes();

// What a machine can do, as the peers' table states it: two threads.
struct Calibration {
  double sgemm, dgemm, copy;  // GFLOP/s, GFLOP/s, GB/s
};
Calibration calibrate();

}  // namespace boundlight::bench
