// How faithful an importance map is to the model, by the metrics of the literature. Higher is better for Insertion and
// MuFidelity, lower for Deletion and Robustness-S_r. None is a proof: all look at a few points.
//
// The features are the map's cells (all pixels and channels of a cell go together), c is the explained class, x the input,
// b the baseline. score(z) is the probability of c (softmax of the logits), or its logit.
//   Deletion   (Petsiuk et al. 2018): cells ranked by importance, the first k_j = floor(j cells / steps) replaced by b;
//              mean over j of (s_j + s_{j+1}) / 2, the area under the curve
//   Insertion  the same from b, the first k_j cells brought back from x
//   MuFidelity (Bhatt et al. 2020): Spearman's rank correlation, over random sets S that each cell joins with probability 0.2,
//              of score(x) - score(x with S at b) with the sum of the importance inside S; 0 when either is constant
//   Robustness-S_r (Hsieh et al. 2021): size (L2, pixel units) of the smallest change of the r most important cells alone that
//              changes the class, averaged over r = 5, 10, ..., 45 % of the cells
// Defaults are those of the authors' tools (10 steps, 200 sets). Robustness is searched by the minimal-norm attack of Rony
// et al. 2019 (decoupled direction and norm) with a bisection at the end: an upper bound of the true size, never below it.
// Where the attack finds nothing, the size counts as sqrt(r) times that of moving every pixel through its whole range, the
// same for every map, and is counted in `missing`.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

// How the input vector is an image in pixel units: value = (pixel - mean) / deviation.
struct PixelFrame {
  std::int64_t height = 0, width = 0;
  std::vector<std::int32_t> pixel, channel;  // of every input element; pixel = row * width + column
  std::vector<double> mean, deviation;       // of every input element
  double low = 0, high = 1;                  // the valid range in pixel units
};

enum class Baseline : std::uint8_t {
  zero,    // pixel 0 (the end of the valid range next to it)
  mean,    // each channel's mean over the image
  blur,    // the image under a Gaussian of a tenth of its shorter side, edges continued
  random,  // uniform in the valid range (Hsieh et al. 2021), from the seed
};
const char* name_of(Baseline baseline);
Result<Baseline> find_baseline(std::string_view name);  // error: lists the known ones

// What the model sees in place of x where it is removed.
std::vector<double> baseline_values(Baseline baseline, const PixelFrame& frame, const std::vector<double>& x, std::uint64_t seed);

struct MetricQuestion {
  std::vector<double> x, baseline;  // values
  std::vector<std::int32_t> cell;   // of every element
  std::int64_t cells = 0, label = 0;
  PixelFrame frame;                 // Robustness: units and valid range
};

struct MetricOptions {
  int steps = 10;            // Deletion, Insertion
  int samples = 200;         // MuFidelity
  double share = 0.2;
  bool probability = true;   // false: the logit is the score
  int attack_steps = 40;     // Robustness-S_r
  std::vector<double> parts = {0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45};
  std::uint64_t seed = 1;
  StopToken stop;
};

struct MetricResult {
  double score = 0;
  std::vector<double> curve;     // Deletion, Insertion: s_0 .. s_steps; Robustness: one size per part
  std::int64_t missing = 0;      // Robustness: parts for which no change of class was found
};

// Each measures several maps [cells] of one image together: maps share baselines and random sets. A map's NaN ranks last.
// Errors: cancelled (options.stop).
Result<std::vector<MetricResult>> deletion(Engine& engine, const MetricQuestion& q, const std::vector<std::vector<double>>& maps, const MetricOptions& o);
Result<std::vector<MetricResult>> insertion(Engine& engine, const MetricQuestion& q, const std::vector<std::vector<double>>& maps, const MetricOptions& o);
Result<std::vector<MetricResult>> mufidelity(Engine& engine, const MetricQuestion& q, const std::vector<std::vector<double>>& maps, const MetricOptions& o);
// Cost: attack_steps gradients and 12 evaluations per map and part.
Result<std::vector<MetricResult>> robustness(Engine& engine, const MetricQuestion& q, const std::vector<std::vector<double>>& maps, const MetricOptions& o);

struct Metric {
  const char* name;   // "deletion"
  const char* title;  // "Deletion"
  bool higher_better;
  bool by_baseline;   // depends on the baseline
  Result<std::vector<MetricResult>> (*run)(Engine&, const MetricQuestion&, const std::vector<std::vector<double>>&, const MetricOptions&);
};
const std::vector<Metric>& metrics();
Result<const Metric*> find_metric(std::string_view name);  // error: lists the known ones

// The cells by falling importance; equal ones in their own order, NaN last.
std::vector<std::size_t> by_importance(const std::vector<double>& map);

}  // namespace boundlight
