// LinearKernel: every operator of the form y = sum_k W_k x_k + w. An operator says how W, |W| and W^T act; forward, interval,
// gradient, relaxation and all rounding charges follow here, once.
//
// Charges (k = terms_back, j = terms_ahead, u of T unless said; m = max(|l|, |u|) of the inputs):
//   interval   centre c and radius r: y in W c + w -+ (|W| (r + (gamma_(j+2) + rel) m) + (gamma_2 + rel)|w| + ...)   one product
//   backward   A' = fl(A W): gamma_k |A||W| m + k eta |m|_1, with v = |W| m once per box;
//              bias A.w in double: gamma_(n+2)(double) |A|.|w|
//   any order  + gamma_(j+1)(float) (|W| m + |w|) + (j + 1) eta(float) per output: the deployed network's own error
// Sources: Jeannerod and Rump 2013; docs/soundness.md.
#pragma once

#include <mutex>
#include <span>

#include "boundlight/bounds/ops/row_math.hpp"

namespace boundlight::BL_NS {

enum class LinearMode {
  affine,    // W x + w
  linear,    // W x
  absolute,  // |W| x
};

template <class T>
class LinearKernel : public Kernel<T> {
 public:
  // Sizes per sample of every input (0 for constants) and output.
  LinearKernel(std::vector<std::int64_t> in_sizes, std::vector<std::int64_t> out_sizes)
      : in_sizes_(std::move(in_sizes)), out_sizes_(std::move(out_sizes)) {}

  // y[slot] = (mode) over the batch. Overwrites y. Null y: output unused.
  virtual void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const = 0;
  // rows_in[k] = rows_out W_k for dense rows [n][out_sizes[slot]]; overwrites; null rows_in[k]: not wanted.
  virtual void transpose(Device& d, int slot, const T* rows_out, std::int64_t n, T* const* rows_in) const = 0;
  // w expanded to the output's size, or null when zero.
  virtual const T* offset(int /*slot*/) const { return nullptr; }
  // Most terms in one output's sum (without the bias), and most terms that meet in one entry of A W.
  virtual std::int64_t terms_ahead() const = 0;
  virtual std::int64_t terms_back() const = 0;
  // True when every output is one input element or a constant (weight 1, exact in T): no rounding ahead, the ends of a box
  // move like values. (Back it still adds up to terms_back entries.)
  virtual bool moves_only() const { return false; }
  // |W_exact - W| <= rel |W| and |w_exact - w| <= rel |w|: weights rounded to T or derived (BatchNormalization).
  virtual double relative_error() const { return 0; }
  // Errors of w that no relative bound covers, [out size] or null: |w_exact - w| <= radius (a derived w may have cancelled),
  // and, `deployed`, what the deployed network's own w may be wrong by in addition to the terms below.
  virtual const double* offset_radius(int /*slot*/, bool /*deployed*/) const { return nullptr; }
  // Roundings of the deployed network in one output: gamma_(this + 1) (|W| m + |w|).
  virtual std::int64_t deployed_terms() const { return terms_ahead(); }
  // Gradient of constant inputs; the default has none (operators without weights).
  virtual void weight_vjp(Device&, const T* const* /*in*/, const T* const* /*grad_out*/, T* const* /*grad_in*/, std::int64_t /*batch*/) const {}
  // Windowed rows through this operator; only when windows() is true. Writes out[k] for variable inputs.
  virtual bool windows() const { return false; }
  virtual void transpose_windows(Device&, RowBlock<T>&& /*rows*/, RowBlock<T>* /*out*/) const {}
  // Relaxation::select for this operator, without the bias and charges (done by the caller).
  virtual bool select_rows(Device&, int /*slot*/, std::int64_t /*rows*/, const std::int32_t* /*element*/, const T* /*sign*/, RowBlock<T>* /*out*/) const {
    return false;
  }
  // Height and width of output 0 as 1 x C x H x W, for windowed rows.
  struct Plane { std::int64_t channels = 0, height = 0, width = 0; };
  virtual Plane plane() const { return {}; }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override { apply(d, LinearMode::affine, in, out, batch); }
  void vjp(Device& d, const T* const* in, const T* const* out, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override;
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override;
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings,
                                       SlopeRule rule) const override;
  bool linear() const override { return true; }
  bool one_to_one() const override { return terms_ahead() <= 1 && terms_back() <= 1; }

  const std::vector<std::int64_t>& in_sizes() const { return in_sizes_; }
  const std::vector<std::int64_t>& out_sizes() const { return out_sizes_; }
  // Per output slot sum_i |W_oi|, rounded up: |W| m <= row_sizes max m for every box. Made once.
  const std::vector<Buffer<T>>& row_sizes(Device& d) const;

