#include "boundlight/bounds/engines/lane_pass.hpp"

#include <algorithm>

#include "boundlight/bounds/engines/relaxations.hpp"
#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr std::int64_t kMostValues = std::int64_t{1} << 17;     // elements of all values of a sample: a few megabytes per block
constexpr std::int64_t kMostConstants = std::int64_t{1} << 22;  // elements read once per block
constexpr std::int64_t kMostOnRows = std::int64_t{1} << 14;     // of them by nodes on rows

// The output's elements are the input's, in order.
template <class T>
bool hands_on(const Kernel<T>& kernel) {
  const auto* linear = dynamic_cast<const LinearKernel<T>*>(&kernel);
  return linear && linear->moves_only() && linear->passes_rows() && linear->in_sizes()[0] != 0;
}

}  // namespace

template <class T>
LanePass<T>::LanePass(const Model<T>& model, const std::vector<ValueId>& wanted) : model_(model), wanted_(wanted) {
  if constexpr (HasRowLoops<Device>) plan(ancestors(model.network(), wanted));
}

// The value that can be made instead of `value`, or kAbsent.
template <class T>
ValueId LanePass<T>::rectified(ValueId value, const std::vector<bool>& needed) const {
  const Network& network = model_.network();
  const auto& consumers = network.values[static_cast<std::size_t>(value)].consumers;
  if (is_wanted(value) || consumers.size() != 1 || !needed[static_cast<std::size_t>(consumers[0])]) return kAbsent;
  const auto* next = dynamic_cast<const LaneForward<T>*>(&model_.kernel(consumers[0]));
  return next && next->rectifies() ? network.nodes[static_cast<std::size_t>(consumers[0])].node.outputs[0] : kAbsent;
}

template <class T>
void LanePass<T>::plan(const std::vector<bool>& needed) {
  const Network& network = model_.network();
  for (std::size_t v = 0; v < network.values.size(); ++v) owner_.push_back(static_cast<ValueId>(v));
  std::vector<bool> made(network.nodes.size(), false);  // by the step before
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i] || made[i]) continue;
    const Node& node = network.nodes[i].node;
    const int index = static_cast<int>(i);
    if (hands_on(model_.kernel(index))) {
      owner_[static_cast<std::size_t>(node.outputs[0])] = owner(node.inputs[0]);
      continue;
    }
    Step step;
    step.node = index;
    const auto* lanes = dynamic_cast<const LaneForward<T>*>(&model_.kernel(index));
    if (lanes && lanes->lanes()) step.lanes = lanes;
    for (const ValueId v : node.inputs) step.in.push_back(v == kAbsent || network.values[static_cast<std::size_t>(v)].constant ? kAbsent : owner(v));
    step.out = node.outputs;
    if (step.lanes) {
      const ValueId next = rectified(node.outputs[0], needed);
      if (next != kAbsent) {
        step.rectify = true;
        step.out = {next};
        made[static_cast<std::size_t>(network.values[static_cast<std::size_t>(next)].producer)] = true;
      }
    }
    steps_.push_back(std::move(step));
  }
  std::vector<bool> kept(network.values.size(), false);
  for (const ValueId v : wanted_) kept[static_cast<std::size_t>(owner(v))] = true;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step)
    for (const auto* values : {&step->in, &step->out})
      for (const ValueId v : *values) {
        if (v == kAbsent || kept[static_cast<std::size_t>(v)]) continue;
        kept[static_cast<std::size_t>(v)] = true;
        step->done.push_back(v);
      }
}

template <class T>
bool LanePass<T>::worth(std::int64_t batch) const {
  if constexpr (!HasRowLoops<Device>) return false;
  const Network& network = model_.network();
  std::int64_t values = 0, constants = 0, on_rows = 0, products = 0;
  for (const Step& step : steps_) {
    for (const ValueId v : step.out) values += v == kAbsent ? 0 : size(v);
    std::int64_t read = 0;
    for (const ValueId v : network.nodes[static_cast<std::size_t>(step.node)].node.inputs)
      if (v != kAbsent && network.values[static_cast<std::size_t>(v)].constant) read += size(v);
    constants += read;
    (step.lanes ? products : on_rows) += read;
  }
  return batch >= kSampleLanes && products > 0 && values <= kMostValues && constants <= kMostConstants && on_rows <= kMostOnRows;
}

