// Cells: the parts of an image whose importance is asked for. A partition of the pixels; all channels of a pixel together.
#pragma once

#include <cstdint>
#include <vector>

#include "boundlight/core/result.hpp"
#include "boundlight/models/image.hpp"

namespace boundlight {

struct Cells {
  std::int64_t height = 0, width = 0;   // of the image in pixels
  std::int64_t count = 0;
  std::vector<std::int32_t> label;      // [height][width]: cell of each pixel, 0 .. count-1
  std::int64_t rows = 0, cols = 0;      // of the grid; 0 for segments
};

// Every pixel a cell.
Result<Cells> pixel_cells(std::int64_t height, std::int64_t width);
// cell(r, q) = (floor(rows r / height), floor(cols q / width)). Errors: more rows or columns than pixels, not positive.
Result<Cells> grid_cells(std::int64_t height, std::int64_t width, std::int64_t rows, std::int64_t cols);
// From a label image: equal values, equal cell; renumbered in order of value. Errors: size differs, more than 65536 labels.
Result<Cells> segment_cells(const std::vector<std::int64_t>& label, std::int64_t height, std::int64_t width);
// From masks [count][height][width], nonzero inside: every pixel in exactly one. Errors: a mask that covers nothing; a pixel in two
// masks or in none, named.
Result<Cells> mask_cells(const std::vector<std::int64_t>& mask, std::int64_t count, std::int64_t height, std::int64_t width);
// SLIC superpixels (Achanta et al. 2012): about `count` compact segments of similar colour, connected, from a grid start; no
// randomness. pixel: [height][width][channels] in [0, 1]; compactness weighs distance against colour.
Result<Cells> slic_cells(const std::vector<double>& pixel, std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t count,
                         double compactness = 0.1, int iterations = 10);

}  // namespace boundlight
