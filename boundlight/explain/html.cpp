#include "boundlight/explain/html.hpp"

#include <cstdint>
#include <cstdio>

namespace boundlight {

std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t block = 0;
    for (std::size_t k = 0; k < 3; ++k) block = block << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() && (k < 2 || i + k - 1 < bytes.size()) ? kDigits[block >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string escaped_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

std::string png_figure(const std::string& png, const std::string& caption) {
  const std::string words = escaped_html(caption);
  return "<figure><img alt=\"" + words + "\" src=\"data:image/png;base64," + base64(png) + "\"><figcaption>" + words + "</figcaption></figure>\n";
}

std::string short_number(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.4g", x);
  return buffer;
}

}  // namespace boundlight
