// Exact rationals: the first oracle. Every finite double is one exactly.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <optional>
#include <string_view>

#include "boundlight/core/contract.hpp"

namespace boundlight {

using Rational = boost::multiprecision::cpp_rational;

// The exact value of a finite double. Precondition: x is finite.
inline Rational exact(double x) {
  demand(std::isfinite(x), "exact(): the number is infinite or NaN");
  return Rational(x);
}

// A number as VNN-LIB and JSON write it ("-1.25e-3"), exactly; nothing when it is not one, or when its digits or its decimal
// exponent are more than max_digits.
std::optional<Rational> parse_decimal(std::string_view text, int max_digits = 2'000);

// The largest double not above q / the smallest not below it (infinite beyond the range).
double round_down(const Rational& q);
double round_up(const Rational& q);

}  // namespace boundlight
