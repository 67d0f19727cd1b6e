#include "boundlight/bounds/engines/constant_node.hpp"

#include <algorithm>

#include "boundlight/bounds/ops/constants.hpp"

namespace boundlight::BL_NS {

bool reads_constants_only(const NodeView& node) {
  for (std::size_t k = 0; k < node.inputs.size(); ++k)
    if (node.variable(k)) return false;
  return true;
}

template <class T>
Result<std::unique_ptr<Kernel<T>>> make_constant_node(Device& d, const NodeView& node, const KernelMakers& makers) {
  // The first floating input (else the first one) is declared variable: kernels are made for some variable input.
  std::size_t k = 0;
  while (k < node.inputs.size() && !(node.has(k) && is_floating(node.inputs[k]->type))) ++k;
  if (k == node.inputs.size()) k = 0;
  if (node.inputs.empty() || !node.has(k)) return refuse("reads nothing");
  const auto used = std::count_if(node.outputs.begin(), node.outputs.end(), [](const auto* o) { return o != nullptr; });
  if (used != 1 || !node.outputs[0]) return refuse("of constants has several outputs; fold it in the model");
  NetworkValue freed = *node.inputs[k];
  const auto exact = freed.constant->to_doubles();
  freed.constant.reset();
  NodeView view = node;
  view.inputs[k] = &freed;
  BL_TRY(kernel, makers.make_double(d, view));

  const std::int64_t size = node.outputs[0]->size;
  auto point = d.template buffer<double>(static_cast<std::int64_t>(exact.size())), lower = d.template buffer<double>(size), upper = d.template buffer<double>(size);
  d.upload(point.data(), exact.data(), point.size());
  const auto host = [&](const Buffer<double>& from) {
    std::vector<double> v(static_cast<std::size_t>(size));
    d.download(v.data(), from.data(), size);
    return v;
  };
  ConstantValues values;
  std::vector<const double*> in(view.inputs.size(), nullptr);
  std::vector<BoxView<double>> boxes(view.inputs.size());
  std::vector<double*> lo(view.outputs.size(), nullptr), hi(view.outputs.size(), nullptr);
  in[k] = point.data();
  boxes[k] = {point.data(), point.data()};
  lo[0] = lower.data();
  hi[0] = upper.data();
  kernel->forward(d, in.data(), lo.data(), 1);
  values.value = host(lower);
  for (const Semantics semantics : {Semantics::real, Semantics::float32_any_order}) {
    kernel->interval(d, boxes.data(), lo.data(), hi.data(), 1, {semantics, true});
    const auto l = host(lower), u = host(upper);
    auto& to = semantics == Semantics::real ? values.real : values.deployed;
    for (std::size_t e = 0; e < l.size(); ++e) to.emplace_back(l[e], u[e]);
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<ConstantsKernel<T>>(d, std::move(values)));
}

template Result<std::unique_ptr<Kernel<float>>> make_constant_node<float>(Device&, const NodeView&, const KernelMakers&);
template Result<std::unique_ptr<Kernel<double>>> make_constant_node<double>(Device&, const NodeView&, const KernelMakers&);

}  // namespace boundlight::BL_NS
