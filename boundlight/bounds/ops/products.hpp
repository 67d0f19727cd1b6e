// Products of matrices: y_b = op(A_i(b)) op(B_j(b)) for a list of output matrices b (numpy broadcasting of MatMul; one for
// Gemm). Linear when one side is constant, bilinear else.
//
// Planes of a bilinear product (McCormick 1976, term by term, over A in [la, ua], B in [lb, ub]):
//   sum_k a b >= sum_k lb a + la b - la lb        sum_k a b <= sum_k ub a + la b - la ub
// Their slopes are ends of boxes, so nothing rounds but the intercepts and the rows themselves.
#pragma once

#include "boundlight/bounds/ops/lane_forward.hpp"
#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight {

struct ProductShape {
  std::int64_t m = 1, n = 1, k = 1;     // of one output matrix and its sum
  bool ta = false, tb = false;          // A stored [k][m], B stored [n][k]
  std::vector<std::int64_t> ia{0}, ib{0};  // matrix of A and of B that output matrix b reads
  std::int64_t matrices() const { return static_cast<std::int64_t>(ia.size()); }
};

}  // namespace boundlight

namespace boundlight::BL_NS {

// One side constant (`side` 0: A varies, 1: B varies), plus an optional constant of the output's size.
template <class T>
class ProductKernel : public LinearKernel<T>, public LaneForward<T> {
 public:
  ProductKernel(Device& d, std::vector<std::int64_t> in, std::int64_t out, int side, ProductShape shape, Weights<T> w, const std::vector<Interval>& offset = {})
      : LinearKernel<T>(std::move(in), {out}), side_(side), s_(std::move(shape)), w_(std::move(w)), offset_(weights_of<T>(d, offset, &radius_)) {
    radius_data_ = uploaded(d, radius_);
    // Rows of a variable A that always meets the same B are one tall matrix.
    bool in_order = side_ == 0 && !s_.ta;
    for (std::size_t b = 0; b < s_.ia.size(); ++b) in_order = in_order && s_.ib[b] == 0 && s_.ia[b] == static_cast<std::int64_t>(b);
    if (in_order) {
      s_.m *= s_.matrices();
      s_.ia = {0};
      s_.ib = {0};
    }
    const auto& used = side_ == 0 ? s_.ia : s_.ib;
    for (const auto i : used) most_readers_ = std::max<std::int64_t>(most_readers_, std::count(used.begin(), used.end(), i));
  }

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const T* w = mode == LinearMode::absolute ? w_.absolute.data() : w_.data.data();
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[side_];
    if (stacked()) {
      d.gemm(false, s_.tb, batch * s_.m, s_.n, s_.k, x[0], s_.k, w, ldb(), T(0), y[0], s_.n);
    } else {
      for (std::int64_t b = 0; b < s_.matrices(); ++b) {
        const T *left = (side_ == 0 ? x[0] : w) + at(s_.ia, b) * s_.m * s_.k, *right = (side_ == 1 ? x[1] : w) + at(s_.ib, b) * s_.k * s_.n;
        d.gemm_batched(batch, s_.ta, s_.tb, s_.m, s_.n, s_.k, left, lda(), side_ == 0 ? width : 0, right, ldb(), side_ == 1 ? width : 0, T(0), y[0] + b * s_.m * s_.n, s_.n, size);
      }
    }
    const T* w0 = mode == LinearMode::affine ? offset(0) : nullptr;
    T* to = y[0];
    if (w0) d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t i) { to[b * size + i] += w0[i]; });
  }
  bool lanes() const override { return stacked() && s_.m == 1; }
  void forward_lanes(Device& d, const T* const* in, T* out, bool rectify) const override {
    const T* w = w_.data.data();
    const std::int64_t by_term = s_.tb ? 1 : s_.n, by_channel = s_.tb ? s_.k : 1;
    multiply_lanes(d, lane_weights_, s_.n, s_.k, [=](std::int64_t c, std::int64_t t) { return w[c * by_channel + t * by_term]; }, offset(0), in[0], out, rectify);
  }
  void back_lanes(Device& d, const T*, const T* g, T* const* parts) const override {
    const T* w = w_.data.data();
    const std::int64_t by_term = s_.tb ? 1 : s_.n, by_channel = s_.tb ? s_.k : 1;
    multiply_lanes(d, back_weights_, s_.k, s_.n, [=](std::int64_t c, std::int64_t t) { return w[t * by_channel + c * by_term]; }, static_cast<const T*>(nullptr), g, parts[0], false);
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    T* to = in[side_];
    if (!to) return;
    const T* w = w_.data.data();
    if (stacked()) return d.gemm(false, !s_.tb, count * s_.m, s_.k, s_.n, rows, s_.n, w, ldb(), T(0), to, s_.k);
    d.fill(to, T(0), count * this->in_sizes()[side_]);
    back(d, rows, count, to, this->in_sizes()[side_], w, 0, side_);
  }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    T* to = grad_in[1 - side_];
    if (!to) return;
    if (stacked() && !s_.tb) return d.gemm(true, false, s_.k, s_.n, batch * s_.m, in[0], s_.k, grad_out[0], s_.n, T(1), to, s_.n);
    if (stacked()) return d.gemm(true, false, s_.n, s_.k, batch * s_.m, grad_out[0], s_.n, in[0], s_.k, T(1), to, s_.k);
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[side_];
    for (std::int64_t s = 0; s < batch; ++s) back(d, grad_out[0] + s * size, 1, to, 0, in[side_] + s * width, 0, 1 - side_);
  }
  bool select_rows(Device& d, int, std::int64_t rows, const std::int32_t* element, const T* sign, RowBlock<T>* out) const override {
    if (!stacked()) return false;
    RowBlock<T>& made = out[0];
    made.rows = rows;
    made.width = s_.m * s_.k;
    made.a = d.template buffer<T>(rows * made.width);
    T* to = made.a.data();
    const T* w = w_.data.data();
    const std::int64_t m = s_.m, n = s_.n, k = s_.k, by_term = s_.tb ? 1 : n, by_column = s_.tb ? k : 1;
    d.map_rows(rows * m, k, [=] BL_HD(std::int64_t i, std::int64_t j) {
      const std::int64_t e = element[i / m];
      to[i * k + j] = i % m == e / n ? sign[i / m] * w[j * by_term + e % n * by_column] : T(0);
    });
    return true;
  }
  const T* offset(int) const override { return offset_.data.size() ? offset_.data.data() : nullptr; }
  const double* offset_radius(int, bool) const override { return radius_data_.size() ? radius_data_.data() : nullptr; }
  std::int64_t terms_ahead() const override { return s_.k; }
  std::int64_t terms_back() const override { return (side_ == 0 ? s_.n : s_.m) * most_readers_; }
  double relative_error() const override { return w_.relative; }

 protected:
  int side() const { return side_; }

 private:
  bool stacked() const { return side_ == 0 && !s_.ta && s_.ia.size() == 1; }
  std::int64_t lda() const { return s_.ta ? s_.m : s_.k; }
  std::int64_t ldb() const { return s_.tb ? s_.k : s_.n; }
  static std::int64_t at(const std::vector<std::int64_t>& v, std::int64_t i) { return v[static_cast<std::size_t>(i)]; }

  // Adds (d y / d operand `into`)^T rows to `to` for `count` rows; `other` holds the other operand, `step` apart per row.
  void back(Device& d, const T* rows, std::int64_t count, T* to, std::int64_t width, const T* other, std::int64_t step, int into) const {
    const std::int64_t m = s_.m, n = s_.n, k = s_.k, size = this->out_sizes()[0];
    for (std::int64_t b = 0; b < s_.matrices(); ++b) {
      const T* g = rows + b * m * n;
      if (into == 0) {
        T* a = to + at(s_.ia, b) * m * k;
        const T* w = other + at(s_.ib, b) * k * n;
        if (!s_.ta) d.gemm_batched(count, false, !s_.tb, m, k, n, g, n, size, w, ldb(), step, T(1), a, k, width);
        else d.gemm_batched(count, s_.tb, true, k, m, n, w, ldb(), step, g, n, size, T(1), a, m, width);
      } else {
        T* c = to + at(s_.ib, b) * k * n;
        const T* w = other + at(s_.ia, b) * m * k;
        if (!s_.tb) d.gemm_batched(count, !s_.ta, false, k, n, m, w, lda(), step, g, n, size, T(1), c, n, width);
        else d.gemm_batched(count, true, s_.ta, n, k, m, g, n, size, w, lda(), step, T(1), c, k, width);
      }
    }
  }

  int side_;
  ProductShape s_;
  Weights<T> w_;
  std::vector<double> radius_;
  Weights<T> offset_;
  Buffer<double> radius_data_;
  LaneWeights<T> lane_weights_, back_weights_;
  std::int64_t most_readers_ = 1;
};

}  // namespace boundlight::BL_NS
