// Pow: x^p with broadcasting. A constant exponent makes it a curve per element; with a variable exponent there are intervals
// only, where x cannot be negative.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/pair.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const auto shape = typed::broadcast(node.shape(0), node.shape(1));
  if (!shape) return refuse("shapes " + to_string(node.shape(0)) + " and " + to_string(node.shape(1)) + " do not broadcast");
  return std::vector<TypedShape>{{node.inputs[0]->type, *shape}};
}

// base^exponent in the integers modulo 2^64; a negative exponent as truncation leaves it.
std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  std::uint64_t result = 1, square = static_cast<std::uint64_t>(base);
  for (; exponent > 0; exponent /= 2, square *= square)
    if (exponent % 2 == 1) result *= square;
  return static_cast<std::int64_t>(result);
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(shapes, infer(node));
  const auto ix = typed::broadcast_index(in[0]->shape(), shapes[0].shape), ip = typed::broadcast_index(in[1]->shape(), shapes[0].shape);
  if (is_integer(in[0]->type()) && is_integer(in[1]->type())) {
    const auto x = in[0]->to_int64s(), p = in[1]->to_int64s();
    std::vector<std::int64_t> y;
    for (std::size_t i = 0; i < ix.size(); ++i) y.push_back(integer_power(x[static_cast<std::size_t>(ix[i])], p[static_cast<std::size_t>(ip[i])]));
    return std::vector<Tensor>{Tensor::from_int64s(in[0]->type(), shapes[0].shape, y)};
  }
  const auto x = in[0]->to_doubles(), p = in[1]->to_doubles();
  std::vector<double> y;
  for (std::size_t i = 0; i < ix.size(); ++i) y.push_back(std::pow(x[static_cast<std::size_t>(ix[i])], p[static_cast<std::size_t>(ip[i])]));
  return std::vector<Tensor>{Tensor::from_doubles(in[0]->type(), shapes[0].shape, y)};
}

}  // namespace

