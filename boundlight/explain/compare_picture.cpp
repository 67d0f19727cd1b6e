// maps.png: images in rows, methods in columns.
#include <algorithm>
#include <cmath>
#include <functional>

#include "boundlight/explain/compare_report.hpp"
#include "boundlight/explain/lettering.hpp"

namespace boundlight {
namespace {

constexpr std::int64_t kTile = 84, kGap = 6, kLeft = 44, kLine = 10;
constexpr Colour kInk{40, 40, 40}, kPale{225, 225, 225};

void fill(Picture& p, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width, const std::function<Colour(std::int64_t, std::int64_t)>& colour) {
  for (std::int64_t r = 0; r < height; ++r)
    for (std::int64_t q = 0; q < width; ++q) {
      const Colour c = colour(r, q);
      auto* at = p.samples.data() + static_cast<std::size_t>(((top + r) * p.width + left + q) * 3);
      at[0] = c.r, at[1] = c.g, at[2] = c.b;
    }
}

// The picture itself, nearest pixel.
Colour pixel_of(const Picture& p, std::int64_t r, std::int64_t q) {
  const auto* at = p.samples.data() + static_cast<std::size_t>((r * p.width + q) * p.channels);
  return p.channels >= 3 ? Colour{at[0], at[1], at[2]} : Colour{at[0], at[0], at[0]};
}

void draw_map(Picture& p, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width, const Cells& cells, const std::vector<double>& map) {
  double largest = 0;
  for (const double v : map)
    if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
  fill(p, top, left, height, width, [&](std::int64_t r, std::int64_t q) {
    const double v = map[static_cast<std::size_t>(cells.label[static_cast<std::size_t>(r * cells.height / height * cells.width + q * cells.width / width)])];
    return largest > 0 && std::isfinite(v) ? diverging(v / largest) : diverging(0);
  });
}

}  // namespace

Picture compare_picture(const Comparison& c, const std::vector<CompareImage>& images, std::int64_t rows) {
  rows = std::min<std::int64_t>(rows, static_cast<std::int64_t>(c.images.size()));
  std::vector<std::string> titles = {"Image"};
  for (const auto* m : c.methods) titles.push_back(m->title);
  std::size_t lines = 1;
  for (const auto& t : titles) lines = std::max(lines, wrapped(t, kTile).size());
  const Cells& first = images[0].cells;
  // Tiles keep the images' proportions; images of one comparison have one size, that of the model's input.
  const double shape = static_cast<double>(first.height) / static_cast<double>(first.width);
  const std::int64_t tile = std::clamp<std::int64_t>(std::llround(kTile * shape), kTile / 4, 4 * kTile), head = kGap + kLine * static_cast<std::int64_t>(lines) + kGap;
  Picture p;
  p.channels = 3;
  p.width = kLeft + static_cast<std::int64_t>(titles.size()) * (kTile + kGap);
  p.height = head + rows * (tile + kGap);
  p.samples.assign(static_cast<std::size_t>(p.height * p.width * 3), 255);
  for (std::size_t k = 0; k < titles.size(); ++k) {
    const auto parts = wrapped(titles[k], kTile);
    for (std::size_t l = 0; l < parts.size(); ++l)
      draw_text(p, kGap + kLine * static_cast<std::int64_t>(lines - parts.size() + l), kLeft + static_cast<std::int64_t>(k) * (kTile + kGap), parts[l], kInk);
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto& result = c.images[static_cast<std::size_t>(i)];
    const auto& given = images[static_cast<std::size_t>(i)];
    const std::int64_t top = head + i * (tile + kGap);
    draw_text(p, top, 2, std::to_string(i), kInk);
    draw_text(p, top + kLine, 2, "C " + std::to_string(result.label), kInk);
    fill(p, top, kLeft, tile, kTile, [&](std::int64_t r, std::int64_t q) { return pixel_of(given.picture, r * given.picture.height / tile, q * given.picture.width / kTile); });
    for (std::size_t m = 0; m < c.methods.size(); ++m) {
      const std::int64_t left = kLeft + static_cast<std::int64_t>(m + 1) * (kTile + kGap);
      if (result.methods[m].reason.empty()) {
        draw_map(p, top, left, tile, kTile, given.cells, result.methods[m].map);
      } else {
        fill(p, top, left, tile, kTile, [](std::int64_t, std::int64_t) { return kPale; });
        draw_text(p, top + tile / 2 - 3, left + (kTile - text_width("N/A")) / 2, "N/A", kInk);
      }
    }
  }
  return p;
}

}  // namespace boundlight
