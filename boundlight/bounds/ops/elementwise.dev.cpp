// What elementwise operators share whatever their function is (elementwise.hpp, elementwise_relaxation.hpp), instantiated once.
#include "boundlight/bounds/ops/elementwise.hpp"
#include "boundlight/bounds/ops/row_math.hpp"

namespace boundlight::BL_NS {
namespace {

// eta |m|_1 per box.
template <class T>
Buffer<double> underflow_cost(Device& d, BoxView<T> in, std::int64_t batch, std::int64_t size, double eta) {
  auto cost = d.template buffer<double>(batch);
  d.fill(cost.data(), 0.0, batch);
  if (eta == 0) return cost;
  const T *l = in.lower, *u = in.upper;
  double* const sums[1] = {cost.data()};
  d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) {
    sum.add(0, eta * larger(fabs(static_cast<double>(l[b * size + j])), fabs(static_cast<double>(u[b * size + j]))));
  }, sums);
  return cost;
}

// The values that rows' planes take at points: y = slope x + offset, the plane picked by the sign of the row's entry.
template <class T>
void follow_planes(Device& d, const RowBlock<T>& rows, std::int64_t size, const std::int32_t* box, const SubstitutionPlanes<T>& p, const T* x, T* y) {
  const T *a = rows.a.data(), *own = rows.slopes.at;
  const std::int32_t* line = rows.slopes.line;
  d.map_rows(rows.rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) {
    const std::int64_t e = box[r] * size + j, i = r * size + j;
    const bool up = !a || a[i] >= T(0);  // without rows: a linear function, whose planes are one
    T slope = up ? p.lower_slope[e] : p.upper_slope[e];
    if (up && p.free[e]) slope = own ? own[(line ? line[r] : r) * size + j] : slope;
    y[i] = slope * x[i] + (up ? p.lower_offset[e] : p.upper_offset[e]);
  });
}

// Planes in coordinates through planes per element (Relaxation::carry).
template <class T>
void carry_planes(Device& d, std::int64_t batch, std::int64_t size, const Coordinates& x, const PlaneView<T>& in, const SubstitutionPlanes<T>& p, double unit,
                  double eta, PlaneArrays<T>& out) {
  const std::int64_t n = x.count;
  out.lower = d.template buffer<T>(batch * n * size);
  out.upper = d.template buffer<T>(batch * n * size);
  out.error = d.template buffer<T>(batch * size);
  const T *from_lower = in.lower, *from_upper = in.upper_or_lower(), *error = in.error, *cost = p.cost;
  T *lower = out.lower.data(), *upper = out.upper.data(), *to_error = out.error.data();
  const double* magnitude = x.magnitude;
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    const std::int64_t b = i / size, e = i % size;
    const T ls = p.lower_slope[i], us = p.upper_slope[i];
    double spread = 0, tiny = eta;
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t at = (b * n + k) * size + e;
      const bool last = k + 1 == n;
      const T lo = ls * (ls >= T(0) ? from_lower[at] : from_upper[at]) + (last ? p.lower_offset[i] : T(0));
      const T hi = us * (us >= T(0) ? from_upper[at] : from_lower[at]) + (last ? p.upper_offset[i] : T(0));
      lower[at] = lo;
      upper[at] = hi;
      const double size_lo = fabs(static_cast<double>(lo)), size_hi = fabs(static_cast<double>(hi));
      spread += (size_lo > size_hi ? size_lo : size_hi) * magnitude[b * n + k];
      tiny += eta * magnitude[b * n + k];
      // The sum with the offset may cancel: its product is charged on its own.
      if (last) spread += fabs(static_cast<double>(p.lower_offset[i])) + fabs(static_cast<double>(p.upper_offset[i]));
    }
    if (!cost) {
      to_error[i] = T(0);
      return;
    }
    const double steepest = fmax(fabs(static_cast<double>(ls)), fabs(static_cast<double>(us)));
    const double e_out = (steepest * static_cast<double>(error[i]) + 4 * unit * spread) * (1 + 1e-9) + static_cast<double>(cost[i]) + tiny;
    to_error[i] = round_up_to<T>(e_out);
  });
}

}  // namespace

