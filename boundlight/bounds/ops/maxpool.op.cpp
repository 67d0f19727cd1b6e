// MaxPool: the largest element of every window; padding never wins. The optional second output holds where it was.
#include "boundlight/bounds/ops/extremum.hpp"
#include "boundlight/bounds/ops/spatial.hpp"

namespace boundlight {

// What every window reads. Refused: a window that lies in the padding entirely.
Result<EntryList> max_pool_entries(const NodeView& node);
// For every input element, the number that the second output calls it by.
std::vector<std::int64_t> max_pool_numbers(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {

Result<EntryList> max_pool_entries(const NodeView& node) {
  BL_TRY(w, spatial::windows_of(node));
  EntryList list;
  for (std::int64_t c = 0; c < node.shape(0)[0] * node.shape(0)[1]; ++c)
    for (std::int64_t q = 0; q < w.out_size(); ++q) {
      for (std::int64_t k = 0; k < w.kernel_size(); ++k) {
        const std::int64_t p = w.input_of(q, k);
        if (p >= 0) list.element.push_back(c * w.in_size() + p);
      }
      list.end_output();
      if (list.at.back() == list.at[list.at.size() - 2]) return refuse("a window lies in the padding entirely; reduce the pads");
    }
  return list;
}

std::vector<std::int64_t> max_pool_numbers(const NodeView& node) {
  const Shape& s = node.shape(0);
  std::vector<std::int64_t> number(static_cast<std::size_t>(node.size(0)));
  std::int64_t cells = 1;
  for (std::size_t a = 2; a < s.size(); ++a) cells *= s[a];
  const bool columns_first = node.integer("storage_order", 0) != 0;
  for (std::size_t i = 0; i < number.size(); ++i) {
    std::int64_t cell = static_cast<std::int64_t>(i) % cells, step = cells, column = 0;
    number[i] = static_cast<std::int64_t>(i);
    if (!columns_first) continue;
    for (std::size_t a = s.size(); a-- > 2;) {
      step /= s[a];
      column += cell % s[a] * step;
      cell /= s[a];
    }
    number[i] += column - static_cast<std::int64_t>(i) % cells;
  }
  return number;
}

namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(w, spatial::windows_of(node));
  const Shape out = spatial::output_shape(node.shape(0), node.shape(0)[1], w);
  return std::vector<TypedShape>{{node.inputs[0]->type, out}, {DataType::int64, out}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(shapes, infer(node));
  BL_TRY(list, max_pool_entries(node));
  const auto number = max_pool_numbers(node);
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]);
    std::vector<S> y;
    std::vector<std::int64_t> where;
    for (std::size_t e = 0; e + 1 < list.at.size(); ++e) {
      auto best = static_cast<std::size_t>(list.element[static_cast<std::size_t>(list.at[e])]);
      for (auto p = static_cast<std::size_t>(list.at[e]); p < static_cast<std::size_t>(list.at[e + 1]); ++p) {
        const auto i = static_cast<std::size_t>(list.element[p]);
        if (x[best] == x[best] && (x[i] != x[i] || x[i] > x[best])) best = i;
      }
      y.push_back(x[best]);
      where.push_back(number[best]);
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), shapes[0].shape, y), Tensor::from_int64s(DataType::int64, shapes[0].shape, where)};
  });
}

}  // namespace

extern const OpInfo MaxPool_op;
const OpInfo MaxPool_op = {"MaxPool", "kernel_shape:I strides:I pads:I dilations:I auto_pad:s ceil_mode:i storage_order:i", infer, evaluate, "none",
                           "yes", "yes", "exact range", "planes", "exact", 1, 1};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// Rows on the second output stop at what is known of it: numbers of elements.
template <class T>
class PositionRelaxation : public Relaxation<T> {
 public:
  PositionRelaxation(std::unique_ptr<Relaxation<T>> values, std::int64_t outputs, double last) : values_(std::move(values)), outputs_(outputs), last_(last) {}
  void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    if (slot == 0) return values_->backward(d, slot, std::move(rows), accounts, out);
    const T* a = rows.a.data();
    const std::int64_t size = outputs_;
    const double last = last_, share = gamma_up<double>(size + 3);
    double* const sums[2] = {accounts.bias, accounts.charge};
    d.template sum_rows<2>(rows.rows, size, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const auto x = static_cast<double>(a[r * size + j]);
      if (x >= 0) return;  // at least x * 0
      sum.add(0, x * last);
      sum.add(1, share * fabs(x) * last);
    }, sums);
    double *bias = accounts.bias, *charge = accounts.charge;
    d.map(rows.rows, [=] BL_HD(std::int64_t r) { charge[r] += fabs(bias[r]) * 3e-16; });
  }

 private:
  std::unique_ptr<Relaxation<T>> values_;
  std::int64_t outputs_;
  double last_;
};

template <class T>
class MaxPoolKernel : public ExtremumKernel<T> {
 public:
  // number: empty when the second output is not asked for.
  MaxPoolKernel(Device& d, const NodeView& node, const EntryList& list, const std::vector<std::int64_t>& number)
      : ExtremumKernel<T>(d, node, list, true), positions_(!number.empty()), last_(static_cast<T>(number.size())), number_(uploaded_indices(d, number)) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    ExtremumKernel<T>::forward(d, in, out, batch);
    if (!positions_) return;
    const auto& entries = this->entries();
    const std::int64_t total = entries.total(), outputs = entries.outputs();
    const std::int32_t *at = entries.at(), *element = entries.element(), *number = number_.data();
    const T* x = in[0];
    T* y = out[1];
    d.map_rows(batch, outputs, [=] BL_HD(std::int64_t b, std::int64_t e) {
      y[b * outputs + e] = static_cast<T>(number[element[ExtremumKernel<T>::chosen(x + b * total, element, at[e], at[e + 1], true)]]);
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    ExtremumKernel<T>::interval(d, in, lower, upper, batch, settings);
    if (!positions_) return;
    d.fill(lower[1], T(0), batch * this->entries().outputs());
    d.fill(upper[1], last_, batch * this->entries().outputs());
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    auto values = ExtremumKernel<T>::relax(d, in, out, batch, settings, rule);
    if (!positions_) return values;
    return std::make_unique<PositionRelaxation<T>>(std::move(values), this->entries().outputs(), static_cast<double>(last_));
  }

 private:
  bool positions_;
  T last_;  // above every position
  Buffer<std::int32_t> number_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(list, max_pool_entries(node));
  const bool positions = node.outputs.size() > 1 && node.outputs[1] != nullptr;
  return std::unique_ptr<Kernel<T>>(std::make_unique<MaxPoolKernel<T>>(d, node, list, positions ? max_pool_numbers(node) : std::vector<std::int64_t>()));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(MaxPool, make)
