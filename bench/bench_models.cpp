#include "bench_models.hpp"

#include <cblas.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <thread>

extern "C" void openblas_set_num_threads(int) __attribute__((weak));

namespace boundlight::bench {

const std::vector<BenchModel>& bench_models() {
  static const std::vector<double> oval_mean{0.485, 0.456, 0.406}, oval_std{0.225, 0.225, 0.225}, resnet_mean{0.4914, 0.4822, 0.4465}, resnet_std{0.2471, 0.2435, 0.2616};
  static const std::vector<BenchModel> models = {
      {"acasxu/ACASXU_run2a_1_1_batch_2000", "", 0.05, {}, {}},
      {"mnist-net_256x2", "mnist_1000", 0.02, {}, {}},
      {"mnist-net_256x4", "mnist_1000", 0.02, {}, {}},
      {"ffnnSIGMOID__Point_6x200", "mnist_1000", 0.01, {}, {}},
      {"decoy_mnist_cnn", "mnist_1000", 0.02, {}, {}},
      {"mnist_cnn_small", "mnist_1000", 0.03, {}, {}},
      {"mnist_cnn_small_adv", "mnist_1000", 0.05, {}, {}},
      {"mnist_resnet_bn_pool", "mnist_1000", 0.01, {}, {}},
      {"Convnet_avgpool", "mnist_1000", 0.01, {}, {}},
      {"Convnet_maxpool", "mnist_1000", 0.01, {}, {}},
      {"cifar10_small", "cifar10_200", 0.004, {}, {}},
      {"cifar_base_kw", "cifar10_200", 0.008, oval_mean, oval_std},
      {"cifar_deep_kw", "cifar10_200", 0.008, oval_mean, oval_std},
      {"resnet_2b", "cifar10_200", 0.002, resnet_mean, resnet_std},
      {"resnet_4b", "cifar10_200", 0.001, resnet_mean, resnet_std},
  };
  return models;
}

Regions bench_regions(const std::filesystem::path& data, const BenchModel& model, const Network& network, std::int64_t batch) {
  Regions all;
  all.batch = batch;
  const auto n = static_cast<std::size_t>(network.input_size());
  for (std::int64_t b = 0; b < batch; ++b) {
    Regions one;
    if (model.images.empty()) {
      one.lower.assign(n, -model.eps + 0.001 * static_cast<double>(b));
      one.upper.assign(n, model.eps + 0.001 * static_cast<double>(b));
    } else {
      one = test::pixel_box(test::shared_pixels(data, model.images, b, network), model.eps, model.mean, model.std);
    }
    all.lower.insert(all.lower.end(), one.lower.begin(), one.lower.end());
    all.upper.insert(all.upper.end(), one.upper.begin(), one.upper.end());
  }
  return all;
}

Forms logits_of(const Network& network) {
  Forms f;
  f.value = network.logits;
  f.rows = network.values[static_cast<std::size_t>(f.value)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t i = 0; i < f.rows; ++i) f.coefficient[static_cast<std::size_t>(i * f.rows + i)] = 1;
  return f;
}

double mean_width(const BoundResult& b) {
  double sum = 0;
  for (std::size_t i = 0; i < b.lower.size(); ++i) sum += b.upper[i] - b.lower[i];
  return sum / static_cast<double>(b.lower.size());
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Timing timed(int repeat, double enough, const std::function<void()>& work) {
  double before = cpu_seconds();
  const double first = seconds_of(work);
  if (first > enough) return {first, cpu_seconds() - before};
  std::vector<double> times, busy;
  double total = 0;
  while (static_cast<int>(times.size()) < repeat || (total < 0.5 && times.size() < 200)) {
    before = cpu_seconds();
    times.push_back(seconds_of(work));
    busy.push_back(cpu_seconds() - before);
    total += times.back();
  }
  return {median(times), median(busy)};
}

void reset_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

Calibration calibrate() {
  constexpr int n = 2048;
  constexpr double kOperations = 2.0 * n * n * n;
  if (openblas_set_num_threads) openblas_set_num_threads(2);
  Calibration c{};
  {
    const std::vector<float> a(n * n, 1), b(n * n, 1);
    std::vector<float> y(n * n);
    c.sgemm = kOperations * 1e-9 / timed(5, 10, [&] { cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, y.data(), n); }).wall;
  }
  {
    const std::vector<double> a(n * n, 1), b(n * n, 1);
    std::vector<double> y(n * n);
    c.dgemm = kOperations * 1e-9 / timed(5, 10, [&] { cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, y.data(), n); }).wall;
  }
  if (openblas_set_num_threads) openblas_set_num_threads(1);
  constexpr std::size_t kHalf = std::size_t{1} << 27;  // bytes per thread
  std::vector<char> from(2 * kHalf, 1), to(2 * kHalf, 2);
  const double s = timed(5, 10, [&] {
    std::thread other([&] { std::memcpy(to.data() + kHalf, from.data() + kHalf, kHalf); });
    std::memcpy(to.data(), from.data(), kHalf);
    other.join();
  }).wall;
  c.copy = 2.0 * 2.0 * static_cast<double>(kHalf) * 1e-9 / s;  // read and written
  return c;
}

}  // namespace boundlight::bench
