#include "boundlight/explain/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "boundlight/explain/metric_parts.hpp"
#include "boundlight/explain/statistics.hpp"

namespace boundlight {
namespace {

constexpr std::int64_t kChunk = 256;  // samples per call of the engine

using Maps = std::vector<std::vector<double>>;

// Scores of x with cells blended out: keep [batch][cells], 1 keeps x and 0 takes the baseline.
Result<std::vector<double>> masked_scores(Engine& engine, const MetricQuestion& q, const std::vector<double>& keep, const MetricOptions& o) {
  const std::size_t n = q.x.size(), cells = static_cast<std::size_t>(q.cells);
  const ValueId logits = engine.network().logits;
  const auto classes = static_cast<std::size_t>(engine.network().values[static_cast<std::size_t>(logits)].size);
  const auto batch = static_cast<std::int64_t>(keep.size() / cells);
  std::vector<double> scores, inputs;
  for (std::int64_t from = 0; from < batch; from += kChunk) {
    if (o.stop.stop_requested()) return metric_parts::stopped();
    const std::int64_t count = std::min(kChunk, batch - from);
    inputs.resize(static_cast<std::size_t>(count) * n);
    for (std::size_t b = 0; b < static_cast<std::size_t>(count); ++b) {
      const double* kept = keep.data() + (static_cast<std::size_t>(from) + b) * cells;
      for (std::size_t i = 0; i < n; ++i) inputs[b * n + i] = kept[q.cell[i]] != 0 ? q.x[i] : q.baseline[i];
    }
    BL_TRY(values, engine.evaluate(inputs, count, {logits}, Precision::dual));
    for (std::size_t b = 0; b < static_cast<std::size_t>(count); ++b) {
      const double* z = values[0].data() + b * classes;
      if (!o.probability) {
        scores.push_back(z[q.label]);
        continue;
      }
      double total = 0;
      for (std::size_t k = 0; k < classes; ++k) total += std::exp(z[k] - z[q.label]);
      scores.push_back(1 / total);
    }
  }
  return scores;
}

// The curve over the checkpoints; `removed`: cells before the checkpoint are taken out, else they are brought in.
Result<std::vector<MetricResult>> curves(Engine& engine, const MetricQuestion& q, const Maps& maps, const MetricOptions& o, bool removed) {
  const auto cells = static_cast<std::size_t>(q.cells), points = static_cast<std::size_t>(o.steps) + 1;
  std::vector<double> keep;
  keep.reserve(maps.size() * points * cells);
  for (const auto& map : maps) {
    const auto order = by_importance(map);
    for (std::size_t j = 0; j < points; ++j) {
      keep.resize(keep.size() + cells, removed ? 1.0 : 0.0);
      double* row = keep.data() + keep.size() - cells;
      for (std::size_t k = 0; k < j * cells / (points - 1); ++k) row[order[k]] = removed ? 0.0 : 1.0;
    }
  }
  BL_TRY(scores, masked_scores(engine, q, keep, o));
  std::vector<MetricResult> results(maps.size());
  for (std::size_t m = 0; m < maps.size(); ++m) {
    auto& r = results[m];
    r.curve.assign(scores.begin() + static_cast<std::ptrdiff_t>(m * points), scores.begin() + static_cast<std::ptrdiff_t>((m + 1) * points));
    for (std::size_t j = 0; j + 1 < points; ++j) r.score += (r.curve[j] + r.curve[j + 1]) / 2 / static_cast<double>(points - 1);
  }
  return results;
}

// Gaussian weights, cut at three deviations.
std::vector<double> gaussian(double deviation) {
  const auto reach = static_cast<std::int64_t>(std::ceil(3 * deviation));
  std::vector<double> w;
  for (std::int64_t d = -reach; d <= reach; ++d) w.push_back(std::exp(-static_cast<double>(d * d) / (2 * deviation * deviation)));
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  for (auto& v : w) v /= total;
  return w;
}

// One pass along rows or columns of a [height][width] plane, edges continued.
std::vector<double> smooth(const std::vector<double>& plane, std::int64_t height, std::int64_t width, const std::vector<double>& w, bool down) {
  const auto reach = static_cast<std::int64_t>(w.size() / 2);
  std::vector<double> out(plane.size(), 0.0);
  for (std::int64_t r = 0; r < height; ++r)
    for (std::int64_t c = 0; c < width; ++c)
      for (std::int64_t d = -reach; d <= reach; ++d) {
        const std::int64_t i = down ? std::clamp<std::int64_t>(r + d, 0, height - 1) : r, j = down ? c : std::clamp<std::int64_t>(c + d, 0, width - 1);
        out[static_cast<std::size_t>(r * width + c)] += w[static_cast<std::size_t>(d + reach)] * plane[static_cast<std::size_t>(i * width + j)];
      }
  return out;
}

void blur(const PixelFrame& f, const std::vector<double>& pixels, std::vector<double>& out) {
  const auto w = gaussian(std::max(1.0, static_cast<double>(std::min(f.height, f.width)) / 10));
  const std::int32_t channels = 1 + *std::max_element(f.channel.begin(), f.channel.end());
  for (std::int32_t ch = 0; ch < channels; ++ch) {
    std::vector<double> plane(static_cast<std::size_t>(f.height * f.width), 0.0);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      if (f.channel[i] == ch) plane[static_cast<std::size_t>(f.pixel[i])] = pixels[i];
    plane = smooth(smooth(plane, f.height, f.width, w, true), f.height, f.width, w, false);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      if (f.channel[i] == ch) out[i] = plane[static_cast<std::size_t>(f.pixel[i])];
  }
}

constexpr const char* kBaselines[] = {"zero", "mean", "blur", "random"};

}  // namespace

namespace metric_parts {
Error stopped() { return {ErrorKind::cancelled, "metrics", "stopped before the metric was done"}; }
}  // namespace metric_parts

const char* name_of(Baseline baseline) { return kBaselines[static_cast<std::size_t>(baseline)]; }

Result<Baseline> find_baseline(std::string_view name) {
  for (std::size_t i = 0; i < 4; ++i)
    if (name == kBaselines[i]) return static_cast<Baseline>(i);
  return Error{ErrorKind::bad_input, "baseline '" + std::string(name) + "'", "there is no such baseline; the known ones are zero, mean, blur, random"};
}

std::vector<double> baseline_values(Baseline baseline, const PixelFrame& f, const std::vector<double>& x, std::uint64_t seed) {
  const std::size_t n = x.size();
  demand(f.pixel.size() == n && f.channel.size() == n && f.mean.size() == n && f.deviation.size() == n, "baseline_values: the frame needs every input element");
  std::vector<double> pixels(n), out(n);
  for (std::size_t i = 0; i < n; ++i) pixels[i] = x[i] * f.deviation[i] + f.mean[i];
  switch (baseline) {
    case Baseline::zero:
      std::fill(out.begin(), out.end(), std::clamp(0.0, f.low, f.high));
      break;
    case Baseline::mean: {
      std::vector<double> sum, count;
      for (std::size_t i = 0; i < n; ++i) {
        const auto ch = static_cast<std::size_t>(f.channel[i]);
        if (sum.size() <= ch) sum.resize(ch + 1, 0.0), count.resize(ch + 1, 0.0);
        sum[ch] += pixels[i];
        ++count[ch];
      }
      for (std::size_t i = 0; i < n; ++i) out[i] = sum[static_cast<std::size_t>(f.channel[i])] / count[static_cast<std::size_t>(f.channel[i])];
      break;
    }
    case Baseline::blur:
      blur(f, pixels, out);
      break;
    case Baseline::random: {
      std::mt19937_64 random(seed);
      std::uniform_real_distribution<double> range(f.low, f.high);
      for (auto& v : out) v = range(random);
      break;
    }
  }
  for (std::size_t i = 0; i < n; ++i) out[i] = (out[i] - f.mean[i]) / f.deviation[i];
  return out;
}

std::vector<std::size_t> by_importance(const std::vector<double>& map) {
  std::vector<std::size_t> order(map.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](std::size_t i) { return std::isnan(map[i]) ? -std::numeric_limits<double>::infinity() : map[i]; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
  return order;
}

Result<std::vector<MetricResult>> deletion(Engine& engine, const MetricQuestion& q, const Maps& maps, const MetricOptions& o) {
  return curves(engine, q, maps, o, true);
}

Result<std::vector<MetricResult>> insertion(Engine& engine, const MetricQuestion& q, const Maps& maps, const MetricOptions& o) {
  return curves(engine, q, maps, o, false);
}

Result<std::vector<MetricResult>> mufidelity(Engine& engine, const MetricQuestion& q, const Maps& maps, const MetricOptions& o) {
  const auto cells = static_cast<std::size_t>(q.cells), samples = static_cast<std::size_t>(o.samples);
  std::mt19937_64 random(o.seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<double> keep((samples + 1) * cells, 1.0);  // row 0 is x itself
  for (std::size_t k = cells; k < keep.size(); ++k) keep[k] = unit(random) < o.share ? 0.0 : 1.0;
  BL_TRY(scores, masked_scores(engine, q, keep, o));
  std::vector<double> drop;
  for (std::size_t s = 1; s <= samples; ++s) drop.push_back(scores[0] - scores[s]);
  std::vector<MetricResult> results(maps.size());
  for (std::size_t m = 0; m < maps.size(); ++m) {
    std::vector<double> inside(samples, 0.0);
    bool finite = true;
    for (std::size_t s = 0; s < samples; ++s) {
      for (std::size_t c = 0; c < cells; ++c)
        if (keep[(s + 1) * cells + c] == 0) inside[s] += maps[m][c];
      finite = finite && std::isfinite(inside[s]);
    }
    results[m].score = finite ? rank_correlation(drop, inside) : 0;
  }
  return results;
}

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = {{"deletion", "Deletion", false, true, deletion},
                                          {"insertion", "Insertion", true, true, insertion},
                                          {"mufidelity", "MuFidelity", true, true, mufidelity},
                                          {"robustness", "Robustness-S_r", false, false, robustness}};
  return all;
}

Result<const Metric*> find_metric(std::string_view name) {
  std::string known;
  for (const auto& m : metrics()) {
    if (name == m.name) return &m;
    known += (known.empty() ? "" : ", ") + std::string(m.name);
  }
  return Error{ErrorKind::bad_input, "metric '" + std::string(name) + "'", "there is no such metric; the known ones are " + known};
}

}  // namespace boundlight
