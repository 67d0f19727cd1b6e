// Numbers of a bound in JSON: the printed decimal never cuts into the interval, and reads back as a double on the safe side.
#pragma once

namespace boundlight {

// The largest double y <= x whose text in JSON (shortest digits) is, as a real number, not above x; infinities stay.
double printable_down(double x);
inline double printable_up(double x) { return -printable_down(-x); }

}  // namespace boundlight
