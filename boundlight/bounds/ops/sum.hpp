// SumKernel: y = sum_k s_k x_k + w with numpy broadcasting and signs s_k = +-1; constants become w. Add, Sub, Sum, Neg.
#pragma once

#include <cmath>

#include "boundlight/bounds/ops/lane_forward.hpp"
#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight::BL_NS {

template <class T>
class SumKernel : public LinearKernel<T>, public LaneForward<T> {
 public:
  struct Term {
    T sign = 1;
    bool same = false;             // no broadcasting
    Buffer<std::int32_t> source;   // [output size]
    Buffer<std::int32_t> readers_at, readers;
  };

  // Errors of w, which several constants were added up to, [out size] or null (LinearKernel::offset_radius).
  struct Radii {
    Buffer<double> real, deployed;
  };

  SumKernel(std::vector<std::int64_t> in, std::int64_t out, Shape shape, std::vector<Term> terms, Weights<T> w, std::int64_t most_readers, Radii radii)
      : LinearKernel<T>(std::move(in), {out}), shape_(std::move(shape)), terms_(std::move(terms)), w_(std::move(w)), radii_(std::move(radii)), most_readers_(most_readers) {
    for (const auto& t : terms_) all_same_ = all_same_ && (t.same || !t.source);
  }

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const std::int64_t size = this->out_sizes()[0];
    const T* w = mode == LinearMode::affine ? offset(0) : nullptr;
    T* to = y[0];
    bool first = true;
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      const std::int64_t width = this->in_sizes()[k];
      if (width == 0) continue;
      const T sign = mode == LinearMode::absolute ? T(1) : terms_[k].sign;
      const T* from = x[k];
      const std::int32_t* source = terms_[k].same ? nullptr : terms_[k].source.data();
      const bool start = first;
      first = false;
      d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
        const T v = sign * from[b * width + (source ? source[e] : e)];
        to[b * size + e] = start ? v : to[b * size + e] + v;
      });
    }
    if (w) d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) { to[b * size + e] += w[e]; });
  }
  // One or two inputs that are not broadcast, and constants.
  bool lanes() const override {
    const auto variable = lane_terms();
    bool same = !variable.empty() && variable.size() <= 2;
    for (const std::size_t k : variable) same = same && terms_[k].same;
    return same;
  }
  void forward_lanes(Device&, const T* const* in, T* out, bool rectify) const override {
    if constexpr (HasRowLoops<Device>) {
      const auto variable = lane_terms();
      const std::size_t a = variable.front(), b = variable.back();
      device_cpu::lane_loops<T>().combine(this->out_sizes()[0], terms_[a].sign, in[a], terms_[b].sign, a == b ? nullptr : in[b], offset(0), rectify, out);
    }
  }
  void back_lanes(Device&, const T*, const T* g, T* const* parts) const override {
    if constexpr (HasRowLoops<Device>) {
      for (const std::size_t k : lane_terms())
        if (parts[k]) device_cpu::lane_loops<T>().combine(this->out_sizes()[0], terms_[k].sign, g, T(1), nullptr, nullptr, false, parts[k]);
    }
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    const std::int64_t size = this->out_sizes()[0];
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      const std::int64_t width = this->in_sizes()[k];
      T* to = in[k];
      if (!to || width == 0) continue;
      const T sign = terms_[k].sign;
      if (terms_[k].same) {
        d.map(count * size, [=] BL_HD(std::int64_t i) { to[i] = sign * rows[i]; });
        continue;
      }
      const std::int32_t *at = terms_[k].readers_at.data(), *readers = terms_[k].readers.data();
      d.map_rows(count, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
        T sum = 0;
        for (std::int32_t p = at[i]; p < at[i + 1]; ++p) sum += rows[r * size + readers[p]];
        to[r * width + i] = sign * sum;
      });
    }
  }
  void weight_vjp(Device& d, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const std::int64_t size = this->out_sizes()[0];
    const T* g = grad_out[0];
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      if (this->in_sizes()[k] != 0 || !grad_in[k]) continue;
      T* to = grad_in[k];
      const T sign = terms_[k].sign;
      const std::int32_t *at = terms_[k].readers_at.data(), *readers = terms_[k].readers.data();
      d.map(terms_[k].readers_at.size() - 1, [=] BL_HD(std::int64_t i) {
        for (std::int64_t b = 0; b < batch; ++b)
          for (std::int32_t p = at[i]; p < at[i + 1]; ++p) to[i] += sign * g[b * size + readers[p]];
      });
    }
  }
  bool windows() const override { return all_same_ && shape_.size() == 4 && shape_[0] == 1; }
  typename LinearKernel<T>::Plane plane() const override {
    if (shape_.size() != 4) return {};
    return {shape_[1], shape_[2], shape_[3]};
  }
  void transpose_windows(Device& d, RowBlock<T>&& rows, RowBlock<T>* out) const override {
    // The last variable input takes the block itself, the others copies.
    std::size_t last = terms_.size();
    for (std::size_t k = 0; k < terms_.size(); ++k)
      if (this->in_sizes()[k] != 0) last = k;
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      if (this->in_sizes()[k] == 0) continue;
      if (k == last) {
        out[k] = std::move(rows);
      } else {
        out[k].rows = rows.rows, out[k].width = rows.width, out[k].windowed = true;
        out[k].window_h = rows.window_h, out[k].window_w = rows.window_w;
        out[k].a = d.template buffer<T>(rows.rows * rows.width);
        out[k].top = d.template buffer<std::int32_t>(rows.rows);
        out[k].left = d.template buffer<std::int32_t>(rows.rows);
        d.copy(out[k].a.data(), rows.a.data(), rows.rows * rows.width);
        d.copy(out[k].top.data(), rows.top.data(), rows.rows);
        d.copy(out[k].left.data(), rows.left.data(), rows.rows);
      }
      if (terms_[k].sign != 1) {
        T* a = out[k].a.data();
        d.map(out[k].rows * out[k].width, [=] BL_HD(std::int64_t i) { a[i] = -a[i]; });
      }
    }
  }
  const T* offset(int) const override { return w_.data.size() ? w_.data.data() : nullptr; }
  const double* offset_radius(int, bool deployed) const override { return deployed ? radii_.deployed.data() : radii_.real.data(); }
  std::int64_t terms_ahead() const override { return static_cast<std::int64_t>(terms_.size()); }
  std::int64_t terms_back() const override { return most_readers_; }
  double relative_error() const override { return w_.relative; }
  bool passes_rows() const override {
    bool as_is = one_to_one() && !radii_.real;
    for (std::size_t k = 0; k < terms_.size(); ++k) as_is = as_is && (this->in_sizes()[k] == 0 || (terms_[k].same && terms_[k].sign == T(1)));
    return as_is;
  }
  bool one_to_one() const override {
    int variable = 0;
    for (const auto n : this->in_sizes()) variable += n > 0 ? 1 : 0;
    return variable == 1 && most_readers_ <= 1;
  }

 private:
  std::vector<std::size_t> lane_terms() const {
    std::vector<std::size_t> variable;
    for (std::size_t k = 0; k < terms_.size(); ++k)
      if (this->in_sizes()[k] != 0) variable.push_back(k);
    return variable;
  }

  Shape shape_;
  std::vector<Term> terms_;
  Weights<T> w_;
  Radii radii_;
  std::int64_t most_readers_;
  bool all_same_ = true;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make_signed_sum(Device& d, const NodeView& node, const std::vector<int>& signs) {
  const Shape& shape = node.outputs[0]->shape;
  const std::int64_t size = node.outputs[0]->size;
  std::vector<std::int64_t> in;
  std::vector<typename SumKernel<T>::Term> terms;
  std::vector<double> w, sizes;  // sum of the constants and of their magnitudes
  std::int64_t most = 1;
  int constants = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    typename SumKernel<T>::Term t;
    t.sign = static_cast<T>(signs[k]);
    t.same = node.shape(k) == shape;
    const auto source = typed::broadcast_index(node.shape(k), shape);
    const auto readers = readers_of(source, node.size(k));
    t.source = uploaded(d, std::vector<std::int32_t>(source.begin(), source.end()));
    t.readers_at = uploaded(d, readers.at);
    t.readers = uploaded(d, readers.list);
    if (node.variable(k)) {
      most = std::max(most, readers.most);
    } else {
      const auto c = node.inputs[k]->constant->to_doubles();
      w.resize(static_cast<std::size_t>(size), 0.0);
      sizes.resize(w.size(), 0.0);
      for (std::size_t e = 0; e < w.size(); ++e) {
        w[e] += signs[k] * c[static_cast<std::size_t>(source[e])];
        sizes[e] += std::fabs(c[static_cast<std::size_t>(source[e])]);
      }
      ++constants;
    }
    in.push_back(node.variable(k) ? node.size(k) : 0);
    terms.push_back(std::move(t));
  }
  // Several constants were added up in double, and their sum may have cancelled: what that lost, and what the deployed network may
  // lose where it adds them to x one after the other (gamma_(n+1) (|x| + |w|) is charged anyway), is measured by their magnitudes.
  typename SumKernel<T>::Radii radii;
  if (constants > 1) {
    const auto n = static_cast<std::int64_t>(node.inputs.size());
    std::vector<double> real, deployed;
    for (const double m : sizes) {
      real.push_back(next_up(gamma_up<double>(n) * 1.0000001 * m));
      deployed.push_back(next_up(real.back() + gamma_up<float>(n + 1) * 1.0000001 * m));
    }
    radii = {uploaded(d, real), uploaded(d, deployed)};
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<SumKernel<T>>(in, size, shape, std::move(terms), weights_of<T>(d, w), most, std::move(radii)));
}

}  // namespace boundlight::BL_NS
