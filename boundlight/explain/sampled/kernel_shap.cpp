// KernelSHAP (Lundberg and Lee 2017, theorem 2): weighted least squares on coalitions with the Shapley kernel
// (M - 1) / (C(M, s) s (M - s)), the two end coalitions as constraints. As in the authors' code: sizes s and M - s are taken
// whole, from the outside in, while the budget lasts (all of them: the Shapley values exactly), and what is left is drawn by
// size in complementary pairs.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "boundlight/explain/sampled/method.hpp"

namespace boundlight::sampled {
namespace {

struct Coalitions {
  std::size_t cells = 0;
  std::vector<double> keep, weight;  // [rows][cells], [rows]
  [[nodiscard]] std::size_t rows() const { return weight.size(); }
  void add(const std::vector<std::size_t>& members, bool kept, double w) {
    keep.resize(keep.size() + cells, kept ? 0.0 : 1.0);
    for (const std::size_t c : members) keep[keep.size() - cells + c] = kept ? 1.0 : 0.0;
    weight.push_back(w);
  }
};

// The next subset of {0 .. cells-1} of the same size in lexicographic order.
bool next_subset(std::vector<std::size_t>& subset, std::size_t cells) {
  for (std::size_t i = subset.size(); i-- > 0;)
    if (subset[i] + (subset.size() - i) < cells) {
      ++subset[i];
      for (std::size_t j = i + 1; j < subset.size(); ++j) subset[j] = subset[j - 1] + 1;
      return true;
    }
  return false;
}

double binomial(std::size_t n, std::size_t k) {
  double b = 1;
  for (std::size_t i = 1; i <= k; ++i) b *= static_cast<double>(n - k + i) / static_cast<double>(i);
  return b;
}

Coalitions choose(std::size_t cells, std::size_t budget, std::uint64_t seed) {
  Coalitions all;
  all.cells = cells;
  // Weight of all coalitions of sizes s and M - s together.
  const std::size_t sizes = cells / 2;
  std::vector<double> share(sizes);
  for (std::size_t s = 1; s <= sizes; ++s)
    share[s - 1] = (2 * s == cells ? 1 : 2) * static_cast<double>(cells - 1) / (static_cast<double>(s) * static_cast<double>(cells - s));
  double left = std::accumulate(share.begin(), share.end(), 0.0);
  for (auto& v : share) v /= left;
  left = 1;
  std::size_t s = 1;
  for (; s <= sizes; ++s) {
    const bool paired = 2 * s != cells;
    const double count = binomial(cells, s) * (paired ? 2 : 1);
    const double free = static_cast<double>(budget - all.rows());
    if (count > free || (free * share[s - 1] / left < count * (1 - 1e-8) && s < sizes)) break;
    std::vector<std::size_t> members(s);
    std::iota(members.begin(), members.end(), 0);
    do {
      all.add(members, true, share[s - 1] / count);
      if (paired) all.add(members, false, share[s - 1] / count);
    } while (next_subset(members, cells));
    left -= share[s - 1];
  }
  const std::size_t fixed = all.rows();
  if (s > sizes || budget <= fixed) return all;
  std::mt19937_64 random(seed);
  std::discrete_distribution<std::size_t> size(share.begin() + static_cast<std::ptrdiff_t>(s - 1), share.end());
  std::vector<std::size_t> order(cells);
  std::iota(order.begin(), order.end(), 0);
  while (all.rows() < budget) {
    std::shuffle(order.begin(), order.end(), random);
    const std::vector<std::size_t> members(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(s + size(random)));
    all.add(members, true, 1);
    if (all.rows() < budget) all.add(members, false, 1);
  }
  for (std::size_t r = fixed; r < all.rows(); ++r) all.weight[r] = left / static_cast<double>(all.rows() - fixed);
  return all;
}

// Least squares with sum of phi = all - none: the last cell is eliminated. Empty when the coalitions do not determine it.
std::vector<double> solve(const Coalitions& c, const double* y, double all, double none) {
  const std::size_t m = c.cells - 1;
  std::vector<double> a(m * m, 0.0), b(m, 0.0), row(m);
  for (std::size_t r = 0; r < c.rows(); ++r) {
    const double* keep = c.keep.data() + r * c.cells;
    const double target = y[r] - none - keep[m] * (all - none);
    for (std::size_t i = 0; i < m; ++i) row[i] = keep[i] - keep[m];
    for (std::size_t i = 0; i < m; ++i) {
      if (row[i] == 0) continue;
      const double w = c.weight[r] * row[i];
      b[i] += w * target;
      for (std::size_t j = 0; j <= i; ++j) a[i * m + j] += w * row[j];
    }
  }
  double trace = 0;
  for (std::size_t i = 0; i < m; ++i) {
    trace += a[i * m + i];
    for (std::size_t j = i + 1; j < m; ++j) a[i * m + j] = a[j * m + i];
  }
  auto phi = solve_symmetric(std::move(a), std::move(b), 1e-11 * trace / static_cast<double>(m));
  if (!phi.empty()) phi.push_back(all - none - std::accumulate(phi.begin(), phi.end(), 0.0));
  return phi;
}

}  // namespace

Result<Attribution> kernel_shap(Engine& engine, const SamplingQuestion& q, const SamplingOptions& o) {
  const auto cells = static_cast<std::size_t>(q.region->cells);
  if (cells < 2) return occlusion(engine, q, o);
  const Error small{ErrorKind::bad_input, "method kernelshap",
                    "a budget of " + std::to_string(o.budget) + " evaluations does not determine " + std::to_string(cells) + " cells; raise it to " +
                        std::to_string(2 * cells + 2) + " at least"};
  if (o.budget < q.region->cells + 2) return small;
  Coalitions coalitions = choose(cells, static_cast<std::size_t>(o.budget) - 2, o.seed);
  // The two ends go last, so that the rows of the regression stay together.
  std::vector<double> keep = coalitions.keep;
  keep.resize(keep.size() + cells, 1.0);
  keep.resize(keep.size() + cells, 0.0);
  const auto rows = static_cast<std::int64_t>(coalitions.rows()) + 2;
  BL_TRY(y, masked_logit(engine, q, keep, rows));
  auto phi = solve(coalitions, y.data(), y[y.size() - 2], y[y.size() - 1]);
  if (phi.empty()) return small;
  return Attribution{std::move(phi), rows};
}

}  // namespace boundlight::sampled
