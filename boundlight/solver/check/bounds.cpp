#include "boundlight/solver/check/bounds.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "boundlight/core/interval.hpp"
#include "boundlight/core/rounding.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BL_CHECK_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BL_CHECK_CLONES
#endif

namespace boundlight::check {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = unit_roundoff<double>, kEta = smallest_normal<double>;

// Rows are handled eight at a time, neuron by neuron: panel[i * 8 + lane]. Rationals one at a time.
template <class T> constexpr int kLanes = std::is_same_v<T, double> ? 8 : 1;
template <class T> constexpr bool kRounds = std::is_same_v<T, double>;

double magnitude(const Box& b, std::size_t i) { return std::max(std::fabs(b.lower[i]), std::fabs(b.upper[i])); }
double gamma_of(std::int64_t n) { return gamma_up<double>(n); }
template <class T> T from_double(double x) {
  if constexpr (!kRounds<T>) {
    if (!std::isfinite(x)) throw Refusal("arithmetic", "an infinite bound meets exact arithmetic");
  }
  return T(x);
}
double absolute(double x) { return std::fabs(x); }
Rational absolute(const Rational& x) { return abs(x); }

using Eight [[gnu::vector_size(64), gnu::aligned(8), gnu::may_alias]] = double;

}  // namespace

// out_j = sum_o W_oj a_o for every column j, lanes side by side.
BL_CHECK_CLONES void gather_eight(const std::uint32_t* start, const std::uint32_t* index, const double* value, std::size_t columns, const double* a, double* out) {
  for (std::size_t j = 0; j < columns; ++j) {
    Eight s0{}, s1{}, s2{}, s3{};
    std::uint32_t k = start[j];
    const std::uint32_t end = start[j + 1];
    for (; k + 4 <= end; k += 4) {
      s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
      s1 += value[k + 1] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 1]});
      s2 += value[k + 2] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 2]});
      s3 += value[k + 3] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 3]});
    }
    for (; k < end; ++k) s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
    *reinterpret_cast<Eight*>(out + 8 * j) = (s0 + s1) + (s2 + s3);
  }
}

// The same from the rows of W, for panels that are mostly zero; out starts as zero.
BL_CHECK_CLONES void scatter_eight(const std::uint32_t* start, const std::uint32_t* index, const double* value, const std::vector<std::uint32_t>& rows, const double* a, double* out) {
  for (const std::uint32_t o : rows) {
    const Eight ao = *reinterpret_cast<const Eight*>(a + 8 * std::size_t{o});
    for (std::uint32_t k = start[o]; k < start[o + 1]; ++k) *reinterpret_cast<Eight*>(out + 8 * std::size_t{index[k]}) += value[k] * ao;
  }
}

namespace {

// ---- planes of activations ----

Interval sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  const Interval power(std::max(0.0, e - 4 * kUnit * 2 * e - kEta), e + 4 * kUnit * 2 * e + kEta);  // glibc: below 1 ulp; 4 are allowed
  const Interval small = power / (Interval(1) + power);
  const Interval value = x < 0 ? small : Interval(1) - small;
  return {std::max(0.0, value.lo), std::min(1.0, value.hi)};
}

// The slope of the lower convex hull of the sigmoid over [l, u] at its middle, where a line below the function leaves the
// least area; only a choice, needs no care.
double hull_slope(double l, double u) {
  const auto f = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto slope = [&](double x) { return f(x) * f(-x); };
  const double chord = u - l > 1e-6 ? (f(u) - f(l)) / (u - l) : slope(l + (u - l) / 2);
  if (u <= 0) return slope(l + (u - l) / 2);
  const auto above = [&](double d) { return slope(d) * (u - d) >= f(u) - f(d); };
  if (l >= 0 || above(l)) return chord;
  double low = l, high = 0;
  for (int i = 0; i < 40; ++i) (above((low + high) / 2) ? high : low) = (low + high) / 2;
  return slope(std::min(high, l + (u - l) / 2));
}

