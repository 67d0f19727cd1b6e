// ElementwiseRelaxation: planes  s_l z + t_l <= f(z) <= s_u z + t_u  per element and box, for the functors of elementwise.hpp.
//
// Per unit of |a| one element costs
//   slope      u max|s| m                 the product a s (none for slopes 0 and +-1)
//   intercept  gamma_(n+3)(double) max|t| the sum a.t; t itself is rounded outward into T, with the slope as it is stored
//   deployed   |binary32 evaluation - f|  where the semantics asks for it
// and every row eta |m|_1 for products that underflow.
#pragma once

#include <mutex>

#include "boundlight/bounds/ops/curves.hpp"
#include "boundlight/bounds/ops/row_math.hpp"

namespace boundlight::BL_NS {

template <class F>
BL_HD auto element_of(const F& f, std::int64_t i, std::int64_t size) {
  if constexpr (requires { f.element(i); }) return f.element(i % size);
  else return f;
}

// |binary32 evaluation - f|; infinite where an input or a result is out of binary32's range.
template <class F>
BL_HD double deployment(const F& f, Interval x, Interval y) {
  const double largest = static_cast<double>(std::numeric_limits<float>::max());
  if (!(x.magnitude() <= largest && y.magnitude() <= largest)) return std::numeric_limits<double>::infinity();
  return f.deployed_error(x, y);
}

// The slope as T holds it; 0 for one that is infinite or no number.
template <class T>
BL_HD double stored_slope(double s) {
  const auto stored = static_cast<double>(static_cast<T>(s));
  return stored - stored == 0 ? stored : 0.0;
}

// What substitute() reads, per element of a batch of boxes.
template <class T>
struct PlaneTable {
  Buffer<T> lower_slope, lower_offset, upper_slope, upper_offset, cost;
  Buffer<std::uint8_t> free;
  SubstitutionPlanes<T> view() const {
    return {lower_slope.data(), lower_offset.data(), upper_slope.data(), upper_offset.data(), cost.data(), free.data(), nullptr, nullptr};
  }
};

template <class T, class F>
void make_planes(Device& d, F every, BoxView<T> in, BoxView<T> out, std::int64_t n, std::int64_t size, const BoundSettings& settings, SlopeRule rule, PlaneTable<T>& table) {
  for (Buffer<T>* b : {&table.lower_slope, &table.lower_offset, &table.upper_slope, &table.upper_offset}) *b = d.buffer<T>(n);
  if (settings.sound) table.cost = d.buffer<T>(n);
  table.free = d.buffer<std::uint8_t>(n);
  const T *l = in.lower, *u = in.upper, *ol = out.lower, *ou = out.upper;
  T *ls = table.lower_slope.data(), *lt = table.lower_offset.data(), *us = table.upper_slope.data(), *ut = table.upper_offset.data(), *cost = table.cost.data();
  std::uint8_t* mask = table.free.data();
  const bool outward = settings.charges(Charge::intercept), deployed = settings.deployed();
  const double unit = settings.charges(Charge::slope) ? static_cast<double>(unit_roundoff<T>) : 0.0, dot = outward ? gamma_up<double>(size + 3) : 0.0;
  d.map(n, [=] BL_HD(std::int64_t i) {
    const auto f = element_of(every, i, size);
    const Interval x(static_cast<double>(l[i]), static_cast<double>(u[i]));
    Slopes s{0, 0};
    double low, high;
    if (x.finite()) {
      s = f.slopes(x, rule);
      s.lower = stored_slope<T>(s.lower);
      s.upper = stored_slope<T>(s.upper);
      low = f.low(s.lower, x);
      high = f.high(s.upper, x);
    } else {
      const Interval y = f.range(x);
      low = y.lo;
      high = y.hi;
    }
    // A constant plane can use what is already known of the output.
    const bool free = x.finite() && f.free_slope(x);
    if (!free && s.lower == 0 && static_cast<double>(ol[i]) > low) low = static_cast<double>(ol[i]);
    if (s.upper == 0 && static_cast<double>(ou[i]) < high) high = static_cast<double>(ou[i]);
    ls[i] = static_cast<T>(s.lower);
    us[i] = static_cast<T>(s.upper);
    lt[i] = outward ? round_down_to<T>(low) : static_cast<T>(low);
    ut[i] = outward ? round_up_to<T>(high) : static_cast<T>(high);
    mask[i] = free ? 1 : 0;
    if (!cost) return;
    // Slopes 0, 1 and -1 multiply exactly; a free slope may be anything in its range.
    const bool exact_slopes = !free && (s.lower == 0 || fabs(s.lower) == 1) && (s.upper == 0 || fabs(s.upper) == 1);
    const double steepest = fmax(fmax(fabs(s.lower), fabs(s.upper)), free ? fmax(fabs(f.free_low()), fabs(f.free_high())) : 0.0);
    double c = dot * fmax(fabs(static_cast<double>(lt[i])), fabs(static_cast<double>(ut[i])));
    if (!exact_slopes) c += unit * steepest * x.magnitude() * (1 + 4 * unit);
    if (deployed) c += deployment(f, x, Interval(static_cast<double>(ol[i]), static_cast<double>(ou[i])));
    cost[i] = c == 0 ? T(0) : round_up_to<T>(c * (1 + 1e-14));
  });
}

// eta |m|_1 per box.
template <class T>
Buffer<double> underflow_cost(Device& d, BoxView<T> in, std::int64_t batch, std::int64_t size, double eta) {
  auto cost = d.template buffer<double>(batch);
  d.fill(cost.data(), 0.0, batch);
  if (eta == 0) return cost;
  const T *l = in.lower, *u = in.upper;
  double* const sums[1] = {cost.data()};
  d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) {
    sum.add(0, eta * fmax(fabs(static_cast<double>(l[b * size + j])), fabs(static_cast<double>(u[b * size + j]))));
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

template <class T, class F>
class ElementwiseRelaxation : public Relaxation<T> {
 public:
  ElementwiseRelaxation(Device& d, const F& f, std::int64_t size, Shape shape, BoxView<T> in, BoxView<T> out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule)
      : batch_(batch), size_(size), shape_(std::move(shape)), settings_(settings) {
    make_planes(d, f, in, out, batch * size, size, settings, rule, table_);
    if (settings.sound) cost0_ = underflow_cost(d, in, batch, size, settings.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) : 0.0);
    free_ = {table_.free.data(), table_.lower_slope.data(), round_up_to<T>(f.free_low()), round_down_to<T>(f.free_high())};
  }

  void backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    SubstitutionPlanes<T> planes = rows.windowed ? windowed(d).view() : table_.view();
    planes.own_slope = rows.windowed ? nullptr : rows.slopes.at;
    planes.own_row = rows.slopes.line;
    const auto at = span_of(d, rows, accounts.box, size_, rows.windowed ? shape_[1] : 1, rows.windowed ? shape_[3] : 1);
    substitute(d, at.span, rows.a.data(), planes, accounts.bias, accounts.charge);
    if (settings_.sound) charge_per_row(d, rows.rows, accounts, cost0_.data());
    rows.slopes = {};
    out[0] = std::move(rows);
  }

  bool takes_windows() const override { return shape_.size() == 4 && shape_[0] == 1; }
  const FreeSlopes<T>* free_slopes() const override { return &free_; }

  bool follow(Device& d, int, const RowBlock<T>& a, const std::int32_t* box, const T* const* in, T* out) const override {
    if (a.windowed) return false;
    follow_planes(d, a, size_, box, table_.view(), in[0], out);
    return true;
  }

  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override {
    const double unit = settings_.charges(Charge::slope) ? static_cast<double>(unit_roundoff<T>) : 0.0;
    const double eta = settings_.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) : 0.0;
    carry_planes(d, batch, size_, x, in[0], table_.view(), unit, eta, out[0]);
    return true;
  }

 private:
  // The table with channels last, made when the first windowed rows come.
  const PlaneTable<T>& windowed(Device& d) const {
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

  std::int64_t batch_, size_;
  Shape shape_;
  BoundSettings settings_;
  PlaneTable<T> table_;
  mutable PlaneTable<T> last_;
  mutable std::once_flag last_made_;
  Buffer<double> cost0_;
  FreeSlopes<T> free_;
};

}  // namespace boundlight::BL_NS
