// Softplus: log(1 + e^x) = max(x, 0) + log1p(e^-|x|). Convex everywhere.
//
// Covered binary32 evaluations: those within 8 u max(|y|, 1): the form above, and log(1 + e^x) (or its switch to x for large x)
// for x < 88, where e^x does not overflow.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return (x > 0 ? x : decltype(x)(0)) + std::log1p(std::exp(-std::fabs(x))); });
}

}  // namespace

extern const OpInfo Softplus_op;
const OpInfo Softplus_op = {"Softplus", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u max(|y|, 1)", 1, 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SoftplusFunction : Curve<SoftplusFunction> {
  template <class S> BL_HD_CALL S value(S x) const { return (x < 0 ? S(0) : x) + std::log1p(std::exp(-std::fabs(x))); }
  template <class S> BL_HD_CALL S derivative(S x) const {
    const S e = std::exp(-std::fabs(x));
    return (x < 0 ? e : S(1)) / (1 + e);
  }
  BL_HD_CALL Interval at(double z) const {
    const Interval e = enclose_exp(-fabs(z));
    const Interval rest(fmax(enclose_log1p(e.lo).lo, 0.0), enclose_log1p(e.hi).hi);
    return z > 0 ? Interval(z) + rest : rest;
  }
  BL_HD_CALL Interval slope(double z, Bend) const { return enclose_sigmoid(z); }
  BL_HD_CALL Interval range(Interval x) const { return rising(x); }
  BL_HD_CALL int pieces(Interval x, Piece* p) const { return p[0] = {x.lo, x.hi, Bend::convex}, 1; }
  BL_HD_CALL double stationary(double s, Piece) const { return std::log(s / (1 - s)); }
  BL_HD double deployed_error(Interval, Interval y) const { return float_error(y, 8, 1); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Softplus, SoftplusFunction)