Plane sigmoid_plane(double l, double u, const double* slopes) {
  if (!std::isfinite(l) || !std::isfinite(u)) return {0, 0, 0, 1};
  Plane p;
  const bool given = slopes && !std::isnan(slopes[0]);
  p.lower_slope = std::clamp(given ? slopes[0] : hull_slope(l, u), 0.0, 0.25);
  p.upper_slope = std::clamp(given ? slopes[1] : hull_slope(-u, -l), 0.0, 0.25);
  // sigmoid(x) - s x: its extremes over [l, u] lie at the ends or where sigmoid' = s: at -z (least) and z (greatest) with
  // p (1 - p) = s, p = sigmoid(z) = (1 + sqrt(1 - 4 s)) / 2.
  const auto difference = [](double x, double s) { return sigmoid(x) - Interval(s) * Interval(x); };
  const auto shift = [&](double s, bool lower) {
    const Interval ends_l = difference(l, s), ends_u = difference(u, s);
    double best = lower ? std::min(ends_l.lo, ends_u.lo) : std::max(ends_l.hi, ends_u.hi);
    if (s <= 0 || s >= 0.25) return best;
    const Interval square = Interval(1) - Interval(4) * Interval(s);
    const Interval root(next_down(std::sqrt(std::max(0.0, square.lo))), next_up(std::sqrt(square.hi)));
    const Interval high = (Interval(1) + root) / Interval(2), low = Interval(s) / high, odds = high / low;
    const Interval z = widened(std::log(odds.lo), std::log(odds.hi), 4);
    const double first = lower ? -z.hi : z.lo, last = lower ? -z.lo : z.hi;
    if (first > u || last < l) return best;
    return lower ? std::min(best, (low + Interval(s) * z).lo) : std::max(best, (high - Interval(s) * z).hi);
  };
  p.lower_shift = shift(p.lower_slope, true);
  p.upper_shift = shift(p.upper_slope, false);
  return p;
}

Plane relu_plane(double l, double u, const double* slopes) {
  if (l >= 0) return {1, 0, 1, 0};
  if (u <= 0) return {0, 0, 0, 0};
  Plane p;
  p.lower_slope = slopes && !std::isnan(slopes[0]) ? slopes[0] : u > -l ? 1 : 0;
  p.upper_shift = kInfinity;
  if (!std::isfinite(l) || !std::isfinite(u)) return p;
  const double s = u / (u - l);
  p.upper_slope = std::isfinite(s) ? std::clamp(s, 0.0, 1.0) : 0;
  p.upper_shift = std::max({0.0, mul_up(-l, p.upper_slope), mul_up(sub_up(1.0, p.upper_slope), u)});  // at l, at u, at 0
  return p;
}

// The planes of one window: weights per tap for below and above, and the constants.
struct WindowPlane {
  std::vector<double> lower, upper;
  double lower_shift = 0, upper_shift = 0;
};

void window_plane(const Op& op, std::size_t o, const Box& box, const double* slopes, WindowPlane& p) {
  const std::int64_t* taps = &op.taps[o * op.window];
  std::size_t best = op.window;
  double top_lower = -kInfinity, top_upper = -kInfinity, rest_upper = -kInfinity;
  for (std::size_t k = 0; k < op.window; ++k) {
    if (taps[k] < 0) continue;
    if (best == op.window || box.lower[taps[k]] > top_lower) best = k;
    top_lower = std::max(top_lower, box.lower[taps[k]]);
    top_upper = std::max(top_upper, box.upper[taps[k]]);
  }
  for (std::size_t k = 0; k < op.window; ++k)
    if (taps[k] >= 0 && k != best) rest_upper = std::max(rest_upper, box.upper[taps[k]]);
  p.lower.assign(op.window, 0);
  p.upper.assign(op.window, 0);
  p.lower_shift = 0;
  if (!slopes || std::isnan(slopes[0])) {
    p.lower[best] = 1;
    p.upper_shift = top_lower >= rest_upper ? 0 : top_upper;
    if (top_lower >= rest_upper) p.upper[best] = 1;
    return;
  }
  // below: sum a_j y_j <= (sum a_j) max y, so the constant is the least of (1 - sum a) max y;
  // above: max_k [(1 - s_k) u_k + s_k l_k] - sum s_j l_j, attained where y_k is the maximum.
  Interval total(0), floor(0);
  double ceiling = -kInfinity;
  for (std::size_t k = 0; k < op.window; ++k) {
    if (taps[k] < 0) continue;
    const Interval s(slopes[op.window + k]), l(box.lower[taps[k]]), u(box.upper[taps[k]]);
    p.lower[k] = slopes[k];
    p.upper[k] = s.lo;
    total = total + Interval(slopes[k]);
    floor = floor + s * l;
    ceiling = std::max(ceiling, ((Interval(1) - s) * u + s * l).hi);
  }
  p.lower_shift = ((Interval(1) - total) * Interval(top_lower, top_upper)).lo;
  p.upper_shift = sub_up(ceiling, floor.lo);
}

// ---- rows ----

// Per lane: the constant of the row, the sum of its terms' magnitudes step by step, and the charges.
template <class T>
struct Tally {
  static constexpr int P = kLanes<T>;
  T sum[P]{}, magnitude[P]{}, error[P]{};
  std::int64_t steps = 0, operations = 0;

