#include "boundlight/bounds/json_numbers.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "boundlight/core/rational.hpp"
#include "boundlight/core/rounding.hpp"

namespace boundlight {
namespace {

// The exact value of a JSON number's text.
Rational value_of(const std::string& text) {
  std::string digits;
  int exponent = 0;
  std::size_t i = 0;
  const bool negative = text[0] == '-';
  if (negative) ++i;
  for (bool fraction = false; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
    } else {
      digits += text[i];
      exponent -= fraction ? 1 : 0;
    }
  }
  if (i < text.size()) exponent += std::stoi(text.substr(i + 1));
  const auto first = digits.find_first_not_of('0');
  boost::multiprecision::cpp_int mantissa(first == std::string::npos ? "0" : digits.substr(first));
  const boost::multiprecision::cpp_int scale = pow(boost::multiprecision::cpp_int(10), static_cast<unsigned>(std::abs(exponent)));
  const Rational q = exponent >= 0 ? Rational(mantissa * scale) : Rational(mantissa, scale);
  return negative ? Rational(-q) : q;
}

}  // namespace

double printable_down(double x) {
  if (!std::isfinite(x)) return x;
  for (double y = x;; y = next_down(y)) {
    if (!std::isfinite(y)) return y;
    if (value_of(nlohmann::json(y).dump()) <= exact(x)) return y;
  }
}

}  // namespace boundlight
