// Small helpers for self-contained pages.
#pragma once

#include <string>

namespace boundlight {

std::string base64(const std::string& bytes);
// Text for a page or a quoted attribute: <, >, & and " escaped, bytes beyond ASCII as they are.
std::string escaped_html(const std::string& text);
// <figure> with an embedded PNG.
std::string png_figure(const std::string& png, const std::string& caption);
// %.4g, for reading.
std::string short_number(double x);

}  // namespace boundlight
