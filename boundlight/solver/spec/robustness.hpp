// "This image keeps its class": the property of a ball around an image, from C++ or from a small JSON file
// (docs/specs.md). All numbers are exact until the Property is built.
//
//   pixel   p_i = scale * image_i                          in pixel units
//   ball    [max(p_i - eps, clip_lo), min(p_i + eps, clip_hi)]
//   input   x_i = (pixel - mean_c) / std_c                 c: the channel of element i
//   violated by x when f_k(x) - f_label(x) >= margin (> where ties are allowed) for some target class k
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/core/result.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight {

struct Robustness {
  std::vector<Rational> image;  // flat, in the order of the model's input
  Rational scale = 1;
  Rational eps = 0;
  std::optional<std::pair<Rational, Rational>> clip = std::pair<Rational, Rational>{0, 1};
  std::vector<Rational> mean, std_deviation;  // empty, or one per channel
  bool channels_last = false;
  std::int64_t label = 0;
  std::int64_t classes = 0;
  std::vector<std::int64_t> targets;  // empty: every class but the label
  Rational margin = 0;
  bool ties_allowed = false;
};

// Errors name the field. A pixel outside of the clip range gives an empty box (vacuous), which is refused here: it is
// always a mistake of units.
Result<Property> robustness_property(const Robustness& r, const std::string& source = "robustness");

// Reads an image file that a JSON file names into flat values in the model's order (before `scale`).
using ImageReader = std::function<Result<std::vector<double>>(const std::string& path)>;

// The JSON form. `sha256` of the property is the text's. Unknown keys are errors.
Result<Robustness> parse_robustness_json(std::string_view text, const std::string& source, const ImageReader& read_image = {});

}  // namespace boundlight
