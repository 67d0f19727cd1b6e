// Robustness-S_r: minimal-norm attacks confined to sets of cells, all sets of an image in one batch.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "boundlight/explain/metric_parts.hpp"
#include "boundlight/explain/metrics.hpp"

namespace boundlight {
namespace {

constexpr std::int64_t kAttacksPerCall = 512;  // attacks per call of the engine
constexpr int kBisections = 12;
constexpr double kNeverFooled = std::numeric_limits<double>::infinity();

double norm_of(const double* v, std::size_t n) {
  double s = 0;
  for (std::size_t i = 0; i < n; ++i) s += v[i] * v[i];
  return std::sqrt(s);
}

// A batch of attacks; changes are kept in pixel units.
class Attacks {
 public:
  // member [batch][cells]: which cells may change.
  Attacks(Engine& engine, const MetricQuestion& q, const std::vector<char>& member, std::size_t batch, const MetricOptions& o)
      : engine_(engine), q_(q), member_(member), batch_(batch), n_(q.x.size()), o_(o), random_(o.seed) {
    logits_ = engine.network().logits;
    classes_ = engine.network().values[static_cast<std::size_t>(logits_)].size;
    for (std::size_t i = 0; i < n_; ++i) {
      const double pixel = q.x[i] * q.frame.deviation[i] + q.frame.mean[i];
      low_.push_back(std::min(0.0, q.frame.low - pixel));
      high_.push_back(std::max(0.0, q.frame.high - pixel));
    }
    change_.assign(batch_ * n_, 0.0);
    best_.assign(batch_ * n_, 0.0);
    size_.assign(batch_, kNeverFooled);
    radius_.assign(batch_, 0.0);
  }

  // Sizes of the smallest changes found; infinite where none was.
  Result<std::vector<double>> run() {
    for (int s = 0; s < o_.attack_steps; ++s) {
      if (o_.stop.stop_requested()) return metric_parts::stopped();
      BL_CHECK(step(s));
    }
    BL_CHECK(bisect());
    return size_;
  }

 private:
  bool free(std::size_t b, std::size_t i) const { return member_[b * static_cast<std::size_t>(q_.cells) + static_cast<std::size_t>(q_.cell[i])] != 0; }

  std::vector<double> inputs(const std::vector<double>& change) const {
    std::vector<double> z(batch_ * n_);
    for (std::size_t b = 0; b < batch_; ++b)
      for (std::size_t i = 0; i < n_; ++i) z[b * n_ + i] = q_.x[i] + change[b * n_ + i] / q_.frame.deviation[i];
    return z;
  }

  // Best rival minus class, and the rival.
  double margin(const double* y, std::int64_t& rival) const {
    rival = q_.label == 0 ? 1 : 0;
    for (std::int64_t k = 0; k < classes_; ++k)
      if (k != q_.label && y[k] > y[rival]) rival = k;
    return y[rival] - y[q_.label];
  }

  void keep_best(std::size_t b) {
    const double size = norm_of(change_.data() + b * n_, n_);
    if (size >= size_[b]) return;
    size_[b] = size;
    std::copy_n(change_.begin() + static_cast<std::ptrdiff_t>(b * n_), n_, best_.begin() + static_cast<std::ptrdiff_t>(b * n_));
  }

  Result<void> step(int s) {
    std::vector<double> gap(batch_);
    BL_TRY(g, engine_.gradient(inputs(change_), static_cast<std::int64_t>(batch_), logits_,
                               [&](const std::vector<double>& y, std::vector<double>& weight) {
                                 for (std::size_t b = 0; b < batch_; ++b) {
                                   std::int64_t rival = 0;
                                   const auto at = b * static_cast<std::size_t>(classes_);
                                   gap[b] = margin(y.data() + at, rival);
                                   weight[at + static_cast<std::size_t>(rival)] = 1;
                                   weight[at + static_cast<std::size_t>(q_.label)] = -1;
                                 }
                               },
                               Precision::single));
    // Cosine schedules: the turn of the direction falls from 1 to 0.05 of the radius, the radius' step from 30 % to 2 %.
    const double cosine = (1 + std::cos(std::numbers::pi * s / o_.attack_steps)) / 2, turn = 0.05 + 0.95 * cosine, pace = 0.02 + 0.28 * cosine;
    for (std::size_t b = 0; b < batch_; ++b) {
      if (gap[b] > 0) keep_best(b);
      turn_and_scale(b, s, gap[b], g.inputs.data() + b * n_, turn, pace);
    }
    return {};
  }

