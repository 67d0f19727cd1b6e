// Clip: min(max(x, low), high); the limits are attributes up to opset 10 and constant inputs from 11 on, either may be
// missing, and low > high gives high everywhere. Straight lines with kinks at the limits; every rounding-free.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  for (std::size_t k = 1; k < node.inputs.size(); ++k)
    if (node.has(k) && (node.size(k) != 1 || node.inputs[k]->type != node.inputs[0]->type)) return refuse("limits must be scalars of the input's type");
  return typed::like_input(node, typed::Kinds::numbers);
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    auto v = typed::elements<S>(*in[0]);
    const auto limit = [&](std::size_t k, const char* name) -> std::optional<S> {
      if (k < in.size() && in[k]) return typed::elements<S>(*in[k])[0];
      if (node.has_attribute(name)) return static_cast<S>(node.real(name, 0));
      return std::nullopt;
    };
    const auto low = limit(1, "min"), high = limit(2, "max");
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (low && v[i] < *low) v[i] = *low;
      if (high && v[i] > *high) v[i] = *high;
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), in[0]->shape(), v)};
  });
}

}  // namespace

extern const OpInfo Clip_op;
const OpInfo Clip_op = {"Clip", "min:f max:f", infer, evaluate, "all", "yes", "yes", "exact range", "planes", "exact", 1, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct ClipFunction : Straight<ClipFunction> {
  double bottom, top;  // bottom <= top
  BL_HD ClipFunction(double from, double to) : bottom(from), top(to) {}

  template <class S> BL_HD S value(S x) const { return x < S(bottom) ? S(bottom) : (x > S(top) ? S(top) : x); }
  template <class S> BL_HD S derivative(S x) const { return x > S(bottom) && x < S(top) ? S(1) : S(0); }
  BL_HD double point(double x) const { return fmin(fmax(x, bottom), top); }
  BL_HD Interval range(Interval x) const { return {point(x.lo), point(x.hi)}; }
  BL_HD int lines(Interval x, Line* line) const {
    int n = 0;
    if (x.lo < bottom) line[n++] = {x.lo, fmin(x.hi, bottom), 0, bottom};
    if (x.hi > bottom && x.lo < top) line[n++] = {fmax(x.lo, bottom), fmin(x.hi, top), 1, 0};
    if (x.hi > top) line[n++] = {fmax(x.lo, top), x.hi, 0, top};
    if (n == 0) line[n++] = {x.lo, x.hi, 0, point(x.lo)};  // a point at a limit
    return n;
  }
  BL_HD Slopes slopes(Interval x, SlopeRule rule) const {
    if (!free_slope(x)) return Straight<ClipFunction>::slopes(x, rule);
    const double chord = x.hi / (x.hi - x.lo);
    if (rule == SlopeRule::parallel) return {chord, chord};
    return {rule == SlopeRule::one || (rule == SlopeRule::adaptive && x.hi >= -x.lo) ? 1.0 : 0.0, chord};
  }
  // Below the upper limit, Clip from 0 is Relu.
  BL_HD bool free_slope(Interval x) const { return bottom == 0 && x.lo < 0 && x.hi > 0 && x.hi <= top; }
  BL_HD double free_low() const { return 0; }
  BL_HD double free_high() const { return 1; }
  BL_HD double deployed_error(Interval, Interval) const { return 0; }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const double infinity = std::numeric_limits<double>::infinity();
  double limits[2] = {node.real("min", -infinity), node.real("max", infinity)};
  for (std::size_t k = 1; k < 3; ++k) {
    if (node.variable(k)) return refuse("limits must be constants");
    if (node.has(k)) limits[k - 1] = node.inputs[k]->constant->to_doubles()[0];
  }
  if (limits[0] != limits[0] || limits[1] != limits[1]) return refuse("a limit is not a number");
  return make_elementwise<T>(d, node, ClipFunction(std::min(limits[0], limits[1]), limits[1]));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Clip, make)
