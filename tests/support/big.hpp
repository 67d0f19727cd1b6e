// Numbers of 300 bits (MPFR): the oracle for curved functions. Every operation is within one part in 10^89, so a comparison
// with a margin of 10^-75 of the terms' size is exact for anything that doubles can get wrong.
#pragma once

#include <boost/multiprecision/mpfr.hpp>
#include <string>

namespace boundlight::test {

using Big = boost::multiprecision::number<boost::multiprecision::mpfr_float_backend<90>, boost::multiprecision::et_off>;

// MPFR's own: Boost's for this type are series that do not end within a minute far from 0.
inline Big erf_of(const Big& x) {
  Big y;
  mpfr_erf(y.backend().data(), x.backend().data(), MPFR_RNDN);
  return y;
}
inline Big erfc_of(const Big& x) {
  Big y;
  mpfr_erfc(y.backend().data(), x.backend().data(), MPFR_RNDN);
  return y;
}

inline Big margin_of(const Big& a, const Big& b) { return (abs(a) + abs(b)) * Big("1e-75"); }

}  // namespace boundlight::test