  // One step: inner products of n terms each.
  void step(const T* s, const T* size, const T* charge, std::int64_t n) {
    const double g = kRounds<T> ? gamma_of(n + 2) : 0;
    for (int r = 0; r < P; ++r) {
      sum[r] += s[r];
      magnitude[r] += size[r];
      error[r] += charge[r];
      if constexpr (kRounds<T>) error[r] += g * size[r] + static_cast<double>(n + 2) * kEta;
    }
    ++steps;
    operations += n;
  }
  // The constant, rounded down, with everything charged.
  T total(int r) const {
    if constexpr (!kRounds<T>) return sum[r] - error[r];
    else {
      const double charge = error[r] + gamma_of(steps + 2) * magnitude[r];
      return sub_down(sum[r], mul_up(charge, inflation<double>(operations + 64)) + 8 * static_cast<double>(operations + 64) * kEta);
    }
  }
};

template <class T>
struct Panel {
  std::vector<T> at;
  bool set = false;
  void open(std::size_t n) {  // zero, unless rows have arrived already
    if (!set) at.assign(n * kLanes<T>, T(0));
    set = true;
  }
};

template <class T>
class Pass {
 public:
  static constexpr int P = kLanes<T>;
  Pass(const Model& model, const Boxes& boxes, const Row<T>* rows, int lanes) : model_(model), boxes_(boxes), rows_(rows), lanes_(lanes), panels_(scratch()) {
    panels_.resize(model.tensors.size());
    for (Panel<T>& p : panels_) p.set = false;
  }

  void run(std::vector<LinearForm<T>>& out) {
    for (int r = 0; r < lanes_; ++r) {
      tally_.operations += static_cast<std::int64_t>(rows_[r].terms.size() + (rows_[r].splits ? rows_[r].splits->size() : 0));
      for (const auto& t : rows_[r].terms) {
        open(t.tensor);
        panels_[t.tensor].at[t.index * P + r] += t.value;
        if constexpr (kRounds<T>) tally_.error[r] += (t.gap + kUnit * std::fabs(panels_[t.tensor].at[t.index * P + r])) * magnitude(boxes_.of[t.tensor], t.index);
      }
    }
    for (std::size_t i = model_.ops.size(); i-- > 0;) {
      const Op& op = model_.ops[i];
      multipliers(op.output);
      if (!panels_[op.output].set) continue;
      if (op.form == Form::affine) affine(op, static_cast<int>(i));
      else if (op.form == Form::max_pool) max_pool(op, static_cast<int>(i));
      else if (op.form == Form::opaque) concretise(op);
      else elementwise(op, static_cast<int>(i));
    }
    multipliers(model_.input);
    open(model_.input);
    const std::size_t n = model_.tensors[model_.input].size;
    for (int r = 0; r < lanes_; ++r) {
      LinearForm<T>& form = out.emplace_back();
      form.a.resize(n);
      for (std::size_t i = 0; i < n; ++i) form.a[i] = panels_[model_.input].at[i * P + r];
      form.b = tally_.total(r);
    }
  }

 private:
  static std::vector<Panel<T>>& scratch() {
    thread_local std::vector<Panel<T>> panels;  // kept between passes: the memory is touched again at once
    return panels;
  }
  void open(int tensor) { panels_[tensor].open(model_.tensors[tensor].size); }

  // z_s of sign + is >= 0 on the region, so row >= row - beta z_s; of sign -, row >= row + beta z_s.
  void multipliers(int tensor) {
    for (int r = 0; r < lanes_; ++r) {
      if (!rows_[r].splits || !rows_[r].beta) continue;
      const std::size_t n = std::min(rows_[r].splits->size(), rows_[r].beta->size());
      for (std::size_t s = 0; s < n; ++s) {
        const Split& split = (*rows_[r].splits)[s];
        const double beta = (*rows_[r].beta)[s];
        if (split.tensor != tensor || beta == 0) continue;
        open(tensor);
        T& a = panels_[tensor].at[std::size_t{split.neuron} * P + r];
        a += T(split.positive ? -beta : beta);
        if constexpr (kRounds<T>) tally_.error[r] += kUnit * std::fabs(a) * magnitude(boxes_.of[tensor], split.neuron);
      }
    }
  }

