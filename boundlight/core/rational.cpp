#include "boundlight/core/rational.hpp"

#include <cstdlib>
#include <string>

#include "boundlight/core/rounding.hpp"

namespace boundlight {
namespace {

// A double near q; two corrections by one step make it directed, whatever the conversion's own rounding.
double near(const Rational& q) { return q.convert_to<double>(); }

// Moves leading digits of the text; false: there are none.
bool digits(std::string_view& text, std::string& into) {
  const std::size_t before = into.size();
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    into += text[0];
    text.remove_prefix(1);
  }
  return into.size() > before;
}

}  // namespace

std::optional<Rational> parse_decimal(std::string_view text, int max_digits) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::string mantissa;
  bool any = digits(text, mantissa);
  std::int64_t shift = 0;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    const std::size_t whole = mantissa.size();
    any = digits(text, mantissa) || any;
    shift = -static_cast<std::int64_t>(mantissa.size() - whole);
  }
  if (!any) return std::nullopt;
  if (!text.empty() && (text[0] == 'e' || text[0] == 'E')) {
    text.remove_prefix(1);
    bool down = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
      down = text[0] == '-';
      text.remove_prefix(1);
    }
    std::string exponent;
    if (!digits(text, exponent) || exponent.size() > 9) return std::nullopt;
    shift += (down ? -1 : 1) * static_cast<std::int64_t>(std::stoll(exponent));
  }
  if (!text.empty() || mantissa.size() > static_cast<std::size_t>(max_digits) || std::abs(shift) > max_digits) return std::nullopt;
  const std::size_t first = mantissa.find_first_not_of('0');  // a leading 0 would mean octal to the library
  if (first == std::string::npos) return Rational(0);
  const boost::multiprecision::cpp_int value(mantissa.substr(first)), power = pow(boost::multiprecision::cpp_int(10), static_cast<unsigned>(std::abs(shift)));
  const Rational q = shift >= 0 ? Rational(value * power) : Rational(value, power);
  return negative ? -q : q;
}

double round_down(const Rational& q) {
  double x = near(q);
  if (std::isinf(x)) return x > 0 ? std::numeric_limits<double>::max() : x;
  while (exact(x) > q) {
    x = next_down(x);
    if (std::isinf(x)) return x;
  }
  for (double up = next_up(x); std::isfinite(up) && exact(up) <= q; up = next_up(up)) x = up;
  return x;
}

double round_up(const Rational& q) { return -round_down(-q); }

}  // namespace boundlight
