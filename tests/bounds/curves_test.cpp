// The enclosed library functions of curves.hpp against MPFR at special and random points, the constants, and the signs of second
// derivatives that operators state as pieces.
#define BL_NS cpu
#define BL_DEVICE_HEADER "boundlight/device/cpu/device.hpp"
#include "boundlight/bounds/ops/curves.hpp"

#include <catch2/catch.hpp>
#include <boost/math/constants/constants.hpp>
#include <functional>
#include <random>
#include <vector>

#include "support/big.hpp"

namespace {

using namespace boundlight;
using boundlight::test::Big;
using boundlight::test::erf_of;
using boundlight::test::erfc_of;

// Random doubles of every size, special values and their neighbours, inside [low, high].
std::vector<double> points(double low, double high, int count) {
  std::mt19937_64 random(7);
  std::vector<double> p;
  const auto add = [&](double x) {
    for (const double y : {std::nextafter(x, -1e308), x, std::nextafter(x, 1e308)})
      if (y >= low && y <= high && std::isfinite(y)) p.push_back(y);
  };
  for (const double x : {0.0, 1e-320, 1e-308, 2.2250738585072014e-308, 1e-200, 1e-17, 1e-8, 0.25, 0.5, 1.0, 1.4142135623730951, 2.0, 3.0, 5.0, 5.86, 6.0, 9.0, 19.0, 20.0, 26.5,
                        27.3, 36.7, 37.5, 40.0, 88.7, 103.9, 708.3, 709.78271289338397, 709.79, 744.4, 745.13321910194122, 746.0, 1e3, 1e6, 1e15, 1e16, 1e22, 1e100, 1e300})
    for (const double s : {x, -x}) add(s);
  for (int k = -40; k <= 40; ++k) add(k * 0.78539816339744830962);
  for (int i = 0; i < count; ++i) {
    const double size = std::exp2(std::uniform_real_distribution<double>(-60, 12)(random));
    add(i % 2 == 0 ? size : -size);
    add(std::uniform_real_distribution<double>(std::max(low, -50.0), std::min(high, 50.0))(random));
  }
  return p;
}

void check_enclosure(const char* name, const std::vector<double>& at, const std::function<Interval(double)>& enclose, const std::function<Big(const Big&)>& exact, double narrow) {
  int wrong = 0, wide = 0;
  double first = 0;
  for (const double x : at) {
    const Interval y = enclose(x);
    const Big e = exact(Big(x));
    const bool inside = Big(y.lo) <= e && e <= Big(y.hi);
    if (!inside && wrong++ == 0) first = x;
    const double size = std::fabs(static_cast<double>(e));
    if (size < 1e290 && y.hi - y.lo > narrow * size + 1e-307 && wide++ == 0) first = x;
  }
  INFO(name << ": first at " << std::hexfloat << first);
  CHECK(wrong == 0);
  CHECK(wide == 0);
  CHECK(at.size() > 100);
}

}  // namespace

TEST_CASE("enclosed library functions hold the exact values and stay narrow", "[long]") {
  const int n = 4000;
  using namespace cpu;
  check_enclosure("exp", points(-800, 720, n), enclose_exp, [](const Big& x) { return Big(exp(x)); }, 3e-15);
  check_enclosure("expm1", points(-800, 720, n), enclose_expm1, [](const Big& x) { return Big(expm1(x)); }, 3e-15);
  check_enclosure("log", points(1e-320, 1e308, n), enclose_log, [](const Big& x) { return Big(log(x)); }, 3e-15);
  check_enclosure("log1p", points(-0.999, 1e308, n), enclose_log1p, [](const Big& x) { return Big(log1p(x)); }, 3e-15);
  check_enclosure("sqrt", points(0, 1e308, n), enclose_sqrt, [](const Big& x) { return Big(sqrt(x)); }, 5e-16);
  check_enclosure("tanh", points(-1e308, 1e308, n), enclose_tanh, [](const Big& x) { return Big(tanh(x)); }, 3e-15);
  check_enclosure("erf", points(-1e308, 1e308, n), enclose_erf, erf_of, 3e-15);
  check_enclosure("erfc", points(-100, 25, n), [](double x) { return enclose_erfc(x); }, erfc_of, 6e-15);
  check_enclosure("sin", points(-1e22, 1e22, n), enclose_sin, [](const Big& x) { return Big(sin(x)); }, 3e-15);
  check_enclosure("cos", points(-1e22, 1e22, n), enclose_cos, [](const Big& x) { return Big(cos(x)); }, 3e-15);
  check_enclosure("sigmoid", points(-800, 800, n), enclose_sigmoid, [](const Big& x) { return Big(1 / (1 + exp(-x))); }, 1e-14);
  check_enclosure("sigmoid'", points(-800, 800, n), enclose_sigmoid_slope, [](const Big& x) { const Big e = exp(-abs(x)); return Big(e / ((1 + e) * (1 + e))); }, 1e-14);
}

