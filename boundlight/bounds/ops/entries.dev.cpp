// What operators over lists of elements share whatever their function is (planes.hpp, entry_relaxation.hpp), instantiated once.
#include "boundlight/bounds/ops/entry_relaxation.hpp"
#include "boundlight/bounds/ops/row_math.hpp"

namespace boundlight::BL_NS {

template <class T>
Entries<T>::Entries(Device& d, const NodeView& node, const EntryList& list) : outputs_(static_cast<std::int64_t>(list.at.size()) - 1) {
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    offsets_.push_back(total_);
    sizes_.push_back(node.has(k) ? node.size(k) : 0);
    variable_.push_back(node.variable(k));
    total_ += sizes_.back();
  }
  keep_constants(d, node);
  at_ = uploaded_indices(d, list.at);
  element_ = uploaded_indices(d, list.element);
  std::vector<std::int32_t> owner;
  for (std::int64_t e = 0; e < outputs_; ++e) {
    const auto n = list.at[static_cast<std::size_t>(e) + 1] - list.at[static_cast<std::size_t>(e)];
    owner.insert(owner.end(), static_cast<std::size_t>(n), static_cast<std::int32_t>(e));
  }
  owner_ = uploaded(d, owner);
  const Readers readers = readers_of(list.element, total_);
  readers_at_ = uploaded(d, readers.at);
  readers_ = uploaded(d, readers.list);
  most_readers_ = std::max<std::int64_t>(1, readers.most);
  count_ = static_cast<std::int64_t>(list.element.size());
}

template <class T>
Buffer<T> Entries<T>::joined(Device& d, const std::vector<const T*>& in, std::int64_t batch, int side) const {
  auto all = d.buffer<T>(batch * total_);
  T* to = all.data();
  const std::int64_t total = total_;
  for (std::size_t k = 0; k < sizes_.size(); ++k) {
    const std::int64_t size = sizes_[k], offset = offsets_[k];
    if (size == 0) continue;
    const bool variable = variable_[k];
    const T* constants = (side < 0 ? constant_low_ : side > 0 ? constant_high_ : constant_).data();
    const T* from = variable ? in[k] : constants + offset;
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t i) { to[b * total + offset + i] = from[variable ? b * size + i : i]; });
  }
  return all;
}

template <class T>
void Entries<T>::keep_constants(Device& d, const NodeView& node) {
  std::vector<T> near(static_cast<std::size_t>(total_)), low(near), high(near);
  std::vector<std::uint8_t> fixed(near.size(), 0);
  bool any = false;
  for (std::size_t k = 0; k < sizes_.size(); ++k) {
    if (sizes_[k] == 0 || variable_[k]) continue;
    any = true;
    auto to = static_cast<std::size_t>(offsets_[k]);
    for (const double x : node.inputs[k]->constant->to_doubles()) {
      near[to] = static_cast<T>(x);
      low[to] = round_down_to<T>(x);
      fixed[to] = 1;
      high[to++] = round_up_to<T>(x);
    }
  }
  if (!any) return;
  constant_ = uploaded(d, near);
  constant_low_ = uploaded(d, low);
  constant_high_ = uploaded(d, high);
  fixed_ = uploaded(d, fixed);
}

template <class T>
JoinedBoxes<T>::JoinedBoxes(Device& d, const Entries<T>& entries, const BoxView<T>* in, std::int64_t batch) {
  if (entries.alone()) {
    lower = in[0].lower;
    upper = in[0].upper;
    return;
  }
  std::vector<const T*> l, u;
  for (std::size_t k = 0; k < entries.inputs(); ++k) l.push_back(in[k].lower), u.push_back(in[k].upper);
  lower_data = entries.joined(d, l, batch, -1);
  upper_data = entries.joined(d, u, batch, 1);
  lower = lower_data.data();
  upper = upper_data.data();
}

