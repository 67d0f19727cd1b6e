// What the emulator is for: it finds what real hardware would leave to chance, and results do not depend on its orders.
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

#include "boundlight/device/device.hpp"

using namespace boundlight;
using namespace boundlight::emulated;

// ThreadSanitizer asks here before it reports: counted, and kept quiet, while a race is made on purpose.
struct RacesOnPurpose {
  static inline int seen = 0;
  static inline bool expected = false;
  RacesOnPurpose() { seen = 0, expected = true; }
  ~RacesOnPurpose() { expected = false; }
};
#if defined(__SANITIZE_THREAD__)
namespace __tsan {
class ReportDesc;
bool OnReport(const ReportDesc*, bool suppressed) {  // NOLINT: the name is ThreadSanitizer's
  if (!RacesOnPurpose::expected) return suppressed;
  ++RacesOnPurpose::seen;
  return true;
}
}  // namespace __tsan
#endif

namespace {

constexpr std::int64_t kSize = 64;
constexpr std::uint32_t kBlock = 16;

// The largest of neighbours through shared memory, with and without the barrier that it needs.
template <bool kBarrier>
void rotate(const double* from, double* to) {
  double* const shared = shared_memory<double>();
  const std::uint32_t t = thread_index(), n = threads();
  shared[t] = from[block_index() * n + t];
  if constexpr (kBarrier) barrier();
  to[block_index() * n + t] = shared[(t + 1) % n];
}

void some_skip(double* to) {
  if (thread_index() != 3) barrier();
  to[thread_index()] = 1;
}
void two_places(double* to) {
  if (thread_index() % 2 == 0) barrier();
  else
    barrier();
  to[thread_index()] = 1;
}
void throws(double* to) {
  barrier();
  if (thread_index() == 2) throw std::runtime_error("from a kernel");
  barrier();
  to[thread_index()] = 1;
}

struct Run {
  StreamHolder stream{0};
  device::Pool pool{device_source()};
  Buffer<double> from{&pool, kSize}, to{&pool, kSize};
  Run() {
    std::vector<double> numbers(kSize);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
    must(cudaMemcpyAsync(from.data(), numbers.data(), kSize * sizeof(double), cudaMemcpyHostToDevice, stream.at), "upload");
  }
  std::vector<double> result() {
    std::vector<double> host(kSize);
    must(cudaMemcpyAsync(host.data(), to.data(), kSize * sizeof(double), cudaMemcpyDeviceToHost, stream.at), "download");
    return host;
  }
};

template <bool kBarrier>
std::vector<double> rotated(Order order, std::uint64_t seed) {
  Run run;
  set_order(order, seed);
  launch(rotate<kBarrier>, {kSize / kBlock, 1}, kBlock, kBlock * sizeof(double), run.stream.at, static_cast<const double*>(run.from.data()), run.to.data());
  set_order(Order::ascending, 1);
  return run.result();
}

const std::vector<std::pair<Order, std::uint64_t>> kOrders = {{Order::ascending, 1}, {Order::descending, 1}, {Order::shuffled, 1}, {Order::shuffled, 2}};

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0; }

}  // namespace

TEST_CASE("emulator: with its barrier a kernel gives the same in every order of threads") {
  std::vector<double> expected(kSize);
  for (std::size_t i = 0; i < kSize; ++i) expected[i] = static_cast<double>(i / kBlock * kBlock + (i + 1) % kBlock);
  for (const auto& [order, seed] : kOrders) CHECK(same_bits(rotated<true>(order, seed), expected));
}

TEST_CASE("emulator: a missing barrier shows") {
  const RacesOnPurpose quiet;
  const auto first = rotated<false>(Order::ascending, 1);
  CHECK_FALSE(same_bits(first, rotated<true>(Order::ascending, 1)));
  CHECK_FALSE(same_bits(first, rotated<false>(Order::descending, 1)));
  CHECK_FALSE(same_bits(first, rotated<false>(Order::shuffled, 1)));
#if defined(__SANITIZE_THREAD__)
  CHECK(RacesOnPurpose::seen > 0);
#endif
}

