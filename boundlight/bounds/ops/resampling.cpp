#include "boundlight/bounds/ops/resampling.hpp"

#include <algorithm>

#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/core/rational.hpp"

namespace boundlight::resampling {
namespace {

// How coordinates and weights are made; one per node.
struct Rule {
  std::string coordinates = "half_pixel", mode = "nearest", nearest = "round_prefer_floor";
  Rational cubic = Rational(-3, 4);
  bool exclude_outside = false, antialias = false;
};

std::int64_t floor_of(const Rational& q) {
  using Integer = boost::multiprecision::cpp_int;
  Integer n = numerator(q), d = denominator(q);
  Integer f = n / d;
  if (n < 0 && f * d != n) --f;
  return f.convert_to<std::int64_t>();
}

// One axis to resize: sizes, the exact scale, and its part of the region of interest.
struct AxisRequest {
  std::int64_t in = 1, out = 1;
  Rational scale = 1, roi_start = 0, roi_end = 1;
};

// The input coordinate of output position x; nothing: the extrapolation value.
std::optional<Rational> coordinate(const Rule& rule, const AxisRequest& a, std::int64_t x) {
  const Rational in = a.in, out = a.scale * in, half(1, 2);
  if (rule.coordinates == "align_corners") return out == 1 ? Rational(0) : Rational(x * (in - 1) / (out - 1));
  if (rule.coordinates == "asymmetric") return Rational(x / a.scale);
  if (rule.coordinates == "pytorch_half_pixel" && out == 1) return Rational(-half);
  if (rule.coordinates == "tf_crop_and_resize") {
    const Rational at = a.roi_start * (in - 1) + (out == 1 ? Rational((a.roi_end - a.roi_start) * (in - 1) / 2) : Rational(x * (a.roi_end - a.roi_start) * (in - 1) / (out - 1)));
    if (at < 0 || at > in - 1) return std::nullopt;
    return at;
  }
  const Rational at = (x + half) / a.scale - half;
  if (rule.coordinates == "half_pixel_symmetric") return Rational(in / 2 * (1 - a.out / out) + at);
  return at;
}

Rational size_of(const Rational& q) { return q < 0 ? Rational(-q) : q; }

Rational cubic_weight(const Rational& a, const Rational& distance) {
  const Rational x = size_of(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// Weights of the positions around `at`: (offset from its floor, weight); the left neighbour is preferred, so that the ratio is
// in (0, 1].
std::vector<std::pair<std::int64_t, Rational>> weights(const Rule& rule, const Rational& at, const Rational& scale) {
  std::int64_t base = floor_of(at);
  Rational ratio = at - base;
  const bool whole = ratio == 0;
  if (rule.mode == "nearest") {
    const Rational half(1, 2);
    bool right = rule.nearest == "ceil" || (rule.nearest == "round_prefer_floor" && ratio > half) || (rule.nearest == "round_prefer_ceil" && ratio >= half);
    return {{base + (!whole && right ? 1 : 0), Rational(1)}};
  }
  if (whole) --base, ratio = 1;
  const std::int64_t reach = rule.mode == "linear" ? 1 : 2;
  const Rational shrink = rule.antialias && scale < 1 ? scale : Rational(1);
  const std::int64_t start = floor_of(Rational(-reach / shrink)) + 1;
  std::vector<std::pair<std::int64_t, Rational>> w;
  Rational sum = 0;
  for (std::int64_t i = start; i < 2 - start; ++i) {
    const Rational distance = (i - ratio) * shrink, left = 1 - size_of(distance);
    const Rational value = rule.mode == "linear" ? (left > 0 ? left : Rational(0)) : cubic_weight(rule.cubic, distance);
    w.emplace_back(base + i, value);
    sum += value;
  }
  for (auto& [position, weight] : w) weight /= sum;
  return w;
}

Axis taps_of(const Rule& rule, const AxisRequest& a) {
  Axis axis;
  for (std::int64_t x = 0; x < a.out; ++x) {
    axis.emplace_back();
    const auto at = coordinate(rule, a, x);
    if (!at) continue;
    std::map<std::int64_t, Rational> merged;
    Rational sum = 0;
    for (const auto& [position, weight] : weights(rule, *at, a.scale)) {
      if (rule.exclude_outside && (position < 0 || position >= a.in)) continue;
      merged[std::clamp<std::int64_t>(position, 0, a.in - 1)] += weight;  // outside: the edge's value
      sum += weight;
    }
    for (const auto& [position, weight] : merged) {
      const Rational w = rule.exclude_outside && sum != 0 ? Rational(weight / sum) : weight;
      if (w != 0) axis.back().push_back({position, Interval(round_down(w), round_up(w))});
    }
  }
  return axis;
}

bool unchanged(const AxisRequest& a, const Rule& rule) { return a.scale == 1 && a.out == a.in && rule.coordinates != "tf_crop_and_resize"; }

Result<Plan> plan_of_axes(const Rule& rule, const std::vector<AxisRequest>& axes, double fill) {
  Plan plan;
  plan.fill = fill;
  for (const auto& a : axes) {
    if (a.out < 1) return refuse("an output axis would have no elements");
    if (a.out > (std::int64_t{1} << 24)) return refuse("an output axis would have " + std::to_string(a.out) + " elements");
    if (a.scale <= 0) return refuse("scales must be positive");
    plan.shape.push_back(a.out);
    plan.axes.push_back(unchanged(a, rule) ? Axis{} : taps_of(rule, a));
  }
  if (!element_count(plan.shape)) return refuse("the output shape " + to_string(plan.shape) + " is too large");
  return plan;
}

// Numbers of a constant input that may be absent or empty.
Result<std::vector<double>> constant_input(const NodeView& node, std::size_t k, const char* what) {
  if (!node.has(k)) return std::vector<double>();
  if (node.variable(k)) return refuse(std::string(what) + " must be constants");
  return node.inputs[k]->constant->to_doubles();
}

// floor(length * scale) as runtimes compute it, in float.
std::int64_t scaled_length(std::int64_t length, double scale) { return static_cast<std::int64_t>(std::floor(static_cast<float>(length) * static_cast<float>(scale))); }

Result<Rule> rule_of(const NodeView& node) {
  Rule r;
  r.mode = node.text("mode", "nearest");
  r.coordinates = node.text("coordinate_transformation_mode", node.node->version < 11 ? "asymmetric" : "half_pixel");
  r.nearest = node.text("nearest_mode", node.node->version < 11 ? "floor" : "round_prefer_floor");
  r.cubic = exact(node.real("cubic_coeff_a", -0.75));
  r.exclude_outside = node.integer("exclude_outside", 0) != 0;
  r.antialias = node.integer("antialias", 0) != 0;
  const auto among = [](const std::string& text, std::initializer_list<const char*> known) { return std::find(known.begin(), known.end(), text) != known.end(); };
  if (!among(r.mode, {"nearest", "linear", "cubic"})) return refuse("attribute 'mode' is '" + r.mode + "'; nearest, linear and cubic are possible");
  if (!among(r.coordinates, {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"}))
    return refuse("attribute 'coordinate_transformation_mode' is '" + r.coordinates + "', which is not known");
  if (!among(r.nearest, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})) return refuse("attribute 'nearest_mode' is '" + r.nearest + "', which is not known");
  return r;
}

// Which axes are resized, in the order of the numbers given for them.
Result<std::vector<std::size_t>> resized_axes(const NodeView& node) {
  const std::size_t rank = node.shape(0).size();
  std::vector<std::size_t> axes;
  if (!node.has_attribute("axes")) {
    for (std::size_t a = 0; a < rank; ++a) axes.push_back(a);
    return axes;
  }
  for (const auto given : node.integers("axes")) {
    const auto axis = NodeView::axis(given, rank);
    if (!axis || std::count(axes.begin(), axes.end(), static_cast<std::size_t>(*axis)) > 0) return refuse("attribute 'axes' names " + std::to_string(given) + ", which is no other axis of the input");
    axes.push_back(static_cast<std::size_t>(*axis));
  }
  return axes;
}

// Scales and lengths from wanted sizes, by the aspect-ratio policy.
Result<void> apply_sizes(const NodeView& node, const std::vector<std::size_t>& axes, const std::vector<double>& sizes, std::vector<AxisRequest>& requests) {
  const std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
  std::optional<Rational> common;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    AxisRequest& a = requests[axes[i]];
    if (!(sizes[i] >= 1) || a.in == 0) return refuse("sizes must be positive");
    a.out = static_cast<std::int64_t>(sizes[i]);
    a.scale = Rational(a.out) / a.in;
    if (!common || (policy == "not_larger" ? a.scale < *common : a.scale > *common)) common = a.scale;
  }
  if (policy == "stretch") return {};
  if (policy != "not_larger" && policy != "not_smaller") return refuse("attribute 'keep_aspect_ratio_policy' is '" + policy + "', which is not known");
  for (const auto axis : axes) {
    requests[axis].scale = *common;
    requests[axis].out = floor_of(*common * requests[axis].in + Rational(1, 2));
  }
  return {};
}

}  // namespace

Result<Plan> resize_plan(const NodeView& node) {
  BL_TRY(rule, rule_of(node));
  BL_TRY(axes, resized_axes(node));
  const bool early = node.node->version < 11;  // inputs: x, scales
  BL_TRY(roi, constant_input(node, early ? 9 : 1, "the region of interest"));
  BL_TRY(scales, constant_input(node, early ? 1 : 2, "scales"));
  BL_TRY(sizes, constant_input(node, early ? 9 : 3, "sizes"));
  if (scales.empty() == sizes.empty()) return refuse("needs scales or sizes, and not both");
  if ((scales.empty() ? sizes : scales).size() != axes.size()) return refuse("needs " + std::to_string(axes.size()) + " scales or sizes, one per axis");
  std::vector<AxisRequest> requests;
  for (const auto length : node.shape(0)) requests.push_back({length, length, 1, 0, 1});
  if (!sizes.empty()) BL_CHECK(apply_sizes(node, axes, sizes, requests));
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (!(scales[i] > 0 && scales[i] < 1e6)) return refuse("scales must be positive numbers");
    requests[axes[i]].scale = exact(scales[i]);
    requests[axes[i]].out = scaled_length(requests[axes[i]].in, scales[i]);
  }
  if (rule.coordinates == "tf_crop_and_resize") {
    if (roi.size() != 2 * axes.size()) return refuse("tf_crop_and_resize needs a region of interest with two numbers per axis");
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (!std::isfinite(roi[i]) || !std::isfinite(roi[i + axes.size()])) return refuse("the region of interest must be finite");
      requests[axes[i]].roi_start = exact(roi[i]);
      requests[axes[i]].roi_end = exact(roi[i + axes.size()]);
    }
  }
  return plan_of_axes(rule, requests, node.real("extrapolation_value", 0));
}

// x / scale: the floor for nearest, linear between neighbours else.
Result<Plan> upsample_plan(const NodeView& node) {
  Rule rule;
  rule.mode = node.text("mode", "nearest");
  rule.coordinates = "asymmetric";
  rule.nearest = "floor";
  if (rule.mode != "nearest" && rule.mode != "linear") return refuse("attribute 'mode' is '" + rule.mode + "'; nearest and linear are possible");
  std::vector<double> scales = node.reals("scales");
  if (node.has(1)) {
    BL_TRY(given, constant_input(node, 1, "scales"));
    scales = given;
  }
  if (scales.size() != node.shape(0).size()) return refuse("needs one scale per axis (" + std::to_string(node.shape(0).size()) + "), got " + std::to_string(scales.size()));
  std::vector<AxisRequest> requests;
  for (std::size_t a = 0; a < scales.size(); ++a) {
    if (!(scales[a] >= 1 && scales[a] < 1e6)) return refuse("scales must be at least 1");
    requests.push_back({node.shape(0)[a], scaled_length(node.shape(0)[a], scales[a]), exact(scales[a]), 0, 1});
  }
  return plan_of_axes(rule, requests, 0);
}

std::optional<moves::Move> as_move(const Shape& in, const Plan& plan) {
  moves::Move m;
  m.fill = plan.fill;
  m.outputs.emplace_back();
  bool moved = true;
  each_output(in, plan, [&](std::int64_t, const auto& taps) {
    if (taps.empty()) {
      m.outputs[0].push_back({moves::kConstant, 0});
      return;
    }
    moved = moved && taps.size() == 1 && taps[0].second.lo == 1 && taps[0].second.hi == 1;
    if (moved) m.outputs[0].push_back({0, taps[0].first});
  });
  if (!moved) return std::nullopt;
  return m;
}

Result<std::vector<Tensor>> evaluate_plan(const NodeView& node, const Plan& plan, const Tensor& x) {
  if (const auto move = as_move(node.shape(0), plan)) {
    return typed::with_type(x.type(), [&]<class S>() -> Result<std::vector<Tensor>> {
      const auto from = typed::elements<S>(x);
      std::vector<S> y;
      for (const auto& source : move->outputs[0]) y.push_back(source.input < 0 ? static_cast<S>(move->fill) : static_cast<S>(from[static_cast<std::size_t>(source.element)]));
      return std::vector<Tensor>{typed::tensor_of<S>(x.type(), plan.shape, y)};
    });
  }
  const auto from = x.to_doubles();
  std::vector<double> y;
  each_output(node.shape(0), plan, [&](std::int64_t, const auto& taps) {
    double sum = taps.empty() ? plan.fill : 0;
    for (const auto& [element, weight] : taps) sum += weight.lo * from[static_cast<std::size_t>(element)];
    y.push_back(sum);
  });
  return std::vector<Tensor>{Tensor::from_doubles(x.type(), plan.shape, y)};
}

}  // namespace boundlight::resampling