template <class T>
ElementwiseRelaxation<T>::ElementwiseRelaxation(Device& d, PlaneTable<T> table, std::int64_t size, Shape shape, BoxView<T> in, std::int64_t batch,
                                                const BoundSettings& settings, double free_low, double free_high)
    : batch_(batch), size_(size), shape_(std::move(shape)), settings_(settings), table_(std::move(table)) {
  if (settings.sound) cost0_ = underflow_cost(d, in, batch, size, settings.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) : 0.0);
  free_ = {table_.free.data(), table_.lower_slope.data(), round_up_to<T>(free_low), round_down_to<T>(free_high)};
}

template <class T>
void ElementwiseRelaxation<T>::backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const {
  SubstitutionPlanes<T> planes = rows.windowed ? windowed(d).view() : table_.view();
  planes.own_slope = rows.windowed ? nullptr : rows.slopes.at;
  planes.own_row = rows.slopes.line;
  const auto at = span_of(d, rows, accounts.box, size_, rows.windowed ? shape_[1] : 1, rows.windowed ? shape_[3] : 1);
  substitute(d, at.span, rows.a.data(), planes, accounts.bias, accounts.charge);
  if (settings_.sound) charge_per_row(d, rows.rows, accounts, cost0_.data());
  rows.slopes = {};
  out[0] = std::move(rows);
}

template <class T>
bool ElementwiseRelaxation<T>::follow(Device& d, int, const RowBlock<T>& a, const std::int32_t* box, const T* const* in, T* out) const {
  if (a.windowed) return false;
  follow_planes(d, a, size_, box, table_.view(), in[0], out);
  return true;
}

template <class T>
bool ElementwiseRelaxation<T>::carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const {
  const double unit = settings_.charges(Charge::slope) ? static_cast<double>(unit_roundoff<T>) : 0.0;
  const double eta = settings_.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) : 0.0;
  carry_planes(d, batch, size_, x, in[0], table_.view(), unit, eta, out[0]);
  return true;
}

template <class T>
const PlaneTable<T>& ElementwiseRelaxation<T>::windowed(Device& d) const {
  std::call_once(last_made_, [&] {
    const std::int64_t channels = shape_[1], cells = shape_[2] * shape_[3];
    const auto turn = [&](const auto& from, auto& to) {
      if (from) to = channels_last(d, from.data(), batch_, channels, cells);
    };
    turn(table_.lower_slope, last_.lower_slope);
    turn(table_.lower_offset, last_.lower_offset);
    turn(table_.upper_slope, last_.upper_slope);
    turn(table_.upper_offset, last_.upper_offset);
    turn(table_.cost, last_.cost);
    turn(table_.free, last_.free);
  });
  return last_;
}

template class ElementwiseRelaxation<float>;
template class ElementwiseRelaxation<double>;

template <class T>
ElementwiseBase<T>::ElementwiseBase(Device& d, const NodeView& node) : ElementwiseBase(node.shape(0), node.size(0)) {
  if (node.variable(0)) return;
  std::vector<T> near, low, high;
  for (const double x : node.inputs[0]->constant->to_doubles()) {
    near.push_back(static_cast<T>(x));
    low.push_back(round_down_to<T>(x));
    high.push_back(round_up_to<T>(x));
  }
  const std::vector<T>* const from[] = {&near, &low, &high};
  Buffer<T>* const to[] = {&near_, &low_, &high_};
  for (int k = 0; k < 3; ++k) {
    *to[k] = d.template buffer<T>(size_);
    d.upload(to[k]->data(), from[k]->data(), size_);
  }
}

template <class T>
std::unique_ptr<Relaxation<T>> ElementwiseBase<T>::relaxation(Device& d, PlaneTable<T> table, BoxView<T> in, std::int64_t batch, const BoundSettings& settings,
                                                              double free_low, double free_high) const {
  return std::make_unique<ElementwiseRelaxation<T>>(d, std::move(table), size_, shape_, in, batch, settings, free_low, free_high);
}

template class ElementwiseBase<float>;
template class ElementwiseBase<double>;

}  // namespace boundlight::BL_NS
