// Operators that only move elements: every output element is one input element, or a constant. An operator states its map
// as a function NodeView -> Move (host); values of any type, bounds, rows and gradients follow here.
#pragma once

#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/move_map.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight::BL_NS {

template <class T>
class MoveKernel : public LinearKernel<T> {
 public:
  // Constant inputs are part of the map as extra elements: their values are appended behind the variable inputs' (constants_).
  MoveKernel(Device& d, const NodeView& node, const moves::Move& move);

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override;
  void transpose(Device& d, int slot, const T* rows, std::int64_t count, T* const* in) const override;
  const T* offset(int slot) const override { return offsets_.empty() || !offsets_[slot] ? nullptr : offsets_[slot].data(); }
  std::int64_t terms_ahead() const override { return 1; }
  std::int64_t terms_back() const override { return most_readers_; }
  bool moves_only() const override { return relative_ == 0; }
  bool passes_rows() const override { return identity_; }
  double relative_error() const override { return relative_; }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override;

 private:
  template <class U>
  static Buffer<U> uploaded(Device& d, const std::vector<U>& host) {
    auto b = d.template buffer<U>(static_cast<std::int64_t>(host.size()));
    d.upload(b.data(), host.data(), b.size());
    return b;
  }
  T stored(double value);
  struct Table {                  // per slot and input, constants included (their gradient)
    Buffer<std::int32_t> readers_at;  // CSR: for input element i, readers [at[i], at[i+1])
    Buffer<std::int32_t> readers;
  };
  Table table(Device& d, const std::vector<moves::Source>& sources, std::int32_t k, std::int64_t width);
  bool identity_ = false;
  double relative_ = 0;  // of constants that T does not hold
  std::int64_t most_readers_ = 1;
  std::vector<Buffer<std::int32_t>> source_input_, source_element_;  // per slot
  std::vector<Buffer<T>> offsets_;                                   // per slot; null when there are no constants
  std::vector<std::vector<Table>> tables_;                           // [slot][input]
};

template <class T>
MoveKernel<T>::MoveKernel(Device& d, const NodeView& node, const moves::Move& move)
    : LinearKernel<T>(
          [&] {
            std::vector<std::int64_t> s;
            for (std::size_t k = 0; k < node.inputs.size(); ++k) s.push_back(node.variable(k) ? node.size(k) : 0);
            return s;
          }(),
          [&] {
            std::vector<std::int64_t> s;
            for (const auto* o : node.outputs) s.push_back(o ? o->size : 0);
            return s;
          }()),
      identity_(move.identity) {
  if (identity_) return;
  std::vector<std::vector<double>> constants(node.inputs.size());
  for (std::size_t k = 0; k < constants.size(); ++k)
    if (node.has(k) && node.inputs[k]->constant) constants[k] = node.inputs[k]->constant->to_doubles();
  for (std::size_t s = 0; s < this->out_sizes().size(); ++s) {
    const auto& sources = move.outputs[s];
    std::vector<std::int32_t> from(sources.size(), -1), element(sources.size(), 0);
    std::vector<T> constant(sources.size(), T(0));
    bool any_constant = false;
    for (std::size_t e = 0; e < sources.size(); ++e) {
      const moves::Source src = sources[e];
      if (src.input != moves::kConstant && this->in_sizes()[static_cast<std::size_t>(src.input)] != 0) {
        from[e] = src.input;
        element[e] = static_cast<std::int32_t>(src.element);
        continue;
      }
      const double value = src.input == moves::kConstant ? move.fill : constants[static_cast<std::size_t>(src.input)][static_cast<std::size_t>(src.element)];
      constant[e] = stored(value);
      any_constant = any_constant || value != 0;
    }
    source_input_.push_back(uploaded(d, from));
    source_element_.push_back(uploaded(d, element));
    offsets_.push_back(any_constant ? uploaded(d, constant) : Buffer<T>());
    tables_.emplace_back();
    for (std::size_t k = 0; k < node.inputs.size(); ++k) tables_.back().push_back(table(d, sources, static_cast<std::int32_t>(k), node.has(k) ? node.size(k) : 0));
  }
}

// A constant in T; remembers what that loses: a relative error only where the result is normal.
template <class T>
T MoveKernel<T>::stored(double value) {
  const T near = static_cast<T>(value), size = near < 0 ? -near : near;
  if (static_cast<double>(near) == value) return near;
  const bool normal = size >= smallest_normal<T> && size <= std::numeric_limits<T>::max();
  relative_ = normal ? std::max(relative_, 2.0 * static_cast<double>(unit_roundoff<T>)) : std::numeric_limits<double>::infinity();
  return near;
}