template <class T>
const T* LanePass<T>::lanes_of(Arrays& a, ValueId v) const {
  auto &lanes = a.lanes[static_cast<std::size_t>(v)], &rows = a.rows[static_cast<std::size_t>(v)];
  if constexpr (HasRowLoops<Device>) {
    if (!lanes) {
      lanes = model_.device().template buffer<T>(size(v) * kSampleLanes);
      device_cpu::lane_loops<T>().from_rows(size(v), rows.data(), size(v), a.count, lanes.data());
    }
  }
  return lanes.data();
}

template <class T>
const T* LanePass<T>::rows_of(Arrays& a, ValueId v) const {
  auto &lanes = a.lanes[static_cast<std::size_t>(v)], &rows = a.rows[static_cast<std::size_t>(v)];
  if constexpr (HasRowLoops<Device>) {
    if (!rows) {
      rows = model_.device().template buffer<T>(size(v) * a.count);
      device_cpu::lane_loops<T>().to_rows(size(v), lanes.data(), a.count, rows.data(), size(v));
    }
  }
  return rows.data();
}

template <class T>
void LanePass<T>::run_step(const Step& step, Arrays& a) const {
  Device& d = model_.device();
  std::vector<const T*> in;
  for (const ValueId v : step.in) in.push_back(v == kAbsent ? nullptr : step.lanes ? lanes_of(a, v) : rows_of(a, v));
  auto& arrays = step.lanes ? a.lanes : a.rows;
  std::vector<T*> out;
  for (const ValueId v : step.out) {
    if (v != kAbsent) arrays[static_cast<std::size_t>(v)] = d.template buffer<T>(size(v) * (step.lanes ? kSampleLanes : a.count));
    out.push_back(v == kAbsent ? nullptr : arrays[static_cast<std::size_t>(v)].data());
  }
  if (step.lanes) step.lanes->forward_lanes(d, in.data(), out[0], step.rectify);
  else model_.kernel(step.node).forward(d, in.data(), out.data(), a.count);
  for (const ValueId v : step.done) {
    a.lanes[static_cast<std::size_t>(v)] = {};
    a.rows[static_cast<std::size_t>(v)] = {};
  }
}

template <class T>
void LanePass<T>::run(const double* inputs, std::int64_t batch, std::vector<std::vector<double>>& results) const {
  const Network& network = model_.network();
  const std::int64_t stride = network.input_size();
  run_tasks(model_.device(), (batch + kSampleLanes - 1) / kSampleLanes, [&](std::int64_t task) {
    const std::int64_t first = task * kSampleLanes;
    Arrays a;
    a.count = std::min(kSampleLanes, batch - first);
    a.lanes.resize(network.values.size());
    a.rows.resize(network.values.size());
    for (std::size_t k = 0; k < network.inputs.size(); ++k) {
      const ValueId v = network.inputs[k];
      auto& to = a.lanes[static_cast<std::size_t>(v)];
      to = model_.device().template buffer<T>(size(v) * kSampleLanes);
      if constexpr (HasRowLoops<Device>)
        device_cpu::lane_loops<T>().from_doubles(size(v), inputs + first * stride + network.input_offset(k), stride, a.count, to.data());
    }
    for (const Step& step : steps_) run_step(step, a);
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      const ValueId v = wanted_[i];
      if (network.values[static_cast<std::size_t>(v)].constant) continue;
      const T* from = rows_of(a, owner(v));
      std::copy_n(from, a.count * size(v), results[i].begin() + first * size(v));
    }
  });
}

template class LanePass<float>;
template class LanePass<double>;

}  // namespace boundlight::BL_NS
