#include "boundlight/explain/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "boundlight/core/contract.hpp"

namespace boundlight {

std::vector<double> ranks(const std::vector<double>& v) {
  std::vector<std::size_t> order(v.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
  std::vector<double> rank(v.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && v[order[end]] == v[order[i]]) ++end;
    const double middle = (static_cast<double>(i) + static_cast<double>(end) + 1) / 2;
    for (; i < end; ++i) rank[order[i]] = middle;
  }
  return rank;
}

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  demand(a.size() == b.size(), "rank_correlation: both sides need the same length");
  if (a.size() < 2) return 0;
  const auto x = ranks(a), y = ranks(b);
  const double middle = (static_cast<double>(a.size()) + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  return xx == 0 || yy == 0 ? 0 : xy / std::sqrt(xx * yy);
}

MeanInterval mean_interval(const std::vector<double>& v) {
  MeanInterval m;
  if (v.empty()) return m;
  const auto n = static_cast<double>(v.size());
  m.mean = std::accumulate(v.begin(), v.end(), 0.0) / n;
  if (v.size() < 2) return m;
  double square = 0;
  for (const double x : v) square += (x - m.mean) * (x - m.mean);
  // The 97.5 % quantile of Student's t: Cornish-Fisher expansion from the normal one, within 1 % from 3 degrees on.
  const double z = 1.959963985, d = n - 1;
  const double t = d < 2 ? 12.706 : d < 3 ? 4.303 : z + (z * z * z + z) / (4 * d) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * d * d);
  m.half_width = t * std::sqrt(square / (n - 1) / n);
  return m;
}

}  // namespace boundlight
