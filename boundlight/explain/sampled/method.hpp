// Sampled attribution methods: what people use today, natively over the engine's values and gradients, so that `compare` can
// hold them beside certified maps. One method = one file + one line of the table in methods.cpp. None of them proves
// anything; every random choice comes from the seed.
//
// All explain the logit f_label (RISE: its probability, as published) at x, per cell: a number per input element is summed
// over the cell, a number per pixel over the cell's pixels. Signed methods keep their sign, as published.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/explain/eva.hpp"

namespace boundlight {

// What is explained: f_label (a logit) around x, and how the input is an image.
struct SamplingQuestion {
  const EvaQuestion* region = nullptr;  // x, B, cells
  std::int64_t label = 0;
  std::vector<double> baseline;         // value that replaces a removed element; [input size]
  std::int64_t height = 0, width = 0;   // of the image
  std::vector<std::int32_t> pixel;      // of every input element: row * width + column
  StopToken stop;                       // polled between batches
};

struct SamplingOptions {
  std::int64_t budget = 4000;  // model evaluations (a gradient counts as two) for methods that sample
  std::uint64_t seed = 1;
  double noise = 0.1;          // SmoothGrad, VarGrad: standard deviation as a share of the input's range
};

struct Attribution {
  std::vector<double> cell;    // importance per cell; larger = more important
  std::int64_t evaluations = 0;
  std::optional<double> overlap = {};  // sampled EVA: what it takes AO(B) to be
};

struct SampledMethod {
  const char* name;     // "rise"
  const char* title;    // "RISE"
  const char* source;   // paper
  bool drop;            // estimates EVA's quantity, the overlap drop D(u)
  Result<Attribution> (*run)(Engine&, const SamplingQuestion&, const SamplingOptions&);
};
std::span<const SampledMethod> sampled_methods();
const SampledMethod* find_method(std::string_view name);

// Errors of a method: unsupported (Grad-CAM without a convolution), bad_input (a budget too small), cancelled (q.stop).

namespace sampled {

// f_label at a batch of inputs (float64 arithmetic).
Result<std::vector<double>> logit(Engine& engine, const SamplingQuestion& q, const std::vector<double>& inputs, std::int64_t batch);
// Its gradient in the inputs: [batch][input size]. In chunks.
Result<std::vector<double>> gradient(Engine& engine, const SamplingQuestion& q, const std::vector<double>& inputs, std::int64_t batch);
// Sums per cell of a number per element.
std::vector<double> per_cell(const SamplingQuestion& q, const std::vector<double>& element);
// Sums per cell of a number per pixel: the largest absolute value among the pixel's channels (Simonyan et al. 2013, section 3.1).
std::vector<double> per_cell_magnitude(const SamplingQuestion& q, const std::vector<double>& element);
// f_label at inputs in which the elements of cells with keep[b][cell] == 0 are replaced by the baseline (keep may be
// fractional: a blend). In chunks, so memory does not grow with the batch.
Result<std::vector<double>> masked_logit(Engine& engine, const SamplingQuestion& q, const std::vector<double>& keep, std::int64_t batch);

// Solves (A + ridge I) x = b for symmetric positive definite A [n][n] by Cholesky; empty when it is not.
std::vector<double> solve_symmetric(std::vector<double> a, std::vector<double> b, double ridge);

// Weighted least squares of y on masks [rows][cells] with intercept and `ridge` on the coefficients of the cells, which are
// returned.
std::vector<double> fit_masks(const std::vector<double>& masks, const std::vector<double>& y, const std::vector<double>& weight, std::int64_t cells, double ridge);

}  // namespace sampled

#define BL_SAMPLED(name) Result<Attribution> name(Engine&, const SamplingQuestion&, const SamplingOptions&)
namespace sampled {
BL_SAMPLED(saliency);
BL_SAMPLED(gradient_input);
BL_SAMPLED(integrated_gradients);
BL_SAMPLED(smoothgrad);
BL_SAMPLED(vargrad);
BL_SAMPLED(occlusion);
BL_SAMPLED(rise);
BL_SAMPLED(lime);
BL_SAMPLED(kernel_shap);
BL_SAMPLED(sobol);
BL_SAMPLED(grad_cam);
BL_SAMPLED(grad_cam_pp);
BL_SAMPLED(greedy_as);
BL_SAMPLED(sampled_eva);
}  // namespace sampled
#undef BL_SAMPLED

}  // namespace boundlight
