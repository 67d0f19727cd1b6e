// Softmax and LogSoftmax over groups of elements. With d_j = x_j - x_i, S = sum_j exp(d_j) >= 1 (the term j = i is 1):
//   softmax_i = 1 / S, falling in every x_j but x_i:    range from one end of each d_j
//   logsoftmax_i = -log S
//
// Planes (secants and tangents of exp per term, composed as in Wei et al. 2023, "Convex bounds on the softmax function"):
//   1/S  >= 2t - t^2 S    for any t > 0 (tangent of 1/S)      and S <= 1 + sum of chords of exp
//   1/S  <= a - b S       the chord over [S_lo, S_hi]         and S >= 1 + sum of tangents of exp
//   -log S >= 1 - log t - S / t (tangent at t)                and the same chords
//   log S >= sum q_j d_j + H(q) for any distribution q (Gibbs)
// Slopes are chosen first and stored; every intercept is then computed for the stored numbers, term by term. A plane in the
// d_j is one in x whose coefficients add up to 0; what storing them lost of that is charged.
#pragma once

#include "boundlight/bounds/ops/curves.hpp"
#include "boundlight/bounds/ops/entry_relaxation.hpp"
#include "boundlight/bounds/ops/softmax_groups.hpp"

namespace boundlight::BL_NS {

struct SoftmaxPlanes {
  const std::int32_t* own;
  bool log;

  template <class X>
  BL_HD_CALL static Interval difference(X x, std::int64_t j, std::int64_t i) {
    return x[j] - x[i];
  }
  // log sum_j exp(d_j), one end of every d_j (j != i), the term of i being exp(0). Shifted by the largest.
  template <class X>
  BL_HD_CALL static Interval log_sum(X x, std::int64_t i, bool upper) {
    double most = 0;
    for (std::int64_t j = 0; j < x.count(); ++j)
      if (j != i) most = fmax(most, upper ? difference(x, j, i).hi : difference(x, j, i).lo);
    if (!(most <= 1e300)) return Interval::anything();
    Interval sum(0);
    for (std::int64_t j = 0; j < x.count(); ++j) {
      const Interval d = j == i ? Interval(0) : difference(x, j, i);
      const Interval shifted = Interval(upper ? d.hi : d.lo) - Interval(most);
      sum = sum + Interval(enclose_exp(shifted.lo).lo, enclose_exp(shifted.hi).hi);
    }
    const Interval logarithm(enclose_log(fmax(sum.lo, 1e-300)).lo, enclose_log(sum.hi).hi);
    const Interval total = most == 0 ? logarithm : logarithm + Interval(most);
    return {fmax(total.lo, 0.0), fmax(total.hi, 0.0)};
  }
  template <class X>
  BL_HD Interval range(std::int64_t e, X x) const {
    for (std::int64_t j = 0; j < x.count(); ++j)
      if (!x[j].finite()) return log ? Interval(-std::numeric_limits<double>::infinity(), 0) : Interval(0, 1);
    const std::int64_t i = own[e];
    if (log) return {-log_sum(x, i, true).hi, -log_sum(x, i, false).lo};
    const Interval s = sum_of(x, i);
    return {fmax(0.0, div_down(1.0, s.hi)), fmin(1.0, div_up(1.0, s.lo))};
  }
  // [S_lo, S_hi] over the box; S_hi may overflow to infinity.
  template <class X>
  BL_HD_CALL static Interval sum_of(X x, std::int64_t i) {
    double lo = 1, hi = 1;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      const Interval d = difference(x, j, i);
      lo = add_down(lo, enclose_exp(d.lo).lo);
      hi = add_up(hi, enclose_exp(d.hi).hi);
    }
    Interval s;
    s.lo = fmax(lo, 1.0);
    s.hi = hi;
    return s;
  }

  // exp(x - max) over its sum, or x - max - log of the sum; exp and log within 4 ulp, any order. x - max errs by u D, which exp
  // turns into a relative error; terms below eta vanish.
  template <class X>
  BL_HD double deployed_error(std::int64_t e, X x, Interval) const {
    double high = -std::numeric_limits<double>::infinity(), low = -high;
    for (std::int64_t j = 0; j < x.count(); ++j) high = fmax(high, x[j].hi), low = fmin(low, x[j].lo);
    const double spread = sub_up(high, low), n = static_cast<double>(x.count());
    const double relative = (2 * spread + 16 + n + 4) * kFloatUnit * 1.01;
    if (!(relative < 0.01) || !(high < 1e37) || !(low > -1e37)) return std::numeric_limits<double>::infinity();
    const double tiny = (n + 4) * kFloatFloor;
    const Interval y = range(e, x);
    if (!log) return (y.hi * relative * 1.02 + tiny) * (1 + 1e-9);
    return (spread * kFloatUnit + relative * 1.02 + 8 * kFloatUnit * (std::log(n) + 1) + 2 * kFloatUnit * y.magnitude() + tiny) * (1 + 1e-6);
  }

