// Random small networks in which rounding shows: what plain random networks hide (docs/soundness.md).
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "boundlight/core/rounding.hpp"
#include "dense_net.hpp"

namespace boundlight::test {

enum class Style {
  plain,        // ordinary weights
  active,       // every ReLU stably on: an affine network in disguise (T6)
  absorbed,     // biases of 2^20 .. 2^25 that cancel in the next layer (T7)
  cancelling,   // pairs of nearly opposite weights
  tiny,         // values near the smallest normal float
  spread,       // exponents over forty binades
  narrow,       // boxes of a few units in the last place, some of them points
  fine,         // float64 weights that float cannot hold
  count
};

struct HardCase {
  DenseNet net;
  std::vector<double> lower, upper;
};

inline HardCase hard_case(Style style, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const auto pick = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  HardCase c;
  c.net.type = style == Style::fine ? DataType::float64 : DataType::float32;
  const auto stored = [&](double x) { return in_type(c.net.type, x); };
  std::vector<std::size_t> widths{static_cast<std::size_t>(pick(1, 3))};
  const int hidden = pick(1, 3);
  for (int l = 0; l < hidden; ++l) widths.push_back(static_cast<std::size_t>(pick(2, 5)));
  widths.push_back(static_cast<std::size_t>(pick(1, 3)));
  for (std::size_t l = 1; l < widths.size(); ++l) {
    DenseNet::Layer layer;
    for (std::size_t o = 0; o < widths[l]; ++o) {
      std::vector<double> row;
      for (std::size_t i = 0; i < widths[l - 1]; ++i) {
        double w = normal(random);
        if (style == Style::spread) w = std::ldexp(w, pick(-20, 20));
        if (style == Style::tiny) w = std::ldexp(w, l == 1 ? -126 : pick(-3, 3));
        if (style == Style::cancelling && i > 0 && pick(0, 1) == 0) w = -row.back() * (1 + std::ldexp(normal(random), -20));
        row.push_back(stored(w));
      }
      layer.weight.push_back(row);
      double b = 0.5 * normal(random);
      if (style == Style::active && l + 1 < widths.size()) b = 4.0 * static_cast<double>(widths[l - 1]) * std::ldexp(1.0, 3 * static_cast<int>(l)) + std::fabs(b);
      if (style == Style::absorbed && l + 1 < widths.size() && pick(0, 1) == 0) b = std::ldexp(1.0, pick(20, 25)) + pick(0, 3);
      if (style == Style::spread) b = std::ldexp(b, pick(-20, 20));
      if (style == Style::tiny) b = std::ldexp(b, -126);
      layer.bias.push_back(stored(b));
    }
    if (style == Style::absorbed && l > 1)  // take the absorbed biases away again
      for (std::size_t o = 0; o < widths[l]; ++o) {
        double away = 0;
        for (std::size_t i = 0; i < widths[l - 1]; ++i)
          if (std::fabs(c.net.layers.back().bias[i]) > 1e5) away += layer.weight[o][i] * c.net.layers.back().bias[i];
        layer.bias[o] = stored(layer.bias[o] - away);
      }
    c.net.layers.push_back(std::move(layer));
  }
  for (std::size_t i = 0; i < widths[0]; ++i) {
    const double centre = in_type(DataType::float32, normal(random));
    double radius = std::ldexp(std::fabs(normal(random)), -pick(0, 6));
    if (style == Style::absorbed) radius = std::ldexp(1.0, -pick(4, 12));
    double lo = centre - radius, hi = centre + radius;
    if (style == Style::narrow) {
      lo = hi = centre;
      for (int k = pick(0, 3); k > 0; --k) hi = static_cast<double>(next_up(static_cast<float>(hi)));
    }
    c.lower.push_back(lo);
    c.upper.push_back(hi);
  }
  return c;
}

}  // namespace boundlight::test
