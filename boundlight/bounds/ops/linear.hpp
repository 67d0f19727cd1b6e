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
  // Rows on output 0, dense or windowed, are rows on the one variable input as they are.
  virtual bool passes_rows() const { return false; }
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
  // For wide dense products: sums of |W| over blocks of kSizeBlock neighbouring inputs, [blocks][output size], rounded up, so that
  // |W| m <= sum over blocks of (their sums) (their largest m). A few per cent of the work of |W| m, and nearly as good where
  // neighbours are alike, as pixels are. Empty where the operator is not one of these. Made once.
  static constexpr std::int64_t kSizeBlock = 8;
  const Buffer<T>& block_sizes(Device& d) const;

 private:
  std::vector<std::int64_t> in_sizes_, out_sizes_;
  mutable std::vector<Buffer<T>> row_sizes_;
  mutable Buffer<T> block_sizes_;
  mutable std::once_flag row_sizes_made_, block_sizes_made_;
};

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

  // Where rows pass this operator as they are, they meet the operator before it with the same |a|: both are charged at once. From
  // then on this one's charges contain those of `before`, which only takes such rows through (pass_on). False: not offered.
  bool pay_for(Device& d, const LinearRelaxation& before);
  // backward() without what it charges.
  void pass_on(Device& d, int slot, RowBlock<T>&& rows, RowBlock<T>* out) const;

 private:
  // What meets the entries of rows, in the order in which they are stored.
  struct Companions {
    const T *offset = nullptr, *cost = nullptr;
  };
  Companions companions(Device& d, int slot, bool windowed) const;

 public:
  void charge(Device& d, const BoxView<T>* in);  // the constructor's; public because it holds device lambdas

 private:
  const LinearKernel<T>& kernel_;
  BoundSettings settings_;
  std::int64_t batch_;
  std::vector<Buffer<T>> cost_;      // per output slot: [batch][size]; empty: nothing is charged
  std::vector<Buffer<T>> deployed_;  // the deployed network's own error, where the semantics asks for it
  Buffer<double> cost0_;             // [batch]
  mutable Buffer<T> offset_last_, cost_last_;  // slot 0, channels last
  mutable std::once_flag last_made_;
};

// Instantiated once, in linear.dev.cpp and linear_relaxation.dev.cpp: every linear operator would compile them again.
extern template class LinearKernel<float>;
extern template class LinearKernel<double>;
extern template class LinearRelaxation<float>;
extern template class LinearRelaxation<double>;

}  // namespace boundlight::BL_NS
