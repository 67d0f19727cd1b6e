// The laws of a kernel with one input and one output per element, against an oracle of 300 bits: containment of the range,
// planes at ends, kinks, touching points and random points, neither NaN nor a wrong finite bound for any box.
// Kernels are called directly: here an error of one ulp shows, which an engine's charges would hide.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "boundlight/bounds/ops/elementwise.hpp"
#include "support/big.hpp"

namespace boundlight::test {

using Oracle = std::function<Big(const Big&)>;

struct UnaryBox {
  double lo, hi;
  std::string kind;
};

// Boxes of every kind around a domain [low, high] (where f is defined and of moderate size) and its kinks. Ends are numbers
// of float, so that both precisions take the same boxes.
inline std::vector<UnaryBox> unary_boxes(double low, double high, const std::vector<double>& kinks, std::uint64_t seed, int rounds) {
  std::mt19937_64 random(seed);
  const auto real = [&](double a, double b) { return std::uniform_real_distribution<double>(a, b)(random); };
  const auto as_float = [](double x) { return static_cast<double>(static_cast<float>(x)); };
  std::vector<UnaryBox> boxes;
  const auto add = [&](double a, double b, const char* kind) {
    a = as_float(a), b = as_float(b);
    if (a > b) std::swap(a, b);
    if (a >= low && b <= high) boxes.push_back({a, b, kind});
  };
  std::vector<double> anchors = kinks;
  for (const double end : {low, high})
    if (std::fabs(end) < 1e30) anchors.push_back(end);
  for (int i = 0; i < rounds; ++i) {
    const double size = std::exp2(real(-30, 6)), from = std::fabs(low) < 1e3 ? low : -20, to = std::fabs(high) < 1e3 ? high : 20;
    const double centre = real(from, to);
    add(centre, centre + size, "random");
    add(centre - size, centre, "random");
    add(real(from, to), real(from, to), "wide");
    add(centre, centre, "point");
    add(centre, static_cast<double>(std::nextafter(static_cast<float>(centre), 1e30F)), "one ulp");
    for (const double kink : anchors) {
      add(kink - size * real(0, 1), kink + size * real(0, 1), "straddle");
      add(kink, kink + size, "from kink");
      add(kink - size, kink, "to kink");
      add(kink - size, std::nextafter(static_cast<float>(kink), 1e30F), "one ulp past kink");
      add(std::nextafter(static_cast<float>(kink), -1e30F), kink + size, "one ulp before kink");
    }
  }
  add(0, 0, "zero");
  add(-0.0, 0.0, "signed zeros");
  add(-1e-40, 1e-40, "denormal");
  add(1e-45, 1e-40, "positive denormal");
  add(-1e-40, 1, "from denormal");
  add(low, high, "domain");
  for (const double huge : {1e3, 1e10, 1e20, 3e38}) {
    add(-huge, huge, "huge");
    add(0, huge, "huge positive");
    add(-huge, 0, "huge negative");
    add(huge / 2, huge, "far positive");
    add(-huge, -huge / 2, "far negative");
  }
  return boxes;
}

struct UnaryFindings {
  int checks = 0, wrong = 0, tighter = 0;
  std::string first;  // the first violation, reproducible
  void fail(const std::string& text) {
    if (wrong++ == 0) first = text;
  }
};

inline std::string number(double x) {
  std::ostringstream out;
  out << std::hexfloat << x << " (" << std::defaultfloat << x << ")";
  return out.str();
}

// What a kernel says about a batch of boxes.
struct UnaryBounds {
  std::vector<double> lo, hi;                                                  // interval
  std::vector<double> lower_slope, lower_offset, upper_slope, upper_offset;    // planes, without charges
  std::vector<double> lower_charge, upper_charge;
};

template <class T>
UnaryBounds unary_bounds(BL_NS::Device& d, const BL_NS::Kernel<T>& kernel, const std::vector<UnaryBox>& boxes, BoundSettings settings, SlopeRule rule = SlopeRule::adaptive) {
  using namespace BL_NS;
  const auto n = static_cast<std::int64_t>(boxes.size());
  const auto upload = [&](auto&& get, auto kind) {
    using E = decltype(kind);
    std::vector<E> host;
    for (std::int64_t i = 0; i < n; ++i) host.push_back(static_cast<E>(get(boxes[static_cast<std::size_t>(i)], i)));
    auto b = d.template buffer<E>(n);
    d.upload(b.data(), host.data(), n);
    return b;
  };
  const auto download = [&](const auto& buffer) {
    std::vector<std::remove_cvref_t<decltype(*buffer.data())>> host(static_cast<std::size_t>(n));
    d.download(host.data(), buffer.data(), n);
    return std::vector<double>(host.begin(), host.end());
  };
  const auto in_lo = upload([](const UnaryBox& b, std::int64_t) { return b.lo; }, T(0)), in_hi = upload([](const UnaryBox& b, std::int64_t) { return b.hi; }, T(0));
  auto out_lo = d.template buffer<T>(n), out_hi = d.template buffer<T>(n);
  const BoxView<T> in{in_lo.data(), in_hi.data()}, out{out_lo.data(), out_hi.data()};
  T *lo = out_lo.data(), *hi = out_hi.data();
  kernel.interval(d, &in, &lo, &hi, n, settings);
  UnaryBounds found;
  found.lo = download(out_lo);
  found.hi = download(out_hi);
  const auto relaxation = kernel.relax(d, &in, &out, n, settings, rule);
  if (!relaxation) return found;
  for (const double sign : {1.0, -1.0}) {
    RowBlock<T> rows, back;
    rows.rows = n;
    rows.width = 1;
    rows.a = upload([&](const UnaryBox&, std::int64_t) { return sign; }, T(0));
    const auto bias = upload([](const UnaryBox&, std::int64_t) { return 0; }, 0.0), charge = upload([](const UnaryBox&, std::int64_t) { return 0; }, 0.0);
    const auto box = upload([](const UnaryBox&, std::int64_t i) { return i; }, std::int32_t{0});
    relaxation->backward(d, 0, std::move(rows), {bias.data(), charge.data(), box.data()}, &back);
    auto& slope = sign > 0 ? found.lower_slope : found.upper_slope;
    auto& offset = sign > 0 ? found.lower_offset : found.upper_offset;
    slope = download(back.a);
    offset = download(bias);
    (sign > 0 ? found.lower_charge : found.upper_charge) = download(charge);
    for (auto* v : {&slope, &offset})
      for (double& x : *v) x = sign * x;
  }
  return found;
}

// Points of a box worth checking: ends, kinks, random ones, and where f(z) - s z is least and greatest, with neighbours.
template <class Function>
std::vector<double> telling_points(const UnaryBox& box, const std::vector<double>& kinks, const Function& f, const std::vector<double>& slopes, std::mt19937_64& random) {
  std::vector<double> z = {box.lo, box.hi, box.lo + (box.hi - box.lo) / 2};
  for (const double k : kinks)
    for (const double at : {std::nextafter(k, -1e300), k, std::nextafter(k, 1e300)}) z.push_back(at);
  for (int i = 0; i < 6; ++i) z.push_back(box.lo + (box.hi - box.lo) * std::uniform_real_distribution<double>(0, 1)(random));
  if (box.hi > box.lo)
    for (const double s : slopes)
      for (const double sign : {1.0, -1.0}) {
        const auto gap = [&](double at) { return sign * (f(at) - s * at); };
        constexpr int kSteps = 24;
        int best = 0;
        const auto at = [&](int i) { return box.lo + (box.hi - box.lo) * i / kSteps; };
        for (int i = 1; i <= kSteps; ++i)
          if (gap(at(i)) < gap(at(best))) best = i;
        double a = at(std::max(best - 1, 0)), b = at(std::min(best + 1, kSteps));
        for (int step = 0; step < 60; ++step) {
          const double p = a + (b - a) * 0.382, q = a + (b - a) * 0.618;
          if (gap(p) < gap(q)) b = q;
          else a = p;
        }
        for (const double c : {a, b, std::nextafter(a, -1e300), std::nextafter(b, 1e300)}) z.push_back(c);
      }
  std::erase_if(z, [&](double x) { return !(x >= box.lo && x <= box.hi) || !std::isfinite(x); });
  return z;
}

// Checks one kernel on boxes inside of f's domain. `kinks`: where f is not smooth.
template <class T>
UnaryFindings check_unary(BL_NS::Device& d, const BL_NS::Kernel<T>& kernel, const Oracle& oracle, const std::vector<UnaryBox>& boxes, const std::vector<double>& kinks,
                          std::uint64_t seed, SlopeRule rule = SlopeRule::adaptive) {
  UnaryFindings found;
  std::mt19937_64 random(seed);
  const UnaryBounds b = unary_bounds(d, kernel, boxes, {}, rule);
  // The operator's own value leads the search for telling points; what is found there is compared with the oracle.
  const auto plain = [&](double z) {
    const auto x = static_cast<T>(z);
    T y = 0;
    const T* in = &x;
    T* out = &y;
    kernel.forward(d, &in, &out, 1);
    return static_cast<double>(y);
  };
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const auto& box = boxes[i];
    const auto place = [&](double z) { return "box " + std::to_string(i) + " " + box.kind + " [" + number(box.lo) + ", " + number(box.hi) + "] z=" + number(z); };
    const double values[] = {b.lo[i], b.hi[i]};
    for (const double v : values)
      if (v != v) found.fail(place(box.lo) + ": NaN in the interval");
    const bool planes = !b.lower_slope.empty();
    if (planes)
      for (const double v : {b.lower_slope[i], b.lower_offset[i], b.upper_slope[i], b.upper_offset[i], b.lower_charge[i], b.upper_charge[i]})
        if (v != v) found.fail(place(box.lo) + ": NaN in a plane");
    std::vector<double> slopes;
    // Planes far flatter or steeper than the box is wide are covered by the ends; searching costs most of the time.
    if (planes && i % 3 == 0) slopes = {b.lower_slope[i], b.upper_slope[i]};
    for (const double z : telling_points(box, kinks, plain, slopes, random)) {
      const Big exact_z(z), y = oracle(exact_z);
      ++found.checks;
      if (!(Big(b.lo[i]) <= y + margin_of(y, y) && y - margin_of(y, y) <= Big(b.hi[i])))
        found.fail(place(z) + ": value " + y.str(20) + " outside of [" + number(b.lo[i]) + ", " + number(b.hi[i]) + "]");
      if (!planes) continue;
      const Big low = Big(b.lower_slope[i]) * exact_z + Big(b.lower_offset[i]), high = Big(b.upper_slope[i]) * exact_z + Big(b.upper_offset[i]);
      const Big margin = margin_of(y, exact_z * (abs(Big(b.lower_slope[i])) + abs(Big(b.upper_slope[i]))));
      if (std::isfinite(b.lower_offset[i]) && !(low <= y + margin)) found.fail(place(z) + ": lower plane above the value by " + Big(low - y).str(5));
      if (std::isfinite(b.upper_offset[i]) && !(high >= y - margin)) found.fail(place(z) + ": upper plane below the value by " + Big(y - high).str(5));
    }
    if (planes && box.hi - box.lo > 0.1 && box.hi - box.lo < 5) {
      const double m = box.lo + (box.hi - box.lo) / 2, planes_apart = (b.upper_slope[i] * m + b.upper_offset[i]) - (b.lower_slope[i] * m + b.lower_offset[i]);
      if (planes_apart < 0.9 * (b.hi[i] - b.lo[i])) ++found.tighter;
    }
  }
  return found;
}

}  // namespace boundlight::test
