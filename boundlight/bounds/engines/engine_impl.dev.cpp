#include "boundlight/bounds/engines/engine_impl.hpp"

#include <algorithm>
#include <cmath>
#include <map>

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

void check_regions(const Network& network, const Regions& regions) {
  const auto n = static_cast<std::size_t>(regions.batch * network.input_size());
  demand(regions.batch > 0, "Regions: batch must be positive");
  demand(regions.lower.size() == n && regions.upper.size() == n,
         "Regions: lower and upper need " + std::to_string(n) + " numbers (batch x input size), got " + std::to_string(regions.lower.size()));
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
  const auto values = m->forward(inputs.data(), batch, last_node_of(*network_, wanted));
  std::vector<std::vector<double>> result;
  for (const ValueId v : wanted) {
    const NetworkValue& value = network_->values[static_cast<std::size_t>(v)];
    if (value.constant) {
      const auto one = value.constant->to_doubles();
      std::vector<double> all;
      for (std::int64_t b = 0; b < batch; ++b) all.insert(all.end(), one.begin(), one.end());
      result.push_back(std::move(all));
    } else {
      result.push_back(to_host(device_, values.at[static_cast<std::size_t>(v)].data(), batch * value.size));
    }
  }
  return result;
}

Result<std::vector<std::vector<double>>> EngineImpl::evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted,
                                                              Precision precision) {
  demand(static_cast<std::int64_t>(inputs.size()) == batch * network_->input_size(), "evaluate: inputs need batch x input size numbers");
  return precision == Precision::single ? evaluate_as<float>(inputs, batch, wanted) : evaluate_as<double>(inputs, batch, wanted);
}

template <class T>
Result<BoxArrays<T>> EngineImpl::boxes_as(const Regions& regions, ValueId value, const BoundOptions& options, const ValueBoxes* known, Counters& counters) {
  BL_TRY(m, model<T>());
  const BoundSettings settings{options.semantics, options.sound};
  auto boxes = m->input_boxes(regions.lower.data(), regions.upper.data(), regions.batch);
  const int last = m->producer(value);
  const auto meet_known = [&](ValueId id) {
    if (!known || id == kAbsent || known->lower[static_cast<std::size_t>(id)].empty()) return;
    const auto& lo = known->lower[static_cast<std::size_t>(id)];
    const auto& hi = known->upper[static_cast<std::size_t>(id)];
    const auto n = static_cast<std::int64_t>(lo.size());
    std::vector<T> l(lo.size()), h(lo.size());
    for (std::size_t i = 0; i < lo.size(); ++i) l[i] = round_down_to<T>(lo[i]), h[i] = round_up_to<T>(hi[i]);
    auto dl = device_.buffer<T>(n), dh = device_.buffer<T>(n);
    device_.upload(dl.data(), l.data(), n);
    device_.upload(dh.data(), h.data(), n);
    const auto v = static_cast<std::size_t>(id);
    intersect_boxes(device_, boxes.lower[v].data(), boxes.upper[v].data(), dl.data(), dh.data(), n);
  };
  for (const ValueId id : network_->inputs) meet_known(id);
  const bool rows = options.method != Method::interval && !options.intermediate_by_interval;
  Relaxations<T> relaxations(*m, boxes, settings, options.slopes);
  for (int i = 0; i <= last; ++i) {
    const Node& node = network_->nodes[static_cast<std::size_t>(i)].node;
    if (rows && !m->kernel(i).linear()) {
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const ValueId id = node.inputs[k];
        if (id == kAbsent || network_->values[static_cast<std::size_t>(id)].constant || m->producer(id) < 0) continue;
        const std::int64_t size = network_->values[static_cast<std::size_t>(id)].size, n = regions.batch * size;
        auto mask = device_.buffer<std::uint8_t>(n);
        m->kernel(i).refinable(device_, static_cast<int>(k), boxes.view(id), mask.data(), n);
        std::vector<std::uint8_t> host(static_cast<std::size_t>(n));
        device_.download(host.data(), mask.data(), n);
        std::vector<std::int32_t> element, box;
        std::vector<T> sign;
        for (std::int64_t e = 0; e < n; ++e)
          if (host[static_cast<std::size_t>(e)])
            for (const T s : {T(1), T(-1)}) {
              element.push_back(static_cast<std::int32_t>(e % size));
              box.push_back(static_cast<std::int32_t>(e / size));
              sign.push_back(s);
            }
        if (element.empty()) continue;
        RowPass<T> pass(*m, boxes, relaxations, regions, settings);
        const auto result = pass.run_selected(id, element, sign, box, counters);
        auto lo = to_host(device_, boxes.lower[static_cast<std::size_t>(id)].data(), n), hi = to_host(device_, boxes.upper[static_cast<std::size_t>(id)].data(), n);
        for (std::size_t r = 0; r < element.size(); ++r) {
          const auto e = static_cast<std::size_t>(box[r] * size + element[r]);
          if (sign[r] > 0) lo[e] = std::max(lo[e], result.lower[r]);
          else hi[e] = std::min(hi[e], -result.lower[r]);
        }
        std::vector<T> l(lo.size()), h(lo.size());
        for (std::size_t e = 0; e < lo.size(); ++e) l[e] = round_down_to<T>(lo[e]), h[e] = round_up_to<T>(hi[e]);
        device_.upload(boxes.lower[static_cast<std::size_t>(id)].data(), l.data(), n);
        device_.upload(boxes.upper[static_cast<std::size_t>(id)].data(), h.data(), n);
      }
    }
    m->interval_node(i, boxes, settings);
    for (const ValueId id : node.outputs) meet_known(id);
  }
  return boxes;
}

