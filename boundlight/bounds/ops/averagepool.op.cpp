// AveragePool: the mean of every window. Without count_include_pad the mean is over the elements in the input; with it
// everything else counts as zeros, also what a ceil_mode window reaches beyond the padding (as onnx's reference and
// onnxruntime have it; PyTorch leaves that part out).
#include "boundlight/bounds/ops/average.hpp"
#include "boundlight/bounds/ops/sparse.hpp"
#include "boundlight/bounds/ops/spatial.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight {

Result<SparseTerms> average_pool_terms(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {
Result<SparseTerms> average_pool_terms(const NodeView& node) {
  BL_TRY(w, spatial::windows_of(node));
  const bool padding_counts = node.integer("count_include_pad", 0) != 0;
  SparseTerms terms;
  for (std::int64_t c = 0; c < node.shape(0)[0] * node.shape(0)[1]; ++c)
    for (std::int64_t q = 0; q < w.out_size(); ++q) {
      std::vector<std::int64_t> inside;
      for (std::int64_t k = 0; k < w.kernel_size(); ++k)
        if (const std::int64_t p = w.input_of(q, k); p >= 0) inside.push_back(p);
      if (inside.empty() && !padding_counts) return refuse("a window lies in the padding entirely; reduce the pads");
      const Interval weight = one_over(padding_counts ? w.kernel_size() : static_cast<std::int64_t>(inside.size()));
      for (const std::int64_t p : inside) terms.add(0, c * w.in_size() + p, weight);
      terms.end_output();
    }
  return terms;
}

namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(w, spatial::windows_of(node));
  return std::vector<TypedShape>{{node.inputs[0]->type, spatial::output_shape(node.shape(0), node.shape(0)[1], w)}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(w, spatial::windows_of(node));
  const bool padding_counts = node.integer("count_include_pad", 0) != 0;
  const Shape out = spatial::output_shape(node.shape(0), node.shape(0)[1], w);
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    std::vector<S> y;
    for (std::int64_t c = 0; c < node.shape(0)[0] * node.shape(0)[1]; ++c)
      for (std::int64_t q = 0; q < w.out_size(); ++q) {
        S sum{};
        std::int64_t count = 0;
        for (std::int64_t k = 0; k < w.kernel_size(); ++k) {
          const std::int64_t p = w.input_of(q, k);
          if (p < 0) continue;
          sum = static_cast<S>(sum + x[static_cast<std::size_t>(c * w.in_size() + p)]);
          ++count;
        }
        y.push_back(static_cast<S>(sum / static_cast<S>(padding_counts ? w.kernel_size() : count)));
      }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), out, y)};
  });
}

}  // namespace

extern const OpInfo AveragePool_op;
const OpInfo AveragePool_op = {"AveragePool", "kernel_shape:I strides:I pads:I dilations:I auto_pad:s ceil_mode:i count_include_pad:i", infer, evaluate, "none",
                               "yes", "inputs", "enclosure", "exact", "sums in any order", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(terms, average_pool_terms(node));
  return std::unique_ptr<Kernel<T>>(std::make_unique<SparseKernel<T>>(d, std::vector<std::int64_t>{node.size(0)}, terms));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(AveragePool, make)
