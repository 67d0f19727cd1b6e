// ElementwiseRelaxation: planes  s_l z + t_l <= f(z) <= s_u z + t_u  per element and box, for the functors of elementwise.hpp.
//
// Per unit of |a| one element costs
//   slope      u max|s| m                 the product a s (none for slopes 0 and +-1)
//   intercept  gamma_(n+3)(double) max|t| the sum a.t; t itself is rounded outward into T, with the slope as it is stored
//   deployed   |binary32 evaluation - f|  where the semantics asks for it
// and every row eta |m|_1 for products that underflow.
//
// What does not know the function (taking rows back, carrying planes) is instantiated once, in elementwise.dev.cpp: every
// elementwise operator would compile it again.
#pragma once

#include <mutex>

#include "boundlight/bounds/ops/curves.hpp"
#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/device/row_span.hpp"

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

// fmax, without a call into the library.
BL_HD inline double larger(double a, double b) { return a < b ? b : a; }

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
    double c = dot * larger(fabs(static_cast<double>(lt[i])), fabs(static_cast<double>(ut[i])));
    if (!exact_slopes) {
      const double steepest = larger(larger(fabs(s.lower), fabs(s.upper)), free ? larger(fabs(f.free_low()), fabs(f.free_high())) : 0.0);
      c += unit * steepest * larger(fabs(x.lo), fabs(x.hi)) * (1 + 4 * unit);
    }
    if (deployed) c += deployment(f, x, Interval(static_cast<double>(ol[i]), static_cast<double>(ou[i])));
    cost[i] = c == 0 ? T(0) : round_up_to<T>(c * (1 + 1e-14));
  });
}

// The relaxation that a table of planes makes; [free_low, free_high]: the slopes that elements marked free may take.
template <class T>
class ElementwiseRelaxation : public Relaxation<T> {
 public:
  ElementwiseRelaxation(Device& d, PlaneTable<T> table, std::int64_t size, Shape shape, BoxView<T> in, std::int64_t batch, const BoundSettings& settings,
                        double free_low, double free_high);

  void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override;
  bool takes_windows() const override { return shape_.size() == 4 && shape_[0] == 1; }
  const FreeSlopes<T>* free_slopes() const override { return &free_; }
  bool follow(Device& d, int slot, const RowBlock<T>& a, const std::int32_t* box, const T* const* in, T* out) const override;
  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override;

 private:
  const PlaneTable<T>& windowed(Device& d) const;

  std::int64_t batch_, size_;
  Shape shape_;
  BoundSettings settings_;
  PlaneTable<T> table_;
  mutable PlaneTable<T> last_;  // channels last, made when the first windowed rows come
  mutable std::once_flag last_made_;
  Buffer<double> cost0_;
  FreeSlopes<T> free_;
};

extern template class ElementwiseRelaxation<float>;
extern template class ElementwiseRelaxation<double>;

}  // namespace boundlight::BL_NS
