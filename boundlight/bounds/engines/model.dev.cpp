#include "boundlight/bounds/engines/model.hpp"

#include "boundlight/bounds/engines/constant_node.hpp"
#include "boundlight/bounds/engines/typed_evaluate.hpp"

namespace boundlight::BL_NS {
namespace {

NodeView view_of(const Network& network, const NetworkNode& node) {
  NodeView view;
  view.node = &node.node;
  const auto at = [&](ValueId id) { return id == kAbsent ? nullptr : &network.values[static_cast<std::size_t>(id)]; };
  for (const ValueId id : node.node.inputs) view.inputs.push_back(at(id));
  for (const ValueId id : node.node.outputs) view.outputs.push_back(at(id));
  return view;
}

}  // namespace

template <class T>
Result<std::unique_ptr<Model<T>>> Model<T>::make(Device& d, const Network& network) {
  auto model = std::unique_ptr<Model>(new Model(d, network));
  for (const NetworkNode& node : network.nodes) {
    const KernelMakers* makers = find_makers(node.node.op);
    if (!makers) return Error{ErrorKind::unsupported, network.place(node.node), "this operator has no kernels for floating-point work"};
    if (integer_arithmetic(network, node))
      return Error{ErrorKind::unsupported, network.place(node.node), "computes with variable integers, for which there are exact values only (boundlight run), no gradients or bounds"};
    const NodeView view = view_of(network, node);
    Result<std::unique_ptr<Kernel<T>>> kernel = [&] {
      // "own": the kernel is made of constants.
      if (reads_constants_only(view) && std::string_view(node.op->exact) != "own") return make_constant_node<T>(d, view, *makers);
      if constexpr (std::is_same_v<T, float>) return makers->make_float(d, view);
      else return makers->make_double(d, view);
    }();
    if (!kernel.ok()) {
      Error error = kernel.error();
      if (error.place.empty()) error.place = network.place(node.node);
      return error;
    }
    model->kernels_.push_back(std::move(kernel.value()));
  }
  return model;
}

template <class T>
ValueArrays<T> Model<T>::forward(const double* inputs, std::int64_t batch, int last_node) const {
  ValueArrays<T> values;
  values.batch = batch;
  values.at.resize(network_.values.size());
  const std::int64_t stride = network_.input_size();
  for (std::size_t k = 0; k < network_.inputs.size(); ++k) {
    const auto& v = network_.values[static_cast<std::size_t>(network_.inputs[k])];
    std::vector<T> host(static_cast<std::size_t>(batch * v.size));
    const std::int64_t offset = network_.input_offset(k);
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t i = 0; i < v.size; ++i) host[static_cast<std::size_t>(b * v.size + i)] = static_cast<T>(inputs[b * stride + offset + i]);
    auto& to = values.at[static_cast<std::size_t>(network_.inputs[k])];
    to = d_.buffer<T>(batch * v.size);
    d_.upload(to.data(), host.data(), batch * v.size);
  }
  for (int i = 0; i <= last_node; ++i) {
    const Node& node = network_.nodes[static_cast<std::size_t>(i)].node;
    std::vector<const T*> in;
    std::vector<T*> out;
    for (const ValueId id : node.inputs) in.push_back(id == kAbsent ? nullptr : values.at[static_cast<std::size_t>(id)].data());
    for (const ValueId id : node.outputs) {
      if (id == kAbsent) {
        out.push_back(nullptr);
        continue;
      }
      values.at[static_cast<std::size_t>(id)] = d_.buffer<T>(batch * network_.values[static_cast<std::size_t>(id)].size);
      out.push_back(values.at[static_cast<std::size_t>(id)].data());
    }
    kernel(i).forward(d_, in.data(), out.data(), batch);
  }
  return values;
}

template <class T>
BoxArrays<T> Model<T>::input_boxes(const double* lower, const double* upper, std::int64_t batch) const {
  BoxArrays<T> boxes;
  boxes.batch = batch;
  boxes.lower.resize(network_.values.size());
  boxes.upper.resize(network_.values.size());
  const std::int64_t stride = network_.input_size();
  for (std::size_t k = 0; k < network_.inputs.size(); ++k) {
    const auto id = static_cast<std::size_t>(network_.inputs[k]);
    const std::int64_t size = network_.values[id].size, offset = network_.input_offset(k);
    std::vector<T> lo(static_cast<std::size_t>(batch * size)), hi(lo.size());
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t i = 0; i < size; ++i) {
        lo[static_cast<std::size_t>(b * size + i)] = round_down_to<T>(lower[b * stride + offset + i]);
        hi[static_cast<std::size_t>(b * size + i)] = round_up_to<T>(upper[b * stride + offset + i]);
      }
    boxes.lower[id] = d_.buffer<T>(batch * size);
    boxes.upper[id] = d_.buffer<T>(batch * size);
    d_.upload(boxes.lower[id].data(), lo.data(), batch * size);
    d_.upload(boxes.upper[id].data(), hi.data(), batch * size);
  }
  return boxes;
}

template <class T>
std::vector<BoxView<T>> Model<T>::in_boxes(int index, const BoxArrays<T>& boxes) const {
  std::vector<BoxView<T>> in;
  for (const ValueId id : network_.nodes[static_cast<std::size_t>(index)].node.inputs) in.push_back(boxes.view(id));
  return in;
}

template <class T>
std::vector<BoxView<T>> Model<T>::out_boxes(int index, const BoxArrays<T>& boxes) const {
  std::vector<BoxView<T>> out;
  for (const ValueId id : network_.nodes[static_cast<std::size_t>(index)].node.outputs) out.push_back(boxes.view(id));
  return out;
}

template <class T>
void Model<T>::interval_node(int index, BoxArrays<T>& boxes, const BoundSettings& settings) const {
  const Node& node = network_.nodes[static_cast<std::size_t>(index)].node;
  std::vector<Buffer<T>> lower, upper;
  std::vector<T*> lo, hi;
  for (const ValueId id : node.outputs) {
    const std::int64_t n = id == kAbsent ? 0 : boxes.batch * network_.values[static_cast<std::size_t>(id)].size;
    lower.push_back(id == kAbsent ? Buffer<T>() : d_.buffer<T>(n));
    upper.push_back(id == kAbsent ? Buffer<T>() : d_.buffer<T>(n));
    lo.push_back(lower.back().data());
    hi.push_back(upper.back().data());
  }
  const auto in = in_boxes(index, boxes);
  kernel(index).interval(d_, in.data(), lo.data(), hi.data(), boxes.batch, settings);
  for (std::size_t s = 0; s < node.outputs.size(); ++s) {
    if (node.outputs[s] == kAbsent) continue;
    const auto id = static_cast<std::size_t>(node.outputs[s]);
    if (boxes.lower[id]) {
      intersect_boxes(d_, boxes.lower[id].data(), boxes.upper[id].data(), lo[s], hi[s], boxes.batch * network_.values[id].size);
    } else {
      boxes.lower[id] = std::move(lower[s]);
      boxes.upper[id] = std::move(upper[s]);
    }
  }
}

template class Model<float>;
template class Model<double>;

}  // namespace boundlight::BL_NS