  void affine(const Op& op, int index) {
    const std::vector<T>& a = panels_[op.output].at;
    const std::vector<double>& charge = boxes_.charge[index];
    const std::size_t n = model_.tensors[op.output].size;
    T s[P]{}, size[P]{}, e[P]{};
    rows_used_.clear();
    for (std::size_t o = 0; o < n; ++o) {
      bool any = false;
      for (int r = 0; r < P; ++r) any = any || a[o * P + r] != 0;  // NaN counts
      if (!any) continue;
      rows_used_.push_back(static_cast<std::uint32_t>(o));
      const T w = T(op.bias[o]), c = from_double<T>(kRounds<T> ? charge[o] : boxes_.open[index][o]);
      for (int r = 0; r < P; ++r) {
        const T term = a[o * P + r] * w;
        s[r] += term;
        size[r] += absolute(term);
        e[r] += absolute(a[o * P + r]) * c;
      }
    }
    if constexpr (kRounds<T>)
      for (int r = 0; r < P; ++r) e[r] += boxes_.tiny[index];
    tally_.step(s, size, e, static_cast<std::int64_t>(n));
    for (const Part& part : op.parts) multiply(part, a);
  }

  void multiply(const Part& part, const std::vector<T>& a) {
    Panel<T>& to = panels_[part.input];
    const std::size_t n = model_.tensors[part.input].size;
    const bool join = to.set;
    std::vector<T>& out = join ? joining_ : to.at;
    if constexpr (kRounds<T>) {
      std::size_t touched = 0;
      for (const std::uint32_t o : rows_used_) touched += part.by_output.start[o + 1] - part.by_output.start[o];
      if (touched * 3 < part.by_output.index.size()) {
        out.assign(n * P, 0);
        scatter_eight(part.by_output.start.data(), part.by_output.index.data(), part.by_output.value.data(), rows_used_, a.data(), out.data());
      } else {
        out.resize(n * P);
        gather_eight(part.by_input.start.data(), part.by_input.index.data(), part.by_input.value.data(), n, a.data(), out.data());
      }
    } else {
      out.assign(n, T(0));
      for (const std::uint32_t o : rows_used_)
        for (std::uint32_t k = part.by_output.start[o]; k < part.by_output.start[o + 1]; ++k) out[part.by_output.index[k]] += a[o] * T(part.by_output.value[k]);
    }
    to.set = true;
    if (!join) return;
    for (std::size_t j = 0; j < n; ++j) {
      const double m = kRounds<T> ? kUnit * magnitude(boxes_.of[part.input], j) : 0;
      for (int r = 0; r < P; ++r) {
        T& sum = to.at[j * P + r];
        sum += out[j * P + r];
        if constexpr (kRounds<T>) tally_.error[r] += std::fabs(sum) * m;
      }
    }
    tally_.operations += static_cast<std::int64_t>(n);
  }

  // out_r += a * slope with its charges.
  void push(T& out, const T& a, double slope, double m, T& error) {
    const T p = a * from_double<T>(slope);
    out += p;
    if constexpr (kRounds<T>) error += (2 * kUnit * (std::fabs(p) + std::fabs(out)) + kEta) * m;
  }

  void elementwise(const Op& op, int index) {
    open(op.input);
    const std::vector<T>& a = panels_[op.output].at;
    std::vector<T>& out = panels_[op.input].at;
    const Box& box = boxes_.of[op.input];
    const std::size_t n = model_.tensors[op.input].size, numbers = op.form == Form::relu ? 1 : 2;
    const bool any_split = signs(op.input, n);
    bool same = true;  // one choice of slopes for all lanes
    const std::vector<double>* choice[P]{};
    for (int r = 0; r < lanes_; ++r) {
      choice[r] = rows_[r].choices ? (*rows_[r].choices)[index].get() : nullptr;
      same = same && choice[r] == choice[0];
    }
    T s[P]{}, size[P]{}, e[P]{};
    for (std::size_t i = 0; i < n; ++i) {
      const T* ai = &a[i * P];
      bool any = false, split = false;
      for (int r = 0; r < P; ++r) any = any || ai[r] != 0;
      if (!any) continue;
      if (any_split)
        for (int r = 0; r < P; ++r) split = split || sign_[i * P + r] != 0;
      const double m = magnitude(box, i);
      Plane p = boxes_.planes[index][i];
      if (same && choice[0]) p = plane_of(op, box.lower[i], box.upper[i], &(*choice[0])[i * numbers]);
      if (!split && same) {
        for (int r = 0; r < P; ++r) {
          const bool lower = ai[r] >= 0;
          push(out[i * P + r], ai[r], lower ? p.lower_slope : p.upper_slope, m, e[r]);
          const T term = ai[r] * from_double<T>(lower ? p.lower_shift : p.upper_shift);
          s[r] += term;
          size[r] += absolute(term);
        }
        continue;
      }
      for (int r = 0; r < lanes_; ++r) {
        {
          const int sign = any_split ? sign_[i * P + r] : 0;
          const double l = sign > 0 ? std::max(0.0, box.lower[i]) : box.lower[i], u = sign < 0 ? std::min(0.0, box.upper[i]) : box.upper[i];
          p = l <= u ? plane_of(op, l, u, choice[r] ? &(*choice[r])[i * numbers] : nullptr) : Plane{};  // no point: any plane holds
        }
        const bool lower = ai[r] >= 0;
        push(out[i * P + r], ai[r], lower ? p.lower_slope : p.upper_slope, m, e[r]);
        const T term = ai[r] * from_double<T>(lower ? p.lower_shift : p.upper_shift);
        s[r] += term;
        size[r] += absolute(term);
      }
    }
    tally_.step(s, size, e, static_cast<std::int64_t>(n));
  }

