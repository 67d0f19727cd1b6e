#include "boundlight/core/rational.hpp"

#include "boundlight/core/rounding.hpp"

namespace boundlight {
namespace {

// A double near q; two corrections by one step make it directed, whatever the conversion's own rounding.
double near(const Rational& q) { return q.convert_to<double>(); }

}  // namespace

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
