// Selu: gamma x for x >= 0, gamma alpha (e^x - 1) below (the standard's alpha and gamma).
//
// Covered binary32 evaluations: as Elu, with the product by gamma rounded: within 12 u gamma max(|alpha|, |x|).
#include "boundlight/bounds/ops/exponential_linear.hpp"
#include "boundlight/bounds/ops/unary.hpp"

namespace boundlight {
// The standard's defaults are the nearest floats to 1.67326319217681884765625 and 1.05070102214813232421875.
inline constexpr float kSeluAlpha = 1.67326319217681884765625F, kSeluGamma = 1.05070102214813232421875F;
}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", kSeluAlpha), gamma = node.real("gamma", kSeluGamma);
  return typed::floats(*in[0], [=](auto x) {
    using S = decltype(x);
    return static_cast<S>(gamma) * (x < 0 ? static_cast<S>(alpha) * std::expm1(x) : x);
  });
}

}  // namespace

extern const OpInfo Selu_op;
const OpInfo Selu_op = {"Selu", "alpha:f gamma:f", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes",
                        "within 12 u gamma max(|alpha|, |x|)", 1, 1, 6};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const double alpha = node.real("alpha", kSeluAlpha), gamma = node.real("gamma", kSeluGamma);
  return make_elementwise<T>(d, node, ExponentialLinear(gamma, Interval(gamma) * Interval(alpha), 1));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Selu, make)
