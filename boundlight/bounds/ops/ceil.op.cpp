// Ceil: the smallest integer not below x. Steps; exact in every arithmetic.
#include "boundlight/bounds/ops/staircase.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::ceil(x); });
}

}  // namespace

extern const OpInfo Ceil_op;
const OpInfo Ceil_op = {"Ceil", "", typed::like_input<typed::Kinds::floating>, evaluate, "all", "yes", "zero", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct CeilFunction : Staircase<CeilFunction> {
  static constexpr double kBelow = 0, kAbove = 1;
  template <class S> BL_HD S value(S x) const { return std::ceil(x); }
  BL_HD double step(double z) const { return std::ceil(z); }
  BL_HD static double jump(double k) { return k; }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Ceil, CeilFunction)
