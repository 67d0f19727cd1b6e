// GlobalAveragePool: the mean of every channel over all its positions.
#include "boundlight/bounds/ops/average.hpp"
#include "boundlight/bounds/ops/sparse.hpp"
#include "boundlight/bounds/ops/typed.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  Shape out = node.shape(0);
  if (out.size() < 3 || node.size(0) == 0) return refuse("needs an input N x C x spatial axes with elements, got shape " + to_string(out));
  std::fill(out.begin() + 2, out.end(), 1);
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(shapes, infer(node));
  const std::int64_t channels = *element_count(shapes[0].shape), cells = node.size(0) / channels;
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    std::vector<S> y;
    for (std::int64_t c = 0; c < channels; ++c) {
      S sum{};
      for (std::int64_t i = 0; i < cells; ++i) sum = static_cast<S>(sum + x[static_cast<std::size_t>(c * cells + i)]);
      y.push_back(static_cast<S>(sum / static_cast<S>(cells)));
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), shapes[0].shape, y)};
  });
}

}  // namespace

extern const OpInfo GlobalAveragePool_op;
const OpInfo GlobalAveragePool_op = {"GlobalAveragePool", "", infer, evaluate, "none", "yes", "inputs", "enclosure", "exact", "sums in any order", 1, 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const std::int64_t channels = node.outputs[0]->size, cells = node.size(0) / channels;
  SparseTerms terms;
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < cells; ++i) terms.add(0, c * cells + i, one_over(cells));
    terms.end_output();
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<SparseKernel<T>>(d, std::vector<std::int64_t>{node.size(0)}, terms));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(GlobalAveragePool, make)
