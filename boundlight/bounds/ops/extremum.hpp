// Maxima and minima over lists of elements: MaxPool, GlobalMaxPool, ReduceMax, ReduceMin, Max, Min.
//
// Planes of max(z_1 .. z_n) over z_k in [l_k, u_k]; L the largest l, U the largest u:
//   lower  z_k of the element with the largest l_k (slope 1).
//   upper  for any s_k in [0, 1], the maximum over the box of max_j z_j - sum s_k z_k lies at a vertex and is
//          max_j (u_j - s_j (u_j - l_j)) - sum_k s_k l_k. With s_k = (u_k - M) / (u_k - l_k) where u_k > M, else 0, this is
//          the plane  M + sum s_k (z_k - l_k)  for a level M in [L, U]: M = U is the constant, M = L the chord that a ReLU
//          has (n = 2, one input constant 0). An element that dominates (l_k >= every other u) is the exact answer.
// The minimum is -max(-z).
#pragma once

#include "boundlight/bounds/ops/entry_relaxation.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::BL_NS {

struct ExtremumPlanes {
  bool maximum;

  // Entry k as the maximum sees it.
  template <class X>
  BL_HD Interval seen(const X& x, std::int64_t k) const {
    return maximum ? x[k] : -x[k];
  }
  // The entry with the largest lower bound, and the largest upper bounds among the others.
  struct Order {
    std::int64_t first;
    double lower, second, third;  // lower: of the first; second, third: largest upper bounds of all, by rank
    double rivals;                // largest upper bound of the others
    double highest;
  };
  template <class X>
  BL_HD Order order(const X& x) const {
    const double none = -std::numeric_limits<double>::infinity();
    Order o{0, none, none, none, none, none};
    double first_upper = none;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const Interval z = seen(x, k);
      if (z.lo > o.lower || (z.lo == o.lower && z.hi > first_upper)) {
        o.first = k;
        o.lower = z.lo;
        first_upper = z.hi;
      }
      if (z.hi > o.highest) {
        o.third = o.second;
        o.second = o.highest;
        o.highest = z.hi;
      } else if (z.hi > o.second) {
        o.third = o.second;
        o.second = z.hi;
      } else if (z.hi > o.third) {
        o.third = z.hi;
      }
    }
    for (std::int64_t k = 0; k < x.count(); ++k)
      if (k != o.first) o.rivals = fmax(o.rivals, seen(x, k).hi);
    return o;
  }

  template <class X, class P>
  BL_HD void planes(std::int64_t, X x, Interval, SlopeRule, P& p) const {
    const Order o = order(x);
    const bool decided = o.rivals <= o.lower;
    // The side where one entry alone is a valid plane (its end, when it is a constant).
    if (maximum || decided) {
      p.lower(o.first, 1);
      p.low = p.lower(o.first) == 1 ? 0.0 : x[o.first].lo;
    }
    if (!maximum || decided) {
      p.upper(o.first, 1);
      p.high = p.upper(o.first) == 1 ? 0.0 : x[o.first].hi;
    }
    if (decided) return;
    const double level = fmax(o.lower, o.third);
    double best = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t k = 0; k < x.count(); ++k) {
      const Interval z = seen(x, k);
      double s = 0;
      if (z.hi > level) {
        s = fmin(1.0, (z.hi - level) / (z.hi - z.lo));
        if (maximum) p.upper(k, s);
        else p.lower(k, s);
        s = maximum ? p.upper(k) : p.lower(k);
      }
      // u - s (u - l), rounded up; s l, rounded down
      const double corner = s == 0 ? z.hi : s == 1 ? z.lo : sub_up(z.hi, mul_down(s, sub_down(z.hi, z.lo)));
      best = fmax(best, corner);
      if (s != 0) sum = add_down(sum, s == 1 ? z.lo : mul_down(s, z.lo));
    }
    const double t = sub_up(best, sum);
    if (maximum) p.high = t;
    else p.low = -t;
  }
  template <class X>
  BL_HD double deployed_error(std::int64_t, X, Interval) const {
    return 0;  // comparisons do not round
  }
};

