#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/rational.hpp"

using namespace boundlight;

TEST_CASE("printed ends of an interval never cut into it") {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-300, 300);
  int moved = 0;
  for (int i = 0; i < 3000; ++i) {
    const double x = std::ldexp(mantissa(random), exponent(random) / (i % 2 ? 1 : 20));
    const double low = printable_down(x), high = printable_up(x);
    // 40 digits of the decimal text decide: compare text against text by exact parsing of long decimals
    const auto text = nlohmann::json(low).dump();
    CHECK(std::strtod(text.c_str(), nullptr) == low);
    CHECK(low <= x);
    CHECK(high >= x);
    CHECK(std::strtold(text.c_str(), nullptr) <= static_cast<long double>(x));
    CHECK(std::strtold(nlohmann::json(high).dump().c_str(), nullptr) >= static_cast<long double>(x));
    CHECK(std::fabs(low - x) <= 4e-16 * std::fabs(x));
    moved += low != x;
  }
  CHECK(moved > 500);  // shortest digits lie above about half of the time: the function has work to do
}
