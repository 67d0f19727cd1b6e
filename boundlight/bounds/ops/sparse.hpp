// SparseKernel: y[e] = sum_p weight[p] x[input(p)][element(p)] + offset[e] over few terms per output: averages, sums over
// axes, interpolation. The host states the terms (SparseTerms); values, rows, gradients and charges follow.
#pragma once

#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/entry_list.hpp"
#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/bounds/ops/weights.hpp"

namespace boundlight {

// Terms of every output, in output order; constant inputs must have been moved into the offset by the maker.
struct SparseTerms {
  std::vector<std::int64_t> at{0};     // terms of output e: [at[e], at[e + 1])
  std::vector<std::int32_t> input;     // per term
  std::vector<std::int64_t> element;   // per term
  std::vector<Interval> weight;        // per term, enclosing the exact weight

  void add(int k, std::int64_t e, Interval w) {
    input.push_back(k);
    element.push_back(e);
    weight.push_back(w);
  }
  void end_output() { at.push_back(static_cast<std::int64_t>(element.size())); }
};

// The same weight for every entry of a list on input 0.
inline SparseTerms uniform_terms(const EntryList& list, Interval weight) {
  SparseTerms t;
  t.at = list.at;
  t.element = list.element;
  t.input.assign(list.element.size(), 0);
  t.weight.assign(list.element.size(), weight);
  return t;
}

}  // namespace boundlight

namespace boundlight::BL_NS {

template <class T>
class SparseKernel : public LinearKernel<T> {
 public:
  // `offset`: empty, or one enclosure per output. deployed_terms: roundings of one deployed output, 0 for the number of terms.
  SparseKernel(Device& d, std::vector<std::int64_t> in, const SparseTerms& terms, const std::vector<Interval>& offset = {}, std::int64_t deployed_terms = 0)
      : LinearKernel<T>(std::move(in), {static_cast<std::int64_t>(terms.at.size()) - 1}), offset_(weights_of<T>(d, offset, &radius_)), deployed_terms_(deployed_terms) {
    const auto inputs = this->in_sizes().size();
    const std::int64_t outputs = this->out_sizes()[0];
    const auto all = weights_of<T>(d, terms.weight);
    relative_ = all.relative;
    std::vector<T> weight(terms.weight.size());
    d.download(weight.data(), all.data.data(), static_cast<std::int64_t>(weight.size()));
    parts_.resize(inputs);
    for (std::size_t k = 0; k < inputs; ++k) {
      if (this->in_sizes()[k] == 0) continue;
      std::vector<std::int32_t> at{0}, element, owner;
      std::vector<std::int64_t> source;
      std::vector<T> w;
      for (std::int64_t e = 0; e < outputs; ++e) {
        for (auto p = static_cast<std::size_t>(terms.at[static_cast<std::size_t>(e)]); p < static_cast<std::size_t>(terms.at[static_cast<std::size_t>(e) + 1]); ++p) {
          if (terms.input[p] != static_cast<std::int32_t>(k)) continue;
          element.push_back(static_cast<std::int32_t>(terms.element[p]));
          source.push_back(terms.element[p]);
          owner.push_back(static_cast<std::int32_t>(e));
          w.push_back(weight[p]);
        }
        at.push_back(static_cast<std::int32_t>(element.size()));
      }
      const Readers readers = readers_of(source, this->in_sizes()[k]);
      most_readers_ = std::max(most_readers_, readers.most);
      std::vector<std::int32_t> reader;
      std::vector<T> reader_w;
      for (std::size_t i = 0; i < source.size(); ++i) {
        reader.push_back(owner[static_cast<std::size_t>(readers.list[i])]);
        reader_w.push_back(w[static_cast<std::size_t>(readers.list[i])]);
      }
      parts_[k] = {uploaded(d, at), uploaded(d, element), uploaded(d, readers.at), uploaded(d, reader), uploaded(d, w), uploaded(d, reader_w)};
    }
    for (std::size_t e = 0; e + 1 < terms.at.size(); ++e) most_terms_ = std::max(most_terms_, terms.at[e + 1] - terms.at[e]);
    radius_data_ = uploaded(d, radius_);
  }

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const std::int64_t size = this->out_sizes()[0];
    const T* w0 = mode == LinearMode::affine ? offset(0) : nullptr;
    const bool absolute = mode == LinearMode::absolute;
    T* to = y[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) { to[b * size + e] = 0; });
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const std::int64_t width = this->in_sizes()[k];
      if (width == 0) continue;
      const std::int32_t *at = parts_[k].at.data(), *element = parts_[k].element.data();
      const T *w = parts_[k].weight.data(), *from = x[k];
      d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
        T sum = to[b * size + e];
        for (std::int32_t p = at[e]; p < at[e + 1]; ++p) sum += (absolute && w[p] < 0 ? -w[p] : w[p]) * from[b * width + element[p]];
        to[b * size + e] = sum;
      });
    }
    if (w0) d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) { to[b * size + e] += w0[e]; });
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    const std::int64_t size = this->out_sizes()[0];
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const std::int64_t width = this->in_sizes()[k];
      T* to = in[k];
      if (!to || width == 0) continue;
      const std::int32_t *at = parts_[k].readers_at.data(), *reader = parts_[k].reader.data();
      const T* w = parts_[k].reader_weight.data();
      d.map_rows(count, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
        T sum = 0;
        for (std::int32_t p = at[i]; p < at[i + 1]; ++p) sum += w[p] * rows[r * size + reader[p]];
        to[r * width + i] = sum;
      });
    }
  }
  const T* offset(int) const override { return offset_.data.size() ? offset_.data.data() : nullptr; }
  const double* offset_radius(int, bool) const override { return radius_data_.size() ? radius_data_.data() : nullptr; }
  std::int64_t terms_ahead() const override { return most_terms_; }
  std::int64_t deployed_terms() const override { return deployed_terms_ > 0 ? deployed_terms_ : most_terms_; }
  std::int64_t terms_back() const override { return most_readers_; }
  double relative_error() const override { return relative_; }

 private:
  struct Part {
    Buffer<std::int32_t> at, element, readers_at, reader;
    Buffer<T> weight, reader_weight;
  };
  std::vector<double> radius_;
  Weights<T> offset_;
  Buffer<double> radius_data_;
  std::vector<Part> parts_;
  double relative_ = 0;
  std::int64_t most_terms_ = 1, most_readers_ = 1, deployed_terms_;
};

}  // namespace boundlight::BL_NS