  // sign_[i * P + r]: the sign that a split gives neuron i in lane r, 0 where none does.
  bool signs(int tensor, std::size_t n) {
    bool any = false;
    for (int r = 0; r < lanes_; ++r) {
      if (!rows_[r].splits) continue;
      for (const Split& split : *rows_[r].splits) {
        if (split.tensor != tensor) continue;
        if (!any) sign_.assign(n * P, 0);
        any = true;
        sign_[std::size_t{split.neuron} * P + r] = split.positive ? 1 : -1;
      }
    }
    return any;
  }

  void max_pool(const Op& op, int index) {
    open(op.input);
    const std::vector<T>& a = panels_[op.output].at;
    std::vector<T>& out = panels_[op.input].at;
    const Box& box = boxes_.of[op.input];
    const std::size_t n = model_.tensors[op.output].size;
    T s[P]{}, size[P]{}, e[P]{};
    WindowPlane p;
    for (std::size_t o = 0; o < n; ++o) {
      const std::vector<double>* last = nullptr;
      bool made = false;
      for (int r = 0; r < lanes_; ++r) {
        const T& ao = a[o * P + r];
        if (ao == 0) continue;
        const std::vector<double>* choice = rows_[r].choices ? (*rows_[r].choices)[index].get() : nullptr;
        if (!made || choice != last) window_plane(op, o, box, choice ? &(*choice)[o * 2 * op.window] : nullptr, p);
        made = true;
        last = choice;
        const bool lower = ao >= 0;
        for (std::size_t k = 0; k < op.window; ++k) {
          const double w = lower ? p.lower[k] : p.upper[k];
          if (w != 0) push(out[static_cast<std::size_t>(op.taps[o * op.window + k]) * P + r], ao, w, magnitude(box, op.taps[o * op.window + k]), e[r]);
        }
        const T term = ao * from_double<T>(lower ? p.lower_shift : p.upper_shift);
        s[r] += term;
        size[r] += absolute(term);
      }
    }
    tally_.step(s, size, e, static_cast<std::int64_t>(n * op.window));
  }

  void concretise(const Op& op) {
    const std::vector<T>& a = panels_[op.output].at;
    const Box& box = boxes_.of[op.output];
    const std::size_t n = model_.tensors[op.output].size;
    T s[P]{}, size[P]{}, e[P]{};
    for (std::size_t o = 0; o < n; ++o)
      for (int r = 0; r < P; ++r) {
        if (a[o * P + r] == 0) continue;
        const T term = a[o * P + r] * from_double<T>(a[o * P + r] >= 0 ? box.lower[o] : box.upper[o]);
        s[r] += term;
        size[r] += absolute(term);
      }
    tally_.step(s, size, e, static_cast<std::int64_t>(n));
  }

  const Model& model_;
  const Boxes& boxes_;
  const Row<T>* rows_;
  int lanes_;
  std::vector<Panel<T>>& panels_;
  Tally<T> tally_;
  std::vector<T> joining_;
  std::vector<std::uint32_t> rows_used_;
  std::vector<signed char> sign_;
};

}  // namespace

Plane plane_of(const Op& op, double l, double u, const double* slopes) {
  return op.form == Form::relu ? relu_plane(l, u, slopes) : sigmoid_plane(l, u, slopes);
}

