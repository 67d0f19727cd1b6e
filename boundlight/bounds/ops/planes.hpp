// Planes over few inputs per output: the relaxation of operators whose every output reads a short list of elements (max over
// a window, a product, a softmax over an axis). The host states the list (Entries); an operator's functor states the planes:
//
//   template <class X, class P> void planes(std::int64_t e, X x, Interval known, SlopeRule rule, P& p) const
//
//   x.count(), x[k]          interval of the k-th entry of output e (double, finite)
//   known                    what is known of output e
//   p.lower(k, s)            slope of the lower plane on entry k; p.lower(k) reads back what was kept of it: rounded to T, 0 for
//                            a constant entry (which no row can reach) and for no number. upper alike. (all start at 0)
//   p.low = t, p.high = t    sum_k lower(k) z_k + low <= f(z) <= sum_k upper(k) z_k + high for all z in x, *with the slopes
//                            as read back*; low and high start at the ends of `known`
//   double deployed_error(std::int64_t e, X x, Interval known) const     |binary32 evaluation - f| over x; infinite: none covered
//
// Soundness rests on low and high alone; slopes may be anything. Outputs that read an infinite entry keep slopes 0.
#pragma once

#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight {

// What every output reads: elements of the inputs laid out one behind the other (constants included).
struct EntryList {
  std::vector<std::int64_t> at{0};      // entries of output e: [at[e], at[e + 1])
  std::vector<std::int64_t> element;    // position in the concatenation of all inputs
  void end_output() { at.push_back(static_cast<std::int64_t>(element.size())); }
};

}  // namespace boundlight

