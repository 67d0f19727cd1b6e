#include "boundlight/bounds/engines/row_pass.hpp"

#include <cmath>

namespace boundlight::BL_NS {
namespace {

// Products in double that underflow lose at most the smallest normal number each; this covers 10^17 of them.
constexpr double kUnderflow = 1e-290;

}  // namespace

template <class T>
Relaxation<T>* Relaxations<T>::at(int node) {
  auto& slot = at_[static_cast<std::size_t>(node)];
  if (!slot) {
    const auto in = model_.in_boxes(node, boxes_), out = model_.out_boxes(node, boxes_);
    slot = model_.kernel(node).relax(model_.device(), in.data(), out.data(), boxes_.batch, settings_, rule_);
  }
  return slot->get();
}

template <class T>
struct RowPass<T>::State {
  std::int64_t rows = 0;
  Buffer<double> bias, charge;
  Buffer<std::int32_t> box;
  std::map<ValueId, RowBlock<T>> pending;
  Counters* counters = nullptr;
  RowAccounts accounts() const { return {bias.data(), charge.data(), box.data()}; }
};

// Windowed rows as dense ones.
template <class T>
void RowPass<T>::densify(ValueId value, RowBlock<T>& rows) {
  if (!rows.windowed) return;
  Device& d = model_.device();
  const auto& v = model_.network().values[static_cast<std::size_t>(value)];
  const std::int64_t channels = v.shape[1], height = v.shape[2], across = v.shape[3], ww = rows.window_w, width = rows.width, size = v.size;
  RowBlock<T> dense;
  dense.rows = rows.rows;
  dense.width = size;
  dense.a = d.template buffer<T>(rows.rows * size);
  d.fill(dense.a.data(), T(0), rows.rows * size);
  const T* a = rows.a.data();
  T* to = dense.a.data();
  const std::int32_t *top = rows.top.data(), *left = rows.left.data();
  d.map_rows(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j) {
    const std::int64_t c = j % channels, x = left[r] + j / channels % ww, y = top[r] + j / (channels * ww);
    if (x >= 0 && y >= 0 && x < across && y < height) to[r * size + (c * height + y) * across + x] = a[r * width + j];
  });
  rows = std::move(dense);
}

// Joins rows that reach a value on several paths; the rounding of the sum is charged by the sum.
template <class T>
void RowPass<T>::add(State& s, ValueId value, RowBlock<T>&& rows) {
  auto found = s.pending.find(value);
  if (found == s.pending.end()) {
    s.pending.emplace(value, std::move(rows));
    return;
  }
  Device& d = model_.device();
  densify(value, found->second);
  densify(value, rows);
  T* sum = found->second.a.data();
  const T* part = rows.a.data();
  const BoxView<T> box = boxes_.view(value);
  const std::int64_t width = rows.width;
  const std::int32_t* owner = s.box.data();
  const bool sound = settings_.sound;
  const double u = static_cast<double>(unit_roundoff<T>);
  const T *l = box.lower, *h = box.upper;
  double* const sums[1] = {s.charge.data()};
  d.template sum_rows<1>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums total) {
    const T x = sum[r * width + j] + part[r * width + j];
    sum[r * width + j] = x;
    const std::int64_t e = owner[r] * width + j;
    if (sound) total.add(0, u * fabs(static_cast<double>(x)) * fmax(fabs(static_cast<double>(l[e])), fabs(static_cast<double>(h[e]))));
  }, sums);
}

// min over the box of the rows on `value`, added to the bias, in double: products of floats are exact there.
template <class T>
void RowPass<T>::stop_at(State& s, ValueId value, RowBlock<T>&& rows) {
  Device& d = model_.device();
  densify(value, rows);
  const BoxView<T> box = boxes_.view(value);
  const T *a = rows.a.data(), *l = box.lower, *h = box.upper;
  const std::int64_t width = rows.width;
  const std::int32_t* owner = s.box.data();
  const double share = settings_.sound ? gamma_up<double>(width + 3) : 0.0;
  double* const sums[2] = {s.bias.data(), s.charge.data()};
  d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums total) {
    const double x = static_cast<double>(a[r * width + j]);
    const std::int64_t e = owner[r] * width + j;
    const double p = x * static_cast<double>(x >= 0 ? l[e] : h[e]);
    total.add(0, p);
    total.add(1, share * fabs(p));
  }, sums);
}

template <class T>
void RowPass<T>::visit(State& s, int index) {
  Device& d = model_.device();
  const Node& node = model_.network().nodes[static_cast<std::size_t>(index)].node;
  for (std::size_t slot = 0; slot < node.outputs.size(); ++slot) {
    const ValueId value = node.outputs[slot];
    const auto found = value == kAbsent ? s.pending.end() : s.pending.find(value);
    if (found == s.pending.end()) continue;
    RowBlock<T> rows = std::move(found->second);
    s.pending.erase(found);
    Relaxation<T>* relaxation = relaxations_.at(index);
    if (!relaxation) {
      ++s.counters->concretised;
      stop_at(s, value, std::move(rows));
      continue;
    }
    if (rows.windowed && !relaxation->takes_windows()) densify(value, rows);
    std::vector<RowBlock<T>> out(node.inputs.size());
    relaxation->backward(d, static_cast<int>(slot), std::move(rows), s.accounts(), out.data());
    for (std::size_t k = 0; k < out.size(); ++k)
      if (out[k]) add(s, node.inputs[k], std::move(out[k]));
  }
}