template <class T>
Result<BoundResult> EngineImpl::rows_as(const Regions& regions, const Forms& forms, const BoundOptions& options, const BoxArrays<T>& boxes, Counters counters) {
  BL_TRY(m, model<T>());
  const BoundSettings settings{options.semantics, options.sound};
  const std::int64_t size = network_->values[static_cast<std::size_t>(forms.value)].size, total = regions.batch * forms.rows;
  BoundResult result;
  result.batch = regions.batch;
  result.rows = forms.rows;
  result.counters = counters;
  Relaxations<T> relaxations(*m, boxes, settings, options.slopes);
  result.charge.assign(static_cast<std::size_t>(total), 0.0);
  for (const double sign : {1.0, -1.0}) {
    if (sign > 0 ? !forms.want_lower : !forms.want_upper) continue;
    std::vector<T> a(static_cast<std::size_t>(total * size));
    std::vector<std::int32_t> box(static_cast<std::size_t>(total));
    std::vector<double> constant(static_cast<std::size_t>(total), 0.0);
    std::vector<double> extra(static_cast<std::size_t>(total), 0.0);  // coefficients that T cannot hold
    for (std::int64_t b = 0; b < regions.batch; ++b)
      for (std::int64_t r = 0; r < forms.rows; ++r) {
        const std::int64_t row = b * forms.rows + r, from = forms.per_region ? row : r;
        box[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(b);
        if (!forms.constant.empty()) constant[static_cast<std::size_t>(row)] = sign * forms.constant[static_cast<std::size_t>(from)];
        for (std::int64_t j = 0; j < size; ++j) a[static_cast<std::size_t>(row * size + j)] = static_cast<T>(sign * forms.coefficient[static_cast<std::size_t>(from * size + j)]);
      }
    RowBlock<T> rows;
    rows.rows = total;
    rows.width = size;
    rows.a = device_.buffer<T>(total * size);
    device_.upload(rows.a.data(), a.data(), total * size);
    RowPass<T> pass(*m, boxes, relaxations, regions, settings);
    const auto found = pass.run(forms.value, std::move(rows), box, constant, options.planes, result.counters);
    for (std::size_t i = 0; i < found.charge.size(); ++i) result.charge[i] = std::max(result.charge[i], found.charge[i]);
    if (options.planes) {
      auto& plane = sign > 0 ? result.lower_plane : result.upper_plane;
      auto& offset = sign > 0 ? result.lower_offset : result.upper_offset;
      const std::int64_t inputs = network_->input_size();
      plane.assign(static_cast<std::size_t>(total * inputs), 0.0);
      for (std::size_t k = 0; k < network_->inputs.size(); ++k) {
        if (!found.plane[k]) continue;
        const std::int64_t width = network_->values[static_cast<std::size_t>(network_->inputs[k])].size, at = network_->input_offset(k);
        const auto host = to_host(device_, found.plane[k].data(), total * width);
        for (std::int64_t row = 0; row < total; ++row)
          for (std::int64_t j = 0; j < width; ++j) plane[static_cast<std::size_t>(row * inputs + at + j)] = sign * host[static_cast<std::size_t>(row * width + j)];
      }
      for (const double o : found.plane_offset) offset.push_back(sign * o);
    }
    if (sign > 0) {
      result.lower = found.lower;
    } else {
      result.upper.resize(found.lower.size());
      for (std::size_t i = 0; i < found.lower.size(); ++i) result.upper[i] = -found.lower[i];
    }
  }
  return result;
}

Result<BoundResult> EngineImpl::bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known) {
  check_regions(*network_, regions);
  Counters counters;
  BL_TRY(boxes, boxes_as<double>(regions, forms.value, options, known, counters));
  return rows_as<double>(regions, forms, options, boxes, counters);
}

Result<ValueBoxes> EngineImpl::boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known) {
  check_regions(*network_, regions);
  Counters counters;
  BL_TRY(boxes, boxes_as<double>(regions, network_->outputs[0], options, known, counters));
  ValueBoxes result;
  result.batch = regions.batch;
  for (std::size_t v = 0; v < network_->values.size(); ++v) {
    const std::int64_t n = boxes.lower[v] ? regions.batch * network_->values[v].size : 0;
    result.lower.push_back(to_host(device_, boxes.lower[v].data(), n));
    result.upper.push_back(to_host(device_, boxes.upper[v].data(), n));
  }
  return result;
}

template Result<Model<float>*> EngineImpl::model<float>();
template Result<Model<double>*> EngineImpl::model<double>();

}  // namespace boundlight::BL_NS
