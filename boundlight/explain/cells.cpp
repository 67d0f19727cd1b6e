#include "boundlight/explain/cells.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

namespace boundlight {
namespace {

Error bad(const std::string& what) { return {ErrorKind::bad_input, "cells", what}; }

Result<void> check_size(std::int64_t height, std::int64_t width) {
  if (height <= 0 || width <= 0 || height > 1 << 16 || width > 1 << 16)
    return bad("the image size " + std::to_string(height) + "x" + std::to_string(width) + " is not usable");
  return {};
}

Cells empty(std::int64_t height, std::int64_t width) {
  Cells c;
  c.height = height;
  c.width = width;
  c.label.resize(static_cast<std::size_t>(height * width));
  return c;
}

// SLIC keeps a colour and a place per cluster.
struct Cluster {
  double row = 0, col = 0;
  std::vector<double> colour;
  std::int64_t pixels = 0;
};

// Pixels of a label that are not connected to its largest part join the neighbour met first.
void connect(Cells& c, std::int64_t smallest) {
  const std::int64_t n = c.height * c.width;
  std::vector<std::int32_t> next(static_cast<std::size_t>(n), -1);
  std::vector<std::int64_t> stack, part;
  std::int32_t count = 0;
  for (std::int64_t seed = 0; seed < n; ++seed) {
    if (next[static_cast<std::size_t>(seed)] >= 0) continue;
    const std::int32_t old = c.label[static_cast<std::size_t>(seed)];
    std::int32_t neighbour = -1;
    stack.assign(1, seed);
    part.clear();
    next[static_cast<std::size_t>(seed)] = count;
    while (!stack.empty()) {
      const std::int64_t at = stack.back(), r = at / c.width, q = at % c.width;
      stack.pop_back();
      part.push_back(at);
      const std::int64_t around[4] = {r > 0 ? at - c.width : -1, r + 1 < c.height ? at + c.width : -1, q > 0 ? at - 1 : -1, q + 1 < c.width ? at + 1 : -1};
      for (const std::int64_t to : around) {
        if (to < 0) continue;
        auto& label = next[static_cast<std::size_t>(to)];
        if (label < 0 && c.label[static_cast<std::size_t>(to)] == old) {
          label = count;
          stack.push_back(to);
        } else if (label >= 0 && label != count) {
          neighbour = label;
        }
      }
    }
    if (static_cast<std::int64_t>(part.size()) < smallest && neighbour >= 0) {
      for (const std::int64_t at : part) next[static_cast<std::size_t>(at)] = neighbour;
    } else {
      ++count;
    }
  }
  c.label = std::move(next);
  c.count = count;
}

}  // namespace

Result<Cells> pixel_cells(std::int64_t height, std::int64_t width) { return grid_cells(height, width, height, width); }

Result<Cells> grid_cells(std::int64_t height, std::int64_t width, std::int64_t rows, std::int64_t cols) {
  BL_CHECK(check_size(height, width));
  if (rows <= 0 || cols <= 0) return bad("a grid needs at least one row and one column, got " + std::to_string(rows) + "x" + std::to_string(cols));
  if (rows > height || cols > width)
    return bad("a grid of " + std::to_string(rows) + "x" + std::to_string(cols) + " has cells that cover no pixel of a " + std::to_string(height) + "x" +
               std::to_string(width) + " image; use at most one row per pixel row");
  Cells c = empty(height, width);
  c.rows = rows;
  c.cols = cols;
  c.count = rows * cols;
  for (std::int64_t r = 0; r < height; ++r)
    for (std::int64_t q = 0; q < width; ++q) c.label[static_cast<std::size_t>(r * width + q)] = static_cast<std::int32_t>(rows * r / height * cols + cols * q / width);
  return c;
}

Result<Cells> segment_cells(const std::vector<std::int64_t>& label, std::int64_t height, std::int64_t width) {
  BL_CHECK(check_size(height, width));
  if (static_cast<std::int64_t>(label.size()) != height * width)
    return bad("the label image has " + std::to_string(label.size()) + " pixels, the image " + std::to_string(height) + "x" + std::to_string(width));
  std::map<std::int64_t, std::int32_t> number;
  for (const auto l : label) number.emplace(l, 0);
  if (number.size() > 65536) return bad("the label image has more than 65536 labels");
  std::int32_t next = 0;
  for (auto& [l, n] : number) n = next++;
  Cells c = empty(height, width);
  c.count = next;
  for (std::size_t i = 0; i < label.size(); ++i) c.label[i] = number[label[i]];
  return c;
}

Result<Cells> mask_cells(const std::vector<std::int64_t>& mask, std::int64_t count, std::int64_t height, std::int64_t width) {
  BL_CHECK(check_size(height, width));
  const std::int64_t pixels = height * width;
  if (count < 1 || count > 65536 || static_cast<std::int64_t>(mask.size()) != count * pixels)
    return bad("the masks have " + std::to_string(mask.size()) + " numbers, " + std::to_string(count) + " masks of " + std::to_string(height) + "x" + std::to_string(width) + " pixels need " +
               std::to_string(count * pixels));
  Cells c = empty(height, width);
  c.count = count;
  std::fill(c.label.begin(), c.label.end(), -1);
  for (std::int64_t m = 0; m < count; ++m) {
    bool covers = false;
    for (std::int64_t p = 0; p < pixels; ++p) {
      if (mask[static_cast<std::size_t>(m * pixels + p)] == 0) continue;
      auto& label = c.label[static_cast<std::size_t>(p)];
      if (label >= 0)
        return bad("masks " + std::to_string(label) + " and " + std::to_string(m) + " overlap at row " + std::to_string(p / width) + ", column " + std::to_string(p % width) +
                   "; every pixel belongs to one cell");
      label = static_cast<std::int32_t>(m);
      covers = true;
    }
    if (!covers) return bad("mask " + std::to_string(m) + " covers nothing; leave it out");
  }
  for (std::int64_t p = 0; p < pixels; ++p)
    if (c.label[static_cast<std::size_t>(p)] < 0)
      return bad("row " + std::to_string(p / width) + ", column " + std::to_string(p % width) + " lies in no mask; every pixel belongs to one cell, add a mask for the rest");
  return c;
}

Result<Cells> slic_cells(const std::vector<double>& pixel, std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t count,
                         double compactness, int iterations) {
  BL_CHECK(check_size(height, width));
  demand(static_cast<std::int64_t>(pixel.size()) == height * width * channels, "slic_cells: pixel needs height x width x channels numbers");
  if (count < 1 || count > height * width) return bad("SLIC needs between 1 and " + std::to_string(height * width) + " segments, got " + std::to_string(count));
  const double step = std::sqrt(static_cast<double>(height * width) / static_cast<double>(count));
  const auto down = std::max<std::int64_t>(1, std::llround(static_cast<double>(height) / step)), across = std::max<std::int64_t>(1, std::llround(static_cast<double>(width) / step));
  std::vector<Cluster> clusters;
  for (std::int64_t i = 0; i < down; ++i)
    for (std::int64_t j = 0; j < across; ++j) {
      Cluster k;
      k.row = (static_cast<double>(i) + 0.5) * static_cast<double>(height) / static_cast<double>(down) - 0.5;
      k.col = (static_cast<double>(j) + 0.5) * static_cast<double>(width) / static_cast<double>(across) - 0.5;
      const auto at = static_cast<std::size_t>((std::llround(std::max(0.0, k.row)) * width + std::llround(std::max(0.0, k.col))) * channels);
      k.colour.assign(pixel.begin() + static_cast<std::ptrdiff_t>(at), pixel.begin() + static_cast<std::ptrdiff_t>(at) + channels);
      clusters.push_back(std::move(k));
    }
  Cells c = empty(height, width);
  std::vector<double> nearest(c.label.size());
  for (int pass = 0; pass < iterations; ++pass) {
    std::fill(nearest.begin(), nearest.end(), std::numeric_limits<double>::infinity());
    for (std::size_t k = 0; k < clusters.size(); ++k) {
      const auto& cluster = clusters[k];
      const auto from_r = std::max<std::int64_t>(0, std::llround(cluster.row - 2 * step)), to_r = std::min(height - 1, static_cast<std::int64_t>(std::llround(cluster.row + 2 * step)));
      const auto from_q = std::max<std::int64_t>(0, std::llround(cluster.col - 2 * step)), to_q = std::min(width - 1, static_cast<std::int64_t>(std::llround(cluster.col + 2 * step)));
      for (std::int64_t r = from_r; r <= to_r; ++r)
        for (std::int64_t q = from_q; q <= to_q; ++q) {
          double colour = 0;
          const auto at = static_cast<std::size_t>(r * width + q);
          for (std::int64_t ch = 0; ch < channels; ++ch) {
            const double d = pixel[at * static_cast<std::size_t>(channels) + static_cast<std::size_t>(ch)] - cluster.colour[static_cast<std::size_t>(ch)];
            colour += d * d;
          }
          const double dr = static_cast<double>(r) - cluster.row, dq = static_cast<double>(q) - cluster.col;
          const double distance = colour + compactness * compactness * (dr * dr + dq * dq) / (step * step);
          if (distance < nearest[at]) nearest[at] = distance, c.label[at] = static_cast<std::int32_t>(k);
        }
    }
    for (auto& cluster : clusters) cluster = Cluster{0, 0, std::vector<double>(static_cast<std::size_t>(channels)), 0};
    for (std::int64_t r = 0; r < height; ++r)
      for (std::int64_t q = 0; q < width; ++q) {
        const auto at = static_cast<std::size_t>(r * width + q);
        auto& cluster = clusters[static_cast<std::size_t>(c.label[at])];
        cluster.row += static_cast<double>(r), cluster.col += static_cast<double>(q), ++cluster.pixels;
        for (std::int64_t ch = 0; ch < channels; ++ch) cluster.colour[static_cast<std::size_t>(ch)] += pixel[at * static_cast<std::size_t>(channels) + static_cast<std::size_t>(ch)];
      }
    for (auto& cluster : clusters) {
      if (cluster.pixels == 0) continue;
      const auto n = static_cast<double>(cluster.pixels);
      cluster.row /= n, cluster.col /= n;
      for (auto& value : cluster.colour) value /= n;
    }
  }
  connect(c, std::max<std::int64_t>(1, static_cast<std::int64_t>(step * step / 4)));
  return c;
}

}  // namespace boundlight
