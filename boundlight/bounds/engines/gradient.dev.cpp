// Gradients by one sweep back over the kernels' vector-Jacobian products.
#include <algorithm>

#include "boundlight/bounds/engines/engine_impl.hpp"
#include "boundlight/bounds/engines/lane_pass.hpp"

namespace boundlight::BL_NS {
namespace {

template <class T>
std::vector<double> fetched(Device& d, const Buffer<T>& from, std::int64_t n) {
  std::vector<T> raw(static_cast<std::size_t>(n));
  d.download(raw.data(), from.data(), n);
  return {raw.begin(), raw.end()};
}

// Gradients of every value, made when first reached.
template <class T>
class Gradients {
 public:
  Gradients(Device& d, const Network& network, std::int64_t batch) : d_(d), network_(network), batch_(batch), at_(network.values.size()) {}
  T* found(ValueId id) const { return id == kAbsent ? nullptr : at_[static_cast<std::size_t>(id)].data(); }
  T* reach(ValueId id) {
    auto& g = at_[static_cast<std::size_t>(id)];
    if (!g) {
      const std::int64_t n = size(id);
      g = d_.buffer<T>(n);
      d_.fill(g.data(), T(0), n);
    }
    return g.data();
  }
  // A constant's gradient is summed over the batch.
  std::int64_t size(ValueId id) const {
    const NetworkValue& v = network_.values[static_cast<std::size_t>(id)];
    return v.constant ? v.size : batch_ * v.size;
  }
  void release(ValueId id) { at_[static_cast<std::size_t>(id)] = Buffer<T>(); }
  const Buffer<T>& buffer(ValueId id) const { return at_[static_cast<std::size_t>(id)]; }

 private:
  Device& d_;
  const Network& network_;
  std::int64_t batch_;
  std::vector<Buffer<T>> at_;
};

template <class T>
void sweep(const Model<T>& m, const ValueArrays<T>& values, Gradients<T>& grad, int last, ValueId wrt) {
  const Network& network = m.network();
  const int first = wrt == kAbsent ? -1 : network.values[static_cast<std::size_t>(wrt)].producer;
  for (int i = last; i > first; --i) {
    const Node& node = network.nodes[static_cast<std::size_t>(i)].node;
    std::vector<const T*> in, out, grad_out;
    std::vector<T*> grad_in;
    bool reached = false;
    for (const ValueId id : node.outputs) {
      out.push_back(id == kAbsent ? nullptr : values.at[static_cast<std::size_t>(id)].data());
      grad_out.push_back(grad.found(id));
      reached = reached || grad_out.back();
    }
    if (!reached) continue;
    for (const ValueId id : node.inputs) {
      const bool variable = id != kAbsent && !network.values[static_cast<std::size_t>(id)].constant;
      in.push_back(variable ? values.at[static_cast<std::size_t>(id)].data() : nullptr);
      grad_in.push_back(variable || (id == wrt && id != kAbsent) ? grad.reach(id) : nullptr);
    }
    m.kernel(i).vjp(m.device(), in.data(), out.data(), grad_out.data(), grad_in.data(), values.batch);
    for (const ValueId id : node.outputs)
      if (id != kAbsent && id != wrt) grad.release(id);
  }
}

}  // namespace

template <class T>
Result<Engine::Gradient> EngineImpl::gradient_as(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, ValueId wrt) {
  BL_TRY(m, model<T>());
  if (wrt == kAbsent && !network_->values[static_cast<std::size_t>(value)].constant) {
    const LanePass<T> pass(*m, {value});
    if (pass.worth(batch)) return pass.gradient(inputs.data(), batch, weight_of);
  }
  const int last = m->producer(value);
  const auto values = m->forward(inputs.data(), batch, last);
  const std::int64_t n = batch * network_->values[static_cast<std::size_t>(value)].size;
  Gradient result;
  result.values = fetched(device_, values.at[static_cast<std::size_t>(value)], n);
  std::vector<double> weight(static_cast<std::size_t>(n), 0.0);
  weight_of(result.values, weight);
  Gradients<T> grad(device_, *network_, batch);
  const std::vector<T> seed(weight.begin(), weight.end());
  device_.upload(grad.reach(value), seed.data(), n);
  sweep(*m, values, grad, last, wrt);
  if (wrt != kAbsent) {
    result.inputs.assign(static_cast<std::size_t>(grad.size(wrt)), 0.0);
    if (grad.found(wrt)) result.inputs = fetched(device_, grad.buffer(wrt), static_cast<std::int64_t>(result.inputs.size()));
    return result;
  }
  const std::int64_t stride = network_->input_size();
  result.inputs.assign(static_cast<std::size_t>(batch * stride), 0.0);
  for (std::size_t k = 0; k < network_->inputs.size(); ++k) {
    const ValueId id = network_->inputs[k];
    if (!grad.found(id)) continue;
    const std::int64_t size = network_->values[static_cast<std::size_t>(id)].size, offset = network_->input_offset(k);
    const auto host = fetched(device_, grad.buffer(id), batch * size);
    for (std::int64_t b = 0; b < batch; ++b) std::copy_n(host.begin() + b * size, size, result.inputs.begin() + b * stride + offset);
  }
  return result;
}

Result<Engine::Gradient> EngineImpl::gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of,
                                              Precision precision, ValueId wrt) {
  demand(static_cast<std::int64_t>(inputs.size()) == batch * network_->input_size(), "gradient: inputs need batch x input size numbers");
  return precision == Precision::single ? gradient_as<float>(inputs, batch, value, weight_of, wrt) : gradient_as<double>(inputs, batch, value, weight_of, wrt);
}

}  // namespace boundlight::BL_NS
