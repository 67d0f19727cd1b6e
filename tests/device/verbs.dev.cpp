// Every verb of a Device (device/device.hpp), on every back end, at sizes around the edges of blocks and grids.
#include <algorithm>
#include <limits>
#include <random>

#include "boundlight/core/rational.hpp"
#include "device/backend.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
const std::vector<std::pair<std::int64_t, std::int64_t>> kShapes = {{1, 1}, {1, 7}, {3, 16}, {16, 3}, {17, 33}, {5, 300}, {900, 2}, {50, 1100}, {1, 20000}, {9000, 1}};

std::vector<double> random_numbers(std::int64_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> v(static_cast<std::size_t>(n));
  for (auto& x : v) x = normal(random);
  return v;
}

}  // namespace

BL_TEST("map calls the functor once for every index") {
  Device d;
  for (const std::int64_t n : {0, 1, 15, 16, 17, 255, 256, 257, 1024, 8191, 8193, 100000}) {
    auto count = d.buffer<std::int32_t>(n);
    d.fill(count.data(), std::int32_t{0}, n);
    auto* const c = count.data();
    d.map(n, [=] BL_HD(std::int64_t i) { c[i] += static_cast<std::int32_t>(i + 1); });
    const auto host = to_host(d, count);
    bool good = true;
    for (std::int64_t i = 0; i < n; ++i) good = good && host[static_cast<std::size_t>(i)] == i + 1;
    CHECK(good);
  }
}

BL_TEST("map_rows calls the functor once for every row and column") {
  Device d;
  for (const auto& [rows, cols] : kShapes) {
    const std::int64_t n = rows * cols, width = cols;
    auto count = d.buffer<double>(n);
    d.fill(count.data(), 0.0, n);
    auto* const c = count.data();
    d.map_rows(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t j) { c[r * width + j] += static_cast<double>(r * 100000 + j + 1); });
    const auto host = to_host(d, count);
    bool good = true;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t j = 0; j < cols; ++j) good = good && host[static_cast<std::size_t>(r * cols + j)] == static_cast<double>(r * 100000 + j + 1);
    INFO(rows << " x " << cols);
    CHECK(good);
  }
  d.map_rows(0, 5, [=] BL_HD(std::int64_t, std::int64_t) {});
  d.map_rows(5, 0, [=] BL_HD(std::int64_t, std::int64_t) {});
}

BL_TEST("sum_rows adds every term to what is there, within the error of a sum in double in any order") {
  Device d;
  for (const auto& [rows, cols] : kShapes) {
    const std::int64_t width = cols;
    const auto terms = random_numbers(rows * cols, 3);
    const auto a = to_device(d, terms);
    const auto first = to_device(d, std::vector<double>(static_cast<std::size_t>(rows), 1.0)), second = to_device(d, std::vector<double>(static_cast<std::size_t>(rows), 0.0));
    const double* const from = a.data();
    double* const sums[2] = {first.data(), second.data()};
    d.sum_rows<2>(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t c, Sums sum) {
      sum.add(0, from[r * width + c]);
      if (c % 2 == 0) sum.add(1, 2 * from[r * width + c]);
    }, sums);
    const auto x = to_host(d, first), y = to_host(d, second);
    for (std::int64_t r = 0; r < rows; ++r) {
      Rational exact_x = 1, exact_y = 0, size_x = 1, size_y = 0;
      for (std::int64_t c = 0; c < cols; ++c) {
        const Rational term = exact(terms[static_cast<std::size_t>(r * cols + c)]);
        exact_x += term, size_x += abs(term);
        if (c % 2 == 0) exact_y += 2 * term, size_y += abs(2 * term);
      }
      const Rational share = exact(gamma_up<double>(cols + 1));
      const auto at = static_cast<std::size_t>(r);
      INFO(rows << " x " << cols << ", row " << r);
      REQUIRE(abs(exact(x[at]) - exact_x) <= share * size_x);
      REQUIRE(abs(exact(y[at]) - exact_y) <= share * size_y);
      if (r >= 20) break;  // exact sums are slow; the rest of the rows went the same way
    }
  }
}

BL_TEST("sums over no columns leave what is there; sums over no rows are fine") {
  Device d;
  const auto out = to_device(d, std::vector<double>{4, 5});
  double* const sums[1] = {out.data()};
  d.sum_rows<1>(2, 0, [=] BL_HD(std::int64_t, std::int64_t, Sums sum) { sum.add(0, 1); }, sums);
  d.sum_rows<1>(0, 9, [=] BL_HD(std::int64_t, std::int64_t, Sums sum) { sum.add(0, 1); }, sums);
  CHECK(to_host(d, out) == std::vector<double>{4, 5});
}