template <class T>
class ExtremumKernel : public Kernel<T> {
 public:
  ExtremumKernel(Device& d, const NodeView& node, const EntryList& list, bool maximum) : entries_(d, node, list), planes_{maximum} {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    Buffer<T> data;
    const T* x = values(d, in, batch, data);
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool maximum = planes_.maximum;
    T* y = out[0];
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) { y[b * outputs + e] = x[b * total + element[chosen(x + b * total, element, at[e], at[e + 1], maximum)]]; });
  }
  // The whole gradient goes to the first entry that attains the extremum.
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0]) return;
    Buffer<T> data;
    const T *x = values(d, in, batch, data), *g = grad_out[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element(), *owner = entries_.owner(), *readers_at = entries_.readers_at(), *readers = entries_.readers();
    const bool maximum = planes_.maximum;
    auto picks = d.template buffer<std::int32_t>(batch * outputs);
    std::int32_t* pick = picks.data();
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) { pick[b * outputs + e] = chosen(x + b * total, element, at[e], at[e + 1], maximum); });
    for (std::size_t k = 0; k < entries_.inputs(); ++k) {
      T* to = grad_in[k];
      if (!to || entries_.size(k) == 0) continue;
      const std::int64_t width = entries_.size(k), offset = entries_.offset(k);
      if (entries_.variable(k)) {
        d.map_rows(batch, width, [=] BL_HD(std::int64_t b, std::int64_t i) {
          for (std::int32_t q = readers_at[offset + i]; q < readers_at[offset + i + 1]; ++q) {
            const std::int64_t e = b * outputs + owner[readers[q]];
            if (pick[e] == readers[q]) to[b * width + i] += g[e];
          }
        });
      } else {
        d.map(width, [=] BL_HD(std::int64_t i) {
          for (std::int64_t b = 0; b < batch; ++b)
            for (std::int32_t q = readers_at[offset + i]; q < readers_at[offset + i + 1]; ++q) {
              const std::int64_t e = b * outputs + owner[readers[q]];
              if (pick[e] == readers[q]) to[i] += g[e];
            }
        });
      }
    }
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings&) const override {
    const JoinedBoxes<T> boxes(d, entries_, in, batch);
    const T *l = boxes.lower, *u = boxes.upper;
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool maximum = planes_.maximum;
    T *lo = lower[0], *hi = upper[0];
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      T low = l[b * total + element[at[e]]], high = u[b * total + element[at[e]]];
      for (std::int32_t p = at[e] + 1; p < at[e + 1]; ++p) {
        const T x = l[b * total + element[p]], y = u[b * total + element[p]];
        if (x != x || (maximum ? x > low : x < low)) low = x;
        if (y != y || (maximum ? y > high : y < high)) high = y;
      }
      const bool good = low == low && high == high;
      lo[b * outputs + e] = good ? low : -std::numeric_limits<T>::infinity();
      hi[b * outputs + e] = good ? high : std::numeric_limits<T>::infinity();
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    return relax_entries<T>(d, entries_, planes_, in, out[0], batch, settings, rule);
  }
  bool linear() const override { return false; }
  // An element matters where some output that reads it is undecided and could be it.
  void refinable(Device& d, int k, BoxView<T> in, std::uint8_t* mask, std::int64_t count) const override {
    if (!entries_.alone()) return Kernel<T>::refinable(d, k, in, mask, count);
    const T *l = in.lower, *u = in.upper;
    const std::int64_t total = entries_.total();
    const std::int32_t *at = entries_.at(), *element = entries_.element(), *owner = entries_.owner(), *readers_at = entries_.readers_at(), *readers = entries_.readers();
    const ExtremumPlanes f = planes_;
    d.map_rows(count / total, total, [=] BL_HD(std::int64_t b, std::int64_t i) {
      std::uint8_t open = 0;
      for (std::int32_t q = readers_at[i]; q < readers_at[i + 1] && !open; ++q) {
        const std::int32_t e = owner[readers[q]];
        const EntryBoxes<T> x{l + b * total, u + b * total, element + at[e], at[e + 1] - at[e]};
        const auto o = f.order(x);
        open = !(o.rivals <= o.lower) && !(f.seen(x, readers[q] - at[e]).hi <= o.lower);
      }
      mask[b * total + i] = open;
    });
  }

 protected:
  const Entries<T>& entries() const { return entries_; }
  // Entry of [from, to) with the extreme value, the first of equals; a NaN wins.
  BL_HD static std::int32_t chosen(const T* x, const std::int32_t* element, std::int32_t from, std::int32_t to, bool maximum) {
    std::int32_t best = from;
    for (std::int32_t p = from + 1; p < to; ++p) {
      const T v = x[element[p]], top = x[element[best]];
      if (top == top && (v != v || (maximum ? v > top : v < top))) best = p;
    }
    return best;
  }
  const T* values(Device& d, const T* const* in, std::int64_t batch, Buffer<T>& data) const {
    if (entries_.alone()) return in[0];
    data = entries_.joined(d, std::vector<const T*>(in, in + entries_.inputs()), batch, 0);
    return data.data();
  }

 private:
  Entries<T> entries_;
  ExtremumPlanes planes_;
};

}  // namespace boundlight::BL_NS