#if defined(__SANITIZE_THREAD__)
// All blocks write one element; every thread one of its own, twice; a neighbour's element of the same row.
void same_element(double* to) { to[0] = thread_index(); }
void own_element(double* to) {
  to[block_index() * threads() + thread_index()] = 1;
  barrier();
  to[block_index() * threads() + thread_index()] += 1;
}
void next_block(double* to) {
  if (thread_index() == 0) to[block_index()] = to[(block_index() + 1) % grid_width()];
}

TEST_CASE("emulator: ThreadSanitizer finds races between threads and between blocks, and no others") {
  Run run;
  const auto races = [&](auto kernel, std::uint32_t blocks) {
    const RacesOnPurpose made;
    launch(kernel, {blocks, 1}, kBlock, kBlock * sizeof(double), run.stream.at, run.to.data());
    return RacesOnPurpose::seen;
  };
  CHECK(races(own_element, 4) == 0);
  CHECK(races(same_element, 1) > 0);
  CHECK(races(next_block, 4) > 0);
  CHECK(races(own_element, 4) == 0);  // what one launch did is over when the next begins
  const RacesOnPurpose made;
  rotated<true>(Order::shuffled, 3);
  CHECK(RacesOnPurpose::seen == 0);
}
#endif

TEST_CASE("emulator: a barrier that some threads skip is an error, and the next launch is fine") {
  for (const auto& [order, seed] : kOrders) {
    Run run;
    set_order(order, seed);
    CHECK_THROWS_WITH(launch(some_skip, {2, 1}, 8, 0, run.stream.at, run.to.data()), Catch::Contains("7 threads wait, 1 have ended"));
    CHECK_THROWS_WITH(launch(two_places, {2, 1}, 8, 0, run.stream.at, run.to.data()), Catch::Contains("different barriers"));
    CHECK_THROWS_WITH(launch(throws, {2, 1}, 8, 0, run.stream.at, run.to.data()), Catch::Contains("from a kernel"));
    set_order(Order::ascending, 1);
    CHECK(same_bits(rotated<true>(order, seed), rotated<true>(Order::ascending, 1)));
  }
}

TEST_CASE("emulator: a barrier outside of a kernel is a broken contract") { CHECK_THROWS_AS(barrier(), ContractViolation); }

TEST_CASE("emulator: launches that a GPU refuses are refused") {
  Run run;
  double* const to = run.to.data();
  const auto try_launch = [&](Grid grid, std::uint32_t block, std::size_t shared) { launch(some_skip, grid, block, shared, run.stream.at, to); };
  CHECK_THROWS_AS(try_launch({0, 1}, 8, 0), DeviceError);
  CHECK_THROWS_AS(try_launch({1, 70000}, 8, 0), DeviceError);
  CHECK_THROWS_AS(try_launch({1, 1}, 2048, 0), DeviceError);
  CHECK_THROWS_AS(try_launch({1, 1}, 8, 100000), DeviceError);
  CHECK_THROWS_AS(launch(some_skip, {1, 1}, 8, 0, nullptr, to), DeviceError);
}

TEST_CASE("emulator: host memory handed to a kernel is an error") {
  Device d;
  std::vector<double> host(10, 1.0);
  double* const wrong = host.data();
  CHECK_THROWS_WITH(d.map(10, [=] BL_HD(std::int64_t i) { wrong[i] = 2; }), Catch::Contains("host memory"));
  double local = 1;
  double* const stack = &local;
  CHECK_THROWS_WITH(d.map(1, [=] BL_HD(std::int64_t) { *stack = 2; }), Catch::Contains("host memory"));
  CHECK(host == std::vector<double>(10, 1.0));
  CHECK(local == 1);
  // A copy in the wrong direction, and one from the host to the host.
  auto b = d.buffer<double>(10);
  CHECK_THROWS_AS(d.copy(b.data(), host.data(), 10), DeviceError);
  CHECK_THROWS_AS(d.upload(host.data(), host.data(), 10), DeviceError);
  CHECK_THROWS_AS(d.download(host.data(), b.data(), 11 + 64), DeviceError);
}

