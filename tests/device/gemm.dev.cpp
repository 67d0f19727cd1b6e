// gemm on every back end: the right product at every layout, within the bound for sums in any order.
#include <array>
#include <limits>
#include <random>

#include "boundlight/core/rational.hpp"
#include "device/backend.hpp"

namespace boundlight::BL_NS {
namespace {

struct Product {
  bool ta, tb;
  std::int64_t m, n, k, lda, ldb, ldc;
};

template <class T>
std::vector<T> random_matrix(std::int64_t n, std::mt19937_64& random, int spread) {
  std::uniform_real_distribution<double> mantissa(-2, 2);
  std::uniform_int_distribution<int> exponent(-spread, spread);
  std::vector<T> v(static_cast<std::size_t>(n));
  for (auto& x : v) x = static_cast<T>(std::ldexp(mantissa(random), exponent(random)));
  return v;
}

// Every entry against exact rationals; entries beyond n in a row must stay untouched.
template <class T>
void check_product(Device& d, const Product& p, T beta, int spread, std::mt19937_64& random) {
  const auto a = random_matrix<T>((p.ta ? p.k : p.m) * p.lda, random, spread), b = random_matrix<T>((p.tb ? p.n : p.k) * p.ldb, random, spread);
  const auto c = beta == T(0) ? std::vector<T>(static_cast<std::size_t>(p.m * p.ldc), std::numeric_limits<T>::quiet_NaN()) : random_matrix<T>(p.m * p.ldc, random, spread);
  const auto on_a = to_device(d, a), on_b = to_device(d, b), on_c = to_device(d, c);
  d.gemm(p.ta, p.tb, p.m, p.n, p.k, on_a.data(), p.lda, on_b.data(), p.ldb, beta, on_c.data(), p.ldc);
  const auto got = to_host(d, on_c);
  const Rational share = exact(gamma_up<T>(p.k + 1));
  for (std::int64_t i = 0; i < p.m; ++i)
    for (std::int64_t j = 0; j < p.ldc; ++j) {
      const auto at = static_cast<std::size_t>(i * p.ldc + j);
      if (j >= p.n) {
        REQUIRE((got[at] == c[at] || (std::isnan(got[at]) && std::isnan(c[at]))));
        continue;
      }
      Rational sum = beta == T(0) ? Rational(0) : exact(static_cast<double>(beta)) * exact(static_cast<double>(c[at])), size = abs(sum);
      for (std::int64_t q = 0; q < p.k; ++q) {
        const Rational term = exact(static_cast<double>(a[static_cast<std::size_t>(p.ta ? q * p.lda + i : i * p.lda + q)])) *
                              exact(static_cast<double>(b[static_cast<std::size_t>(p.tb ? j * p.ldb + q : q * p.ldb + j)]));
        sum += term;
        size += abs(term);
      }
      INFO("ta=" << p.ta << " tb=" << p.tb << " m=" << p.m << " n=" << p.n << " k=" << p.k << " i=" << i << " j=" << j);
      REQUIRE(abs(exact(static_cast<double>(got[at])) - sum) <= share * size);
    }
}

template <class T>
void check_all_layouts() {
  Device d;
  std::mt19937_64 random(11);
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {2, 3, 4}, {7, 5, 33}, {1, 40, 17}, {40, 1, 17}, {20, 60, 9}})
        for (const std::int64_t pad : {0, 3})
          for (const T beta : {T(0), T(1)})
            check_product<T>(d, {ta, tb, m, n, k, (ta ? m : k) + pad, (tb ? k : n) + pad, n + pad}, beta, 8, random);
}

}  // namespace

BL_TEST("gemm in float: every layout, within gamma of the exact product") { check_all_layouts<float>(); }
BL_TEST("gemm in double: every layout, within gamma of the exact product") { check_all_layouts<double>(); }

