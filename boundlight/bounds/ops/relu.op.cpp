// Relu: max(x, 0).
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/lane_forward.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return typed::unary(node, *in[0], [](auto x) { return x < decltype(x)(0) ? decltype(x)(0) : x; });
}

}  // namespace

extern const OpInfo Relu_op;
const OpInfo Relu_op = {"Relu", "", typed::same_as_input, evaluate, "none", "yes", "yes", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// Lower plane alpha x with any alpha in [0, 1]; upper plane the chord u (x - l) / (u - l), its intercept taken over both ends.
struct ReluFunction {
  template <class S> BL_HD S value(S x) const { return x < 0 ? S(0) : x; }  // NaN stays NaN
  template <class S> BL_HD S derivative(S x) const { return x > 0 ? S(1) : S(0); }
  BL_HD Interval range(Interval x) const { return {x.lo > 0 ? x.lo : 0.0, x.hi > 0 ? x.hi : 0.0}; }
  BL_HD Slopes slopes(Interval x, SlopeRule rule) const {
    if (x.hi <= 0) return {0, 0};
    if (x.lo >= 0) return {1, 1};
    const double chord = x.hi / (x.hi - x.lo);
    switch (rule) {
      case SlopeRule::zero: return {0, chord};
      case SlopeRule::one: return {1, chord};
      case SlopeRule::parallel: return {chord, chord};
      case SlopeRule::adaptive: break;
    }
    return {x.hi >= -x.lo ? 1.0 : 0.0, chord};
  }
  // relu(z) - s z is piecewise linear with its kink at 0: extremes lie at the ends and, when inside, the kink.
  BL_HD double low(double s, Interval x) const {
    const double a = at_down(s, x.lo), b = at_down(s, x.hi), best = a < b ? a : b;
    return x.lo < 0 && x.hi > 0 && best > 0 ? 0.0 : best;
  }
  BL_HD double high(double s, Interval x) const {
    const double a = at_up(s, x.lo), b = at_up(s, x.hi), best = a > b ? a : b;
    return x.lo < 0 && x.hi > 0 && best < 0 ? 0.0 : best;
  }
  BL_HD bool decided(Interval x) const { return x.lo >= 0 || x.hi <= 0; }
  BL_HD bool free_slope(Interval x) const { return x.lo < 0 && x.hi > 0; }
  BL_HD double free_low() const { return 0; }
  BL_HD double free_high() const { return 1; }
  BL_HD double deployed_error(Interval, Interval) const { return 0; }

 private:
  // relu(z) - s z at one point, on the named side; exact where a factor or the sum needs no rounding.
  BL_HD static double at_down(double s, double z) {
    if (z <= 0) return s == 0 || z == 0 ? 0.0 : (s == 1 ? -z : next_down(-(s * z)));
    if (s == 1) return 0;
    return s == 0 ? z : next_down(z - next_up(s * z));
  }
  BL_HD static double at_up(double s, double z) {
    if (z <= 0) return s == 0 || z == 0 ? 0.0 : (s == 1 ? -z : next_up(-(s * z)));
    if (s == 1) return 0;
    return s == 0 ? z : next_up(z - next_down(s * z));
  }
};

template <class T>
class ReluKernel : public ElementwiseKernel<T, ReluFunction>, public LaneForward<T> {
 public:
  ReluKernel(Device& d, const NodeView& node) : ElementwiseKernel<T, ReluFunction>(d, node, {}), variable_(node.variable(0)) {}
  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    if constexpr (HasRowLoops<Device>) {
      if (variable_) return forward_by_loops(d, in[0], out[0], batch * this->size());
    }
    ElementwiseKernel<T, ReluFunction>::forward(d, in, out, batch);
  }
  bool lanes() const override { return variable_; }
  bool rectifies() const override { return variable_; }
  void forward_lanes(Device&, const T* const* in, T* out, bool) const override {
    if constexpr (HasRowLoops<Device>) device_cpu::lane_loops<T>().combine(this->size(), T(1), in[0], T(1), nullptr, nullptr, true, out);
  }

  void back_lanes(Device&, const T* out, const T* g, T* const* parts) const override {
    if constexpr (HasRowLoops<Device>) device_cpu::lane_loops<T>().rectify_back(this->size(), out, g, parts[0]);
  }

 private:
  static void forward_by_loops(Device& d, const T* x, T* y, std::int64_t n) {
    constexpr std::int64_t kTogether = std::int64_t{1} << 15;  // elements of a task
    if constexpr (HasRowLoops<Device>) {
      run_tasks(d, (n + kTogether - 1) / kTogether, [=](std::int64_t task) {
        const std::int64_t first = task * kTogether, last = std::min(n, first + kTogether), whole = (last - first) / kSampleLanes;
        device_cpu::lane_loops<T>().combine(whole, T(1), x + first, T(1), nullptr, nullptr, true, y + first);
        for (std::int64_t i = first + whole * kSampleLanes; i < last; ++i) y[i] = ReluFunction().value(x[i]);
      });
    }
  }

  bool variable_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return std::unique_ptr<Kernel<T>>(std::make_unique<ReluKernel<T>>(d, node));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Relu, make)
