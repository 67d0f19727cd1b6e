// report.html of `compare` (compare_report.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "boundlight/explain/compare_report.hpp"

namespace boundlight {

// What the table says, in sentences; each is computed from it.
std::vector<std::string> compare_words(const Comparison& c);

// The method with the best mean in a column, `random` left out; nothing when no method applies.
std::optional<std::size_t> best_in(const Comparison& c, const std::vector<MethodSummary>& rows, std::size_t column);

// The page with the picture grid inside.
std::string compare_page(const Comparison& c, const CompareReport& report, const std::string& maps_png);

}  // namespace boundlight
