// Tensor conversions against exhaustive and independent references.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/graph.hpp"

using namespace boundlight;

namespace {

// The value of a binary16 pattern by its definition.
double half_by_definition(std::uint16_t bits) {
  const double sign = bits >> 15 ? -1 : 1;
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return exponent ? sign * std::ldexp(1024 + fraction, exponent - 25) : sign * std::ldexp(fraction, -24);
}

// Nearest-even by comparing the two neighbouring patterns of a positive 16-bit format given by its widening function.
template <class Widen>
std::uint16_t nearest_even(double x, std::uint16_t infinity, double first_beyond, Widen widen) {
  const auto value = [&](std::uint16_t b) { return b == infinity ? first_beyond : static_cast<double>(widen(b)); };
  std::uint16_t low = 0;
  std::uint16_t high = infinity;
  if (x >= first_beyond) return infinity;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    if (value(middle) <= x) low = middle;
    else high = middle;
  }
  const double below = x - value(low);
  const double above = value(high) - x;
  if (below != above) return below < above ? low : high;
  return low % 2 == 0 ? low : high;
}

}  // namespace

TEST_CASE("half and bfloat16 widen as defined and come back") {
  for (int b = 0; b < 65536; ++b) {
    const auto bits = static_cast<std::uint16_t>(b);
    const double expected = half_by_definition(bits);
    const float x = half_to_float(bits);
    if (std::isnan(expected)) {
      CHECK(std::isnan(x));
      CHECK(std::isnan(half_to_float(float_to_half(x))));
    } else if (x != expected || float_to_half(x) != bits) {
      FAIL("half pattern " << b << " widened to " << x);
    }
    const float y = bfloat16_to_float(bits);
    if (std::isnan(y)) CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(y))));
    else if (float_to_bfloat16(y) != bits) FAIL("bfloat16 pattern " << b << " does not come back");
  }
}

TEST_CASE("narrowing rounds once, to nearest-even") {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<int> patterns(0, 0x7BFF);
  std::uniform_real_distribution<double> within(0, 1);
  for (int i = 0; i < 20000; ++i) {
    const auto low = static_cast<std::uint16_t>(patterns(random));
    const double a = half_to_float(low);
    const double b = low == 0x7BFF ? 65536.0 : half_to_float(static_cast<std::uint16_t>(low + 1));
    // Ends, the middle, the middle one double away (a first rounding to float would lose the difference), random.
    const double middle = a + (b - a) / 2;
    for (const double x : {a, b, middle, std::nextafter(middle, INFINITY), std::nextafter(middle, 0.0), a + (b - a) * within(random)}) {
      const auto expected = nearest_even(x, 0x7C00, 65536.0, half_to_float);
      const auto made = Tensor::from_doubles(DataType::float16, {2}, {x, -x});
      CHECK(made.data<std::uint16_t>()[0] == expected);
      CHECK(made.data<std::uint16_t>()[1] == (expected | 0x8000));
      const float f = static_cast<float>(x);
      CHECK(float_to_half(f) == nearest_even(f, 0x7C00, 65536.0, half_to_float));
    }
  }
  std::uniform_int_distribution<int> brains(0, 0x7F7F);
  for (int i = 0; i < 5000; ++i) {
    const auto low = static_cast<std::uint16_t>(brains(random));
    const double a = bfloat16_to_float(low);
    const double b = low == 0x7F7F ? 0x1p128 : bfloat16_to_float(static_cast<std::uint16_t>(low + 1));
    const double middle = a + (b - a) / 2;
    for (const double x : {a, b, middle, std::nextafter(middle, INFINITY), std::nextafter(middle, 0.0)}) {
      const auto expected = nearest_even(x, 0x7F80, 0x1p128, bfloat16_to_float);
      CHECK(Tensor::from_doubles(DataType::bfloat16, {1}, {x}).data<std::uint16_t>()[0] == expected);
    }
  }
}

TEST_CASE("integers truncate, wrap and saturate as documented") {
  const auto wrapped = Tensor::from_doubles(DataType::int8, {6}, {1.9, -1.9, 128, -129, NAN, 0x1p70 + 0x1p20});
  CHECK(wrapped.to_int64s() == std::vector<std::int64_t>{1, -1, -128, 127, 0, 0});
  const auto big = Tensor::from_doubles(DataType::uint64, {2}, {0x1p63, -1});
  CHECK(big.data<std::uint64_t>()[0] == std::uint64_t{1} << 63);
  CHECK(big.data<std::uint64_t>()[1] == ~std::uint64_t{0});
  const auto real = Tensor::from_doubles(DataType::float64, {5}, {-2.7, 1e300, -1e300, NAN, 5});
  CHECK(real.to_int64s() == std::vector<std::int64_t>{-2, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min(), 0, 5});
  CHECK(Tensor::from_doubles(DataType::boolean, {3}, {0, 0.5, -3}).to_doubles() == std::vector<double>{0, 1, 1});
  CHECK(Tensor::from_int64s(DataType::boolean, {2}, {256, 0}).to_int64s() == std::vector<std::int64_t>{1, 0});
  CHECK(Tensor::from_int64s(DataType::float16, {1}, {2049}).to_doubles() == std::vector<double>{2048});
}

TEST_CASE("shapes count, print and refuse overflow") {
  CHECK(element_count({}) == 1);
  CHECK(element_count({2, 3, 4}) == 24);
  CHECK(element_count({5, 0, 7}) == 0);
  CHECK_FALSE(element_count({-1, 0}));
  CHECK_FALSE(element_count({std::int64_t{1} << 32, std::int64_t{1} << 32}));
  CHECK_FALSE(element_count({0, std::numeric_limits<std::int64_t>::max(), 2}));
  CHECK(element_count({std::int64_t{1} << 40}));
  CHECK(to_string(Shape{1, -1, 3}) == "1x?x3");
  CHECK(to_string(Shape{}) == "scalar");
}

TEST_CASE("tensors hold their contract") {
  CHECK_THROWS_AS(Tensor(DataType::float32, {2}, std::string(7, '\0')), ContractViolation);
  CHECK_THROWS_AS(Tensor(DataType::float32, {-1}), ContractViolation);
  Tensor a(DataType::float32, {2, 2});
  Tensor b = a;
  b.mutable_data<float>()[3] = 5;
  CHECK(a.data<float>()[3] == 0);
  CHECK(b.reshaped({4}).data<float>()[3] == 5);
  CHECK_THROWS_AS(b.reshaped({3}), ContractViolation);
  CHECK_THROWS_AS(b.data<double>(), ContractViolation);
  CHECK(size_of(DataType::bfloat16) == 2);
  CHECK(name_of(DataType::boolean) == "bool");
}

TEST_CASE("texts from files are made printable and short") {
  CHECK(printable("plain") == "plain");
  CHECK(printable("a\n\x7f\x01") == "a\\x0a\\x7f\\x01");
  CHECK(printable("\xc3\xa9") == "\xc3\xa9");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable(std::string(400, 'a')).size() == 400);
  const std::string cut = printable(std::string(300, 'a') + std::string(300, 'b'));
  CHECK(cut == std::string(200, 'a') + " ... " + std::string(50, 'b'));
  CHECK(printable(std::string(100000, '\0')).size() < 500);
  for (const char* wrong : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\x80", "\xe2\x82"}) CHECK_FALSE(is_utf8(wrong));
  for (const char* right : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) CHECK(is_utf8(right));
}
