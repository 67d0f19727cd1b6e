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
typename LanePass<T>::Arrays LanePass<T>::started(const double* inputs, std::int64_t first, std::int64_t count) const {
  const Network& network = model_.network();
  Arrays a;
  a.count = count;
  a.lanes.resize(network.values.size());
  a.rows.resize(network.values.size());
  for (std::size_t k = 0; k < network.inputs.size(); ++k) {
    const ValueId v = network.inputs[k];
    auto& to = a.lanes[static_cast<std::size_t>(v)];
    to = model_.device().template buffer<T>(size(v) * kSampleLanes);
    if constexpr (HasRowLoops<Device>)
      device_cpu::lane_loops<T>().from_doubles(size(v), inputs + first * network.input_size() + network.input_offset(k), network.input_size(), count, to.data());
  }
  return a;
}

template <class T>
void LanePass<T>::run_step(const Step& step, Arrays& a, bool keep) const {
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
  if (keep) return;
  for (const ValueId v : step.done) {
    a.lanes[static_cast<std::size_t>(v)] = {};
    a.rows[static_cast<std::size_t>(v)] = {};
  }
}

template <class T>
void LanePass<T>::deliver(Arrays& a, ValueId v, double* to) const {
  std::copy_n(rows_of(a, owner(v)), a.count * size(v), to);
}

template <class T>
void LanePass<T>::run(const double* inputs, std::int64_t batch, std::vector<std::vector<double>>& results) const {
  run_tasks(model_.device(), (batch + kSampleLanes - 1) / kSampleLanes, [&](std::int64_t block) {
    const std::int64_t first = block * kSampleLanes;
    Arrays a = started(inputs, first, std::min(kSampleLanes, batch - first));
    for (const Step& step : steps_) run_step(step, a, false);
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      if (!model_.network().values[static_cast<std::size_t>(wanted_[i])].constant) deliver(a, wanted_[i], results[i].data() + first * size(wanted_[i]));
  });
}

template <class T>
Engine::Gradient LanePass<T>::gradient(const double* inputs, std::int64_t batch, const Engine::WeightOf& weight_of) const {
  const std::int64_t blocks = (batch + kSampleLanes - 1) / kSampleLanes, width = size(wanted_[0]), stride = model_.network().input_size();
  Engine::Gradient result;
  result.values.resize(static_cast<std::size_t>(batch * width));
  std::vector<Arrays> arrays(static_cast<std::size_t>(blocks));
  run_tasks(model_.device(), blocks, [&](std::int64_t block) {
    const std::int64_t first = block * kSampleLanes;
    Arrays& a = arrays[static_cast<std::size_t>(block)];
    a = started(inputs, first, std::min(kSampleLanes, batch - first));
    for (const Step& step : steps_) run_step(step, a, true);
    deliver(a, wanted_[0], result.values.data() + first * width);
  });
  std::vector<double> weight(result.values.size(), 0.0);
  weight_of(result.values, weight);
  result.inputs.assign(static_cast<std::size_t>(batch * stride), 0.0);
  run_tasks(model_.device(), blocks, [&](std::int64_t block) {
    const std::int64_t first = block * kSampleLanes;
    back(arrays[static_cast<std::size_t>(block)], weight.data() + first * width, result.inputs.data() + first * stride);
  });
  return result;
}

// One block: weight is [count][size of the wanted value], inputs [count][input size].
template <class T>
void LanePass<T>::back(Arrays& a, const double* weight, double* inputs) const {
  if constexpr (HasRowLoops<Device>) {
    const Network& network = model_.network();
    Device& d = model_.device();
    const auto& loops = device_cpu::lane_loops<T>();
    Back back(network.values.size());
    const std::int64_t width = size(wanted_[0]);
    auto& seed = back[static_cast<std::size_t>(owner(wanted_[0]))];
    seed = d.template buffer<T>(width * kSampleLanes);
    loops.from_doubles(width, weight, width, a.count, seed.data());
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (step->lanes) step_back(*step, a, back);
      else step_back_on_rows(*step, a, back);
      for (const ValueId v : step->out)
        if (v != kAbsent) back[static_cast<std::size_t>(v)] = {};
    }
    for (std::size_t k = 0; k < network.inputs.size(); ++k) {
      const ValueId v = network.inputs[k];
      const auto& from = back[static_cast<std::size_t>(v)];
      if (!from) continue;
      auto rows = d.template buffer<T>(a.count * size(v));
      loops.to_rows(size(v), from.data(), a.count, rows.data(), size(v));
      for (std::int64_t b = 0; b < a.count; ++b) std::copy_n(rows.data() + b * size(v), size(v), inputs + b * network.input_size() + network.input_offset(k));
    }
  }
}

