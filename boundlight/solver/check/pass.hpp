// One backward pass: linear forms on any tensors are carried to the input, every rounding charged to their constants.
//
// Rows run backward with coefficients A on the current tensor z, whose box [l, u] is known; m = max(|l|, |u|). The stored
// A is taken as exact; what rounding lost is charged to the row's constant (any order of summation, Jeannerod and Rump
// 2013; gamma_n instead of n u covers fused multiply-adds):
//   affine z = W y + w    A' = fl(A W): gamma_k |A| (|W| m) + k eta |m|_1, k = most terms of a column; A w into the constant
//   activation            s z + t above or below z = f(y) on the box, s free, t computed outward for s: u |A s| m
//   joins, splits         fl(A + A'): u |A + A'| m
//   constants             per step an inner product: gamma_n of its |terms|; then a sum over steps
// With T = Rational rows are exact and nothing of this is charged; boxes and planes stay outward doubles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {

// out_j = sum_o W_oj a_o for every column j of W, eight lanes side by side (panel[i * 8 + lane]).
void gather_eight(const Sparse& columns, const double* a, double* out);
// The same from the listed rows of W, for panels that are mostly zero; out starts as zero.
void scatter_eight(const Sparse& rows, const std::vector<std::uint32_t>& listed, const double* a, double* out);

template <class T> constexpr bool kRounds = std::is_same_v<T, double>;
template <class T> constexpr int kLanes = kRounds<T> ? 8 : 1;

template <class T> T exactly(double x) {
  if (!kRounds<T> && !std::isfinite(x)) throw Refusal("", "an infinite bound meets exact arithmetic");
  return T(x);
}
inline double absolute(double x) { return std::fabs(x); }
inline Rational absolute(const Rational& x) { return abs(x); }

template <class T>
class Pass {
 public:
  static constexpr int P = kLanes<T>;
  static constexpr double kUnit = kRounds<T> ? unit_roundoff<double> : 0, kEta = kRounds<T> ? smallest_normal<double> : 0;

  Pass(const Model& model, const Boxes& boxes, const Row<T>* rows, int lanes) : model_(model), boxes_(boxes), rows_(rows), lanes_(lanes), panels_(scratch()) {
    panels_.resize(model.tensors.size());
    for (Panel& p : panels_) p.set = false;
  }

  void run(std::vector<LinearForm<T>>& out) {
    for (int r = 0; r < lanes_; ++r) {
      operations_ += static_cast<std::int64_t>(rows_[r].terms.size() + (rows_[r].splits ? rows_[r].splits->size() : 0));
      for (const auto& t : rows_[r].terms) {
        T& a = panel(t.tensor)[std::size_t{t.index} * P + r];
        a += t.value;
        if constexpr (kRounds<T>) error_[r] += (t.gap + kUnit * std::fabs(a)) * magnitude(boxes_.of[t.tensor], t.index);
      }
    }
    for (std::size_t i = model_.ops.size(); i-- > 0;) {
      const Op& op = model_.ops[i];
      multipliers(op.output);
      if (!panels_[op.output].set) continue;
      if (op.form == Form::affine) affine(op, i);
      else relax(op, i);
    }
    multipliers(model_.input);
    const std::vector<T>& x = panel(model_.input);
    for (int r = 0; r < lanes_; ++r) {
      LinearForm<T>& form = out.emplace_back();
      for (std::size_t i = r; i < x.size(); i += P) form.a.push_back(x[i]);
      form.b = constant(r);
    }
  }

 private:
  struct Panel {
    std::vector<T> at;
    bool set = false;
  };
  struct Step { T sum[P]{}, size[P]{}, error[P]{}; };

  static std::vector<Panel>& scratch() {
    thread_local std::vector<Panel> panels;  // kept between passes: touching fresh memory costs more than the sums
    return panels;
  }
  std::vector<T>& panel(int tensor) {
    Panel& p = panels_[tensor];
    if (!p.set) p.at.assign(model_.tensors[tensor].size * P, T(0));
    p.set = true;
    return p.at;
  }

