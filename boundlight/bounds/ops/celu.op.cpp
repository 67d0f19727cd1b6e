// Celu: x for x >= 0, alpha (e^(x / alpha) - 1) below (alpha 1; not 0).
//
// Covered binary32 evaluations: as Elu, with the quotient rounded: within 12 u |alpha|.
#include "boundlight/bounds/ops/exponential_linear.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (node.real("alpha", 1) == 0) return refuse("attribute 'alpha' must not be 0");
  return typed::like_input(node, typed::Kinds::floating);
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", 1);
  return typed::floats(*in[0], [=](auto x) {
    const auto a = static_cast<decltype(x)>(alpha);
    return x < 0 ? a * std::expm1(x / a) : x;
  });
}

}  // namespace

extern const OpInfo Celu_op;
const OpInfo Celu_op = {"Celu", "alpha:f", infer, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 12 u |alpha|", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const double alpha = node.real("alpha", 1);
  return make_elementwise<T>(d, node, ExponentialLinear(1, alpha, Interval(1) / Interval(alpha)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Celu, make)