// Which output elements read each of the `width` elements of input k.
template <class T>
typename MoveKernel<T>::Table MoveKernel<T>::table(Device& d, const std::vector<moves::Source>& sources, std::int32_t k, std::int64_t width) {
  std::vector<std::int32_t> at(static_cast<std::size_t>(width) + 1, 0);
  for (const auto& s : sources)
    if (s.input == k) ++at[static_cast<std::size_t>(s.element) + 1];
  for (std::size_t i = 1; i < at.size(); ++i) {
    most_readers_ = std::max<std::int64_t>(most_readers_, at[i]);
    at[i] += at[i - 1];
  }
  std::vector<std::int32_t> readers(static_cast<std::size_t>(at.back()) + 1, 0), next(at.begin(), at.end());
  for (std::size_t e = 0; e < sources.size(); ++e)
    if (sources[e].input == k) readers[static_cast<std::size_t>(next[static_cast<std::size_t>(sources[e].element)]++)] = static_cast<std::int32_t>(e);
  return {uploaded(d, at), uploaded(d, readers)};
}

template <class T>
void MoveKernel<T>::weight_vjp(Device& d, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const {
  for (std::size_t s = 0; s < tables_.size(); ++s)
    for (std::size_t k = 0; k < tables_[s].size(); ++k) {
      if (!grad_in[k] || !grad_out[s] || this->in_sizes()[k] != 0) continue;
      const std::int32_t *at = tables_[s][k].readers_at.data(), *readers = tables_[s][k].readers.data();
      const std::int64_t size = this->out_sizes()[s];
      const T* g = grad_out[s];
      T* to = grad_in[k];
      d.map(tables_[s][k].readers_at.size() - 1, [=] BL_HD(std::int64_t i) {
        for (std::int64_t b = 0; b < batch; ++b)
          for (std::int32_t p = at[i]; p < at[i + 1]; ++p) to[i] += g[b * size + readers[p]];
      });
    }
}

template <class T>
void MoveKernel<T>::apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const {
  for (std::size_t s = 0; s < this->out_sizes().size(); ++s) {
    T* to = y[s];
    if (!to) continue;
    const std::int64_t size = this->out_sizes()[s];
    if (identity_) {
      d.copy(to, x[0], batch * size);
      continue;
    }
    const std::int32_t *element = source_element_[s].data(), *input = source_input_[s].data();
    const T* constant = mode == LinearMode::affine ? offset(static_cast<int>(s)) : nullptr;
    // One pass per input keeps the functor free of arrays of pointers; each writes the elements that it owns.
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
      if (input[e] < 0) to[b * size + e] = constant ? constant[e] : T(0);
    });
    for (std::size_t k = 0; k < this->in_sizes().size(); ++k) {
      const std::int64_t width = this->in_sizes()[k];
      if (width == 0) continue;
      const T* from = x[k];
      const auto which = static_cast<std::int32_t>(k);
      d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t e) {
        if (input[e] == which) to[b * size + e] = from[b * width + element[e]];
      });
    }
  }
}

template <class T>
void MoveKernel<T>::transpose(Device& d, int slot, const T* rows, std::int64_t count, T* const* in) const {
  const std::int64_t size = this->out_sizes()[static_cast<std::size_t>(slot)];
  if (identity_) {
    if (in[0]) d.copy(in[0], rows, count * size);
    return;
  }
  for (std::size_t k = 0; k < this->in_sizes().size(); ++k) {
    T* to = in[k];
    const std::int64_t width = this->in_sizes()[k];
    if (!to || width == 0) continue;
    const auto& table = tables_[static_cast<std::size_t>(slot)][k];
    const std::int32_t *at = table.readers_at.data(), *readers = table.readers.data();
    d.map_rows(count, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
      T sum = 0;
      for (std::int32_t p = at[i]; p < at[i + 1]; ++p) sum += rows[r * size + readers[p]];
      to[r * width + i] = sum;
    });
  }
}

extern template class MoveKernel<float>;
extern template class MoveKernel<double>;

template <class T, moves::MoveOf move_of>
Result<std::unique_ptr<Kernel<T>>> make_move(Device& d, const NodeView& node) {
  BL_TRY(move, move_of(node));
  return std::unique_ptr<Kernel<T>>(std::make_unique<MoveKernel<T>>(d, node, move));
}

}  // namespace boundlight::BL_NS

#define BL_REGISTER_MOVE(name, move_of)                                                                              \
  namespace boundlight::BL_NS {                                                                                      \
  extern const KernelMakers name##_makers;                                                                           \
  const KernelMakers name##_makers = {#name, &make_move<float, move_of>, &make_move<double, move_of>};               \
  }
