// Abs: |x|. Convex with a kink at 0; lower planes of any slope in [-1, 1], the chord above.
#include "boundlight/bounds/ops/kinked.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  return typed::unary(node, *in[0], [](auto x) -> decltype(x) {
    using S = decltype(x);
    if constexpr (std::is_floating_point_v<S>) return std::fabs(x);
    else if constexpr (std::is_signed_v<S>) return x < 0 ? static_cast<S>(0 - static_cast<std::make_unsigned_t<S>>(x)) : x;
    else return x;
  });
}

}  // namespace

extern const OpInfo Abs_op;
const OpInfo Abs_op = {"Abs", "", typed::like_input<typed::Kinds::numbers>, evaluate, "all", "yes", "yes", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_elementwise<T>(d, node, Kinked(-1, 1));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Abs, make)