// k eta |m|_1 per box: products that underflow, k of them for every element.
template <class T>
void add_underflow(Device& d, const JoinedBoxes<T>& boxes, std::int64_t batch, std::int64_t total, double eta, double* cost0) {
  const T *l = boxes.lower, *u = boxes.upper;
  double* const sums[1] = {cost0};
  d.template sum_rows<1>(batch, total, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) {
    sum.add(0, eta * fmax(fabs(static_cast<double>(l[b * total + j])), fabs(static_cast<double>(u[b * total + j]))));
  }, sums);
}

template <class T>
EntryRelaxation<T>::EntryRelaxation(Device& d, const Entries<T>& entries, const JoinedBoxes<T>& boxes, EntryPlanes<T> planes, std::int64_t batch, const BoundSettings& settings)
    : entries_(entries), settings_(settings), planes_(std::move(planes)) {
  cost0_ = d.buffer<double>(batch);
  d.fill(cost0_.data(), 0.0, batch);
  const double eta = static_cast<double>(smallest_normal<T>) * static_cast<double>(entries.most_readers());
  if (settings.charges(Charge::underflow)) add_underflow(d, boxes, batch, entries.total(), eta, cost0_.data());
}

template <class T>
void EntryRelaxation<T>::backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const {
  const T *a = rows.a.data(), *low = planes_.low.data(), *high = planes_.high.data(), *cost = planes_.cost.data(), *ls = planes_.lower.data(), *us = planes_.upper.data();
  const std::int64_t size = entries_.outputs(), count = entries_.count();
  const std::int32_t* box = accounts.box;
  double* const sums[2] = {accounts.bias, accounts.charge};
  d.template sum_rows<2>(rows.rows, size, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
    const auto x = static_cast<double>(a[r * size + j]);
    const std::int64_t e = box[r] * size + j;
    sum.add(0, x * static_cast<double>(x >= 0 ? low[e] : high[e]));
    if (cost) sum.add(1, fabs(x) * static_cast<double>(cost[e]));
  }, sums);
  if (settings_.sound) charge_per_row(d, rows.rows, accounts, cost0_.data());
  const std::int32_t *at = entries_.readers_at(), *readers = entries_.readers(), *owner = entries_.owner();
  for (std::size_t k = 0; k < entries_.inputs(); ++k) {
    if (!entries_.variable(k)) continue;
    const std::int64_t width = entries_.size(k), offset = entries_.offset(k);
    out[k].rows = rows.rows;
    out[k].width = width;
    out[k].a = d.template buffer<T>(rows.rows * width);
    T* to = out[k].a.data();
    d.map_rows(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
      T sum = 0;
      for (std::int32_t q = at[offset + i]; q < at[offset + i + 1]; ++q) {
        const std::int64_t p = readers[q];
        const T x = a[r * size + owner[p]];
        sum += x * (x >= 0 ? ls : us)[box[r] * count + p];
      }
      to[r * width + i] = sum;
    });
  }
}

template <class T>
bool EntryRelaxation<T>::follow(Device& d, int slot, const RowBlock<T>& rows, const std::int32_t* box, const T* const* in, T* out) const {
  if (slot != 0 || rows.windowed) return false;
  std::vector<const T*> inputs(in, in + entries_.inputs());
  const auto values = entries_.joined(d, inputs, rows.rows, 0);
  const T *x = values.data(), *a = rows.a.data(), *low = planes_.low.data(), *high = planes_.high.data(), *ls = planes_.lower.data(), *us = planes_.upper.data();
  const std::int64_t size = entries_.outputs(), count = entries_.count(), total = entries_.total();
  const std::int32_t *at = entries_.at(), *element = entries_.element();
  d.map_rows(rows.rows, size, [=] BL_HD(std::int64_t r, std::int64_t e) {
    const bool up = !a || a[r * size + e] >= T(0);
    T sum = (up ? low : high)[box[r] * size + e];
    for (std::int64_t p = at[e]; p < at[e + 1]; ++p) sum += (up ? ls : us)[box[r] * count + p] * x[r * total + element[p]];
    out[r * size + e] = sum;
  });
  return true;
}