template <class T>
RowResult<T> RowPass<T>::finish(State& s, bool planes) {
  Device& d = model_.device();
  RowResult<T> result;
  const Network& network = model_.network();
  const auto n = static_cast<std::size_t>(s.rows);
  if (planes) {
    std::vector<double> bias(n), charge(n);
    d.download(bias.data(), s.bias.data(), s.rows);
    d.download(charge.data(), s.charge.data(), s.rows);
    for (std::size_t r = 0; r < n; ++r) result.plane_offset.push_back(next_down(bias[r] - next_up(charge[r] * (1 + 1e-9) + std::fabs(bias[r]) * 1e-15 + kUnderflow)));
    result.plane.resize(network.inputs.size());
  }
  for (std::size_t k = 0; k < network.inputs.size(); ++k) {
    const auto found = s.pending.find(network.inputs[k]);
    if (found == s.pending.end()) continue;
    if (planes) {
      densify(network.inputs[k], found->second);
      result.plane[k] = d.template buffer<T>(found->second.rows * found->second.width);
      d.copy(result.plane[k].data(), found->second.a.data(), result.plane[k].size());
    }
    stop_at(s, network.inputs[k], std::move(found->second));
  }
  std::vector<double> bias(n), charge(n);
  d.download(bias.data(), s.bias.data(), s.rows);
  d.download(charge.data(), s.charge.data(), s.rows);
  result.lower.resize(n);
  result.charge.resize(n);
  for (std::size_t r = 0; r < n; ++r) {
    // The charge is a computed sum of nonnegative terms in double, up to 4 million of them: inflate by 1e-9.
    const double c = settings_.sound ? next_up(charge[r] * (1 + 1e-9) + std::fabs(bias[r]) * 1e-15 + kUnderflow) : 0.0;
    const double lower = settings_.sound ? next_down(bias[r] - c) : bias[r];
    const bool good = lower - lower == 0;
    result.lower[r] = good ? lower : -std::numeric_limits<double>::infinity();
    result.charge[r] = c;
  }
  return result;
}

template <class T>
RowResult<T> RowPass<T>::run(ValueId value, RowBlock<T>&& rows, const std::vector<std::int32_t>& box, const std::vector<double>& constant, bool planes, Counters& counters) {
  Device& d = model_.device();
  State s;
  s.rows = rows.rows;
  s.counters = &counters;
  counters.rows += rows.rows;
  s.bias = d.template buffer<double>(s.rows);
  s.charge = d.template buffer<double>(s.rows);
  s.box = d.template buffer<std::int32_t>(s.rows);
  if (constant.empty()) d.fill(s.bias.data(), 0.0, s.rows);
  else d.upload(s.bias.data(), constant.data(), s.rows);
  d.fill(s.charge.data(), 0.0, s.rows);
  d.upload(s.box.data(), box.data(), s.rows);
  s.pending.emplace(value, std::move(rows));
  for (int i = model_.producer(value); i >= 0; --i) visit(s, i);
  return finish(s, planes);
}

template <class T>
RowResult<T> RowPass<T>::run_selected(ValueId value, const std::vector<std::int32_t>& element, const std::vector<T>& sign, const std::vector<std::int32_t>& box, Counters& counters) {
  Device& d = model_.device();
  const std::int64_t n = static_cast<std::int64_t>(element.size()), size = model_.network().values[static_cast<std::size_t>(value)].size;
  State s;
  s.rows = n;
  s.counters = &counters;
  counters.rows += n;
  s.bias = d.template buffer<double>(n);
  s.charge = d.template buffer<double>(n);
  s.box = d.template buffer<std::int32_t>(n);
  d.fill(s.bias.data(), 0.0, n);
  d.fill(s.charge.data(), 0.0, n);
  d.upload(s.box.data(), box.data(), n);
  auto elements = d.template buffer<std::int32_t>(n);
  auto signs = d.template buffer<T>(n);
  d.upload(elements.data(), element.data(), n);
  d.upload(signs.data(), sign.data(), n);
  const int producer = model_.producer(value);
  const auto& v = model_.network().values[static_cast<std::size_t>(value)];
  std::vector<RowBlock<T>> out(producer < 0 ? 0 : model_.network().nodes[static_cast<std::size_t>(producer)].node.inputs.size());
  Relaxation<T>* relaxation = producer < 0 ? nullptr : relaxations_.at(producer);
  int from = producer;
  if (relaxation && relaxation->select(d, v.output_slot, n, elements.data(), signs.data(), s.accounts(), out.data())) {
    const Node& node = model_.network().nodes[static_cast<std::size_t>(producer)].node;
    for (std::size_t k = 0; k < out.size(); ++k)
      if (out[k]) add(s, node.inputs[k], std::move(out[k]));
    --from;
  } else {
    RowBlock<T> rows;
    rows.rows = n;
    rows.width = size;
    rows.a = d.template buffer<T>(n * size);
    T* a = rows.a.data();
    const std::int32_t* which = elements.data();
    const T* sg = signs.data();
    d.map_rows(n, size, [=] BL_HD(std::int64_t r, std::int64_t j) { a[r * size + j] = which[r] == j ? sg[r] : T(0); });
    s.pending.emplace(value, std::move(rows));
  }
  for (int i = from; i >= 0; --i) visit(s, i);
  return finish(s, false);
}

template class Relaxations<float>;
template class Relaxations<double>;
template class RowPass<float>;
template class RowPass<double>;

}  // namespace boundlight::BL_NS