Propagation::Propagation(const Model& model, const Certificate& certificate) : model_(model), certificate_(certificate), believed_(model.tensors.size()) {
  for (const TrustedBox& t : certificate.trusted) {
    const int at = tensor(t.value);
    const auto op = std::find_if(model.ops.begin(), model.ops.end(), [&](const Op& o) { return o.output == at; });
    if (op == model.ops.end() || op->form != Form::opaque) throw Refusal("trusted boxes", "only the output of an operator without a rule can be trusted");
    if (t.lower.size() != model.tensors[at].size || t.upper.size() != t.lower.size()) throw Refusal("trusted boxes", "a box has the wrong size");
    believed_[at] = {t.lower, t.upper};
    trusted.push_back(op->place + ": the checker has no rule for it; the box of its output is believed");
  }
  if (certificate.semantics == Semantics::float32_any_order)
    for (const Op& op : model.ops)
      if (!op.has_float_rule && (trusted.empty() || trusted.back().compare(0, op.place.size(), op.place) != 0))
        trusted.push_back(op.place + ": no statement about its float32 evaluation; taken as exact");
  for (const Op& op : model.ops) {
    const auto makes = std::find_if(model.ops.begin(), model.ops.end(), [&](const Op& o) { return o.output == op.input; });
    if (makes == model.ops.end() || makes->form != Form::affine) continue;  // after an activation the interval loses little
    BackwardStep step;
    step.value = static_cast<std::uint32_t>(op.input);  // a tensor here, not a name
    step.rows = op.form == Form::relu ? BackwardStep::Rows::undecided : BackwardStep::Rows::all;
    default_steps_.push_back(std::move(step));
  }
}

int Propagation::tensor(std::uint32_t name, std::uint32_t neuron) const {
  if (name >= certificate_.names.size()) throw Refusal("names", "a name is referred to that is not in the certificate");
  const auto found = model_.tensor_of.find(certificate_.names[name]);
  if (found == model_.tensor_of.end()) throw Refusal("names", "the model has no value '" + certificate_.names[name] + "'");
  if (neuron >= model_.tensors[found->second].size) throw Refusal("names", "'" + certificate_.names[name] + "' has no element " + std::to_string(neuron));
  return found->second;
}

Choices Propagation::resolve(const SlopeSet& set, const Choices& base) const {
  Choices choices = base;
  choices.resize(model_.ops.size());
  for (const Slopes& s : set) {
    const std::string name = s.value < certificate_.names.size() ? certificate_.names[s.value] : "";
    const auto found = model_.op_of.find(name);
    if (found == model_.op_of.end()) throw Refusal("slopes", "the model has no activation with output '" + name + "'");
    const Op& op = model_.ops[found->second];
    const std::size_t n = model_.tensors[op.output].size, per = op.form == Form::relu ? 1 : op.form == Form::sigmoid ? 2 : 2 * op.window;
    const double unit = op.form == Form::sigmoid ? op.slope_unit : 1;
    if (s.numbers.size() != (s.neurons.empty() ? n : s.neurons.size()) * per) throw Refusal("slopes", "'" + name + "' needs another number of slopes");
    const auto& old = choices[found->second];
    auto table = old ? std::make_shared<std::vector<double>>(*old) : std::make_shared<std::vector<double>>(n * per, std::nan(""));
    for (std::size_t k = 0; k < s.numbers.size(); ++k) {
      const std::size_t neuron = s.neurons.empty() ? k / per : s.neurons[k / per];
      if (neuron >= n || (s.width == 1 && s.numbers[k] > 255)) throw Refusal("slopes", "'" + name + "' has no such neuron, or a slope is above 1");
      (*table)[neuron * per + k % per] = unit * slope_of(s.numbers[k], s.width);
    }
    choices[found->second] = std::move(table);
  }
  return choices;
}

void Propagation::forward_affine(const Op& op, int index, Boxes& b) const {
  const std::size_t n = model_.tensors[op.output].size;
  Box& box = b.of[op.output];
  std::vector<double>& charge = b.charge[index];
  charge.resize(n);
  b.open[index].resize(n);
  std::uint32_t longest = 0;
  double sum_m = 0;
  for (const Part& p : op.parts) {
    longest = std::max(longest, p.longest_column);
    for (std::size_t j = 0; j < model_.tensors[p.input].size; ++j) sum_m += magnitude(b.of[p.input], j);
  }
  b.tiny[index] = 2 * (sum_m + 1) * (longest + 1) * kEta;
  const double column_gamma = gamma_of(longest + 1);
  const bool deployed = certificate_.semantics == Semantics::float32_any_order && op.float_extra >= 0 && op.has_float_rule;
  for (std::size_t o = 0; o < n; ++o) {
    double lo = op.bias[o], hi = op.bias[o], v = 0;
    std::int64_t terms = 0;
    for (const Part& p : op.parts) {
      const Box& in = b.of[p.input];
      const std::uint32_t end = p.by_output.start[o + 1];
      terms += end - p.by_output.start[o];
      for (std::uint32_t k = p.by_output.start[o]; k < end; ++k) {
        const double w = p.by_output.value[k], l = in.lower[p.by_output.index[k]], u = in.upper[p.by_output.index[k]];
        lo += w * (w >= 0 ? l : u);
        hi += w * (w >= 0 ? u : l);
        v += std::fabs(w) * std::max(std::fabs(l), std::fabs(u));  // NaN where 0 meets infinity: the bound is lost
      }
    }
    const double more = inflation<double>(terms + 16), all = v + std::fabs(op.bias[o]);
    double own = op.relative * v + op.bias_error[o];  // what the form itself leaves open
    if (deployed) {
      const std::int64_t j = terms + op.float_extra;
      const double g = gamma_up<float>(j);
      own += all * (1 + g) * more < std::numeric_limits<float>::max() ? g * all + static_cast<double>(j + 1) * smallest_normal<float> : kInfinity;
    }
    const double error = (gamma_of(terms + 2) * all + own + static_cast<double>(terms + 2) * kEta) * more;
    box.lower[o] = sub_down(lo, error);
    box.upper[o] = add_up(hi, error);
    if (!(box.lower[o] <= box.upper[o])) box.lower[o] = -kInfinity, box.upper[o] = kInfinity;  // NaN
    charge[o] = (column_gamma * v + own) * more;
    b.open[index][o] = own * more;
  }
}