 private:
  std::vector<std::int64_t> in_sizes_, out_sizes_;
  mutable std::vector<Buffer<T>> row_sizes_;
  mutable std::once_flag row_sizes_made_;
};

// m = max(|l|, |u|) per input; NaN and infinite ends give infinity.
template <class T>
std::vector<Buffer<T>> magnitudes(Device& d, const std::vector<std::int64_t>& sizes, const BoxView<T>* in, std::int64_t batch) {
  std::vector<Buffer<T>> m(sizes.size());
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (!in[k].lower) continue;
    m[k] = d.buffer<T>(batch * sizes[k]);
    const T *l = in[k].lower, *u = in[k].upper;
    T* to = m[k].data();
    d.map(batch * sizes[k], [=] BL_HD(std::int64_t i) {
      const T a = l[i] < 0 ? -l[i] : l[i], b = u[i] < 0 ? -u[i] : u[i];
      to[i] = a <= b ? b : a;  // a NaN compares false and stays
    });
  }
  return m;
}

template <class T>
std::vector<T*> pointers(const std::vector<Buffer<T>>& buffers) {
  std::vector<T*> p;
  for (const auto& b : buffers) p.push_back(b.data());
  return p;
}

template <class T>
void round_up_sizes(Device& d, T* x, std::int64_t n, double grow, double tiny) {
  d.map(n, [=] BL_HD(std::int64_t i) { x[i] = round_up_to<T>((static_cast<double>(x[i]) * grow + tiny) * (1 + 1e-14)); });
}

