// Neg: -x. Linear, and exact in every arithmetic.
#include "boundlight/bounds/ops/kinked.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return typed::unary(node, *in[0], [](auto x) -> decltype(x) {
    using S = decltype(x);
    if constexpr (std::is_integral_v<S> && !std::is_same_v<S, bool>) return static_cast<S>(0 - static_cast<std::make_unsigned_t<S>>(x));
    else return static_cast<S>(-x);
  });
}

}  // namespace

extern const OpInfo Neg_op;
const OpInfo Neg_op = {"Neg", "", typed::like_input<typed::Kinds::floating_or_signed>, evaluate, "all", "yes", "yes", "exact range", "exact", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct NegFunction : Kinked {
  BL_HD NegFunction() : Kinked(-1, -1) {}
  BL_HD bool linear() const { return true; }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Neg, NegFunction)
