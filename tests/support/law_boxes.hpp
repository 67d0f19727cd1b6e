// Boxes and points that laws are checked on (support/laws.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/law_cases.hpp"

namespace boundlight::test {

inline double as_float(double x) { return static_cast<double>(static_cast<float>(x)); }

// An element of the concatenated input vector.
struct Element {
  double low, high;
  bool truth;
};
struct Box {
  std::string kind;
  std::vector<double> lower, upper;
};
using Point = std::vector<double>;
class LawBoxes {
 protected:
  LawBoxes(const LawCase& c, std::uint64_t seed, bool brief) : kinks_(c.kinks), brief_(brief), random_(seed) {
    for (const auto& in : c.inputs)
      if (!in.constant && !in.absent)
        for (std::int64_t i = 0; i < element_count(in.shape).value_or(0); ++i) elements_.push_back({in.low, in.high, in.type == DataType::boolean});
    if (c.added) elements_.push_back({-3, 3, false});
    n_ = elements_.size();
  }

  double real(double a, double b) { return std::uniform_real_distribution<double>(a, b)(random_); }

  template <class Ends>
  Box box_of(const std::string& kind, const Ends& ends) {
    Box b;
    b.kind = kind;
    for (const Element& e : elements_) {
      auto [lo, hi] = ends(e);
      if (lo > hi) std::swap(lo, hi);
      lo = std::clamp(as_float(lo), e.low, e.high), hi = std::clamp(as_float(hi), e.low, e.high);
      // The domain's ends may be no floats; points are.
      if (as_float(lo) < lo) lo = static_cast<double>(std::nextafter(static_cast<float>(lo), 1e30F));
      if (as_float(hi) > hi) hi = static_cast<double>(std::nextafter(static_cast<float>(hi), -1e30F));
      if (e.truth) lo = std::round(lo), hi = std::round(hi);
      b.lower.push_back(as_float(lo));
      b.upper.push_back(as_float(std::max(lo, hi)));
    }
    return b;
  }

  std::vector<Box> ordinary_boxes() {
    std::vector<Box> boxes;
    const auto centre = [&](const Element& e) { return real(e.low, e.high); };
    const auto on_grid = [](double x) { return std::round(x * 16) / 16; };
    for (int round = 0; round < (brief_ ? 1 : 3); ++round) {
      boxes.push_back(box_of("wide", [&](const Element& e) { return std::pair(centre(e), centre(e)); }));
      boxes.push_back(box_of("on the grid", [&](const Element& e) { return std::pair(on_grid(centre(e)), on_grid(centre(e))); }));
      boxes.push_back(box_of("small", [&](const Element& e) { const double c = centre(e); return std::pair(c, c + std::exp2(real(-20, -3))); }));
      boxes.push_back(box_of("some fixed", [&](const Element& e) { const double c = on_grid(centre(e)); return std::pair(c, random_() % 2 == 0 ? c : c + on_grid(real(0, 1))); }));
      boxes.push_back(box_of("one ulp", [&](const Element& e) { const double c = as_float(centre(e)); return std::pair(c, static_cast<double>(std::nextafter(static_cast<float>(c), 1e30F))); }));
      if (!kinks_.empty())
        boxes.push_back(box_of("straddle", [&](const Element&) {
          const double k = kinks_[random_() % kinks_.size()], size = std::exp2(real(-12, 1));
          return std::pair(k - size * real(0, 1), k + size * real(0, 1));
        }));
    }
    boxes.push_back(box_of("whole domain", [](const Element& e) { return std::pair(e.low, e.high); }));
    boxes.push_back(box_of("denormal", [](const Element&) { return std::pair(-1e-40, 1e-40); }));
    boxes.push_back(box_of("signed zero", [](const Element&) { return std::pair(-0.0, 0.0); }));
    return boxes;
  }

  // Points of a box, all numbers of float: corners, its middle, random ones; multiples of 1/64 where the box holds some; kinks.
  std::vector<Point> points_of(const Box& b) {
    std::vector<Point> points;
    for (int k = 0; k < (brief_ ? 6 : 14); ++k) {
      Point x;
      for (std::size_t i = 0; i < n_; ++i) {
        const double lo = b.lower[i], hi = b.upper[i];
        double at = k == 0 ? lo : k == 1 ? hi : k == 2 ? lo + (hi - lo) / 2 : k < 7 ? (random_() % 2 == 0 ? lo : hi) : lo + (hi - lo) * real(0, 1);
        const double grid = std::round(at * 64) / 64;
        if (k >= 2 && k % 2 == 0 && grid >= lo && grid <= hi) at = grid;
        for (const double kink : kinks_)
          if (k >= 10 && kink >= lo && kink <= hi && random_() % 3 == 0) at = kink;
        if (elements_[i].truth) at = std::round(at);
        x.push_back(std::clamp(as_float(at), lo, hi));
      }
      points.push_back(std::move(x));
    }
    return points;
  }

  std::vector<Element> elements_;
  std::size_t n_ = 0;
  std::vector<double> kinks_;
  bool brief_;
  std::mt19937_64 random_;
};

}  // namespace boundlight::test
