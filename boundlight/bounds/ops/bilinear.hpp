// BilinearKernel: the product of two variable matrices (planes: products.hpp).
#pragma once

#include "boundlight/bounds/ops/products.hpp"
#include "boundlight/bounds/ops/row_math.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

// Where the entries of one output element lie; captured by functors.
struct ProductIndex {
  std::int64_t m, n, k, out, a_size, b_size;
  std::int64_t a_row, a_term, b_term, b_column;  // strides
  const std::int32_t *ia, *ib;
  BL_HD std::int64_t first(std::int64_t e) const { return ia[e / (m * n)] * m * k + e / n % m * a_row; }
  BL_HD std::int64_t second(std::int64_t e) const { return ib[e / (m * n)] * k * n + e % n * b_column; }
};

template <class T>
class BilinearRelaxation : public Relaxation<T> {
 public:
  struct Tables {
    Buffer<std::int32_t> ia, ib, a_readers_at, a_readers, b_readers_at, b_readers;  // readers: output matrices of a matrix
    std::int64_t most_a = 1, most_b = 1;
  };

  BilinearRelaxation(Device& d, ProductIndex at, const Tables& tables, BoxView<T> a, BoxView<T> b, std::int64_t batch, const BoundSettings& settings)
      : at_(at), tables_(tables), a_(a), b_(b), settings_(settings) {
    for (Buffer<T>* x : {&low_, &high_, &cost_}) *x = d.buffer<T>(batch * at.out);
    intercepts(d, batch, settings);
    cost0_ = d.buffer<double>(batch);
    d.fill(cost0_.data(), 0.0, batch);
    if (!settings.charges(Charge::underflow)) return;
    const double eta = static_cast<double>(smallest_normal<T>) * static_cast<double>(terms_back());
    add_underflow(d, a, at.a_size, batch, eta);
    add_underflow(d, b, at.b_size, batch, eta);
  }

