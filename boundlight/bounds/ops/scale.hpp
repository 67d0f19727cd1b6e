// ScaleKernel: y[e] = w[e] x[source(e)] + b[e], one variable input: Mul and Div by constants, BatchNormalization.
#pragma once

#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight::BL_NS {

template <class T>
class ScaleKernel : public LinearKernel<T> {
 public:
  // `variable`: the input that x is. source: for every output element the element of x, empty when they are the same.
  // weight and offset: enclosures per output element; offset may be empty.
  ScaleKernel(Device& d, std::vector<std::int64_t> in, std::size_t variable, const Shape& shape, const std::vector<std::int64_t>& source, const std::vector<Interval>& weight,
              const std::vector<Interval>& offset)
      : LinearKernel<T>(std::move(in), {static_cast<std::int64_t>(weight.size())}), variable_(variable), shape_(shape), w_(weights_of<T>(d, weight)),
        offset_(weights_of<T>(d, offset, &radius_)) {
    radius_data_ = uploaded(d, radius_);
    if (source.empty()) return;
    const Readers readers = readers_of(source, this->in_sizes()[variable]);
    source_ = uploaded_indices(d, source);
    readers_at_ = uploaded(d, readers.at);
    readers_ = uploaded(d, readers.list);
    most_readers_ = readers.most;
  }

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[variable_];
    const T *w = mode == LinearMode::absolute ? w_.absolute.data() : w_.data.data(), *b0 = mode == LinearMode::affine ? offset(0) : nullptr, *from = x[variable_];
    const std::int32_t* source = source_.data();
    T* to = y[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const T v = w[e] * from[b * width + (source ? source[e] : e)];
      to[b * size + e] = b0 ? v + b0[e] : v;
    });
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    const std::int64_t size = this->out_sizes()[0], width = this->in_sizes()[variable_];
    T* to = in[variable_];
    if (!to) return;
    const T* w = w_.data.data();
    if (!source_) {
      d.map_rows(count, size, [=] BL_HD(std::int64_t r, std::int64_t e) { to[r * size + e] = rows[r * size + e] * w[e]; });
      return;
    }
    const std::int32_t *at = readers_at_.data(), *readers = readers_.data();
    d.map_rows(count, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
      T sum = 0;
      for (std::int32_t p = at[i]; p < at[i + 1]; ++p) sum += w[readers[p]] * rows[r * size + readers[p]];
      to[r * width + i] = sum;
    });
  }
  bool windows() const override { return !source_ && shape_.size() == 4 && shape_[0] == 1; }
  typename LinearKernel<T>::Plane plane() const override {
    if (shape_.size() != 4) return {};
    return {shape_[1], shape_[2], shape_[3]};
  }
  void transpose_windows(Device& d, RowBlock<T>&& rows, RowBlock<T>* out) const override {
    const auto p = plane();
    const T* w = w_.data.data();
    T* a = rows.a.data();
    const std::int32_t *top = rows.top.data(), *left = rows.left.data();
    const std::int64_t ww = rows.window_w, cells = rows.window_h * ww, channels = p.channels, apart = p.height * p.width;
    d.map_rows(rows.rows * cells, channels, [=] BL_HD(std::int64_t i, std::int64_t c) {
      const std::int64_t r = i / cells, cell = (top[r] + i % cells / ww) * p.width + left[r] + i % ww;
      a[i * channels + c] *= w[c * apart + cell];
    });
    out[variable_] = std::move(rows);
  }
  const T* offset(int) const override { return offset_.data.size() ? offset_.data.data() : nullptr; }
  const double* offset_radius(int, bool) const override { return radius_data_.size() ? radius_data_.data() : nullptr; }
  std::int64_t terms_ahead() const override { return 1; }
  std::int64_t terms_back() const override { return most_readers_; }
  double relative_error() const override { return w_.relative; }

 protected:
  std::size_t variable() const { return variable_; }
  const std::int32_t* source() const { return source_.data(); }

 private:
  std::size_t variable_;
  Shape shape_;
  std::vector<double> radius_;
  Weights<T> w_, offset_;
  Buffer<double> radius_data_;
  Buffer<std::int32_t> source_, readers_at_, readers_;
  std::int64_t most_readers_ = 1;
};

}  // namespace boundlight::BL_NS
