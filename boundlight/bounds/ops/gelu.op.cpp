// Gelu: x Phi(x) with the normal distribution Phi; approximate = "tanh": x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
//
// Both fall from 0 at -infinity to one minimum near -0.75 and rise from there on; both are convex between two inflection points
// (+-sqrt 2; +-1.4185040...) and concave outside (tests/bounds/curves_test.cpp proves the signs). The points are stated as small
// enclosures.
//
// Covered binary32 evaluations, within 16 u |x|: x / 2 (1 + erf(x / sqrt 2)) and the tanh formula in any order, erf and tanh
// within 8 u; x times a normal distribution within 8 u.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const std::string approximate = node.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh") return refuse("attribute 'approximate' must be none or tanh, it is '" + approximate + "'");
  return typed::like_input(node, typed::Kinds::floating);
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  if (node.text("approximate", "none") == "none")
    return typed::floats(*in[0], [](auto x) { return x / 2 * (1 + std::erf(x * decltype(x)(0.70710678118654752440))); });
  return typed::floats(*in[0], [](auto x) {
    using S = decltype(x);
    return x / 2 * (1 + std::tanh(S(0.79788456080286535588) * (x + S(0.044715) * x * x * x)));
  });
}

}  // namespace

extern const OpInfo Gelu_op;
const OpInfo Gelu_op = {"Gelu", "approximate:s", infer, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 16 u |x|", 1, 1, 20};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// What both have in common; Form states at, slope, value and derivative, the enclosures
// kTurnFrom..kTurnTo of the right inflection point and kLeastFrom..kLeastTo of the minimum, and kLeast below its value.
template <class Form>
struct GeluCurve : Curve<Form> {
  // Beyond +-40 the distribution is below 1e-300 of 0 or 1.
  static constexpr double kFar = 40;

  BL_HD_CALL Interval range(Interval x) const {
    const Form& f = this->self();
    if (x.hi <= Form::kLeastFrom) return {f.at(x.hi).lo, f.at(x.lo).hi};
    if (x.lo >= Form::kLeastTo) return this->rising(x);
    return {Form::kLeast, fmax(f.at(x.lo).hi, f.at(x.hi).hi)};
  }
  BL_HD_CALL int pieces(Interval x, Piece* p) const {
    const double cut[4] = {-Form::kTurnTo, -Form::kTurnFrom, Form::kTurnFrom, Form::kTurnTo};
    const Bend bend[5] = {Bend::concave, Bend::unknown, Bend::convex, Bend::unknown, Bend::concave};
    double from = x.lo;
    int n = 0;
    for (int i = 0; i < 5; ++i) {
      const double to = i == 4 ? x.hi : fmin(cut[i], x.hi);
      if (to < from || (to == from && n > 0)) continue;
      p[n++] = {from, to, bend[i]};
      from = to;
    }
    return n;
  }
  // f' is monotone on the piece: regula falsi with halved weights (Illinois).
  BL_HD_CALL double stationary(double s, Piece p) const {
    const Form& f = this->self();
    double a = fmax(p.from, -kFar), b = fmin(p.to, kFar);
    double at_a = f.derivative(a) - s, at_b = f.derivative(b) - s;
    if (!(a < b)) return p.from;
    if (!(at_a * at_b < 0)) return fabs(at_a) <= fabs(at_b) ? p.from : p.to;
    for (int i = 0; i < 40 && b - a > 1e-13 * (fabs(a) + fabs(b)); ++i) {
      double m = (a * at_b - b * at_a) / (at_b - at_a);
      if (!(m > a && m < b)) m = a + (b - a) / 2;
      const double at_m = f.derivative(m) - s;
      if (at_m == 0) return m;
      if (at_m * at_a < 0) b = m, at_b = at_m, at_a *= 0.5;
      else a = m, at_a = at_m, at_b *= 0.5;
    }
    return fabs(at_a) < fabs(at_b) ? a : b;
  }
  BL_HD double deployed_error(Interval x, Interval) const { return float_error(0, 16, x.magnitude()); }
};

struct ExactGelu : GeluCurve<ExactGelu> {
  static constexpr double kTurnFrom = 1.4142135623730949, kTurnTo = 1.4142135623730952;
  static constexpr double kLeastFrom = -0.751791524694, kLeastTo = -0.751791524693, kLeast = -0.16997120747990380;

  template <class S> BL_HD_CALL S value(S x) const { return x / 2 * (1 + std::erf(x * S(0.70710678118654752440))); }
  template <class S> BL_HD_CALL S derivative(S x) const {
    return (1 + std::erf(x * S(0.70710678118654752440))) / 2 + x * S(0.39894228040143267794) * std::exp(-x * x / 2);
  }
  BL_HD_CALL static Interval distribution(double z) {
    const Interval half = enclose_erfc(Interval(fabs(z)) / enclosed_sqrt2()) * Interval(0.5);
    return clamped(z < 0 ? half : Interval(1) - half, 0, 1);
  }
  BL_HD_CALL Interval at(double z) const {
    if (z < -kFar) return {-1e-300, 0};
    if (z > kFar) return Interval(z) * Interval(1 - 1e-15, 1);
    return z == 0 ? Interval(0) : Interval(z) * distribution(z);
  }
  BL_HD_CALL Interval slope(double z, Bend) const {
    if (z < -kFar) return {-1e-300, 1e-300};
    if (z > kFar) return {1 - 1e-15, 1 + 1e-15};
    const Interval exponent = -square(Interval(z)) * Interval(0.5);
    const Interval density = enclosed_inverse_sqrt_2pi() * Interval(enclose_exp(exponent.lo).lo, enclose_exp(exponent.hi).hi);
    return distribution(z) + Interval(z) * density;
  }
};

struct TanhGelu : GeluCurve<TanhGelu> {
  static constexpr double kTurnFrom = 1.41850400, kTurnTo = 1.41850401;
  static constexpr double kLeastFrom = -0.752461422072, kLeastTo = -0.752461422070, kLeast = -0.17004075057125415;

  // x sigmoid(v) with v = 2 sqrt(2/pi) (x + 0.044715 x^3).
  template <class S> BL_HD_CALL S value(S x) const {
    return x / 2 * (1 + std::tanh(S(0.79788456080286535588) * (x + S(0.044715) * x * x * x)));
  }
  template <class S> BL_HD_CALL S derivative(S x) const {
    const S t = std::tanh(S(0.79788456080286535588) * (x + S(0.044715) * x * x * x));
    const S turn = (1 - t * t) * S(0.79788456080286535588);
    return (1 + t) / 2 + (turn == 0 ? S(0) : x / 2 * turn * (1 + 3 * S(0.044715) * x * x));  // x * x may overflow
  }
  BL_HD static Interval cubic() { return {0.044714999999999998, 0.044715000000000006}; }
  BL_HD static Interval factor() { return Interval(4) * enclosed_inverse_sqrt_2pi(); }  // 2 sqrt(2/pi) = 4 / sqrt(2 pi)
  BL_HD_CALL static Interval sigmoid(Interval v) { return {enclose_sigmoid(v.lo).lo, enclose_sigmoid(v.hi).hi}; }
  BL_HD_CALL Interval at(double z) const {
    if (z < -kFar) return {-1e-300, 0};
    if (z > kFar) return Interval(z) * Interval(1 - 1e-15, 1);
    if (z == 0) return 0;
    return Interval(z) * sigmoid(factor() * Interval(z) * (Interval(1) + cubic() * square(Interval(z))));
  }
  BL_HD_CALL Interval slope(double z, Bend) const {
    if (z < -kFar) return {-1e-300, 1e-300};
    if (z > kFar) return {1 - 1e-15, 1 + 1e-15};
    const Interval v = factor() * Interval(z) * (Interval(1) + cubic() * square(Interval(z)));
    const Interval rise = factor() * (Interval(1) + Interval(3) * cubic() * square(Interval(z)));
    return sigmoid(v) + Interval(z) * rise * sigmoid(v) * sigmoid(-v);
  }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.text("approximate", "none") == "tanh") return make_elementwise<T>(d, node, TanhGelu{});
  return make_elementwise<T>(d, node, ExactGelu{});
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Gelu, make)