template <class T>
void LanePass<T>::step_back(const Step& step, Arrays& a, Back& back) const {
  if constexpr (HasRowLoops<Device>) {
    auto& g = back[static_cast<std::size_t>(step.out[0])];
    if (!g) return;
    const T* out = lanes_of(a, step.out[0]);
    if (step.rectify) device_cpu::lane_loops<T>().rectify_back(size(step.out[0]), out, g.data(), g.data());
    Back parts(step.in.size());
    std::vector<T*> to(step.in.size(), nullptr);
    for (std::size_t k = 0; k < step.in.size(); ++k) {
      if (step.in[k] == kAbsent) continue;
      parts[k] = model_.device().template buffer<T>(size(step.in[k]) * kSampleLanes);
      to[k] = parts[k].data();
    }
    step.lanes->back_lanes(model_.device(), out, g.data(), to.data());
    for (std::size_t k = 0; k < step.in.size(); ++k)
      if (parts[k]) add(back, step.in[k], std::move(parts[k]));
  }
}

template <class T>
void LanePass<T>::step_back_on_rows(const Step& step, Arrays& a, Back& back) const {
  if constexpr (HasRowLoops<Device>) {
    Device& d = model_.device();
    const auto& loops = device_cpu::lane_loops<T>();
    std::vector<const T*> in, out, grad_out;
    Back come(step.out.size()), parts(step.in.size());
    bool reached = false;
    for (std::size_t s = 0; s < step.out.size(); ++s) {
      const ValueId v = step.out[s];
      out.push_back(v == kAbsent ? nullptr : rows_of(a, v));
      if (v != kAbsent && back[static_cast<std::size_t>(v)]) {
        come[s] = d.template buffer<T>(a.count * size(v));
        loops.to_rows(size(v), back[static_cast<std::size_t>(v)].data(), a.count, come[s].data(), size(v));
        reached = true;
      }
      grad_out.push_back(come[s].data());
    }
    if (!reached) return;
    std::vector<T*> grad_in;
    for (std::size_t k = 0; k < step.in.size(); ++k) {
      const ValueId v = step.in[k];
      in.push_back(v == kAbsent ? nullptr : rows_of(a, v));
      if (v != kAbsent) {
        parts[k] = d.template buffer<T>(a.count * size(v));
        d.fill(parts[k].data(), T(0), a.count * size(v));
      }
      grad_in.push_back(parts[k].data());
    }
    model_.kernel(step.node).vjp(d, in.data(), out.data(), grad_out.data(), grad_in.data(), a.count);
    for (std::size_t k = 0; k < step.in.size(); ++k) {
      if (!parts[k]) continue;
      auto turned = d.template buffer<T>(size(step.in[k]) * kSampleLanes);
      loops.from_rows(size(step.in[k]), parts[k].data(), size(step.in[k]), a.count, turned.data());
      add(back, step.in[k], std::move(turned));
    }
  }
}

template <class T>
void LanePass<T>::add(Back& back, ValueId v, Buffer<T>&& part) const {
  auto& sum = back[static_cast<std::size_t>(v)];
  if constexpr (HasRowLoops<Device>) {
    if (sum) return device_cpu::lane_loops<T>().combine(size(v), T(1), sum.data(), T(1), part.data(), nullptr, false, sum.data());
  }
  sum = std::move(part);
}

template class LanePass<float>;
template class LanePass<double>;

}  // namespace boundlight::BL_NS