TEST_CASE("emulator: fresh memory is no zeros") {
  Device d;
  auto b = d.buffer<double>(4);
  std::vector<double> host(4);
  d.download(host.data(), b.data(), 4);
  for (const double x : host) CHECK(std::isnan(x));
}

TEST_CASE("emulator: the verbs give the same bits in every order of threads") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0, 1);
  const std::int64_t rows = 37, cols = 101;
  std::vector<double> numbers(static_cast<std::size_t>(rows * cols));
  for (auto& x : numbers) x = normal(random);
  std::vector<std::vector<double>> seen;
  for (const auto& [order, seed] : kOrders) {
    Device d;
    set_order(order, seed);
    auto a = d.buffer<double>(rows * cols), sum = d.buffer<double>(rows), most = d.buffer<double>(rows);
    d.upload(a.data(), numbers.data(), rows * cols);
    d.fill(sum.data(), 0.0, rows);
    double* const x = a.data();
    double* const sums[1] = {sum.data()};
    d.map(rows * cols, [=] BL_HD(std::int64_t i) { x[i] = x[i] * 3 + 1; });
    d.map_rows(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t c) { x[r * cols + c] -= static_cast<double>(r); });
    d.sum_rows<1>(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t c, Sums s) { s.add(0, x[r * cols + c]); }, sums);
    d.max_rows(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t c) { return x[r * cols + c]; }, most.data());
    std::vector<double> all(static_cast<std::size_t>(2 * rows));
    d.download(all.data(), sum.data(), rows);
    d.download(all.data() + rows, most.data(), rows);
    seen.push_back(all);
  }
  set_order(Order::ascending, 1);
  for (const auto& other : seen) CHECK(same_bits(other, seen.front()));
}

TEST_CASE("emulator: products are summed in an order drawn from the seed") {
  std::mt19937_64 random(6);
  std::normal_distribution<float> normal(0, 1);
  const std::int64_t n = 30;
  std::vector<float> a(static_cast<std::size_t>(n * n)), b(a.size());
  for (auto& x : a) x = normal(random);
  for (auto& x : b) x = normal(random);
  const auto product = [&](std::uint64_t seed) {
    Device d;
    set_order(Order::ascending, seed);
    auto on_a = d.buffer<float>(n * n), on_b = d.buffer<float>(n * n), on_c = d.buffer<float>(n * n);
    d.upload(on_a.data(), a.data(), n * n);
    d.upload(on_b.data(), b.data(), n * n);
    d.gemm(false, false, n, n, n, on_a.data(), n, on_b.data(), n, 0.0F, on_c.data(), n);
    std::vector<float> c(a.size());
    d.download(c.data(), on_c.data(), n * n);
    set_order(Order::ascending, 1);
    return c;
  };
  CHECK(product(1) == product(1));
  std::set<std::vector<float>> different;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) different.insert(product(seed));
  CHECK(different.size() >= 7);
}

TEST_CASE("emulator: a product in reduced precision is caught when the device starts") {
  BlasHolder blas(StreamHolder(0).at);
  Device d;
  auto a = d.buffer<float>(1), c = d.buffer<float>(1);
  const float x = 1.0F + std::numeric_limits<float>::epsilon(), one = 1, zero = 0;
  d.upload(a.data(), &x, 1);
  const auto multiply = [&](cublasComputeType_t compute) {
    StreamHolder stream(0);
    must(cublasSetStream(blas.at, stream.at), "stream");
    must(cublasGemmStridedBatchedEx_64(blas.at, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, 0, a.data(), CUDA_R_32F, 1, 0, &zero, c.data(),
                                       CUDA_R_32F, 1, 0, 1, compute, CUBLAS_GEMM_DEFAULT), "product");
    float y;
    d.download(&y, c.data(), 1);
    return y;
  };
  CHECK(multiply(CUBLAS_COMPUTE_32F_PEDANTIC) == x * x);
  CHECK(multiply(CUBLAS_COMPUTE_32F) == 1);
}