  // Inner products of n terms each, into the rows' constants.
  void take(const Step& step, std::int64_t n) {
    const double g = kRounds<T> ? gamma_up<double>(n + 2) : 0;
    for (int r = 0; r < P; ++r) {
      sum_[r] += step.sum[r];
      size_[r] += step.size[r];
      error_[r] += step.error[r];
      if constexpr (kRounds<T>) error_[r] += g * step.size[r] + static_cast<double>(n + 2) * kEta;
    }
    ++steps_;
    operations_ += n;
  }
  // The constant of a row, rounded down, with everything charged.
  T constant(int r) const {
    if constexpr (!kRounds<T>) return sum_[r] - error_[r];
    else {
      const double charge = (error_[r] + gamma_up<double>(steps_ + 2) * size_[r]) * inflation<double>(operations_ + 64);
      return sub_down(sum_[r], next_up(charge) + 8 * static_cast<double>(operations_ + 64) * kEta);
    }
  }

  // z_s of sign + is >= 0 on the region, so row >= row - beta z_s; of sign -, row >= row + beta z_s.
  void multipliers(int tensor) {
    for (int r = 0; r < lanes_; ++r)
      for (std::size_t s = 0; rows_[r].splits && rows_[r].beta && s < std::min(rows_[r].splits->size(), rows_[r].beta->size()); ++s) {
        const Split& split = (*rows_[r].splits)[s];
        const double beta = (*rows_[r].beta)[s];
        if (split.tensor != tensor || beta == 0) continue;
        T& a = panel(tensor)[std::size_t{split.neuron} * P + r];
        a += T(split.positive ? -beta : beta);
        if constexpr (kRounds<T>) error_[r] += kUnit * std::fabs(a) * magnitude(boxes_.of[tensor], split.neuron);
      }
  }

  static bool any(const T* a) {
    bool some = false;
    for (int r = 0; r < P; ++r) some = some || a[r] != 0;  // NaN counts
    return some;
  }

  void affine(const Op& op, std::size_t index) {
    const std::vector<T>& a = panels_[op.output].at;
    const std::vector<double>& charge = (kRounds<T> ? boxes_.charge : boxes_.open)[index];
    Step step;
    used_.clear();
    for (std::size_t o = 0; o < charge.size(); ++o) {
      const T* ao = &a[o * P];
      if (!any(ao)) continue;
      used_.push_back(static_cast<std::uint32_t>(o));
      const T w = T(op.bias[o]), c = exactly<T>(charge[o]);
      for (int r = 0; r < P; ++r) {
        const T term = ao[r] * w;
        step.sum[r] += term;
        step.size[r] += absolute(term);
        step.error[r] += absolute(ao[r]) * c;
      }
    }
    for (int r = 0; kRounds<T> && r < P; ++r) step.error[r] += boxes_.tiny[index];
    take(step, static_cast<std::int64_t>(charge.size()));
    for (const Part& part : op.parts) multiply(part, a);
  }

  void multiply(const Part& part, const std::vector<T>& a) {
    Panel& to = panels_[part.input];
    const std::size_t n = model_.tensors[part.input].size;
    const bool join = to.set;
    std::vector<T>& out = join ? joining_ : to.at;
    const Sparse& w = part.by_output;
    if constexpr (kRounds<T>) {
      std::size_t touched = 0;
      for (const std::uint32_t o : used_) touched += w.start[o + 1] - w.start[o];
      if (touched * 3 < w.index.size()) {
        out.assign(n * P, 0);
        scatter_eight(w, used_, a.data(), out.data());
      } else {
        out.resize(n * P);
        gather_eight(part.by_input, a.data(), out.data());
      }
    } else {
      out.assign(n, T(0));
      for (const std::uint32_t o : used_)
        for (std::uint32_t k = w.start[o]; k < w.start[o + 1]; ++k) out[w.index[k]] += a[o] * T(w.value[k]);
    }
    to.set = true;
    for (std::size_t i = 0; join && i < n * P; ++i) {
      to.at[i] += out[i];
      if constexpr (kRounds<T>) error_[i % P] += std::fabs(to.at[i]) * kUnit * magnitude(boxes_.of[part.input], i / P);
    }
    operations_ += static_cast<std::int64_t>(n);
  }

