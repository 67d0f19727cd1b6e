#include "boundlight/bounds/engines/relaxations.hpp"

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
  }
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