  template <class X, class P>
  BL_HD void planes(std::int64_t e, X x, Interval, SlopeRule, P& p) const {
    const std::int64_t i = own[e];
    const Interval s = sum_of(x, i);
    if (!(s.hi < 1e150)) return;  // only the range is left
    // The value of S in the middle of the box, through the chords.
    double chords = 1;
    for (std::int64_t j = 0; j < x.count(); ++j)
      if (j != i) chords += (std::exp(difference(x, j, i).lo) + std::exp(difference(x, j, i).hi)) / 2;
    lower_plane(x, i, chords, p);
    if (log) gibbs_plane(x, i, p);
    else chord_plane(x, i, s, p);
  }

 private:
  // w t^2 or w / t: what multiplies S in the lower plane; constant part 2t or 1 - log t.
  template <class X, class P>
  BL_HD_CALL void lower_plane(X x, std::int64_t i, double chords, P& p) const {
    const double t = log ? chords : 1 / chords;
    const Interval weight = log ? Interval(1) / Interval(t) : Interval(t) * Interval(t);
    double own_slope = 0;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      const Interval d = difference(x, j, i);
      const double width = d.hi - d.lo;
      const double chord = width > 1e-9 ? (std::exp(d.hi) - std::exp(d.lo)) / width : std::exp(d.middle());
      p.lower(j, -weight.lo * chord);
      own_slope -= p.lower(j);
    }
    p.lower(i, own_slope);
    Interval low = log ? Interval(1) - Interval(enclose_log(t)) - weight : Interval(2 * t) - weight;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      // min of -weight exp(d) - slope d: concave, at the ends
      const Interval d = difference(x, j, i), slope(p.lower(j));
      const Interval at_lo = -(weight * enclose_exp(d.lo)) - slope * Interval(d.lo), at_hi = -(weight * enclose_exp(d.hi)) - slope * Interval(d.hi);
      low = low + Interval(fmin(at_lo.lo, at_hi.lo), fmin(at_lo.hi, at_hi.hi));
    }
    p.low = sub_down(low.lo, lost(x, i, [&](std::int64_t j) { return p.lower(j); }));
  }
  // 1/S <= a - b S with S >= 1 + sum of tangents.
  template <class X, class P>
  BL_HD_CALL void chord_plane(X x, std::int64_t i, Interval s, P& p) const {
    const double b = 1 / (s.lo * s.hi);
    double own_slope = 0;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      p.upper(j, -b * std::exp(difference(x, j, i).middle()));
      own_slope -= p.upper(j);
    }
    p.upper(i, own_slope);
    // a >= 1/S + b S at both ends (convex in S), less b for the term j = i
    const auto end = [&](double z) { return (Interval(1) / Interval(z) + Interval(b) * Interval(z)).hi; };
    Interval high = Interval(fmax(end(s.lo), end(s.hi))) - Interval(b);
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      // max of -b exp(d) - slope d: concave, below b exp-free bound  slope (1 - log(-slope / b)) at its stationary point
      const Interval d = difference(x, j, i);
      const double slope = p.upper(j);
      const auto at = [&](double z) { return (-(Interval(b) * enclose_exp(z)) - Interval(slope) * Interval(z)).hi; };
      double most = fmax(at(d.lo), at(d.hi));
      if (slope < 0) {
        const Interval ratio = Interval(-slope) / Interval(b);
        const Interval logarithm(enclose_log(fmax(ratio.lo, 1e-300)).lo, enclose_log(ratio.hi).hi);
        if (logarithm.hi >= d.lo && logarithm.lo <= d.hi) most = fmax(most, (Interval(slope) * (Interval(1) - logarithm)).hi);
      }
      high = high + Interval(most);
    }
    p.high = add_up(high.hi, lost(x, i, [&](std::int64_t j) { return p.upper(j); }));
  }
  // logsoftmax_i = x_i - log sum exp(x) <= x_i - sum q_j x_j - H(q), q = softmax of the middle.
  template <class X, class P>
  BL_HD_CALL void gibbs_plane(X x, std::int64_t i, P& p) const {
    double most = -std::numeric_limits<double>::infinity(), total = 0, own_slope = 1;
    for (std::int64_t j = 0; j < x.count(); ++j) most = fmax(most, x[j].middle());
    for (std::int64_t j = 0; j < x.count(); ++j) total += std::exp(x[j].middle() - most);
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      p.upper(j, -std::exp(x[j].middle() - most) / total);
      own_slope += p.upper(j);  // 1 - the others: q_i is what is left
    }
    p.upper(i, 1 - own_slope);
    // q_j = -slope_j for j != i, exactly as stored; q_i = 1 - their sum, a number of its own (enclosed).
    Interval rest(1);
    for (std::int64_t j = 0; j < x.count(); ++j)
      if (j != i) rest = rest + Interval(p.upper(j));
    if (!(rest.lo > 0)) {  // all weight elsewhere: no distribution left to rounding
      for (std::int64_t j = 0; j < x.count(); ++j) p.upper(j, 0);
      p.high = 0;
      return;
    }
    Interval entropy = rest * Interval(-enclose_log(rest.hi).hi, -enclose_log(rest.lo).lo);
    for (std::int64_t j = 0; j < x.count(); ++j) {
      const double q = -p.upper(j);
      if (j != i && q > 0) entropy = entropy + Interval(q) * -enclose_log(q);
    }
    p.high = add_up(-entropy.lo, lost(x, i, [&](std::int64_t j) { return p.upper(j); }));
  }
  // The stored coefficients in x are the plane in d plus (their sum) x_i.
  template <class X, class G>
  BL_HD_CALL static double lost(X x, std::int64_t i, G slope) {
    Interval sum(0);
    for (std::int64_t j = 0; j < x.count(); ++j) sum = sum + Interval(slope(j));
    return mul_up(sum.magnitude(), x[i].magnitude());
  }
};