// Every coefficient of an output's plane is a sum over its entries of slope times the end of the input's plane that the
// slope's sign picks: gamma_(n+2) of the sizes summed, charged by |x|; errors of the inputs' planes times the slopes.
template <class T>
bool EntryRelaxation<T>::carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const {
  const std::int64_t n = x.count, size = entries_.outputs(), count = entries_.count();
  out[0].lower = d.template buffer<T>(batch * n * size);
  out[0].upper = d.template buffer<T>(batch * n * size);
  out[0].error = d.template buffer<T>(batch * size);
  auto sizes = d.template buffer<double>(batch * size), errors = d.template buffer<double>(batch * size);
  T *lower = out[0].lower.data(), *upper = out[0].upper.data(), *error = out[0].error.data();
  double *spread = sizes.data(), *wrong = errors.data();
  const T *low = planes_.low.data(), *high = planes_.high.data(), *cost = planes_.cost.data(), *ls = planes_.lower.data(), *us = planes_.upper.data();
  d.map_rows(batch * n, size, [=] BL_HD(std::int64_t r, std::int64_t e) {
    const bool last = r % n + 1 == n;
    lower[r * size + e] = last ? low[r / n * size + e] : T(0);
    upper[r * size + e] = last ? high[r / n * size + e] : T(0);
  });
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    spread[i] = fabs(static_cast<double>(low[i])) + fabs(static_cast<double>(high[i]));
    wrong[i] = 0;
  });
  const std::int32_t *at = entries_.at(), *element = entries_.element();
  const double* magnitude = x.magnitude;
  for (std::size_t k = 0; k < entries_.inputs(); ++k) {
    if (!entries_.variable(k)) continue;
    const std::int64_t width = entries_.size(k), offset = entries_.offset(k);
    const T *from_lower = in[k].lower, *from_upper = in[k].upper_or_lower(), *from_error = in[k].error;
    d.map(batch * size, [=] BL_HD(std::int64_t i) {
      const std::int64_t b = i / size, e = i % size;
      for (std::int64_t p = at[e]; p < at[e + 1]; ++p) {
        const std::int64_t j = element[p] - offset;
        if (j < 0 || j >= width) continue;
        const T sl = ls[b * count + p], su = us[b * count + p];
        wrong[i] += fmax(fabs(static_cast<double>(sl)), fabs(static_cast<double>(su))) * static_cast<double>(from_error[b * width + j]);
        for (std::int64_t c = 0; c < n; ++c) {
          const std::int64_t from = (b * n + c) * width + j, to = (b * n + c) * size + e;
          const T lo = sl == 0 ? T(0) : sl * (sl > 0 ? from_lower[from] : from_upper[from]), hi = su == 0 ? T(0) : su * (su > 0 ? from_upper[from] : from_lower[from]);
          lower[to] += lo;
          upper[to] += hi;
          spread[i] += (fabs(static_cast<double>(lo)) + fabs(static_cast<double>(hi))) * magnitude[b * n + c];
        }
      }
    });
  }
  const bool charged = settings_.charges(Charge::slope);
  const double eta = settings_.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) : 0.0;
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    const std::int64_t b = i / size, terms = at[i % size + 1] - at[i % size] + 2;
    double tiny = 0;
    for (std::int64_t c = 0; c < n; ++c) tiny += eta * static_cast<double>(terms) * magnitude[b * n + c];
    const double total = (wrong[i] + (charged ? gamma_up<T>(terms) * spread[i] : 0.0) + tiny) * (1 + 1e-9) + (cost ? static_cast<double>(cost[i]) : 0.0);
    error[i] = cost ? round_up_to<T>(total) : T(0);
  });
  return true;
}

template class Entries<float>;
template class Entries<double>;
template struct JoinedBoxes<float>;
template struct JoinedBoxes<double>;
template class EntryRelaxation<float>;
template class EntryRelaxation<double>;

}  // namespace boundlight::BL_NS
