// ReduceMean: the mean over axes; linear.
#include "boundlight/bounds/ops/average.hpp"
#include "boundlight/bounds/ops/reduction.hpp"
#include "boundlight/bounds/ops/sparse.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, reduction::groups_of(node));
  if (g.count == 0) return refuse("a mean over no elements has no value");
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    auto y = reduction::fold<S>(g, S{}, [&](S sum, std::size_t i) { return typed::wrapping(sum, static_cast<S>(x[i]), [](auto a, auto b) { return a + b; }); });
    if constexpr (!std::is_same_v<S, bool>)
      for (auto& v : y) v = static_cast<S>(v / static_cast<S>(g.count));
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), g.shape, y)};
  });
}

}  // namespace

extern const OpInfo ReduceMean_op;
const OpInfo ReduceMean_op = {"ReduceMean", "axes:I keepdims:i noop_with_empty_axes:i", reduction::infer_reduction, evaluate, "none", "yes", "inputs", "enclosure", "exact",
                              "a sum in any order, divided or multiplied by 1 / count", 1, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(g, reduction::groups_of(node));
  if (g.count == 0) return refuse("a mean over no elements has no value");
  std::vector<std::int64_t> in(node.inputs.size(), 0);
  in[0] = node.size(0);
  return std::unique_ptr<Kernel<T>>(std::make_unique<SparseKernel<T>>(d, in, uniform_terms(g.list, one_over(g.count))));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(ReduceMean, make)
