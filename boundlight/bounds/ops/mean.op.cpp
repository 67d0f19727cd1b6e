// Mean: the mean of its inputs with broadcasting; linear in all.
#include "boundlight/bounds/ops/average.hpp"
#include "boundlight/bounds/ops/broadcast_lists.hpp"
#include "boundlight/bounds/ops/sparse.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<Tensor>> evaluate(const NodeView&, std::span<const Tensor* const> in) {
  BL_TRY(sum, typed::fold_inputs(in, [](auto a, auto b) { return typed::wrapping(a, b, [](auto x, auto y) { return x + y; }); }));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    auto y = typed::elements<S>(sum[0]);
    for (auto& v : y) v /= static_cast<S>(in.size());
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), sum[0].shape(), y)};
  });
}

}  // namespace

extern const OpInfo Mean_op;
const OpInfo Mean_op = {"Mean", "", typed::broadcast_of_inputs, evaluate, "none", "yes", "inputs", "enclosure", "exact",
                        "a sum in any order, divided or multiplied by 1 / count"};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  const Shape& out = node.outputs[0]->shape;
  const auto inputs = node.inputs.size();
  const Interval share = one_over(static_cast<std::int64_t>(inputs));
  std::vector<std::vector<std::int64_t>> index;
  std::vector<std::vector<double>> constant(inputs);
  std::vector<std::int64_t> sizes;
  int constants = 0;
  for (std::size_t k = 0; k < inputs; ++k) {
    index.push_back(typed::broadcast_index(node.shape(k), out));
    sizes.push_back(node.variable(k) ? node.size(k) : 0);
    if (node.variable(k)) continue;
    constant[k] = node.inputs[k]->constant->to_doubles();
    ++constants;
  }
  SparseTerms terms;
  std::vector<Interval> offset;
  for (std::size_t e = 0; e < index[0].size(); ++e) {
    Interval sum(0);
    double sizes_summed = 0;
    for (std::size_t k = 0; k < inputs; ++k) {
      if (constant[k].empty()) {
        terms.add(static_cast<int>(k), index[k][e], share);
        continue;
      }
      const double c = constant[k][static_cast<std::size_t>(index[k][e])];
      sum = sum + Interval(c) * share;
      sizes_summed = add_up(sizes_summed, fabs(c));
    }
    terms.end_output();
    // Constants that cancel leave a deployed network's roundings behind, which their sum does not show.
    const double hidden = constants > 1 ? mul_up(gamma_up<float>(static_cast<std::int64_t>(inputs) + 1), mul_up(sizes_summed, share.hi)) : 0.0;
    if (constants > 0) offset.push_back(hidden == 0 ? sum : sum + Interval(-hidden, hidden));
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<SparseKernel<T>>(d, sizes, terms, offset, static_cast<std::int64_t>(inputs)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Mean, make)
