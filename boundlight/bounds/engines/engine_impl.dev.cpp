#include "boundlight/bounds/engines/engine_impl.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "boundlight/bounds/engines/lane_pass.hpp"

namespace boundlight::BL_NS {
namespace {

template <class T>
std::vector<double> to_host(Device& d, const T* from, std::int64_t n) {
  std::vector<T> raw(static_cast<std::size_t>(n));
  d.download(raw.data(), from, n);
  return {raw.begin(), raw.end()};
}

int last_node_of(const Network& network, const std::vector<ValueId>& values) {
  int last = -1;
  for (const ValueId v : values) last = std::max(last, network.values[static_cast<std::size_t>(v)].producer);
  return last;
}

}  // namespace

template <class T>
Result<Model<T>*> EngineImpl::model() {
  auto& slot = [&]() -> std::unique_ptr<Model<T>>& {
    if constexpr (std::is_same_v<T, float>) return single_;
    else return dual_;
  }();
  if (!slot) {
    auto made = Model<T>::make(device_, *network_);
    if (!made.ok()) return made.error();
    slot = std::move(made.value());
  }
  return slot.get();
}

template <class T>
Result<std::vector<std::vector<double>>> EngineImpl::evaluate_as(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted) {
  BL_TRY(m, model<T>());
  std::vector<std::vector<double>> result(wanted.size());
  const auto value_of = [&](std::size_t i) -> const NetworkValue& { return network_->values[static_cast<std::size_t>(wanted[i])]; };
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!value_of(i).constant) continue;
    const auto one = value_of(i).constant->to_doubles();
    for (std::int64_t b = 0; b < batch; ++b) result[i].insert(result[i].end(), one.begin(), one.end());
  }
  const LanePass<T> pass(*m, wanted);
  if (pass.worth(batch)) {
    for (std::size_t i = 0; i < wanted.size(); ++i)
      if (!value_of(i).constant) result[i].resize(static_cast<std::size_t>(batch * value_of(i).size));
    pass.run(inputs.data(), batch, result);
    return result;
  }
  const auto values = m->forward(inputs.data(), batch, last_node_of(*network_, wanted));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (!value_of(i).constant) result[i] = to_host(device_, values.at[static_cast<std::size_t>(wanted[i])].data(), batch * value_of(i).size);
  return result;
}

Result<std::vector<std::vector<double>>> EngineImpl::evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted,
                                                              Precision precision) {
  demand(static_cast<std::int64_t>(inputs.size()) == batch * network_->input_size(), "evaluate: inputs need batch x input size numbers");
  return precision == Precision::single ? evaluate_as<float>(inputs, batch, wanted) : evaluate_as<double>(inputs, batch, wanted);
}

template Result<Model<float>*> EngineImpl::model<float>();
template Result<Model<double>*> EngineImpl::model<double>();

}  // namespace boundlight::BL_NS