void Propagation::forward(const Op& op, int index, Boxes& b) const {
  const std::size_t n = model_.tensors[op.output].size;
  Box& box = b.of[op.output];
  box.lower.assign(n, -kInfinity);
  box.upper.assign(n, kInfinity);
  if (op.form == Form::affine) return forward_affine(op, index, b);
  if (op.form == Form::opaque) {
    if (!believed_[op.output].lower.empty()) box = believed_[op.output];
    return;
  }
  const Box& in = b.of[op.input];
  if (op.form == Form::max_pool) {
    for (std::size_t o = 0; o < n; ++o) {
      double l = -kInfinity, u = -kInfinity;
      for (std::size_t k = 0; k < op.window; ++k) {
        const std::int64_t at = op.taps[o * op.window + k];
        if (at < 0) continue;
        l = std::max(l, in.lower[at]);
        u = std::max(u, in.upper[at]);
      }
      box.lower[o] = l;
      box.upper[o] = u;
    }
    return;
  }
  b.planes[index].resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    b.planes[index][i] = plane_of(op, in.lower[i], in.upper[i], nullptr);
    box.lower[i] = op.form == Form::relu ? std::max(0.0, in.lower[i]) : sigmoid(in.lower[i]).lo;
    box.upper[i] = op.form == Form::relu ? std::max(0.0, in.upper[i]) : sigmoid(in.upper[i]).hi;
  }
}

// Backward bounds of the chosen neurons of a tensor; step.value is the tensor.
void Propagation::narrow(const BackwardStep& step, Boxes& b) const {
  const int at = static_cast<int>(step.value);
  Box& box = b.of[at];
  std::vector<std::uint32_t> neurons = step.listed;
  if (step.rows != BackwardStep::Rows::listed) {
    neurons.clear();
    for (std::uint32_t i = 0; i < box.lower.size(); ++i)
      if (step.rows == BackwardStep::Rows::all || (box.lower[i] < 0 && box.upper[i] > 0)) neurons.push_back(i);
  }
  const Choices shared[2] = {resolve(step.lower, {}), resolve(step.upper, {})};
  std::vector<Choices> own;
  own.reserve(2 * neurons.size());
  for (int side = 0; side < 2; ++side) {
    const std::vector<SlopeSet>& each = side == 0 ? step.each_lower : step.each_upper;
    if (!each.empty() && (each.size() != neurons.size() || step.rows != BackwardStep::Rows::listed)) throw Refusal("bounds", "slopes of single rows need one set per listed neuron");
    for (const SlopeSet& set : each) own.push_back(resolve(set, shared[side]));
  }
  std::vector<Row<double>> rows;
  for (int side = 0; side < 2; ++side)  // +e_i for all, then -e_i: lanes then share their slopes
    for (std::size_t k = 0; k < neurons.size(); ++k) {
      if (neurons[k] >= box.lower.size()) throw Refusal("bounds", "a listed neuron does not exist");
      Row<double>& row = rows.emplace_back();
      row.terms.push_back({at, neurons[k], side == 0 ? 1.0 : -1.0, 0.0});
      const bool alone = !(side == 0 ? step.each_lower : step.each_upper).empty();
      row.choices = alone ? &own[k + (side == 1 ? step.each_lower.size() : 0)] : &shared[side];
    }
  const Region nowhere;
  const std::vector<LinearForm<double>> forms = backward(b, rows);
  for (std::size_t k = 0; k < forms.size(); ++k) {
    const double bound = lowest(forms[k], b.of[model_.input], nowhere);
    const std::uint32_t i = neurons[k % neurons.size()];
    if (k < neurons.size() && bound > box.lower[i]) box.lower[i] = bound;
    if (k >= neurons.size() && -bound < box.upper[i]) box.upper[i] = -bound;
    if (box.lower[i] > box.upper[i]) b.empty = true;
  }
}

