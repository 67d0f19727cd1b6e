#include "boundlight/bounds/engines/relaxations.hpp"

#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {

std::vector<bool> ancestors(const Network& network, const std::vector<ValueId>& wanted) {
  std::vector<bool> nodes(network.nodes.size(), false), values(network.values.size(), false);
  for (const ValueId v : wanted) values[static_cast<std::size_t>(v)] = true;
  for (std::size_t i = network.nodes.size(); i-- > 0;) {
    const Node& node = network.nodes[i].node;
    for (const ValueId out : node.outputs) nodes[i] = nodes[i] || (out != kAbsent && values[static_cast<std::size_t>(out)]);
    if (!nodes[i]) continue;
    for (const ValueId in : node.inputs)
      if (in != kAbsent) values[static_cast<std::size_t>(in)] = true;
  }
  return nodes;
}

template <class T>
void Relaxations<T>::prepare(const std::vector<bool>& nodes) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i] || at_[i]) continue;
    const int node = static_cast<int>(i);
    const auto in = model_.in_boxes(node, boxes_), out = model_.out_boxes(node, boxes_);
    at_[i] = model_.kernel(node).relax(model_.device(), in.data(), out.data(), boxes_.batch, settings_, rule_);
    pays_[i] = pay(node);
  }
}

// Nobody else may send rows to the value between the two: they would not have paid.
template <class T>
int Relaxations<T>::pay(int index) const {
  auto* own = dynamic_cast<LinearRelaxation<T>*>(at(index));
  const Network& network = model_.network();
  const Node& node = network.nodes[static_cast<std::size_t>(index)].node;
  if (!own || node.outputs.size() != 1) return -1;
  for (const ValueId id : node.inputs) {
    if (id == kAbsent || network.values[static_cast<std::size_t>(id)].constant) continue;
    const auto& v = network.values[static_cast<std::size_t>(id)];
    if (v.producer < 0 || v.consumers.size() != 1 || !at_[static_cast<std::size_t>(v.producer)]) return -1;
    const auto* before = dynamic_cast<const LinearRelaxation<T>*>(at(v.producer));
    return before && own->pay_for(model_.device(), *before) ? v.producer : -1;
  }
  return -1;
}

template <class T>
BoxView<T> Relaxations<T>::box_last(ValueId v) {
  Last& last = last_[static_cast<std::size_t>(v)];
  std::call_once(last.made, [&] {
    const Shape& shape = model_.network().values[static_cast<std::size_t>(v)].shape;
    const BoxView<T> box = boxes_.view(v);
    last.lower = channels_last(model_.device(), box.lower, boxes_.batch, shape[1], shape[2] * shape[3]);
    last.upper = channels_last(model_.device(), box.upper, boxes_.batch, shape[1], shape[2] * shape[3]);
  });
  return {last.lower.data(), last.upper.data()};
}

template class Relaxations<float>;
template class Relaxations<double>;

}  // namespace boundlight::BL_NS
