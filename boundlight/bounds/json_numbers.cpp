#include "boundlight/bounds/json_numbers.hpp"

#include <nlohmann/json.hpp>

#include "boundlight/core/rational.hpp"
#include "boundlight/core/rounding.hpp"

namespace boundlight {

double printable_down(double x) {
  if (!std::isfinite(x)) return x;
  for (double y = x;; y = next_down(y)) {
    if (!std::isfinite(y)) return y;
    if (*parse_decimal(nlohmann::json(y).dump()) <= exact(x)) return y;
  }
}

}  // namespace boundlight