extern const OpInfo Pow_op;
const OpInfo Pow_op = {"Pow", "", infer, evaluate, "integers", "yes", "yes", "enclosure", "planes; variable exponent: no: concretised",
                       "within 4 ulp; integer exponents also by repeated products", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct PowerCurve : Curve<PowerCurve> {
  double p;
  BL_HD explicit PowerCurve(double exponent) : p(exponent) {}

  BL_HD bool whole() const { return p == std::floor(p) && fabs(p) < 9e15; }
  BL_HD bool even() const { return whole() && std::floor(p / 2) == p / 2; }
  // Where x^p is a real number and x^(p-1) finite enough to have planes.
  BL_HD bool defined(Interval x) const { return whole() ? p >= 0 || x.lo > 0 || x.hi < 0 : p > 0 ? x.lo >= 0 : x.lo > 0; }

  template <class S> BL_HD_CALL S value(S x) const { return p == 2 ? x * x : p == 1 ? x : static_cast<S>(std::pow(x, static_cast<S>(p))); }
  template <class S> BL_HD_CALL S derivative(S x) const { return p == 0 ? S(0) : p == 1 ? S(1) : static_cast<S>(p) * static_cast<S>(std::pow(x, static_cast<S>(p - 1))); }

  BL_HD_CALL static Interval power(double z, double p) {
    if (p == 0) return 1;
    if (p == 1) return z;
    if (p == 2) return square(Interval(z));
    if (z == 0 && p > 0) return 0;
    if (z == 1) return 1;
    return around(std::pow(z, p), kUlps);
  }
  BL_HD_CALL Interval at(double z) const { return power(z, p); }
  BL_HD_CALL Interval slope(double z, Bend) const { return p == 0 ? Interval(0) : Interval(p) * power(z, p - 1); }
  BL_HD_CALL Interval range(Interval x) const {
    if (!defined(x)) return Interval::anything();
    if (p == 0) return 1;
    const Interval a = at(x.lo), b = at(x.hi);
    const Interval ends = hull(a, b);
    // Between the ends it rises or falls, but for even powers around 0.
    return even() && x.contains(0.0) ? Interval(0, fmax(ends.hi, 0.0)) : ends;
  }
  BL_HD_CALL int pieces(Interval x, Piece* out) const {
    if (!defined(x)) return 0;
    Bend right = Bend::convex, left = Bend::convex;
    if (p == 0 || p == 1) right = left = Bend::straight;
    else if (!whole() && p > 0 && p < 1) right = Bend::concave;
    else if (!even()) left = Bend::concave;
    if (left == right || x.lo >= 0) {
      out[0] = {x.lo, x.hi, x.lo >= 0 ? right : left};
      return 1;
    }
    return split_at_zero(x, left, right, out);
  }
  // p z^(p-1) = s
  BL_HD_CALL double stationary(double s, Piece piece) const {
    const double ratio = s / p, size = std::pow(fabs(ratio), 1 / (p - 1));
    const bool negative = even() ? ratio < 0 : piece.to <= 0;
    return negative ? -size : size;
  }
  // x^p within 4 ulp; up to |p| products one after the other.
  BL_HD double deployed_error(Interval, Interval y) const {
    if (p == 0 || p == 1) return 0;
    return float_error(y, 8 + (whole() && fabs(p) <= 64 ? 2 * fabs(p) : 0));
  }
};

// The exponents of all elements.
struct Powers {
  const double* exponent;
  BL_HD PowerCurve element(std::int64_t i) const { return PowerCurve(exponent[i]); }
  BL_HD double free_low() const { return 0; }
  BL_HD double free_high() const { return 0; }
};

template <class T>
class PowerKernel : public ElementwiseKernel<T, Powers> {
 public:
  PowerKernel(Device& d, const NodeView& node, Buffer<double> exponents) : ElementwiseKernel<T, Powers>(d, node, Powers{exponents.data()}), exponents_(std::move(exponents)) {}

 private:
  Buffer<double> exponents_;
};

// x^p with both variable: monotone in each factor while x > 0, so the extremes are at corners.
struct VariablePower {
  static constexpr bool kPlanes = false;
  template <class S> BL_HD S value(S x, S p) const { return std::pow(x, p); }
  template <class S> BL_HD S by_first(S x, S p) const { return p * std::pow(x, p - 1); }
  template <class S> BL_HD S by_second(S x, S p) const { return std::pow(x, p) * std::log(x); }
  template <class X>
  BL_HD Interval range(X z) const {
    const Interval x = z[0], p = z[z.count() - 1];
    if (!(x.lo > 0 || (x.lo == 0 && p.lo > 0)) || !x.finite() || !p.finite()) return Interval::anything();
    Interval y = hull(hull(PowerCurve::power(x.lo, p.lo), PowerCurve::power(x.lo, p.hi)), hull(PowerCurve::power(x.hi, p.lo), PowerCurve::power(x.hi, p.hi)));
    // x = 1 gives 1 whatever the exponent; between the corners nothing else turns.
    if (x.contains(1.0)) y = hull(y, Interval(1));
    return y;
  }
  template <class X>
  BL_HD double deployed_error(std::int64_t, X x, Interval) const {
    const Interval y = range(x);
    return y.magnitude() <= 1e37 ? float_error(y, 8) : std::numeric_limits<double>::infinity();
  }
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (node.variable(1) || node.shape(0) != node.outputs[0]->shape) return std::unique_ptr<Kernel<T>>(std::make_unique<PairKernel<T, VariablePower>>(d, node, VariablePower{}));
  const auto given = node.inputs[1]->constant->to_doubles();
  std::vector<double> exponents;
  for (const auto i : typed::broadcast_index(node.shape(1), node.shape(0))) exponents.push_back(given[static_cast<std::size_t>(i)]);
  for (const double p : exponents)
    if (!std::isfinite(p)) return refuse("an exponent is not finite");
  return std::unique_ptr<Kernel<T>>(std::make_unique<PowerKernel<T>>(d, node, uploaded(d, exponents)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Pow, make)
