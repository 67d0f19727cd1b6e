// Numbers of a bound in JSON: the printed decimal never cuts into the interval, and reads back as a double on the safe side.
#pragma once

#include <cmath>
#include <vector>

namespace boundlight {

// The largest double y <= x whose text in JSON (shortest digits) is, as a real number, not above x; infinities stay.
double printable_down(double x);
inline double printable_up(double x) { return -printable_down(-x); }

// Finite numbers as numbers; "nan", "inf" and "-inf", which JSON has no numbers for, as words. Json: a type of nlohmann's, which is
// a parameter so that users of this header need not have the library.
template <class Json>
Json json_number(double x) {
  if (std::isfinite(x)) return Json(x);
  return Json(std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

// The list of them, each finite one moved by `outward` (printable_down, printable_up; null: as it is).
template <class Json>
Json json_numbers(const std::vector<double>& values, double (*outward)(double) = nullptr) {
  Json list = Json::array();
  for (const double x : values) list.push_back(json_number<Json>(std::isfinite(x) && outward ? outward(x) : x));
  return list;
}

}  // namespace boundlight
