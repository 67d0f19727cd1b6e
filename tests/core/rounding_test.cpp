// Directed helpers against exact rationals: the result is on the named side, and not further than two steps away.
#include <catch2/catch.hpp>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/core/interval.hpp"
#include "boundlight/core/rational.hpp"

using namespace boundlight;

namespace {

double any_double(std::mt19937_64& random, int spread) {
  std::uniform_real_distribution<double> mantissa(-2, 2);
  std::uniform_int_distribution<int> exponent(-spread, spread);
  return std::ldexp(mantissa(random), exponent(random));
}

}  // namespace

TEST_CASE("directed sums and products are on their side of the exact result") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const double a = any_double(random, 300), b = any_double(random, 300);
    const Rational sum = exact(a) + exact(b), product = exact(a) * exact(b);
    CHECK(exact(add_down(a, b)) <= sum);
    CHECK(exact(add_up(a, b)) >= sum);
    if (std::isfinite(a * b)) {
      CHECK(exact(mul_down(a, b)) <= product);
      CHECK(exact(mul_up(a, b)) >= product);
    }
    if (b != 0 && std::isfinite(a / b)) {
      CHECK(exact(div_down(a, b)) <= exact(a) / exact(b));
      CHECK(exact(div_up(a, b)) >= exact(a) / exact(b));
    }
  }
}

TEST_CASE("products below the normal range still round outward") {
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    const double a = std::ldexp(any_double(random, 3), -530), b = std::ldexp(any_double(random, 3), -540);
    CHECK(exact(mul_down(a, b)) <= exact(a) * exact(b));
    CHECK(exact(mul_up(a, b)) >= exact(a) * exact(b));
  }
}

TEST_CASE("conversion to float is directed") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const double x = any_double(random, 160);
    CHECK(static_cast<double>(round_down_to<float>(x)) <= x);
    CHECK(static_cast<double>(round_up_to<float>(x)) >= x);
  }
}

TEST_CASE("rationals round to the neighbouring doubles") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 500; ++i) {
    const Rational q = exact(any_double(random, 40)) / 3;
    const double down = round_down(q), up = round_up(q);
    CHECK(exact(down) <= q);
    CHECK(exact(up) >= q);
    CHECK((down == up || next_up(down) == up));
  }
}

TEST_CASE("intervals with NaN or crossed ends become anything") {
  CHECK(!Interval(1, 0).finite());
  CHECK(!Interval(std::nan("")).finite());
  CHECK(!(Interval(0) * Interval::anything()).finite());
  CHECK(!(Interval(1) / Interval(-1, 1)).finite());
}

TEST_CASE("interval arithmetic contains exact results at random points") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 5000; ++i) {
    const double a = any_double(random, 20), b = any_double(random, 20), c = any_double(random, 20), d = any_double(random, 20);
    const Interval x(std::min(a, b), std::max(a, b)), y(std::min(c, d), std::max(c, d));
    const auto holds = [](Interval r, const Rational& q) { return exact(r.lo) <= q && q <= exact(r.hi); };
    for (const double p : {a, b})
      for (const double q : {c, d}) {
        CHECK(holds(x + y, exact(p) + exact(q)));
        CHECK(holds(x - y, exact(p) - exact(q)));
        CHECK(holds(x * y, exact(p) * exact(q)));
      }
    CHECK(holds(square(x), exact(a) * exact(a)));
  }
}

TEST_CASE("gamma and inflation are not below their formulas") {
  for (const std::int64_t n : {1, 7, 1000, 100000, 1000000}) {
    const Rational u = exact(unit_roundoff<float>), nu = u * n;
    CHECK(exact(gamma_up<float>(n)) >= nu / (1 - nu));
    CHECK(exact(inflation<float>(n)) >= 1 + 2 * (n + 8) * u);
  }
  CHECK(std::isinf(gamma_up<float>(std::int64_t{1} << 22)));
}

TEST_CASE("sha256 of the standard's examples") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