template <class T>
class SoftmaxKernel : public Kernel<T> {
 public:
  SoftmaxKernel(Device& d, const NodeView& node, const SoftmaxGroups& groups, bool log) : entries_(d, node, groups.list), own_(uploaded_indices(d, groups.own)), group_(uploaded_indices(d, groups.group)),
        first_(uploaded_indices(d, groups.first)), groups_(static_cast<std::int64_t>(groups.first.size())), log_(log) {}

  // x - max - log sum exp(x - max), or exp(x - max) / sum.
  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const T* x = in[0];
    T* y = out[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const std::int32_t *group = group_.data(), *first = first_.data();
    const std::int64_t groups = groups_;
    const bool log = log_;
    auto largest = d.template buffer<T>(batch * groups), sums = d.template buffer<T>(batch * groups);
    T *most = largest.data(), *sum = sums.data();
    d.map_rows(batch, groups, [=] BL_HD(std::int64_t b, std::int64_t q) {
      const EntryValues<T> v{x + b * total, element + at[first[q]], at[first[q] + 1] - at[first[q]]};
      T top = v[0], all = 0;
      for (std::int64_t k = 1; k < v.count(); ++k)
        if (v[k] > top || v[k] != v[k]) top = v[k];
      for (std::int64_t k = 0; k < v.count(); ++k) all += std::exp(v[k] - top);
      most[b * groups + q] = top;
      sum[b * groups + q] = all;
    });
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t q = b * groups + group[e];
      const T mine = x[b * total + e] - most[q];
      y[b * outputs + e] = log ? mine - std::log(sum[q]) : std::exp(mine) / sum[q];
    });
  }
  // d y_e / d x_j = y_e ([e = j] - y_j), for the logarithm [e = j] - exp(y_j).
  void vjp(Device& d, const T* const*, const T* const* out, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0] || !grad_in[0]) return;
    const T *y = out[0], *g = grad_out[0];
    T* to = grad_in[0];
    const std::int64_t outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool log = log_;
    // Groups are symmetric: the elements of j's group are the outputs that read x_j.
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t j) {
      const T* row = y + b * outputs;
      T sum = 0;
      for (std::int64_t k = at[j]; k < at[j + 1]; ++k) sum += g[b * outputs + element[k]] * (log ? T(1) : row[element[k]]);
      to[b * outputs + j] += log ? g[b * outputs + j] - std::exp(row[j]) * sum : row[j] * (g[b * outputs + j] - sum);
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const T *l = in[0].lower, *u = in[0].upper;
    T *lo = lower[0], *hi = upper[0];
    const std::int64_t total = entries_.total(), outputs = entries_.outputs();
    const std::int32_t *at = entries_.at(), *element = entries_.element();
    const bool deployed = settings.deployed();
    const SoftmaxPlanes f = planes();
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const EntryBoxes<T> x{l + b * total, u + b * total, element + at[e], at[e + 1] - at[e]};
      Interval y = f.range(e, x);
      if (deployed) {
        const double error = f.deployed_error(e, x, y);
        y = Interval(sub_down(y.lo, error), add_up(y.hi, error));
      }
      lo[b * outputs + e] = round_down_to<T>(y.lo);
      hi[b * outputs + e] = round_up_to<T>(y.hi);
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    return relax_entries<T>(d, entries_, planes(), in, out[0], batch, settings, rule);
  }
  bool linear() const override { return false; }

 private:
  SoftmaxPlanes planes() const { return {own_.data(), log_}; }
  Entries<T> entries_;
  Buffer<std::int32_t> own_, group_, first_;
  std::int64_t groups_;
  bool log_;
};

}  // namespace boundlight::BL_NS
