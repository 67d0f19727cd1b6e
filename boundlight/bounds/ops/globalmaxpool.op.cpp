// GlobalMaxPool: the largest element of every channel.
#include "boundlight/bounds/ops/extremum.hpp"

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
  const auto channels = static_cast<std::size_t>(*element_count(shapes[0].shape));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    const std::size_t cells = x.size() / channels;
    std::vector<S> y;
    for (std::size_t c = 0; c < channels; ++c) {
      S best = x[c * cells];
      for (std::size_t i = 1; i < cells; ++i)
        if (best == best && (x[c * cells + i] > best || x[c * cells + i] != x[c * cells + i])) best = x[c * cells + i];
      y.push_back(best);
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), shapes[0].shape, y)};
  });
}

}  // namespace

extern const OpInfo GlobalMaxPool_op;
const OpInfo GlobalMaxPool_op = {"GlobalMaxPool", "", infer, evaluate, "none", "yes", "yes", "exact range", "planes", "exact", 1, 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const std::int64_t channels = node.outputs[0]->size, cells = node.size(0) / channels;
  EntryList list;
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < cells; ++i) list.element.push_back(c * cells + i);
    list.end_output();
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<ExtremumKernel<T>>(d, node, list, true));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(GlobalMaxPool, make)