  void turn_and_scale(std::size_t b, int s, double gap, double* gradient, double turn, double pace) {
    double* d = change_.data() + b * n_;
    for (std::size_t i = 0; i < n_; ++i) gradient[i] = free(b, i) ? gradient[i] / q_.frame.deviation[i] : 0.0;
    double length = norm_of(gradient, n_);
    if (s == 0) radius_[b] = length > 0 ? std::max(1e-6, -gap / length) : 1e-2;
    else radius_[b] *= gap > 0 ? 1 - pace : 1 + pace;
    if (!(length > 0)) {  // a flat spot: any direction
      std::normal_distribution<double> normal(0, 1);
      for (std::size_t i = 0; i < n_; ++i) gradient[i] = free(b, i) ? normal(random_) : 0.0;
      length = norm_of(gradient, n_);
      if (!(length > 0)) return;
    }
    for (std::size_t i = 0; i < n_; ++i) d[i] += turn * radius_[b] * gradient[i] / length;
    const double size = norm_of(d, n_);
    if (size > 0)
      for (std::size_t i = 0; i < n_; ++i) d[i] = std::clamp(d[i] * radius_[b] / size, low_[i], high_[i]);
  }

  // Shortens every change that was found towards x, and drops what double arithmetic does not confirm.
  Result<void> bisect() {
    std::vector<double> stays(batch_, 0.0), changes(batch_, 1.0), trial(batch_, 1.0);
    for (int k = 0; k <= kBisections; ++k) {
      for (std::size_t b = 0; b < batch_; ++b) {
        trial[b] = k == 0 ? 1.0 : (stays[b] + changes[b]) / 2;
        for (std::size_t i = 0; i < n_; ++i) change_[b * n_ + i] = trial[b] * best_[b * n_ + i];
      }
      BL_TRY(y, engine_.evaluate(inputs(change_), static_cast<std::int64_t>(batch_), {logits_}, Precision::dual));
      for (std::size_t b = 0; b < batch_; ++b) {
        std::int64_t rival = 0;
        const bool changed = margin(y[0].data() + b * static_cast<std::size_t>(classes_), rival) > 0;
        if (k == 0 && !changed) size_[b] = kNeverFooled;
        (changed ? changes[b] : stays[b]) = trial[b];
      }
    }
    for (std::size_t b = 0; b < batch_; ++b)
      if (std::isfinite(size_[b])) size_[b] *= changes[b];
    return {};
  }

  Engine& engine_;
  const MetricQuestion& q_;
  const std::vector<char>& member_;
  std::size_t batch_, n_;
  const MetricOptions& o_;
  std::mt19937_64 random_;
  ValueId logits_;
  std::int64_t classes_;
  std::vector<double> low_, high_;  // how far each pixel may move
  std::vector<double> change_, best_, size_, radius_;
};

}  // namespace

Result<std::vector<MetricResult>> robustness(Engine& engine, const MetricQuestion& q, const std::vector<std::vector<double>>& maps, const MetricOptions& o) {
  const auto cells = static_cast<std::size_t>(q.cells), parts = o.parts.size();
  std::vector<char> member;
  for (const auto& map : maps) {
    const auto order = by_importance(map);
    for (const double part : o.parts) {
      const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(part * static_cast<double>(cells))), 1, cells);
      member.resize(member.size() + cells, 0);
      for (std::size_t k = 0; k < count; ++k) member[member.size() - cells + order[k]] = 1;
    }
  }
  std::vector<double> sizes;
  const auto per_chunk = static_cast<std::size_t>(kAttacksPerCall);
  for (std::size_t from = 0; from < maps.size() * parts; from += per_chunk) {
    const std::size_t count = std::min(per_chunk, maps.size() * parts - from);
    const std::vector<char> chunk(member.begin() + static_cast<std::ptrdiff_t>(from * cells), member.begin() + static_cast<std::ptrdiff_t>((from + count) * cells));
    BL_TRY(found, Attacks(engine, q, chunk, count, o).run());
    sizes.insert(sizes.end(), found.begin(), found.end());
  }
  const double whole = (q.frame.high - q.frame.low) * std::sqrt(static_cast<double>(q.x.size()));
  std::vector<MetricResult> results(maps.size());
  for (std::size_t m = 0; m < maps.size(); ++m)
    for (std::size_t p = 0; p < parts; ++p) {
      double size = sizes[m * parts + p];
      if (!std::isfinite(size)) size = whole * std::sqrt(o.parts[p]), ++results[m].missing;
      results[m].curve.push_back(size);
      results[m].score += size / static_cast<double>(parts);
    }
  return results;
}

}  // namespace boundlight
