// ConstantsKernel: the output of a node that reads no variable, but whose exact values are not all numbers of their type
// (so that it was not folded). Enclosures are given per semantics; engines see a linear operator without inputs.
#pragma once

#include <vector>

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

struct ConstantValues {
  std::vector<double> value;                     // as a runtime computes it
  std::vector<Interval> real, deployed;          // enclosures; deployed contains real
};

// Rows A on constants w in [lo, hi]: bias + A m with m the middle, charged |A| radius and the sum's rounding.
template <class T>
class ConstantsRelaxation : public Relaxation<T> {
 public:
  ConstantsRelaxation(Device& d, const std::vector<Interval>& w, bool sound) : size_(static_cast<std::int64_t>(w.size())), sound_(sound) {
    std::vector<double> middle, radius;
    for (const Interval& x : w) {
      middle.push_back(x.finite() ? x.middle() : 0.0);
      radius.push_back(x.finite() ? next_up(fmax(sub_up(x.hi, middle.back()), sub_up(middle.back(), x.lo))) : std::numeric_limits<double>::infinity());
    }
    middle_ = d.template buffer<double>(size_);
    radius_ = d.template buffer<double>(size_);
    d.upload(middle_.data(), middle.data(), size_);
    d.upload(radius_.data(), radius.data(), size_);
  }

  void backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>*) const override {
    const T* a = rows.a.data();
    const double *m = middle_.data(), *r = radius_.data();
    const std::int64_t width = rows.width;
    const double dot = sound_ ? gamma_up<double>(width + 2) : 0.0;
    const bool sound = sound_;
    double *bias = accounts.bias, *charge = accounts.charge;
    double* const sums[2] = {bias, charge};
    d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t row, std::int64_t j, Sums sum) {
      const auto x = static_cast<double>(a[row * width + j]);
      sum.add(0, x * m[j]);
      if (sound && x != 0) sum.add(1, fabs(x) * (r[j] + dot * fabs(m[j])));
    }, sums);
    if (sound) d.map(rows.rows, [=] BL_HD(std::int64_t row) { charge[row] += fabs(bias[row]) * 3e-16; });
  }

 private:
  std::int64_t size_;
  bool sound_;
  Buffer<double> middle_, radius_;
};

template <class T>
class ConstantsKernel : public Kernel<T> {
 public:
  ConstantsKernel(Device& d, ConstantValues values) : values_(std::move(values)), size_(static_cast<std::int64_t>(values_.value.size())) {
    std::vector<T> near;
    for (const double x : values_.value) near.push_back(static_cast<T>(x));
    near_ = uploaded(d, near);
    for (const auto* box : {&values_.real, &values_.deployed}) {
      std::vector<T> lower, upper;
      for (const Interval& x : *box) lower.push_back(round_down_to<T>(x.lo)), upper.push_back(round_up_to<T>(x.hi));
      lower_.push_back(uploaded(d, lower));
      upper_.push_back(uploaded(d, upper));
    }
  }
  void forward(Device& d, const T* const*, T* const* out, std::int64_t batch) const override { repeat(d, near_.data(), out[0], batch); }
  void vjp(Device&, const T* const*, const T* const*, const T* const*, T* const*, std::int64_t) const override {}
  void interval(Device& d, const BoxView<T>*, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const std::size_t which = settings.semantics == Semantics::real ? 0 : 1;
    repeat(d, lower_[which].data(), lower[0], batch);
    repeat(d, upper_[which].data(), upper[0], batch);
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>*, const BoxView<T>*, std::int64_t, const BoundSettings& settings, SlopeRule) const override {
    return std::make_unique<ConstantsRelaxation<T>>(d, settings.semantics == Semantics::real ? values_.real : values_.deployed, settings.sound);
  }
  bool linear() const override { return true; }

  // Public for its device lambda (device/device.hpp).
  void repeat(Device& d, const T* from, T* to, std::int64_t batch) const {
    const std::int64_t size = size_;
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) { to[b * size + e] = from[e]; });
  }

 private:
  static Buffer<T> uploaded(Device& d, const std::vector<T>& host) {
    auto b = d.template buffer<T>(static_cast<std::int64_t>(host.size()));
    d.upload(b.data(), host.data(), b.size());
    return b;
  }

  ConstantValues values_;
  std::int64_t size_;
  Buffer<T> near_;
  std::vector<Buffer<T>> lower_, upper_;  // real, deployed
};

}  // namespace boundlight::BL_NS
