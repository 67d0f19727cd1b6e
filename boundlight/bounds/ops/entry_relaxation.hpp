// EntryRelaxation: the relaxation of operators whose every output reads a short list of elements (planes.hpp).
//
// Per unit of |a| one output costs
//   slope      gamma_k sum_p max(|lower_p|, |upper_p|) m_p   k outputs that read one element meet in an entry of the new rows
//                                                            (nothing where k = 1 and all slopes are 0 or +-1)
//   intercept  gamma_(n+3)(double) max|t|                    t itself is rounded outward into T, with the slopes as stored
//   deployed   |binary32 evaluation - f|                     where the semantics asks for it
// and every row k eta |m|_1 for products that underflow. What does not know the function is instantiated once, in entries.dev.cpp.
#pragma once

#include "boundlight/bounds/ops/planes.hpp"

namespace boundlight::BL_NS {

template <class T>
struct EntryPlanes {
  Buffer<T> lower, upper;       // [batch][entries]: slopes
  Buffer<T> low, high, cost;    // [batch][outputs]: intercepts and charges
};

// One output's intercepts and charge from what the functor wrote.
struct EntryCharges {
  bool outward, charged, deployed, single;
  double product, dot;
};
template <class T, class F, class X>
BL_HD void finish_entry(const F& f, std::int64_t e, const X& x, Interval known, const EntryCharges& charges, PlaneWriter<T>& p, T& low, T& high, T* cost) {
  double steep = 0;
  bool exact = charges.single, flat_low = true, flat_high = true;
  for (std::int64_t k = 0; k < x.count(); ++k) {
    const double a = fabs(p.lower(k)), c = fabs(p.upper(k));
    exact = exact && (a == 0 || a == 1) && (c == 0 || c == 1);
    flat_low = flat_low && a == 0;
    flat_high = flat_high && c == 0;
    if (a == 0 && c == 0) continue;  // also keeps 0 * inf out
    steep = add_up(steep, mul_up(fmax(a, c), x[k].magnitude()));
  }
  // A constant plane can use what is known.
  if (flat_low && !(p.low >= known.lo)) p.low = known.lo;
  if (flat_high && !(p.high <= known.hi)) p.high = known.hi;
  low = charges.outward ? round_down_to<T>(p.low) : static_cast<T>(p.low);
  high = charges.outward ? round_up_to<T>(p.high) : static_cast<T>(p.high);
  if (!cost) return;
  double c = charges.dot * fmax(fabs(static_cast<double>(low)), fabs(static_cast<double>(high)));
  if (!exact) c += charges.product * steep * (1 + 1e-14);
  if (charges.deployed) c += f.deployed_error(e, x, known);
  *cost = c == 0 ? T(0) : round_up_to<T>(c * (1 + 1e-14));
}

template <class T, class F>
EntryPlanes<T> make_entry_planes(Device& d, const Entries<T>& entries, const JoinedBoxes<T>& boxes, F f, BoxView<T> out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) {
  EntryPlanes<T> planes;
  planes.lower = d.buffer<T>(batch * entries.count());
  planes.upper = d.buffer<T>(batch * entries.count());
  planes.low = d.buffer<T>(batch * entries.outputs());
  planes.high = d.buffer<T>(batch * entries.outputs());
  if (settings.sound) planes.cost = d.buffer<T>(batch * entries.outputs());
  const T *l = boxes.lower, *u = boxes.upper, *ol = out.lower, *ou = out.upper;
  T *ls = planes.lower.data(), *us = planes.upper.data(), *low = planes.low.data(), *high = planes.high.data(), *cost = planes.cost.data();
  const std::int64_t outputs = entries.outputs(), total = entries.total(), count = entries.count();
  const std::int32_t *at = entries.at(), *element = entries.element();
  const std::uint8_t* fixed = entries.fixed();
  const bool outward = settings.charges(Charge::intercept);
  const EntryCharges charges{outward, settings.sound, settings.deployed(), entries.most_readers() == 1, settings.charges(Charge::slope) ? gamma_up<T>(entries.most_readers()) : 0.0,
                             outward ? gamma_up<double>(outputs + 3) : 0.0};
  d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
    const EntryBoxes<T> x{l + b * total, u + b * total, element + at[e], at[e + 1] - at[e]};
    const std::int64_t i = b * outputs + e;
    const Interval known(static_cast<double>(ol[i]), static_cast<double>(ou[i]));
    PlaneWriter<T> p{ls + b * count + at[e], us + b * count + at[e], fixed, element + at[e], known.lo, known.hi};
    bool finite = known.finite();
    for (std::int64_t k = 0; k < x.count(); ++k) {
      p.lower_slopes[k] = 0;
      p.upper_slopes[k] = 0;
      finite = finite && x[k].finite();
    }
    if (finite) f.planes(e, x, known, rule, p);
    finish_entry(f, e, x, known, charges, p, low[i], high[i], cost ? cost + i : nullptr);
  });
  return planes;
}

template <class T>
class EntryRelaxation : public Relaxation<T> {
 public:
  EntryRelaxation(Device& d, const Entries<T>& entries, const JoinedBoxes<T>& boxes, EntryPlanes<T> planes, std::int64_t batch, const BoundSettings& settings);

  void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override;
  bool follow(Device& d, int slot, const RowBlock<T>& rows, const std::int32_t* box, const T* const* in, T* out) const override;
  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override;

 private:
  const Entries<T>& entries_;
  BoundSettings settings_;
  EntryPlanes<T> planes_;
  Buffer<double> cost0_;  // [batch]
};

extern template class EntryRelaxation<float>;
extern template class EntryRelaxation<double>;

// The relaxation of functor f on `in`, with what is known of the output.
template <class T, class F>
std::unique_ptr<Relaxation<T>> relax_entries(Device& d, const Entries<T>& entries, const F& f, const BoxView<T>* in, BoxView<T> out, std::int64_t batch,
                                             const BoundSettings& settings, SlopeRule rule) {
  const JoinedBoxes<T> boxes(d, entries, in, batch);
  return std::make_unique<EntryRelaxation<T>>(d, entries, boxes, make_entry_planes(d, entries, boxes, f, out, batch, settings, rule), batch, settings);
}

}  // namespace boundlight::BL_NS