BL_TEST("a sum with an infinite or NaN term says so") {
  Device d;
  const auto terms = to_device(d, std::vector<double>{1, kInf, 2, 1, -kInf, kInf, 1, kNaN, 2});
  const auto out = to_device(d, std::vector<double>{0, 0, 0});
  double* const sums[1] = {out.data()};
  const double* const from = terms.data();
  d.sum_rows<1>(3, 3, [=] BL_HD(std::int64_t r, std::int64_t c, Sums sum) { sum.add(0, from[r * 3 + c]); }, sums);
  const auto host = to_host(d, out);
  CHECK(host[0] == kInf);
  CHECK(std::isnan(host[1]));
  CHECK(std::isnan(host[2]));
}

BL_TEST("max_rows finds the largest wherever it is") {
  Device d;
  for (const auto& [rows, cols] : kShapes) {
    const std::int64_t width = cols;
    const auto numbers = random_numbers(rows * cols, 5);
    const auto a = to_device(d, numbers);
    auto out = d.buffer<double>(rows);
    const double* const from = a.data();
    d.max_rows(rows, cols, [=] BL_HD(std::int64_t r, std::int64_t c) { return from[r * width + c]; }, out.data());
    const auto host = to_host(d, out);
    bool good = true;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto row = numbers.begin() + r * cols;
      good = good && host[static_cast<std::size_t>(r)] == *std::max_element(row, row + cols);
    }
    INFO(rows << " x " << cols);
    CHECK(good);
  }
}

BL_TEST("max_rows keeps NaN at any place, and is -inf over nothing") {
  Device d;
  constexpr std::int64_t kCols = 70;
  std::vector<double> numbers(kCols * kCols, 1.0);
  for (std::int64_t r = 0; r < kCols; ++r) {
    numbers[static_cast<std::size_t>(r * kCols + r)] = kNaN;
    numbers[static_cast<std::size_t>(r * kCols + (r + 1) % kCols)] = kInf;
  }
  const auto a = to_device(d, numbers);
  auto out = d.buffer<double>(kCols);
  const double* const from = a.data();
  d.max_rows(kCols, kCols, [=] BL_HD(std::int64_t r, std::int64_t c) { return from[r * kCols + c]; }, out.data());
  const auto host = to_host(d, out);
  CHECK(std::all_of(host.begin(), host.end(), [](double x) { return std::isnan(x); }));
  d.max_rows(kCols, 0, [=] BL_HD(std::int64_t, std::int64_t) { return 0.0; }, out.data());
  const auto none = to_host(d, out);
  CHECK(std::all_of(none.begin(), none.end(), [](double x) { return x == -kInf; }));
}

BL_TEST("copies and fills reach exactly what they name") {
  Device d;
  const auto numbers = random_numbers(1000, 7);
  const auto a = to_device(d, numbers);
  const auto b = to_device(d, std::vector<double>(1000, 9.0));
  d.copy(b.data() + 10, a.data() + 20, 100);
  d.fill(b.data() + 500, 3.0, 2);
  d.copy(b.data(), a.data(), 0);
  const auto host = to_host(d, b);
  for (std::int64_t i = 0; i < 1000; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double expected = i >= 10 && i < 110 ? numbers[at + 10] : (i == 500 || i == 501 ? 3.0 : 9.0);
    REQUIRE(host[at] == expected);
  }
  d.check();
}

BL_TEST("memory is counted while buffers live, and the peak is kept") {
  Device d;
  const std::size_t before = d.memory_in_use();
  {
    const auto a = d.buffer<double>(1000);
    CHECK(d.memory_in_use() - before >= 8000);
    CHECK(d.memory_in_use() - before <= 10000);
    auto b = d.buffer<float>(50000);
    const std::size_t both = d.memory_in_use();
    CHECK(both - before >= 208000);
    b = Buffer<float>();
    CHECK(d.memory_in_use() < both);
    CHECK(d.memory_peak() >= both);
    Buffer<double> moved(d.buffer<double>(10));
    Buffer<double> other(std::move(moved));
    CHECK(!moved.data());
    CHECK(other.size() == 10);
  }
  CHECK(d.memory_in_use() == before);
  CHECK(d.memory_peak() >= before + 208000);
}

BL_TEST("a buffer that cannot be had throws and leaves the device usable") {
  Device d;
  CHECK_THROWS_AS(d.buffer<double>(std::int64_t{1} << 58), std::bad_alloc);
  CHECK(d.memory_in_use() == 0);
  const auto a = to_device(d, std::vector<double>{1, 2, 3});
  CHECK(to_host(d, a) == std::vector<double>{1, 2, 3});
}

}  // namespace boundlight::BL_NS