BL_TEST("gemm beyond one tile is the same product") {
  Device d;
  std::mt19937_64 random(12);
  // Integers: every order is exact, so the result is known without rationals.
  const std::int64_t m = 411, n = 1037, k = 53;
  std::uniform_int_distribution<int> small(-8, 8);
  std::vector<float> a(static_cast<std::size_t>(m * k)), b(static_cast<std::size_t>(k * n));
  for (auto& x : a) x = static_cast<float>(small(random));
  for (auto& x : b) x = static_cast<float>(small(random));
  const auto on_a = to_device(d, a), on_b = to_device(d, b);
  const auto c = d.buffer<float>(m * n);
  d.gemm(false, false, m, n, k, on_a.data(), k, on_b.data(), n, 0.0F, c.data(), n);
  const auto got = to_host(d, c);
  bool good = true;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (std::int64_t q = 0; q < k; ++q) sum += a[static_cast<std::size_t>(i * k + q)] * b[static_cast<std::size_t>(q * n + j)];
      good = good && got[static_cast<std::size_t>(i * n + j)] == sum;
    }
  CHECK(good);
}

BL_TEST("gemm_batched is gemm on every triple, whatever the count") {
  Device d;
  std::mt19937_64 random(13);
  const std::int64_t m = 6, n = 5, k = 7, count = 9;
  const auto a = random_matrix<double>(count * (m * k + 2), random, 3), b = random_matrix<double>(k * n, random, 3);
  const auto on_a = to_device(d, a), on_b = to_device(d, b), on_c = to_device(d, std::vector<double>(static_cast<std::size_t>(count * (m * n + 1)), -1.0));
  d.gemm_batched(count, false, false, m, n, k, on_a.data(), k, m * k + 2, on_b.data(), n, std::int64_t{0}, 0.0, on_c.data(), n, m * n + 1);
  const auto got = to_host(d, on_c);
  const Rational share = exact(gamma_up<double>(k));
  for (std::int64_t t = 0; t < count; ++t) {
    CHECK(got[static_cast<std::size_t>(t * (m * n + 1) + m * n)] == -1.0);  // between the results
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        Rational sum = 0, size = 0;
        for (std::int64_t q = 0; q < k; ++q) {
          const Rational term = exact(a[static_cast<std::size_t>(t * (m * k + 2) + i * k + q)]) * exact(b[static_cast<std::size_t>(q * n + j)]);
          sum += term;
          size += abs(term);
        }
        REQUIRE(abs(exact(got[static_cast<std::size_t>(t * (m * n + 1) + i * n + j)]) - sum) <= share * size);
      }
  }
  d.gemm_batched(2, false, false, m, n, 0, on_a.data(), 0, 0, on_b.data(), n, 0, 0.0, on_c.data(), n, m * n + 1);
  const auto zeros = to_host(d, on_c);
  CHECK(zeros[0] == 0.0);
  CHECK(zeros[static_cast<std::size_t>(m * n)] == -1.0);
}

BL_TEST("gemm with nothing to sum gives zeros, or leaves what is there") {
  Device d;
  const auto c = to_device(d, std::vector<float>{1, 2, 3, 4, 5, 6});
  const auto none = d.buffer<float>(1);
  d.gemm(false, false, 2, 3, 0, none.data(), 0, none.data(), 3, 1.0F, c.data(), 3);
  CHECK(to_host(d, c) == std::vector<float>{1, 2, 3, 4, 5, 6});
  d.gemm(false, false, 2, 2, 0, none.data(), 0, none.data(), 2, 0.0F, c.data(), 3);
  CHECK(to_host(d, c) == std::vector<float>{0, 0, 3, 0, 0, 6});
  d.gemm(false, false, 0, 3, 4, none.data(), 4, none.data(), 3, 0.0F, c.data(), 3);
  CHECK(to_host(d, c) == std::vector<float>{0, 0, 3, 0, 0, 6});
}

BL_TEST("gemm keeps infinities and NaN of a factor") {
  Device d;
  const float inf = std::numeric_limits<float>::infinity();
  const auto a = to_device(d, std::vector<float>{1, inf, 0, inf}), b = to_device(d, std::vector<float>{1, 0, 1, 0});
  const auto c = d.buffer<float>(4);
  d.gemm(false, false, 2, 2, 2, a.data(), 2, b.data(), 2, 0.0F, c.data(), 2);
  const auto got = to_host(d, c);
  CHECK(got[0] == inf);
  CHECK(std::isnan(got[1]));  // inf * 0: a lost bound must not become a number
}

}  // namespace boundlight::BL_NS