template <class T>
void LinearKernel<T>::vjp(Device& d, const T* const* in, const T* const* /*out*/, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const {
  for (std::size_t slot = 0; slot < out_sizes_.size(); ++slot) {
    if (!grad_out[slot]) continue;
    std::vector<Buffer<T>> part(in_sizes_.size());
    for (std::size_t k = 0; k < in_sizes_.size(); ++k)
      if (grad_in[k] && in_sizes_[k] > 0) part[k] = d.buffer<T>(batch * in_sizes_[k]);
    const auto to = pointers(part);
    transpose(d, static_cast<int>(slot), grad_out[slot], batch, to.data());
    for (std::size_t k = 0; k < in_sizes_.size(); ++k) {
      if (!part[k]) continue;
      T* sum = grad_in[k];
      const T* add = part[k].data();
      d.map(batch * in_sizes_[k], [=] BL_HD(std::int64_t i) { sum[i] += add[i]; });
    }
  }
  weight_vjp(d, in, grad_out, grad_in, batch);
}

template <class T>
const std::vector<Buffer<T>>& LinearKernel<T>::row_sizes(Device& d) const {
  std::call_once(row_sizes_made_, [&] {
    std::vector<Buffer<T>> ones(in_sizes_.size());
    for (std::size_t k = 0; k < ones.size(); ++k) {
      if (in_sizes_[k] == 0) continue;
      ones[k] = d.template buffer<T>(in_sizes_[k]);
      d.fill(ones[k].data(), T(1), in_sizes_[k]);
    }
    for (const std::int64_t n : out_sizes_) row_sizes_.push_back(d.template buffer<T>(n));
    const auto in = pointers(ones), out = pointers(row_sizes_);
    apply(d, LinearMode::absolute, in.data(), out.data(), 1);
    const double grow = inflation<T>(terms_ahead() + 1), tiny = static_cast<double>(smallest_normal<T>) * static_cast<double>(terms_ahead() + 1);
    for (std::size_t s = 0; s < out.size(); ++s) round_up_sizes(d, out[s], out_sizes_[s], grow, tiny);
  });
  return row_sizes_;
}

template <class T>
void LinearKernel<T>::interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const {
  if (moves_only()) {  // exact: the ends move like values
    std::vector<const T*> lo(in_sizes_.size()), hi(in_sizes_.size());
    for (std::size_t k = 0; k < in_sizes_.size(); ++k) lo[k] = in[k].lower, hi[k] = in[k].upper;
    apply(d, LinearMode::affine, lo.data(), lower, batch);
    apply(d, LinearMode::affine, hi.data(), upper, batch);
    return;
  }
  const std::size_t inputs = in_sizes_.size();
  const bool sound = settings.charges(Charge::interval), deployed = settings.deployed();
  const double u = static_cast<double>(unit_roundoff<T>);
  // Weight of m beside r in the product: computing error of W c, weight error, and the deployed network's error.
  const double computing = !sound ? 0.0 : gamma_up<T>(terms_ahead() + 2) + relative_error() * 1.0000001;
  const double deployment = deployed ? gamma_up<float>(deployed_terms() + 1) : 0.0;
  const T beside = round_up_to<T>((computing + deployment) * 1.0000001);
  std::vector<Buffer<T>> centre(inputs), radius(inputs);
  for (std::size_t k = 0; k < inputs; ++k) {
    if (!in[k].lower) continue;
    centre[k] = d.buffer<T>(batch * in_sizes_[k]);
    radius[k] = d.buffer<T>(batch * in_sizes_[k]);
    const T *lo = in[k].lower, *hi = in[k].upper;
    T *c = centre[k].data(), *r = radius[k].data();
    d.map(batch * in_sizes_[k], [=] BL_HD(std::int64_t i) {
      const T middle = lo[i] / 2 + hi[i] / 2;
      const bool finite = middle - middle == 0;
      c[i] = finite ? middle : T(0);
      T half = hi[i] - c[i], other = c[i] - lo[i];
      if (!(other <= half)) half = other;
      const T magnitude = (c[i] < 0 ? -c[i] : c[i]) + half;
      // a nonzero radius is rounded up; an exact point keeps radius 0
      if (sound && half != 0) half = next_up(half);
      r[i] = beside == 0 ? half : next_up(half + next_up(beside * next_up(magnitude)));
      if (!finite) r[i] = std::numeric_limits<T>::infinity();
    });
  }
  const auto c = pointers(centre), r = pointers(radius);
  std::vector<Buffer<T>> spread(out_sizes_.size());
  for (std::size_t s = 0; s < out_sizes_.size(); ++s)
    if (lower[s]) spread[s] = d.buffer<T>(batch * out_sizes_[s]);
  const auto e = pointers(spread);
  apply(d, LinearMode::affine, c.data(), lower, batch);  // lower doubles as the centre until the last step
  apply(d, LinearMode::absolute, r.data(), e.data(), batch);
  const T grow = round_up_to<T>(sound ? inflation<T>(terms_ahead() + 1) : 1.0);
  const T offset_share = round_up_to<T>(sound ? next_up(3 * u + computing + deployment) : 0.0);
  // Products that underflow: in W c, and in the spread itself.
  const double tiny = 2 * static_cast<double>(smallest_normal<T>) * static_cast<double>(terms_ahead() + 2) +
                      (deployed ? static_cast<double>(smallest_normal<float>) * static_cast<double>(deployed_terms() + 1) : 0.0);
  const T eta = sound ? round_up_to<T>(tiny) : T(0);
  for (std::size_t s = 0; s < out_sizes_.size(); ++s) {
    if (!lower[s]) continue;
    const T* w = offset(static_cast<int>(s));
    const double* spread_w = sound ? offset_radius(static_cast<int>(s), deployed) : nullptr;
    const std::int64_t size = out_sizes_[s];
    T *lo = lower[s], *hi = upper[s];
    const T* half = e[s];
    d.map(batch * size, [=] BL_HD(std::int64_t i) {
      const T bias = w ? (w[i % size] < 0 ? -w[i % size] : w[i % size]) : T(0);
      const T middle = lo[i];
      T width = half[i];
      if (sound) width = width * grow;
      if (eta > 0) width = next_up(next_up(width + eta) + next_up(offset_share * bias));
      if (spread_w) width = next_up(width + round_up_to<T>(spread_w[i % size]));
      T a = middle - width, b = middle + width;
      if (sound) {
        a = next_down(a);
        b = next_up(b);
      }
      const bool good = a <= b && a - a == 0 && b - b == 0;
      lo[i] = good ? a : -std::numeric_limits<T>::infinity();
      hi[i] = good ? b : std::numeric_limits<T>::infinity();
    });
  }
}

// The exact plane of a linear operator and what it costs to use it.
template <class T>
class LinearRelaxation : public Relaxation<T> {
 public:
  LinearRelaxation(Device& d, const LinearKernel<T>& kernel, const BoxView<T>* in, std::int64_t batch, const BoundSettings& settings);

  void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override;
  bool select(Device& d, int slot, std::int64_t rows, const std::int32_t* element, const T* sign, RowAccounts accounts, RowBlock<T>* out) const override;
  bool takes_windows() const override { return kernel_.windows(); }
  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override;
  bool follow(Device& d, int slot, const RowBlock<T>& a, const std::int32_t* box, const T* const* in, T* out) const override;

 private:
  // What meets the entries of rows, in the order in which they are stored.
  struct Companions {
    const T *offset = nullptr, *cost = nullptr;
  };
  Companions companions(Device& d, int slot, bool windowed) const;

  const LinearKernel<T>& kernel_;
  BoundSettings settings_;
  std::int64_t batch_;
  std::vector<Buffer<T>> cost_;      // per output slot: [batch][size]; empty: nothing is charged
  std::vector<Buffer<T>> deployed_;  // the deployed network's own error, where the semantics asks for it
  Buffer<double> cost0_;             // [batch]
  mutable Buffer<T> offset_last_, cost_last_;  // slot 0, channels last
  mutable std::once_flag last_made_;
};

}  // namespace boundlight::BL_NS

#include "boundlight/bounds/ops/linear_relaxation.hpp"

// Instantiated once, in linear.dev.cpp: every linear operator would compile them again.
namespace boundlight::BL_NS {
extern template class LinearKernel<float>;
extern template class LinearKernel<double>;
extern template class LinearRelaxation<float>;
extern template class LinearRelaxation<double>;
}  // namespace boundlight::BL_NS
