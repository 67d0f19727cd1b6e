// Exact rationals: the first oracle. Every finite double is one exactly.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>

#include "boundlight/core/contract.hpp"

namespace boundlight {

using Rational = boost::multiprecision::cpp_rational;

// The exact value of a finite double. Precondition: x is finite.
inline Rational exact(double x) {
  demand(std::isfinite(x), "exact(): the number is infinite or NaN");
  return Rational(x);
}

// The largest double not above q / the smallest not below it (infinite beyond the range).
double round_down(const Rational& q);
double round_up(const Rational& q);

}  // namespace boundlight