std::shared_ptr<const Boxes> Propagation::boxes(const Box& input, const Boxes* parent, const std::vector<Split>& splits, const Bounds* section) const {
  auto result = std::make_shared<Boxes>();
  Boxes& b = *result;
  b.of.resize(model_.tensors.size());
  b.planes.resize(model_.ops.size());
  b.charge.resize(model_.ops.size());
  b.open.resize(model_.ops.size());
  b.tiny.resize(model_.ops.size(), 0);
  std::vector<const BackwardStep*> steps(model_.tensors.size(), nullptr);
  std::vector<BackwardStep> own;
  if (section && section->mode == Bounds::Mode::backward) own = default_steps_;
  if (section && section->mode == Bounds::Mode::steps) own = section->steps;
  for (BackwardStep& s : own) {
    if (section->mode == Bounds::Mode::backward) s.lower = s.upper = section->slopes;
    else s.value = static_cast<std::uint32_t>(tensor(s.value));
    const BackwardStep*& place = steps[s.value];
    if (section->mode == Bounds::Mode::steps && place) throw Refusal("bounds", "a tensor has two steps");
    if (!place || s.rows == BackwardStep::Rows::all) place = &s;
  }
  const auto finish = [&](int at) {  // a tensor whose interval is known
    Box& box = b.of[at];
    for (std::size_t i = 0; parent && i < box.lower.size(); ++i) {
      box.lower[i] = std::max(box.lower[i], parent->of[at].lower[i]);
      box.upper[i] = std::min(box.upper[i], parent->of[at].upper[i]);
    }
    for (const Split& s : splits) {
      if (s.tensor != at) continue;
      if (s.positive) box.lower[s.neuron] = std::max(box.lower[s.neuron], 0.0);
      else box.upper[s.neuron] = std::min(box.upper[s.neuron], 0.0);
    }
    for (std::size_t i = 0; i < box.lower.size(); ++i)
      if (box.lower[i] > box.upper[i]) b.empty = true;
    if (!b.empty && steps[at]) narrow(*steps[at], b);
  };
  b.of[model_.input] = input;
  finish(model_.input);
  for (std::size_t i = 0; i < model_.ops.size() && !b.empty; ++i) {
    forward(model_.ops[i], static_cast<int>(i), b);
    finish(model_.ops[i].output);
  }
  return result;
}

template <class T> std::vector<LinearForm<T>> Propagation::backward(const Boxes& boxes, const std::vector<Row<T>>& rows) const {
  const std::size_t panels = (rows.size() + kLanes<T> - 1) / kLanes<T>;
  std::vector<std::vector<LinearForm<T>>> parts(panels);
  const auto one = [&](std::size_t p) {
    const std::size_t first = p * kLanes<T>;
    Pass<T>(model_, boxes, rows.data() + first, static_cast<int>(std::min<std::size_t>(kLanes<T>, rows.size() - first))).run(parts[p]);
  };
  if (panels == 1) one(0);
  else tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, panels, one); });
  std::vector<LinearForm<T>> all;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}
template std::vector<LinearForm<double>> Propagation::backward(const Boxes&, const std::vector<Row<double>>&) const;
template std::vector<LinearForm<Rational>> Propagation::backward(const Boxes&, const std::vector<Row<Rational>>&) const;

double lowest(const LinearForm<double>& f, const Box& box, const Region&) {
  double sum = 0, size = 0;
  const std::size_t n = f.a.size();
  for (std::size_t i = 0; i < n; ++i) {
    const double term = f.a[i] * (f.a[i] >= 0 ? box.lower[i] : box.upper[i]);
    sum += term;
    size += std::fabs(term);
  }
  const std::int64_t terms = static_cast<std::int64_t>(n) + 2;
  const double error = (gamma_of(terms) * size) * inflation<double>(terms) + static_cast<double>(terms) * kEta;
  return add_down(f.b, sub_down(sum, next_up(error)));
}

Rational lowest(const LinearForm<Rational>& f, const Box& box, const Region& region) {
  Rational sum = f.b;
  for (std::size_t i = 0; i < f.a.size(); ++i) {
    if (f.a[i] == 0) continue;
    const bool lower = f.a[i] > 0;
    const double end = lower ? box.lower[i] : box.upper[i];
    const bool original = !region.lower.empty() && end == (lower ? region.outward.lower[i] : region.outward.upper[i]);
    sum += f.a[i] * (original ? lower ? region.lower[i] : region.upper[i] : from_double<Rational>(end));
  }
  return sum;
}

}  // namespace boundlight::check