  // Through an activation: every lane takes the lower plane where its coefficient is positive, the upper one where not.
  void relax(const Op& op, std::size_t index) {
    const std::vector<T>& a = panels_[op.output].at;
    std::vector<T>* out = op.form == Form::opaque ? nullptr : &panel(op.input);
    const Box& box = boxes_.of[op.form == Form::opaque ? op.output : op.input];
    const bool splits = op.form != Form::opaque && signs(op.input);
    const std::vector<double>* choice[P]{};
    for (int r = 0; r < lanes_; ++r) choice[r] = rows_[r].choices ? (*rows_[r].choices)[index].get() : nullptr;
    Step step;
    for (std::size_t o = 0; o * P < a.size(); ++o) {
      int made = -1;  // the lane whose plane is at hand
      for (int r = 0; r < lanes_; ++r) {
        const T& ao = a[o * P + r];
        if (ao == 0) continue;
        const int sign = splits && op.form != Form::max_pool ? sign_[o * P + r] : 0;
        if (made < 0 || choice[r] != choice[made] || (splits && sign != sign_[o * P + made]))
          plane_of(op, o, box, choice[r] ? &(*choice[r])[o * op.numbers] : nullptr, sign, plane_);
        made = r;
        const std::vector<double>& slopes = ao >= 0 ? plane_.lower : plane_.upper;
        for (std::size_t k = 0; k < slopes.size(); ++k) {
          if (slopes[k] == 0) continue;
          const std::size_t at = op.form == Form::max_pool ? static_cast<std::size_t>(op.taps[o * op.window + k]) : o;
          const T p = ao * exactly<T>(slopes[k]);
          (*out)[at * P + r] += p;
          if constexpr (kRounds<T>) step.error[r] += (2 * kUnit * (std::fabs(p) + std::fabs((*out)[at * P + r])) + kEta) * magnitude(box, at);
        }
        const T term = ao * exactly<T>(ao >= 0 ? plane_.lower_shift : plane_.upper_shift);
        step.sum[r] += term;
        step.size[r] += absolute(term);
      }
    }
    take(step, static_cast<std::int64_t>(a.size() / P * std::max<std::size_t>(1, op.window)));
  }

  // sign_[i * P + r]: the sign that a split gives element i of the tensor in lane r, 0 where none does.
  bool signs(int tensor) {
    bool some = false;
    for (int r = 0; r < lanes_; ++r)
      for (std::size_t s = 0; rows_[r].splits && s < rows_[r].splits->size(); ++s) {
        const Split& split = (*rows_[r].splits)[s];
        if (split.tensor != tensor) continue;
        if (!some) sign_.assign(model_.tensors[tensor].size * P, 0);
        some = true;
        sign_[std::size_t{split.neuron} * P + r] = split.positive ? 1 : -1;
      }
    return some;
  }

  const Model& model_;
  const Boxes& boxes_;
  const Row<T>* rows_;
  int lanes_;
  std::vector<Panel>& panels_;
  T sum_[P]{}, size_[P]{}, error_[P]{};  // per row: the constant, the magnitudes of its steps, the charges
  std::int64_t steps_ = 0, operations_ = 0;
  std::vector<T> joining_;
  std::vector<std::uint32_t> used_;
  std::vector<signed char> sign_;
  Plane plane_;
};

}  // namespace boundlight::check