namespace boundlight::BL_NS {

// The entries of one output in one box.
template <class T>
struct EntryBoxes {
  const T *lower, *upper;  // of the concatenated inputs of the box
  const std::int32_t* element;
  std::int64_t n;
  BL_HD std::int64_t count() const { return n; }
  BL_HD Interval operator[](std::int64_t k) const { return {static_cast<double>(lower[element[k]]), static_cast<double>(upper[element[k]])}; }
};
template <class T>
struct EntryValues {
  const T* value;
  const std::int32_t* element;
  std::int64_t n;
  BL_HD std::int64_t count() const { return n; }
  BL_HD T operator[](std::int64_t k) const { return value[element[k]]; }
};

// An EntryList on the device, with the constants' values.
template <class T>
class Entries {
 public:
  Entries(Device& d, const NodeView& node, const EntryList& list) : outputs_(static_cast<std::int64_t>(list.at.size()) - 1) {
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

  std::int64_t outputs() const { return outputs_; }
  std::int64_t total() const { return total_; }
  std::int64_t count() const { return count_; }
  std::int64_t most_readers() const { return most_readers_; }
  std::size_t inputs() const { return sizes_.size(); }
  const std::uint8_t* fixed() const { return fixed_.data(); }  // by element of the concatenation: 1 for constants; null: none
  std::int64_t size(std::size_t k) const { return sizes_[k]; }
  std::int64_t offset(std::size_t k) const { return offsets_[k]; }
  bool variable(std::size_t k) const { return variable_[k]; }
  const std::int32_t* at() const { return at_.data(); }
  const std::int32_t* element() const { return element_.data(); }
  const std::int32_t* owner() const { return owner_.data(); }            // output of an entry
  const std::int32_t* readers_at() const { return readers_at_.data(); }  // by element of the concatenation
  const std::int32_t* readers() const { return readers_.data(); }        // entries
  // The only input that varies when nothing else is there: its arrays can be read in place.
  bool alone() const { return sizes_.size() == 1 && variable_[0]; }

  // Inputs one behind the other, [batch][total]; constants by `side`: 0 nearest, -1 below, +1 above.
  Buffer<T> joined(Device& d, const std::vector<const T*>& in, std::int64_t batch, int side) const {
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

 private:
  void keep_constants(Device& d, const NodeView& node) {
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

  std::int64_t outputs_, total_ = 0, most_readers_ = 1, count_ = 0;
  std::vector<std::int64_t> sizes_, offsets_;
  std::vector<bool> variable_;
  Buffer<std::int32_t> at_, element_, owner_, readers_at_, readers_;
  Buffer<T> constant_, constant_low_, constant_high_;
  Buffer<std::uint8_t> fixed_;
};

// Boxes of all inputs of a node side by side.
template <class T>
struct JoinedBoxes {
  Buffer<T> lower_data, upper_data;
  const T *lower = nullptr, *upper = nullptr;
  JoinedBoxes(Device& d, const Entries<T>& entries, const BoxView<T>* in, std::int64_t batch) {
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
};

template <class T>
struct PlaneWriter {
  T *lower_slopes, *upper_slopes;  // of this output's entries
  const std::uint8_t* fixed;
  const std::int32_t* element;
  double low, high;
  BL_HD T kept(std::int64_t k, double s) const {
    const T x = static_cast<T>(s);
    return x - x == 0 && !(fixed && fixed[element[k]]) ? x : T(0);
  }
  BL_HD void lower(std::int64_t k, double s) { lower_slopes[k] = kept(k, s); }
  BL_HD void upper(std::int64_t k, double s) { upper_slopes[k] = kept(k, s); }
  BL_HD double lower(std::int64_t k) const { return static_cast<double>(lower_slopes[k]); }
  BL_HD double upper(std::int64_t k) const { return static_cast<double>(upper_slopes[k]); }
};

template <class T, class F>
class EntryRelaxation : public Relaxation<T> {
 public:
  EntryRelaxation(Device& d, const Entries<T>& entries, const F& f, const BoxView<T>* in, BoxView<T> out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule)
      : entries_(entries), sound_(settings.sound) {
    const JoinedBoxes<T> boxes(d, entries, in, batch);
    lower_ = d.buffer<T>(batch * entries.count());
    upper_ = d.buffer<T>(batch * entries.count());
    for (Buffer<T>* b : {&low_, &high_, &cost_}) *b = d.buffer<T>(batch * entries.outputs());
    planes(d, boxes, f, out, batch, settings, rule);
    cost0_ = d.buffer<double>(batch);
    d.fill(cost0_.data(), 0.0, batch);
    if (!sound_) return;
    // Products and sums that underflow: one smallest normal number per reader, charged by the magnitude it meets.
    const T *l = boxes.lower, *u = boxes.upper;
    const std::int64_t total = entries.total();
    const double eta = static_cast<double>(smallest_normal<T>) * static_cast<double>(entries.most_readers());
    double* const sums[1] = {cost0_.data()};
    d.template sum_rows<1>(batch, total, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) {
      sum.add(0, eta * fmax(fabs(static_cast<double>(l[b * total + j])), fabs(static_cast<double>(u[b * total + j]))));
    }, sums);
  }

  void backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    const T *a = rows.a.data(), *low = low_.data(), *high = high_.data(), *cost = cost_.data(), *ls = lower_.data(), *us = upper_.data();
    const std::int64_t size = entries_.outputs(), count = entries_.count();
    const std::int32_t* box = accounts.box;
    double* const sums[2] = {accounts.bias, accounts.charge};
    d.template sum_rows<2>(rows.rows, size, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const auto x = static_cast<double>(a[r * size + j]);
      const std::int64_t e = box[r] * size + j;
      sum.add(0, x * static_cast<double>(x >= 0 ? low[e] : high[e]));
      sum.add(1, fabs(x) * static_cast<double>(cost[e]));
    }, sums);
    if (sound_) {
      const double* cost0 = cost0_.data();
      double *bias = accounts.bias, *charge = accounts.charge;
      d.map(rows.rows, [=] BL_HD(std::int64_t r) { charge[r] += cost0[box[r]] + fabs(bias[r]) * 3e-16; });
    }
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

 private:
  void planes(Device& d, const JoinedBoxes<T>& boxes, F f, BoxView<T> out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) {
    const T *l = boxes.lower, *u = boxes.upper, *ol = out.lower, *ou = out.upper;
    T *ls = lower_.data(), *us = upper_.data(), *low = low_.data(), *high = high_.data(), *cost = cost_.data();
    const std::int64_t outputs = entries_.outputs(), total = entries_.total(), count = entries_.count();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const std::uint8_t* fixed = entries_.fixed();
    const bool sound = settings.sound, deployed = settings.semantics == Semantics::float32_any_order, single = entries_.most_readers() == 1;
    const double product = gamma_up<T>(entries_.most_readers()), dot = gamma_up<double>(outputs + 3);
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
      double steep = 0;
      bool exact = single, flat_low = true, flat_high = true;
      for (std::int64_t k = 0; k < x.count(); ++k) {
        const double a = fabs(p.lower(k)), c = fabs(p.upper(k));
        exact = exact && (a == 0 || a == 1) && (c == 0 || c == 1);
        flat_low = flat_low && a == 0;
        flat_high = flat_high && c == 0;
        if (a == 0 && c == 0) continue;  // also keeps 0 * inf out
        steep = add_up(steep, mul_up(fmax(a, c), x[k].magnitude()));
      }
      // A constant plane can use what is known; a plane that was lost (NaN) becomes one that bounds nothing.
      if (flat_low && !(p.low >= known.lo)) p.low = known.lo;
      if (flat_high && !(p.high <= known.hi)) p.high = known.hi;
      low[i] = sound ? round_down_to<T>(p.low) : static_cast<T>(p.low);
      high[i] = sound ? round_up_to<T>(p.high) : static_cast<T>(p.high);
      if (!sound) {
        cost[i] = 0;
        return;
      }
      double c = dot * fmax(fabs(static_cast<double>(low[i])), fabs(static_cast<double>(high[i])));
      if (!exact) c += product * steep * (1 + 1e-14);
      if (deployed) c += f.deployed_error(e, x, known);
      cost[i] = c == 0 ? T(0) : round_up_to<T>(c * (1 + 1e-14));
    });
  }

  const Entries<T>& entries_;
  bool sound_;
  Buffer<T> lower_, upper_;        // [batch][entries]
  Buffer<T> low_, high_, cost_;    // [batch][outputs]
  Buffer<double> cost0_;           // [batch]
};

}  // namespace boundlight::BL_NS