  void backward(Device& d, int, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    const T *r0 = rows.a.data(), *low = low_.data(), *high = high_.data(), *cost = cost_.data();
    const ProductIndex at = at_;
    const std::int32_t* box = accounts.box;
    double* const sums[2] = {accounts.bias, accounts.charge};
    d.template sum_rows<2>(rows.rows, at.out, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const auto x = static_cast<double>(r0[r * at.out + j]);
      const std::int64_t e = box[r] * at.out + j;
      sum.add(0, x * static_cast<double>(x >= 0 ? low[e] : high[e]));
      sum.add(1, fabs(x) * static_cast<double>(cost[e]));
    }, sums);
    if (settings_.sound) charge_per_row(d, rows.rows, accounts, cost0_.data());
    T* to_a = make_block(d, out[0], rows.rows, at.a_size);
    T* to_b = make_block(d, out[1], rows.rows, at.b_size);
    const T *lb = b_.lower, *ub = b_.upper, *la = a_.lower;
    const std::int32_t *a_at = tables_.a_readers_at.data(), *a_list = tables_.a_readers.data(), *b_at = tables_.b_readers_at.data(), *b_list = tables_.b_readers.data();
    // rows on A: sum over columns of R lb (R >= 0) or R ub (R < 0)
    d.map_rows(rows.rows, at.a_size, [=] BL_HD(std::int64_t r, std::int64_t i) {
      const std::int64_t matrix = i / (at.m * at.k), inside = i % (at.m * at.k);
      const std::int64_t row = at.a_term == 1 ? inside / at.k : inside % at.m, term = at.a_term == 1 ? inside % at.k : inside / at.m;
      T sum = 0;
      for (std::int32_t q = a_at[matrix]; q < a_at[matrix + 1]; ++q)
        for (std::int64_t c = 0; c < at.n; ++c) {
          const T x = r0[r * at.out + (a_list[q] * at.m + row) * at.n + c];
          sum += x * (x >= 0 ? lb : ub)[box[r] * at.b_size + at.ib[a_list[q]] * at.k * at.n + term * at.b_term + c * at.b_column];
        }
      to_a[r * at.a_size + i] = sum;
    });
    // rows on B: sum over rows of R la
    d.map_rows(rows.rows, at.b_size, [=] BL_HD(std::int64_t r, std::int64_t i) {
      const std::int64_t matrix = i / (at.k * at.n), inside = i % (at.k * at.n);
      const std::int64_t column = at.b_column == 1 ? inside % at.n : inside / at.k, term = at.b_column == 1 ? inside / at.n : inside % at.k;
      T sum = 0;
      for (std::int32_t q = b_at[matrix]; q < b_at[matrix + 1]; ++q)
        for (std::int64_t row = 0; row < at.m; ++row)
          sum += r0[r * at.out + (b_list[q] * at.m + row) * at.n + column] * la[box[r] * at.a_size + at.ia[b_list[q]] * at.m * at.k + row * at.a_row + term * at.a_term];
      to_b[r * at.b_size + i] = sum;
    });
  }

  bool follow(Device& d, int, const RowBlock<T>& rows, const std::int32_t* box, const T* const* in, T* out) const override {
    const ProductIndex at = at_;
    const T *a = rows.a.data(), *x = in[0], *w = in[1], *la = a_.lower, *lb = b_.lower, *ub = b_.upper, *low = low_.data(), *high = high_.data();
    d.map_rows(rows.rows, at.out, [=] BL_HD(std::int64_t r, std::int64_t e) {
      const bool up = a[r * at.out + e] >= T(0);
      T sum = (up ? low : high)[box[r] * at.out + e];
      for (std::int64_t k = 0; k < at.k; ++k) {
        const std::int64_t i = at.first(e) + k * at.a_term, j = at.second(e) + k * at.b_term;
        sum += (up ? lb : ub)[box[r] * at.b_size + j] * x[r * at.a_size + i] + la[box[r] * at.a_size + i] * w[r * at.b_size + j];
      }
      out[r * at.out + e] = sum;
    });
    return true;
  }

  // Coefficient by coefficient: slopes times the end of the operands' planes that the slope's sign picks.
  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override {
    const ProductIndex at = at_;
    const std::int64_t n = x.count;
    out[0].lower = d.template buffer<T>(batch * n * at.out);
    out[0].upper = d.template buffer<T>(batch * n * at.out);
    out[0].error = d.template buffer<T>(batch * at.out);
    T *lower = out[0].lower.data(), *upper = out[0].upper.data(), *error = out[0].error.data();
    const T *a_lower = in[0].lower, *a_upper = in[0].upper_or_lower(), *b_lower = in[1].lower, *b_upper = in[1].upper_or_lower(), *a_error = in[0].error, *b_error = in[1].error;
    const T *la = a_.lower, *lb = b_.lower, *ub = b_.upper, *low = low_.data(), *high = high_.data(), *cost = cost_.data();
    const double* magnitude = x.magnitude;
    const double share = settings_.charges(Charge::slope) ? gamma_up<T>(2 * at.k + 2) : 0.0;
    const double eta = settings_.charges(Charge::underflow) ? static_cast<double>(smallest_normal<T>) * static_cast<double>(2 * at.k + 2) : 0.0;
    const bool charged = settings_.sound;
    d.map(batch * at.out, [=] BL_HD(std::int64_t i) {
      const std::int64_t box = i / at.out, e = i % at.out;
      double spread = 0, wrong = 0;
      for (std::int64_t c = 0; c < n; ++c) {
        T down = c + 1 == n ? low[i] : T(0), up = c + 1 == n ? high[i] : T(0);
        double sizes = fabs(static_cast<double>(down)) + fabs(static_cast<double>(up));
        for (std::int64_t k = 0; k < at.k; ++k) {
          const std::int64_t ia = at.first(e) + k * at.a_term, ib = at.second(e) + k * at.b_term;
          const std::int64_t pa = (box * n + c) * at.a_size + ia, pb = (box * n + c) * at.b_size + ib;
          const T s = lb[box * at.b_size + ib], t = ub[box * at.b_size + ib], v = la[box * at.a_size + ia];
          const T terms[4] = {s * (s >= T(0) ? a_lower : a_upper)[pa], v * (v >= T(0) ? b_lower : b_upper)[pb],
                              t * (t >= T(0) ? a_upper : a_lower)[pa], v * (v >= T(0) ? b_upper : b_lower)[pb]};
          down += terms[0] + terms[1];
          up += terms[2] + terms[3];
          for (const T term : terms) sizes += fabs(static_cast<double>(term));
          if (c == 0)
            wrong += fmax(fabs(static_cast<double>(s)), fabs(static_cast<double>(t))) * static_cast<double>(a_error[box * at.a_size + ia]) +
                     fabs(static_cast<double>(v)) * static_cast<double>(b_error[box * at.b_size + ib]);
        }
        lower[(box * n + c) * at.out + e] = down;
        upper[(box * n + c) * at.out + e] = up;
        spread += (share * sizes + eta) * magnitude[box * n + c];
      }
      error[i] = charged ? round_up_to<T>((wrong + spread) * (1 + 1e-9) + static_cast<double>(cost[i])) : T(0);
    });
    return true;
  }

  // Public for their device lambdas (device/device.hpp).
  void add_underflow(Device& d, BoxView<T> box, std::int64_t width, std::int64_t batch, double eta) {
    const T *l = box.lower, *u = box.upper;
    double* const sums[1] = {cost0_.data()};
    d.template sum_rows<1>(batch, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      sum.add(0, eta * fmax(fabs(static_cast<double>(l[r * width + j])), fabs(static_cast<double>(u[r * width + j]))));
    }, sums);
  }
  void intercepts(Device& d, std::int64_t batch, const BoundSettings& settings) {
    const ProductIndex at = at_;
    const T *la = a_.lower, *ua = a_.upper, *lb = b_.lower, *ub = b_.upper;
    T *low = low_.data(), *high = high_.data(), *cost = cost_.data();
    const bool outward = settings.charges(Charge::intercept), charged = settings.sound, deployed = settings.deployed();
    const double sum_error = gamma_up<double>(at.k + 2), back = settings.charges(Charge::product) ? gamma_up<T>(terms_back()) : 0.0, dot = outward ? gamma_up<double>(at.out + 3) : 0.0, tiny = static_cast<double>(at.k + 1) * smallest_normal<double>;
    const double deployment = deployed ? gamma_up<float>(at.k + 1) : 0.0, deployed_tiny = deployed ? static_cast<double>(at.k + 1) * static_cast<double>(smallest_normal<float>) : 0.0;
    d.map_rows(batch, at.out, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t first = b * at.a_size + at.first(e), second = b * at.b_size + at.second(e), i = b * at.out + e;
      double down = 0, up = 0, size = 0, steep = 0;
      for (std::int64_t k = 0; k < at.k; ++k) {
        const double al = static_cast<double>(la[first + k * at.a_term]), ah = static_cast<double>(ua[first + k * at.a_term]);
        const double bl = static_cast<double>(lb[second + k * at.b_term]), bh = static_cast<double>(ub[second + k * at.b_term]);
        const double a = fmax(fabs(al), fabs(ah)), c = fmax(fabs(bl), fabs(bh));
        down -= al * bl;
        up -= al * bh;
        size += a * c;
        steep += a * c + fabs(al) * c;
      }
      const double error = outward ? sum_error * size * (1 + 1e-9) + tiny : 0.0;
      low[i] = outward ? round_down_to<T>(sub_down(down, error)) : static_cast<T>(down);
      high[i] = outward ? round_up_to<T>(add_up(up, error)) : static_cast<T>(up);
      double c = 0;
      if (charged) c = (dot * fmax(fabs(static_cast<double>(low[i])), fabs(static_cast<double>(high[i]))) + back * steep + deployment * size + deployed_tiny) * (1 + 1e-9);
      cost[i] = c == 0 ? T(0) : round_up_to<T>(c);
    });
  }

 private:
  static T* make_block(Device& d, RowBlock<T>& block, std::int64_t rows, std::int64_t width) {
    block.rows = rows;
    block.width = width;
    block.a = d.template buffer<T>(rows * width);
    return block.a.data();
  }
  std::int64_t terms_back() const { return std::max(at_.n * tables_.most_a, at_.m * tables_.most_b); }

  ProductIndex at_;
  const Tables& tables_;
  BoxView<T> a_, b_;
  BoundSettings settings_;
  Buffer<T> low_, high_, cost_;
  Buffer<double> cost0_;
};

