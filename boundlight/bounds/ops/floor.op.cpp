// Floor: the largest integer not above x. Steps; exact in every arithmetic.
#include "boundlight/bounds/ops/staircase.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::floor(x); });
}

}  // namespace

extern const OpInfo Floor_op;
const OpInfo Floor_op = {"Floor", "", typed::like_input<typed::Kinds::floating>, evaluate, "all", "yes", "zero", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct FloorFunction : Staircase<FloorFunction> {
  static constexpr double kBelow = 1, kAbove = 0;
  template <class S> BL_HD S value(S x) const { return std::floor(x); }
  BL_HD double step(double z) const { return std::floor(z); }
  BL_HD static double jump(double k) { return k + 1; }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Floor, FloorFunction)
