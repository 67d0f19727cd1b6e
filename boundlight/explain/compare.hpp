// Explanation methods side by side on the same images: maps, faithfulness metrics, cost, agreement with the certified map,
// and how often a sampled estimate of EVA's quantity lies outside its certified interval.
//
// Methods are "eva" (the drawn estimate of eva.hpp), "eva-verified" (the paper's score AOv(B) - AOv(B_u)), the sampled methods
// of sampled/method.hpp, and "random" (a control: uniform numbers). All see the same x, class, cells and region; methods that
// remove cells the same baseline; methods that sample the same budget of model evaluations.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/explain/metrics.hpp"
#include "boundlight/explain/sampled/method.hpp"
#include "boundlight/models/image.hpp"

namespace boundlight {

struct CompareImage {
  std::string name;      // "images.npz[3]"
  EvaQuestion question;  // label -1: the predicted class
  PixelFrame frame;
  Cells cells;
  Picture picture;       // as given; grey or RGB
  std::vector<char> planted;  // per cell: the evidence is known to lie there; empty: not known
};

struct CompareMethod {
  std::string name, title, source;
  bool drop = false;                       // estimates D(u): held against the certified interval
  const SampledMethod* sampled = nullptr;  // nothing: eva, eva-verified, random
};
const std::vector<CompareMethod>& compare_methods();
// Error: lists the known ones.
Result<const CompareMethod*> find_compare_method(std::string_view name);

struct CompareOptions {
  std::vector<const CompareMethod*> methods;
  std::vector<const Metric*> metrics;
  Baseline removed = Baseline::zero;                  // for methods that remove cells
  std::vector<Baseline> baselines = {Baseline::random};  // for metrics
  std::int64_t top = 3;                               // planted evidence counts as found among so many cells
  SamplingOptions sampling;                           // seed: of the first image; the next ones count up
  EvaOptions eva;
  MetricOptions metric;
  StopToken stop;
  ProgressSink progress;
};

// Outside of the certified intervals of an image's cells.
struct Outside {
  std::int64_t below = 0, above = 0;  // cells whose estimate lies under the lower end, over the upper end
  double largest = 0, sum = 0;        // distance from the interval, overlap units: the largest, and the sum over those cells
};

struct MethodOnImage {
  std::string reason;                  // not applicable, and why; the rest is then empty
  std::vector<double> map;             // per cell
  double seconds = 0;
  std::int64_t evaluations = 0;
  double agreement = 0, agreement_size = 0;  // rank correlation with the certified map's estimate, of the map and of |map|
  std::optional<double> overlap;       // what the method takes AO(B) to be
  Outside outside;                     // drop methods
  std::optional<bool> found;           // a planted cell is among the first `top` by falling importance
  std::optional<bool> found_size;      // by falling |importance|
  std::vector<double> scores;          // one per column of Comparison
  std::vector<std::vector<double>> curves;
  std::vector<std::int64_t> missing;
};

struct ImageComparison {
  std::string name;
  std::int64_t label = 0;
  double verified_base = 0, attained_base = 0;   // AOv(B), a(B)
  std::vector<double> estimate, lower, upper;    // certified map
  bool vacuous = false;
  std::vector<MethodOnImage> methods;            // in the order asked for
};

// One column of numbers: a metric and the baseline it used.
struct MetricColumn {
  const Metric* metric;
  std::string name;   // "deletion (random)", "robustness"
  Baseline baseline;
};

struct Comparison {
  std::vector<const CompareMethod*> methods;
  std::vector<MetricColumn> columns;
  std::vector<ImageComparison> images;  // those that were finished
  std::int64_t asked = 0;               // images asked for
  std::int64_t top = 3;
  bool complete = true;                 // false: stopped; what is there holds for the images that were finished
};

// Errors: those of eva() and of a metric; a method that cannot work on this model is reported in its row instead.
Result<Comparison> compare(Engine& engine, const std::vector<CompareImage>& images, const CompareOptions& options);

// The mean of a number over the images where the method applies, with its 95 % interval (Student's t over images).
struct MethodSummary {
  std::string reason;          // why it never applied
  std::int64_t images = 0;
  double seconds = 0, evaluations = 0;
  std::vector<std::pair<double, double>> scores;   // mean, half-width; per column
  std::vector<std::int64_t> missing;               // per column: robustness sets without a change of class
  std::pair<double, double> agreement, agreement_size;
  // Drop methods: share of cells outside, by side; mean over these cells and largest distance; images whose AO(B) is put
  // below what was attained.
  double below = 0, above = 0, mean_distance = 0, largest_distance = 0;
  std::int64_t blind = 0;
  std::int64_t planted = 0, found = 0, found_size = 0;  // images with planted evidence; of these, found
};
MethodSummary summarise(const Comparison& c, std::size_t method);

// Mean of score(a) - score(b) in one column over the images where both apply, and the half-width of its 95 % interval: pairs of
// scores on the same image leave out what images differ in. Nothing when no image has both.
std::optional<std::pair<double, double>> paired_difference(const Comparison& c, std::size_t column, std::size_t a, std::size_t b);

}  // namespace boundlight
