// Sin. Bends at every multiple of pi; planes over boxes of less than one period, the interval's over wider ones.
//
// Covered binary32 evaluations: those within 8 u = 4.8e-7 of the exact value for |x| <= 8192, and beyond that any in [-1, 1].
#include "boundlight/bounds/ops/wave.hpp"
#include "boundlight/bounds/ops/unary.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  return typed::floats(*in[0], [](auto x) { return std::sin(x); });
}

}  // namespace

extern const OpInfo Sin_op;
const OpInfo Sin_op = {"Sin", "", typed::like_input<typed::Kinds::floating>, evaluate, "none", "yes", "yes", "enclosure", "planes", "within 8 u for |x| <= 8192, within [-1, 1] beyond", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

struct SinFunction : Wave<SinFunction> {
  static constexpr bool kCosine = false;
  template <class S> BL_HD S value(S x) const { return std::sin(x); }
  template <class S> BL_HD S derivative(S x) const { return std::cos(x); }
  BL_HD_CALL Interval at(double z) const { return enclose_sin(z); }
  BL_HD_CALL Interval slope(double z, Bend) const { return enclose_cos(z); }
};

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER_ELEMENTWISE(Sin, SinFunction)
