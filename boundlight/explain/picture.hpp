// Pictures of maps: 8-bit RGB, drawn for reading, not for computing with.
#pragma once

#include <string>
#include <vector>

#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/models/image.hpp"

namespace boundlight {

struct Colour {
  std::uint8_t r, g, b;
};

// Perceptually uniform diverging colours: t in [-1, 1] -> blue, white, red, linear in lightness between ends in CIE L*a*b*.
Colour diverging(double t);

// The map on its cells, enlarged, with a bar that names the ends in overlap units. low and high: the ends of the scale;
// values are signed when low < 0.
Picture map_picture(const Cells& cells, const std::vector<double>& per_cell, double low, double high, const std::string& unit);

// The image in grey under the map's colours; `grey` is [height][width] in [0, 1].
Picture overlay_picture(const Cells& cells, const std::vector<double>& per_cell, double low, double high, const std::vector<double>& grey);

// Pictures of equal height beside each other, with white between.
Picture beside(const std::vector<Picture>& parts);

// Lower end, estimate and upper end of the certified intervals, one scale for the three.
Picture interval_picture(const Cells& cells, const EvaMap& map);

}  // namespace boundlight