TEST_CASE("an enclosure without its margin is caught by the same points") {
  int outside = 0;
  for (const double x : points(-100, 100, 2000)) outside += !(Big(std::tanh(x)) <= tanh(Big(x)));
  CHECK(outside > 0);
}

TEST_CASE("constants are enclosed by neighbours") {
  using boost::math::constants::pi;
  const Big p = pi<Big>();
  const auto check = [](Interval i, const Big& exact, double ulps) {
    CHECK(Big(i.lo) < exact);
    CHECK(exact < Big(i.hi));
    CHECK(i.hi - i.lo <= ulps * std::numeric_limits<double>::epsilon() * i.hi);
  };
  check(cpu::enclosed_pi(), p, 1);
  check(cpu::enclosed_sqrt2(), sqrt(Big(2)), 1);
  check(cpu::enclosed_inverse_sqrt_2pi(), 1 / sqrt(2 * p), 2);
  check(cpu::enclosed_two_over_sqrt_pi(), 2 / sqrt(p), 3);
}

// What gelu.op.cpp states. With v = 2 sqrt(2/pi) (z + a z^3) and f = z sigmoid(v):
//   f'' / sigmoid'(v) = h(z) = 2 v' + z v'' - z v'^2 tanh(v / 2),  an even function.
// For z >= 2: z v'' <= 2 v' and z v' tanh(v / 2) > 4 (both factors rise), so h < 0; on [0, 2] the sign is found by intervals.
TEST_CASE("both forms of Gelu turn and fall where their operator says") {
  const double from = 1.41850400, to = 1.41850401;
  const Interval a(0.044714999999999998, 0.044715000000000006), c = Interval(4) * cpu::enclosed_inverse_sqrt_2pi();
  const auto v = [&](Interval z) { return c * z * (Interval(1) + a * square(z)); };
  const auto v1 = [&](Interval z) { return c * (Interval(1) + Interval(3) * a * square(z)); };
  const auto half_tanh = [&](Interval z) {
    const Interval w = v(z) * Interval(0.5);
    return Interval(cpu::enclose_tanh(w.lo).lo, cpu::enclose_tanh(w.hi).hi);
  };
  const auto h = [&](Interval z) { return Interval(2) * v1(z) + Interval(6) * c * a * square(z) - z * square(v1(z)) * half_tanh(z); };
  const std::function<bool(double, double, int)> has_sign = [&](double l, double u, int sign) {
    const Interval y = h({l, u});
    if (sign > 0 ? y.lo > 0 : y.hi < 0) return true;
    if (u - l < 1e-13) return false;
    const double m = l + (u - l) / 2;
    return has_sign(l, m, sign) && has_sign(m, u, sign);
  };
  CHECK(has_sign(0, from, 1));
  CHECK(has_sign(to, 2, -1));
  CHECK((Interval(2) * v1(2) * half_tanh(2)).lo > 4);
  CHECK_FALSE(has_sign(from, to, 1));
  CHECK_FALSE(has_sign(from, to, -1));

  // The minimum: f' changes sign inside the stated enclosure, and f is above the stated value there (f' is within 1e-10 of 0).
  const Big p = boost::math::constants::pi<Big>();
  const auto exact = [&](const Big& z) { return Big(z / 2 * erfc_of(-z / sqrt(Big(2)))); };
  const auto exact_slope = [&](const Big& z) { return Big(erfc_of(-z / sqrt(Big(2))) / 2 + z * exp(-z * z / 2) / sqrt(2 * p)); };
  const Big cubic("0.044715");
  const auto w = [&](const Big& z) { return Big(2 * sqrt(2 / p) * (z + cubic * z * z * z)); };
  const auto sigmoid = [](const Big& x) { return Big(1 / (1 + exp(-x))); };
  const auto approximate = [&](const Big& z) { return Big(z * sigmoid(w(z))); };
  const auto approximate_slope = [&](const Big& z) { return Big(sigmoid(w(z)) + z * 2 * sqrt(2 / p) * (1 + 3 * cubic * z * z) * sigmoid(w(z)) * sigmoid(-w(z))); };
  const auto check_least = [](double left, double right, double least, const auto& f, const auto& slope) {
    CHECK(slope(Big(left)) < 0);
    CHECK(slope(Big(right)) > 0);
    const Big lowest = f(Big(left)) + slope(Big(left)) * (Big(right) - Big(left));  // f is convex there
    CHECK(Big(least) < lowest);
    CHECK(lowest - Big(least) < Big("1e-15"));
  };
  check_least(-0.751791524694, -0.751791524693, -0.16997120747990380, exact, exact_slope);
  check_least(-0.752461422072, -0.752461422070, -0.17004075057125415, approximate, approximate_slope);
}
