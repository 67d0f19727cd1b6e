// Range: start, start + delta, ... up to and without limit; all three constant, since they decide the shape.
// Integers are folded. Floating values are start + i delta in real arithmetic; a runtime rounds them.
#include <cmath>

#include "boundlight/bounds/ops/constants.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

// ceil((limit - start) / delta), or 0.
Result<std::int64_t> count(const NodeView& node) {
  if (node.inputs.size() != 3 || !node.has(0) || !node.has(1) || !node.has(2)) return refuse("needs start, limit and delta");
  for (std::size_t k = 0; k < 3; ++k) {
    if (node.variable(k)) return refuse("its start, limit and delta must be constant; fix them to values in the model");
    if (node.size(k) != 1) return refuse("its start, limit and delta must be single numbers");
    if (node.inputs[k]->type != node.inputs[0]->type) return refuse("its start, limit and delta have different element types; insert a Cast");
  }
  constexpr double kMost = 1099511627776.0;  // 2^40, as for shapes
  double n = 0;
  if (is_floating(node.inputs[0]->type)) {
    const double start = node.inputs[0]->constant->to_doubles()[0], limit = node.inputs[1]->constant->to_doubles()[0], delta = node.inputs[2]->constant->to_doubles()[0];
    if (delta == 0) return refuse("its delta is 0");
    n = std::ceil((limit - start) / delta);
  } else {
    const __int128 start = node.inputs[0]->constant->to_int64s()[0], limit = node.inputs[1]->constant->to_int64s()[0], delta = node.inputs[2]->constant->to_int64s()[0];
    if (delta == 0) return refuse("its delta is 0");
    const __int128 span = limit - start, step = delta < 0 ? -delta : delta, length = delta < 0 ? -span : span;
    n = length <= 0 ? 0.0 : static_cast<double>((length + step - 1) / step);
  }
  if (!(n <= kMost)) return refuse("has too many values");
  return n <= 0 ? std::int64_t{0} : static_cast<std::int64_t>(n);
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(n, count(node));
  return std::vector<TypedShape>{{node.inputs[0]->type, {n}}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(n, count(node));
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const S start = typed::elements<S>(*in[0])[0], delta = typed::elements<S>(*in[2])[0];
    std::vector<S> v;
    for (std::int64_t i = 0; i < n; ++i) v.push_back(static_cast<S>(start + static_cast<S>(i) * delta));
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), {n}, v)};
  });
}

}  // namespace

extern const OpInfo Range_op;
const OpInfo Range_op = {"Range", "", infer, evaluate, "own", "yes", "zero", "enclosure", "exact", nullptr, 3, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const double start = node.inputs[0]->constant->to_doubles()[0], delta = node.inputs[2]->constant->to_doubles()[0];
  ConstantValues values;
  for (std::int64_t i = 0; i < node.outputs[0]->size; ++i) {
    const auto k = static_cast<double>(i);
    const double product = k * delta, sum = start + product;
    // Exact when the product is, and adding it back and forth loses nothing (Knuth's two-sum).
    const double back = sum - start, lost = (start - (sum - back)) + (product - back);
    const bool exact = std::fma(k, delta, -product) == 0 && lost == 0;
    const Interval real = exact ? Interval(sum) : Interval(start) + Interval(k) * Interval(delta);
    // Deployed: one product and one sum in binary32, or adding delta i times.
    const double errors = gamma_up<float>(i + 2) * (fabs(start) + next_up(fabs(product)) * (1 + 1e-6)) + (k + 2) * static_cast<double>(smallest_normal<float>);
    values.value.push_back(sum);
    values.real.push_back(real);
    values.deployed.push_back(Interval(sub_down(real.lo, next_up(errors * (1 + 1e-6))), add_up(real.hi, next_up(errors * (1 + 1e-6)))));
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<ConstantsKernel<T>>(d, std::move(values)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Range, make)
