// SmoothGrad (Smilkov et al. 2017): mean of gradients at noisy copies of x, its magnitude as for saliency; VarGrad (Adebayo
// et al. 2018): their variance. At most 50 copies, Gaussian noise with standard deviation `noise` times the input's range.
#include <algorithm>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

struct Moments {
  std::vector<double> mean, variance;
  std::int64_t evaluations = 0;
};

Result<Moments> noisy(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto& x = q.region->x;
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  const double deviation = o.noise * (*high > *low ? *high - *low : 1.0);
  const std::int64_t count = std::clamp<std::int64_t>(o.budget / 2, 2, 50);
  std::mt19937_64 random(o.seed);
  std::normal_distribution<double> normal(0, deviation);
  std::vector<double> inputs;
  for (std::int64_t s = 0; s < count; ++s)
    for (const double v : x) inputs.push_back(v + normal(random));
  BL_TRY(g, gradient(engine, q, inputs, count));
  Moments m{std::vector<double>(x.size(), 0.0), std::vector<double>(x.size(), 0.0), 2 * count};
  const auto n = static_cast<double>(count);
  for (std::size_t k = 0; k < g.size(); ++k) m.mean[k % x.size()] += g[k] / n;
  for (std::size_t k = 0; k < g.size(); ++k) m.variance[k % x.size()] += (g[k] - m.mean[k % x.size()]) * (g[k] - m.mean[k % x.size()]) / (n - 1);
  return m;
}

}  // namespace

Result<Attribution> smoothgrad(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  BL_TRY(m, noisy(engine, q, o));
  return Attribution{per_cell_magnitude(q, m.mean), m.evaluations};
}

Result<Attribution> vargrad(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  BL_TRY(m, noisy(engine, q, o));
  return Attribution{per_cell(q, m.variance), m.evaluations};
}

}  // namespace boundlight::sampled