template <class T>
class BilinearKernel : public Kernel<T> {
 public:
  BilinearKernel(Device& d, ProductShape shape, std::int64_t a_size, std::int64_t b_size) : s_(std::move(shape)), a_size_(a_size), b_size_(b_size) {
    tables_.ia = uploaded_indices(d, s_.ia);
    tables_.ib = uploaded_indices(d, s_.ib);
    const Readers a = readers_of(s_.ia, a_size / std::max<std::int64_t>(1, s_.m * s_.k)), b = readers_of(s_.ib, b_size / std::max<std::int64_t>(1, s_.k * s_.n));
    tables_.a_readers_at = uploaded(d, a.at);
    tables_.a_readers = uploaded(d, a.list);
    tables_.b_readers_at = uploaded(d, b.at);
    tables_.b_readers = uploaded(d, b.list);
    tables_.most_a = a.most;
    tables_.most_b = b.most;
  }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    for (std::int64_t b = 0; b < s_.matrices(); ++b)
      d.gemm_batched(batch, s_.ta, s_.tb, s_.m, s_.n, s_.k, in[0] + at(s_.ia, b) * s_.m * s_.k, lda(), a_size_, in[1] + at(s_.ib, b) * s_.k * s_.n, ldb(), b_size_, T(0),
                     out[0] + b * s_.m * s_.n, s_.n, out_size());
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0]) return;
    const std::int64_t m = s_.m, n = s_.n, k = s_.k;
    for (std::int64_t b = 0; b < s_.matrices(); ++b) {
      const std::int64_t a_at = at(s_.ia, b) * m * k, b_at = at(s_.ib, b) * k * n;
      const T *x = in[0] + a_at, *w = in[1] + b_at, *g = grad_out[0] + b * m * n;
      if (grad_in[0] && !s_.ta) d.gemm_batched(batch, false, !s_.tb, m, k, n, g, n, out_size(), w, ldb(), b_size_, T(1), grad_in[0] + a_at, k, a_size_);
      if (grad_in[0] && s_.ta) d.gemm_batched(batch, s_.tb, true, k, m, n, w, ldb(), b_size_, g, n, out_size(), T(1), grad_in[0] + a_at, m, a_size_);
      if (grad_in[1] && !s_.tb) d.gemm_batched(batch, !s_.ta, false, k, n, m, x, lda(), a_size_, g, n, out_size(), T(1), grad_in[1] + b_at, n, b_size_);
      if (grad_in[1] && s_.tb) d.gemm_batched(batch, true, s_.ta, n, k, m, g, n, out_size(), x, lda(), a_size_, T(1), grad_in[1] + b_at, k, b_size_);
    }
  }
  // Products of intervals, summed in double.
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    const ProductIndex p = index();
    const T *la = in[0].lower, *ua = in[0].upper, *lb = in[1].lower, *ub = in[1].upper;
    T *lo = lower[0], *hi = upper[0];
    const bool sound = settings.charges(Charge::interval), deployed = settings.deployed();
    const double share = sound ? gamma_up<double>(p.k + 3) * (1 + 1e-9) + (deployed ? gamma_up<float>(p.k + 1) : 0.0) : 0.0;
    const double tiny = static_cast<double>(p.k + 1) * (deployed ? static_cast<double>(smallest_normal<float>) : smallest_normal<double>);
    d.map_rows(batch, p.out, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t first = b * p.a_size + p.first(e), second = b * p.b_size + p.second(e), i = b * p.out + e;
      double low = 0, high = 0, size = 0;
      for (std::int64_t k = 0; k < p.k; ++k) {
        const double al = static_cast<double>(la[first + k * p.a_term]), ah = static_cast<double>(ua[first + k * p.a_term]);
        const double bl = static_cast<double>(lb[second + k * p.b_term]), bh = static_cast<double>(ub[second + k * p.b_term]);
        const double q0 = al * bl, q1 = al * bh, q2 = ah * bl, q3 = ah * bh;
        low += fmin(fmin(q0, q1), fmin(q2, q3));
        high += fmax(fmax(q0, q1), fmax(q2, q3));
        size += fmax(fabs(al), fabs(ah)) * fmax(fabs(bl), fabs(bh)) + (q0 + q1 + q2 + q3) * 0;  // 0 * inf anywhere: lost
      }
      const double error = size * share * (1 + 1e-9) + tiny;
      if (sound) {
        low = sub_down(low, error);
        high = add_up(high, error);
      }
      const bool good = low <= high && low - low == 0 && high - high == 0;
      lo[i] = good ? round_down_to<T>(low) : -std::numeric_limits<T>::infinity();
      hi[i] = good ? round_up_to<T>(high) : std::numeric_limits<T>::infinity();
    });
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>*, std::int64_t batch, const BoundSettings& settings, SlopeRule) const override {
    return std::make_unique<BilinearRelaxation<T>>(d, index(), tables_, in[0], in[1], batch, settings);
  }
  bool linear() const override { return false; }

 private:
  static std::int64_t at(const std::vector<std::int64_t>& v, std::int64_t i) { return v[static_cast<std::size_t>(i)]; }
  std::int64_t lda() const { return s_.ta ? s_.m : s_.k; }
  std::int64_t ldb() const { return s_.tb ? s_.k : s_.n; }
  std::int64_t out_size() const { return s_.matrices() * s_.m * s_.n; }
  ProductIndex index() const {
    return {s_.m, s_.n, s_.k, out_size(), a_size_, b_size_, s_.ta ? 1 : s_.k, s_.ta ? s_.m : 1, s_.tb ? 1 : s_.n, s_.tb ? s_.k : 1, tables_.ia.data(), tables_.ib.data()};
  }

  ProductShape s_;
  std::int64_t a_size_, b_size_;
  typename BilinearRelaxation<T>::Tables tables_;
};

}  // namespace boundlight::BL_NS
