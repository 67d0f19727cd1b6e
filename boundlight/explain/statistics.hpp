// Rank correlation and intervals for tables.
#pragma once

#include <cstdint>
#include <vector>

namespace boundlight {

// Spearman's rank correlation with average ranks for ties; 0 when either side is constant or has fewer than two numbers.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

// Average ranks, 1-based.
std::vector<double> ranks(const std::vector<double>& v);

// Mean and the half-width of its 95 % confidence interval (Student's t).
struct MeanInterval {
  double mean = 0, half_width = 0;
};
MeanInterval mean_interval(const std::vector<double>& v);

}  // namespace boundlight
