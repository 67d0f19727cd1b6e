// KernelSHAP (Lundberg and Lee 2017): coalitions drawn with probability proportional to the Shapley kernel (by size, in
// complementary pairs), least squares with the two end coalitions as constraints.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {

Result<Attribution> kernel_shap(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  if (cells < 2) return occlusion(engine, q, o);
  std::mt19937_64 random(o.seed);
  // Weight of all coalitions of size s together: (M - 1) / (s (M - s)).
  std::vector<double> size_weight(cells - 1);
  for (std::size_t s = 1; s < cells; ++s) size_weight[s - 1] = 1.0 / (static_cast<double>(s) * static_cast<double>(cells - s));
  std::discrete_distribution<std::size_t> size(size_weight.begin(), size_weight.end());
  const auto samples = static_cast<std::size_t>(std::max<std::int64_t>(2, o.budget - 2));
  std::vector<double> keep((samples + 2) * cells, 0.0);
  std::fill_n(keep.begin(), cells, 1.0);  // row 0: everything; row 1: nothing
  std::vector<std::size_t> order(cells);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t r = 2; r < samples + 2; r += 2) {
    const std::size_t kept = size(random) + 1;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i = 0; i < cells; ++i) {
      keep[r * cells + order[i]] = i < kept ? 1.0 : 0.0;
      if (r + 1 < samples + 2) keep[(r + 1) * cells + order[i]] = i < kept ? 0.0 : 1.0;
    }
  }
  BL_TRY(y, masked_logit(engine, q, keep, static_cast<std::int64_t>(samples) + 2));
  // sum of phi = f(all) - f(none): eliminate the last cell, then ordinary least squares.
  const double all = y[0], none = y[1];
  const std::size_t m = cells - 1;
  std::vector<double> a(m * m, 0.0), b(m, 0.0), row(m);
  for (std::size_t r = 2; r < samples + 2; ++r) {
    const double last = keep[r * cells + m];
    for (std::size_t i = 0; i < m; ++i) row[i] = keep[r * cells + i] - last;
    const double target = y[r] - none - last * (all - none);
    for (std::size_t i = 0; i < m; ++i) {
      b[i] += row[i] * target;
      for (std::size_t j = 0; j <= i; ++j) a[i * m + j] += row[i] * row[j];
    }
  }
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = i + 1; j < m; ++j) a[i * m + j] = a[j * m + i];
  auto phi = solve_symmetric(std::move(a), std::move(b), 1e-6 * static_cast<double>(samples));
  if (phi.empty()) return Error{ErrorKind::bad_input, "kernelshap", "the budget of " + std::to_string(o.budget) + " evaluations is too small for " + std::to_string(cells) + " cells"};
  phi.push_back(all - none - std::accumulate(phi.begin(), phi.end(), 0.0));
  return Attribution{std::move(phi), static_cast<std::int64_t>(samples) + 2, 0};
}

}  // namespace boundlight::sampled
