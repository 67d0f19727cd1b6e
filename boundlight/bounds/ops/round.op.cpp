// Round: the nearest integer, halves to even. Steps; exact in every arithmetic.
#include "boundlight/bounds/ops/staircase.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::rint(x); });
}

}  // namespace

extern const OpInfo Round_op;
const OpInfo Round_op = {"Round", "", typed::like_input<typed::Kinds::floating>, evaluate, "all", "yes", "zero", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct RoundFunction : Staircase<RoundFunction> {
  static constexpr double kBelow = 0.5, kAbove = 0.5;
  template <class S> BL_HD S value(S x) const { return std::rint(x); }
  BL_HD double step(double z) const { return std::rint(z); }
  BL_HD static double jump(double k) { return k + 0.5; }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Round, RoundFunction)
