#include "boundlight/explain/lettering.hpp"

#include <array>
#include <cctype>
#include <map>

namespace boundlight {
namespace {

// Seven rows from the top, five bits each, the leftmost pixel highest.
using Glyph = std::array<std::uint8_t, 7>;
const std::map<char, Glyph>& glyphs() {
  static const std::map<char, Glyph> all = {
      {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}}, {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {30, 17, 17, 17, 17, 17, 30}},
      {'E', {31, 16, 16, 30, 16, 16, 31}}, {'F', {31, 16, 16, 30, 16, 16, 16}}, {'G', {14, 17, 16, 23, 17, 17, 15}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
      {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},      {'K', {17, 18, 20, 24, 20, 18, 17}}, {'L', {16, 16, 16, 16, 16, 16, 31}},
      {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 25, 21, 19, 17, 17, 17}}, {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}},
      {'Q', {14, 17, 17, 17, 21, 18, 13}}, {'R', {30, 17, 17, 30, 20, 18, 17}}, {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
      {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 17, 10, 4}},  {'W', {17, 17, 17, 21, 21, 27, 17}}, {'X', {17, 17, 10, 4, 10, 17, 17}},
      {'Y', {17, 17, 10, 4, 4, 4, 4}},     {'Z', {31, 1, 2, 4, 8, 16, 31}},     {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
      {'2', {14, 17, 1, 6, 8, 16, 31}},    {'3', {14, 17, 1, 6, 1, 17, 14}},    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
      {'6', {14, 16, 16, 30, 17, 17, 14}}, {'7', {31, 1, 2, 4, 8, 8, 8}},       {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 1, 14}},
      {'+', {0, 4, 4, 31, 4, 4, 0}},       {'-', {0, 0, 0, 31, 0, 0, 0}},       {'.', {0, 0, 0, 0, 0, 12, 12}},      {',', {0, 0, 0, 0, 4, 4, 8}},
      {':', {0, 12, 12, 0, 12, 12, 0}},    {'/', {1, 1, 2, 4, 8, 16, 16}},      {'(', {2, 4, 8, 8, 8, 4, 2}},        {')', {8, 4, 2, 2, 2, 4, 8}},
      {'[', {14, 8, 8, 8, 8, 8, 14}},      {']', {14, 2, 2, 2, 2, 2, 14}},      {'_', {0, 0, 0, 0, 0, 0, 31}},       {'%', {24, 25, 2, 4, 8, 19, 3}},
      {'=', {0, 0, 31, 0, 31, 0, 0}}};
  return all;
}

}  // namespace

std::int64_t text_width(const std::string& text, std::int64_t scale) { return text.empty() ? 0 : (6 * static_cast<std::int64_t>(text.size()) - 1) * scale; }

void draw_text(Picture& p, std::int64_t row, std::int64_t column, const std::string& text, Colour colour, std::int64_t scale) {
  demand(p.channels == 3, "draw_text: the picture needs three channels");
  for (const char c : text) {
    const auto found = glyphs().find(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    for (std::int64_t r = 0; found != glyphs().end() && r < 7 * scale; ++r)
      for (std::int64_t q = 0; q < 5 * scale; ++q) {
        const std::int64_t i = row + r, j = column + q;
        if ((found->second[static_cast<std::size_t>(r / scale)] >> (4 - q / scale) & 1) == 0 || i < 0 || j < 0 || i >= p.height || j >= p.width) continue;
        auto* at = p.samples.data() + static_cast<std::size_t>((i * p.width + j) * 3);
        at[0] = colour.r, at[1] = colour.g, at[2] = colour.b;
      }
    column += 6 * scale;
  }
}

std::vector<std::string> wrapped(const std::string& text, std::int64_t width, std::int64_t scale) {
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, (width / scale + 1) / 6));
  std::vector<std::string> lines;
  std::size_t from = 0;
  while (from < text.size()) {
    std::size_t end = std::min(text.size(), from + most);
    if (end < text.size() && text[end] != ' ')
      for (std::size_t k = end; k > from; --k)
        if (text[k - 1] == ' ' || text[k - 1] == '-') {
          end = k;
          break;
        }
    std::string line = text.substr(from, end - from);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    lines.push_back(line);
    from = end;
    while (from < text.size() && text[from] == ' ') ++from;
  }
  return lines;
}

}  // namespace boundlight
