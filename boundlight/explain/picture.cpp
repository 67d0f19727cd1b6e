#include "boundlight/explain/picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace boundlight {
namespace {

struct Lab {
  double l, a, b;
};

// CIE L*a*b* (D65) to sRGB.
Colour to_rgb(Lab c) {
  const double fy = (c.l + 16) / 116, fx = fy + c.a / 500, fz = fy - c.b / 200;
  const auto back = [](double f) { return f > 6.0 / 29 ? f * f * f : 3 * 36.0 / 841 * (f - 4.0 / 29); };
  const double x = 0.95047 * back(fx), y = back(fy), z = 1.08883 * back(fz);
  const auto channel = [](double v) {
    v = v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
    return static_cast<std::uint8_t>(std::lround(255 * std::clamp(v, 0.0, 1.0)));
  };
  return {channel(3.2406 * x - 1.5372 * y - 0.4986 * z), channel(-0.9689 * x + 1.8758 * y + 0.0415 * z), channel(0.0557 * x - 0.2040 * y + 1.0570 * z)};
}

Picture blank(std::int64_t height, std::int64_t width) {
  Picture p;
  p.height = height;
  p.width = width;
  p.channels = 3;
  p.samples.assign(static_cast<std::size_t>(height * width * 3), 255);
  return p;
}

void put(Picture& p, std::int64_t row, std::int64_t col, Colour c) {
  if (row < 0 || col < 0 || row >= p.height || col >= p.width) return;
  auto* at = p.samples.data() + static_cast<std::size_t>((row * p.width + col) * 3);
  at[0] = c.r, at[1] = c.g, at[2] = c.b;
}

// 3 x 5 glyphs, one octal digit per row from the top.
constexpr std::int64_t kGlyphScale = 2;
void text(Picture& p, std::int64_t row, std::int64_t col, const std::string& line) {
  static const std::map<char, const char*> glyphs = {
      {'0', "75557"}, {'1', "26227"}, {'2', "71747"}, {'3', "71717"}, {'4', "55711"}, {'5', "74717"}, {'6', "74757"}, {'7', "71122"}, {'8', "75757"},
      {'9', "75717"}, {'.', "00002"}, {'-', "00700"}, {'+', "02720"}, {'e', "07747"}, {'o', "00757"}, {'v', "00552"}, {'r', "00744"}, {'l', "22223"},
      {'a', "07157"}, {'p', "07574"}, {' ', "00000"}};
  for (const char c : line) {
    const auto found = glyphs.find(c);
    if (found != glyphs.end())
      for (int r = 0; r < 5; ++r)
        for (int q = 0; q < 3; ++q)
          if ((found->second[r] - '0') >> (2 - q) & 1)
            for (std::int64_t i = 0; i < kGlyphScale * kGlyphScale; ++i)
              put(p, row + r * kGlyphScale + i / kGlyphScale, col + q * kGlyphScale + i % kGlyphScale, {40, 40, 40});
    col += 4 * kGlyphScale;
  }
}

std::string number(double x) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3g", x);
  return buffer;
}

// Where a value lies on the scale, in [-1, 1]: 0 stays white, both signs share one unit.
double place(double v, double low, double high) {
  const double span = std::max(std::fabs(low), std::fabs(high));
  return span > 0 && std::isfinite(v) ? std::clamp(v / span, -1.0, 1.0) : 0.0;
}

std::int64_t enlargement(const Cells& c) { return std::max<std::int64_t>(1, 336 / std::max(c.height, c.width)); }

}  // namespace

Colour diverging(double t) {
  t = std::clamp(t, -1.0, 1.0);
  const Lab white{97, 0, 0}, end = t < 0 ? Lab{38, 14, -52} : Lab{40, 58, 36};
  const double s = std::fabs(t);
  return to_rgb({white.l + s * (end.l - white.l), s * end.a, s * end.b});
}

Picture map_picture(const Cells& cells, const std::vector<double>& per_cell, double low, double high, const std::string& unit) {
  const std::int64_t k = enlargement(cells), bar = 14, margin = 8, label = 12 * 4 * kGlyphScale;
  Picture p = blank(cells.height * k, cells.width * k + margin + bar + margin + label);
  for (std::int64_t r = 0; r < cells.height * k; ++r)
    for (std::int64_t q = 0; q < cells.width * k; ++q) {
      const auto cell = static_cast<std::size_t>(cells.label[static_cast<std::size_t>(r / k * cells.width + q / k)]);
      put(p, r, q, diverging(place(per_cell[cell], low, high)));
    }
  const std::int64_t left = cells.width * k + margin;
  for (std::int64_t r = 0; r < p.height; ++r)
    for (std::int64_t q = 0; q < bar; ++q) {
      const double v = high + (low - high) * static_cast<double>(r) / static_cast<double>(std::max<std::int64_t>(1, p.height - 1));
      put(p, r, left + q, diverging(place(v, low, high)));
    }
  text(p, 2, left + bar + 4, number(high));
  text(p, p.height / 2 - 5, left + bar + 4, unit);
  text(p, p.height - 12, left + bar + 4, number(low));
  return p;
}

Picture overlay_picture(const Cells& cells, const std::vector<double>& per_cell, double low, double high, const std::vector<double>& grey) {
  const std::int64_t k = enlargement(cells);
  Picture p = blank(cells.height * k, cells.width * k);
  for (std::int64_t r = 0; r < p.height; ++r)
    for (std::int64_t q = 0; q < p.width; ++q) {
      const auto at = static_cast<std::size_t>(r / k * cells.width + q / k);
      const double t = place(per_cell[static_cast<std::size_t>(cells.label[at])], low, high), share = 0.25 + 0.5 * std::fabs(t);
      const Colour c = diverging(t);
      const double g = 255 * std::clamp(grey[at], 0.0, 1.0);
      const auto mix = [&](std::uint8_t v) { return static_cast<std::uint8_t>(std::lround(share * v + (1 - share) * g)); };
      put(p, r, q, {mix(c.r), mix(c.g), mix(c.b)});
    }
  return p;
}

Picture beside(const std::vector<Picture>& parts) {
  std::int64_t height = 0, width = -8;
  for (const auto& part : parts) height = std::max(height, part.height), width += part.width + 8;
  Picture p = blank(height, std::max<std::int64_t>(1, width));
  std::int64_t left = 0;
  for (const auto& part : parts) {
    for (std::int64_t r = 0; r < part.height; ++r)
      std::copy_n(part.samples.begin() + static_cast<std::ptrdiff_t>(r * part.width * 3), part.width * 3, p.samples.begin() + static_cast<std::ptrdiff_t>((r * p.width + left) * 3));
    left += part.width + 8;
  }
  return p;
}

Picture interval_picture(const Cells& cells, const EvaMap& map) {
  double high = 0;
  for (const double v : map.upper)
    if (std::isfinite(v)) high = std::max(high, v);
  return beside({map_picture(cells, map.lower, 0, high, "overlap"), map_picture(cells, map.estimate, 0, high, "overlap"), map_picture(cells, map.upper, 0, high, "overlap")});
}

}  // namespace boundlight
