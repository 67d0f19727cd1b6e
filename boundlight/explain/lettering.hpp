// Text in pictures: one plain 5 x 7 font, for titles and labels.
#pragma once

#include <string>

#include "boundlight/explain/picture.hpp"

namespace boundlight {

// Pixels that draw_text covers; letters come out as capitals, a character without a glyph as a blank.
std::int64_t text_width(const std::string& text, std::int64_t scale = 1);
inline std::int64_t text_height(std::int64_t scale = 1) { return 7 * scale; }

// Writes `text` with its upper left corner at (row, column); what lies outside of the picture is cut. RGB pictures only.
void draw_text(Picture& picture, std::int64_t row, std::int64_t column, const std::string& text, Colour colour, std::int64_t scale = 1);

// The text in lines of at most `width` pixels, broken at blanks and after hyphens where that is possible.
std::vector<std::string> wrapped(const std::string& text, std::int64_t width, std::int64_t scale = 1);

}  // namespace boundlight
