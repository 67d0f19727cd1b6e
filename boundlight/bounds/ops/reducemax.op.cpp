// ReduceMax: the largest element over axes.
#include "boundlight/bounds/ops/extremum.hpp"
#include "boundlight/bounds/ops/reduction.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, reduction::groups_of(node));
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    const auto y = reduction::fold<S>(g, typed::extreme<S>(false), [&](S best, std::size_t i) { return best == best && (x[i] != x[i] || x[i] > best) ? S(x[i]) : best; });
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), g.shape, y)};
  });
}

}  // namespace

extern const OpInfo ReduceMax_op;
const OpInfo ReduceMax_op = {"ReduceMax", "axes:I keepdims:i noop_with_empty_axes:i", reduction::infer_reduction, evaluate, "all", "yes", "yes", "exact range", "planes", "exact", 1, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(g, reduction::groups_of(node));
  if (g.count == 0) return refuse("the largest of no elements has no value");
  return std::unique_ptr<Kernel<T>>(std::make_unique<ExtremumKernel<T>>(d, of_first_input(node), g.list, true));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ReduceMax, make)
