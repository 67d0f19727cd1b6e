#include "boundlight/bounds/engines/row_pass.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {
namespace {

// Products in double that underflow lose at most the smallest normal number each; this covers 10^17 of them.
constexpr double kUnderflow = 1e-290;
constexpr std::int64_t kFewestToDrop = 8;  // fewer rows done than this: carrying them on is cheaper

template <class U>
Buffer<U> row_list(Device& d, const std::vector<U>& from) {
  auto b = d.buffer<U>(static_cast<std::int64_t>(from.size()));
  d.upload(b.data(), from.data(), b.size());
  return b;
}
template <class U>
std::vector<U> downloaded(Device& d, const U* from, std::int64_t n) {
  std::vector<U> to(static_cast<std::size_t>(n));
  d.download(to.data(), from, n);
  return to;
}

Buffer<double> numbers(Device& d, const std::vector<double>& from, std::int64_t n) {
  if (!from.empty()) return row_list(d, from);
  auto b = d.buffer<double>(n);
  d.fill(b.data(), 0.0, n);
  return b;
}

// The rounding of the sums is charged by the value's box.
template <class T>
void add_multipliers(Device& d, const RowMultipliers<T>& m, BoxView<T> box, std::int64_t size, double u, RowBlock<T>& rows, RowAccounts accounts) {
  const std::int32_t *start = m.start.data(), *element = m.element.data(), *owner = accounts.box;
  const T *delta = m.delta.data(), *lower = box.lower, *upper = box.upper;
  T* a = rows.a.data();
  double* charge = accounts.charge;
  d.map(rows.rows, [=] BL_HD(std::int64_t r) {
    for (std::int32_t s = start[r]; s < start[r + 1]; ++s) {
      const std::int64_t e = owner[r] * size + element[s];
      const T sum = a[r * size + element[s]] + delta[s];
      a[r * size + element[s]] = sum;
      charge[r] += u * fabs(static_cast<double>(sum)) * fmax(fabs(static_cast<double>(lower[e])), fabs(static_cast<double>(upper[e])));
    }
  });
}

}  // namespace

template <class T>
RowPass<T>::RowPass(const PassContext<T>& context, PassRequest<T>&& request)
    : c_(context), request_(std::move(request)), d_(context.model.device()), network_(context.model.network()) {
  rows_ = static_cast<std::int64_t>(request_.box.size());
  origin_.resize(static_cast<std::size_t>(rows_));
  std::iota(origin_.begin(), origin_.end(), 0);
  bias_ = numbers(d_, request_.constant, rows_);
  charge_ = numbers(d_, request_.charge, rows_);
  box_ = row_list(d_, request_.box);
  if (c_.base) {
    base_box_ = d_.template buffer<std::int32_t>(rows_);
    d_.fill(base_box_.data(), std::int32_t{0}, rows_);
  }
  if (request_.slopes) line_ = row_list(d_, request_.slopes->row);
  result_.lower.assign(static_cast<std::size_t>(rows_), -std::numeric_limits<double>::infinity());
  result_.charge.assign(static_cast<std::size_t>(rows_), 0.0);
}

template <class T>
PassResult<T> RowPass<T>::run() {
  const int producer = c_.model.producer(request_.value);
  if (request_.producer_only) {
    if (producer >= 0 && c_.model.kernel(producer).linear()) start(), visit(producer);
    else start();
    stop_everywhere();
    result_.complete = true;
    return std::move(result_);
  }
  start();
  for (int i = producer; i >= 0; --i) {
    if (!visit(i)) continue;
    if (c_.stop.stop_requested()) {
      stop_everywhere();
      return std::move(result_);
    }
    if (!checkpoint(i)) return std::move(result_);
  }
  finish();
  return std::move(result_);
}

// Rows of a selection through the producer at once where it can; else as windows of one cell where the producer takes windows,
// or as a sparse matrix.
template <class T>
void RowPass<T>::start() {
  if (request_.element.empty()) {
    pending_.emplace(request_.value, std::move(request_.a));
    return;
  }
  const auto& v = network_.values[static_cast<std::size_t>(request_.value)];
  const auto elements = row_list(d_, request_.element);
  const auto signs = row_list(d_, request_.sign);
  Relaxation<T>* relaxation = v.producer < 0 ? nullptr : c_.relaxations.at(v.producer);
  if (relaxation && !c_.base) {
    const Node& node = network_.nodes[static_cast<std::size_t>(v.producer)].node;
    std::vector<RowBlock<T>> out(node.inputs.size());
    if (relaxation->select(d_, v.output_slot, rows_, elements.data(), signs.data(), accounts(), out.data())) {
      for (std::size_t k = 0; k < out.size(); ++k)
        if (out[k]) add(node.inputs[k], std::move(out[k]));
      return;
    }
  }
  const bool cells = relaxation && relaxation->takes_windows() && !request_.slopes && v.shape.size() == 4 && v.shape[0] == 1;
  pending_.emplace(request_.value, cells ? selected_cells(d_, v.shape, elements.data(), signs.data(), rows_) : selected_entries(d_, v.size, elements.data(), signs.data(), rows_));
}

// Joins rows that reach a value on several paths.
template <class T>
void RowPass<T>::add(ValueId value, RowBlock<T>&& rows) {
  const auto found = pending_.find(value);
  if (found == pending_.end()) pending_.emplace(value, std::move(rows));
  else join_blocks(d_, c_.relaxations, value, found->second, std::move(rows), accounts());
}

// Takes what stands on the node's outputs through it. Returns false when nothing did.
template <class T>
bool RowPass<T>::visit(int index) {
  const Node& node = network_.nodes[static_cast<std::size_t>(index)].node;
  bool any = false;
  for (std::size_t slot = 0; slot < node.outputs.size(); ++slot) {
    const ValueId value = node.outputs[slot];
    const auto found = value == kAbsent ? pending_.end() : pending_.find(value);
    if (found == pending_.end()) continue;
    any = true;
    RowBlock<T> rows = std::move(found->second);
    pending_.erase(found);
    const bool multiplied = request_.multipliers && request_.multipliers->count(value) > 0;
    if (multiplied) {
      densify(d_, network_.values[static_cast<std::size_t>(value)].shape, rows);
      const double u = c_.settings.charges(Charge::join) ? static_cast<double>(unit_roundoff<T>) * (1 + 1e-6) : 0.0;
      add_multipliers(d_, *request_.multipliers->at(value), c_.relaxations.box(value), network_.values[static_cast<std::size_t>(value)].size, u, rows, accounts());
    }
    const bool of_base = c_.base && c_.model.kernel(index).linear();
    const Relaxations<T>& relaxations = of_base ? *c_.base : c_.relaxations;
    Relaxation<T>* relaxation = relaxations.at(index);
    if (!relaxation) {
      ++result_.concretised;
      stop_at(value, std::move(rows), bias_.data(), charge_.data());
      continue;
    }
    const Shape& shape = network_.values[static_cast<std::size_t>(value)].shape;
    const ChosenSlopes<T>* chosen = request_.slopes;
    const T* own = chosen && chosen->at.count(index) > 0 ? chosen->at.at(index) : nullptr;
    if (relaxation->takes_windows() && !own) windowify(d_, shape, rows);
    else densify(d_, shape, rows);
    rows.slopes = {own, own ? line_.data() : nullptr};
    if (chosen && chosen->record && !c_.model.kernel(index).linear()) {
      std::vector<std::int32_t> all(static_cast<std::size_t>(rows_));
      std::iota(all.begin(), all.end(), 0);
      chosen->record->insert_or_assign(index, keep_rows(d_, rows, row_list(d_, all).data(), rows_));
    }
    if (const auto* linear = dynamic_cast<const LinearKernel<T>*>(&c_.model.kernel(index))) result_.multiply_adds += rows.rows * rows.width * linear->terms_ahead();
    std::vector<RowBlock<T>> out(node.inputs.size());
    const bool paid = !multiplied && std::find(paid_.begin(), paid_.end(), index) != paid_.end();
    if (const auto* linear = paid ? dynamic_cast<const LinearRelaxation<T>*>(relaxation) : nullptr) linear->pass_on(d_, static_cast<int>(slot), std::move(rows), out.data());
    else relaxation->backward(d_, static_cast<int>(slot), std::move(rows), of_base ? RowAccounts{bias_.data(), charge_.data(), base_box_.data()} : accounts(), out.data());
    if (relaxations.pays_for(index) >= 0) paid_.push_back(relaxations.pays_for(index));
    for (std::size_t k = 0; k < out.size(); ++k)
      if (out[k]) add(node.inputs[k], std::move(out[k]));
  }
  return any;
}

// min over the box of a value, added to bias and charge.
template <class T>
void RowPass<T>::stop_at(ValueId value, RowBlock<T>&& rows, double* bias, double* charge) {
  const auto& v = network_.values[static_cast<std::size_t>(value)];
  const bool windowed = rows.windowed;
  const BoxView<T> box = windowed ? c_.relaxations.box_last(value) : c_.relaxations.box(value);
  const auto at = span_of(d_, rows, box_.data(), v.size, windowed ? v.shape[1] : 1, windowed ? v.shape[3] : 1);
  minimum(d_, at.span, rows.a.data(), box.lower, box.upper, gamma_up<double>(rows.width + 3), bias, c_.settings.charges(Charge::concretise) ? charge : nullptr);
}

// A stop was asked for: the boxes known where the rows stand give their bounds.
template <class T>
void RowPass<T>::stop_everywhere() {
  for (auto& [value, rows] : pending_) stop_at(value, std::move(rows), bias_.data(), charge_.data());
  pending_.clear();
  take_best(bias_.data(), charge_.data(), true);
  result_.complete = false;
}

// After node `index`: when all rows stand on one value that feeds something nonlinear, tries its box. False: no rows are left.
template <class T>
bool RowPass<T>::checkpoint(int index) {
  if (c_.model.kernel(index).linear()) return true;
  // The first box on the way says what interval steps said already.
  if (++nonlinear_ < 2 || !request_.wanted || pending_.size() != 1) return true;
  const ValueId value = pending_.begin()->first;
  if (network_.values[static_cast<std::size_t>(value)].producer < 0) return true;
  const auto bias = d_.template buffer<double>(rows_), charge = d_.template buffer<double>(rows_);
  d_.copy(bias.data(), bias_.data(), rows_);
  d_.copy(charge.data(), charge_.data(), rows_);
  RowBlock<T>& rows = pending_.begin()->second;
  RowBlock<T> view;  // the same rows, not consumed
  std::swap(view, rows);
  const auto& v = network_.values[static_cast<std::size_t>(value)];
  const BoxView<T> box = view.windowed ? c_.relaxations.box_last(value) : c_.relaxations.box(value);
  const auto at = span_of(d_, view, box_.data(), v.size, view.windowed ? v.shape[1] : 1, view.windowed ? v.shape[3] : 1);
  minimum(d_, at.span, view.a.data(), box.lower, box.upper, gamma_up<double>(view.width + 3), bias.data(), c_.settings.charges(Charge::concretise) ? charge.data() : nullptr);
  std::swap(view, rows);
  take_best(bias.data(), charge.data(), false);
  const auto wanted = request_.wanted(result_.lower);
  std::vector<std::uint8_t> here;
  std::int64_t left = 0;
  for (const std::int32_t r : origin_) {
    here.push_back(wanted[static_cast<std::size_t>(r)]);
    left += here.back() ? 1 : 0;
  }
  if (rows_ - left >= kFewestToDrop || left == 0) drop(here);
  return rows_ > 0;
}

template <class T>
void RowPass<T>::drop(const std::vector<std::uint8_t>& wanted) {
  std::vector<std::int32_t> which, origin;
  for (std::size_t r = 0; r < wanted.size(); ++r)
    if (wanted[r]) which.push_back(static_cast<std::int32_t>(r)), origin.push_back(origin_[r]);
  const auto left = static_cast<std::int64_t>(which.size());
  result_.retired += rows_ - left;
  const auto kept = row_list(d_, which);
  for (auto& [value, rows] : pending_) rows = keep_rows(d_, rows, kept.data(), left);
  bias_ = keep_numbers(d_, bias_.data(), kept.data(), left);
  charge_ = keep_numbers(d_, charge_.data(), kept.data(), left);
  box_ = keep_numbers(d_, box_.data(), kept.data(), left);
  if (line_) line_ = keep_numbers(d_, line_.data(), kept.data(), left);
  origin_ = std::move(origin);
  rows_ = left;
}

// The bound of every row, where it is better than what there is. The charge is a computed sum of nonnegative terms in double,
// up to 4 million of them: inflated by 1e-9.
template <class T>
void RowPass<T>::take_best(const double* bias_at, const double* charge_at, bool final) {
  const auto bias = downloaded(d_, bias_at, rows_), charge = downloaded(d_, charge_at, rows_);
  const bool sound = c_.settings.sound;
  for (std::size_t i = 0; i < origin_.size(); ++i) {
    const auto r = static_cast<std::size_t>(origin_[i]);
    const double paid = sound ? next_up(charge[i] * (1 + 1e-9) + std::fabs(bias[i]) * 1e-15 + kUnderflow) : 0.0;
    const double lower = sound ? next_down(bias[i] - paid) : bias[i];
    const bool good = lower - lower == 0;
    if (!good && final && std::isinf(result_.lower[r])) result_.charge[r] = paid;
    if (!good || lower <= result_.lower[r]) continue;
    result_.lower[r] = lower;
    result_.charge[r] = paid;
  }
}

template <class T>
void RowPass<T>::finish() {
  std::vector<RowBlock<T>> rows(network_.inputs.size());
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const auto found = pending_.find(network_.inputs[k]);
    if (found == pending_.end()) continue;
    rows[k] = std::move(found->second);
    if (request_.planes || !c_.region.plain()) densify(d_, network_.values[static_cast<std::size_t>(network_.inputs[k])].shape, rows[k]);
  }
  if (request_.planes) {
    const auto bias = downloaded(d_, bias_.data(), rows_), charge = downloaded(d_, charge_.data(), rows_);
    for (std::size_t r = 0; r < bias.size(); ++r)
      result_.offset.push_back(c_.settings.sound ? next_down(bias[r] - next_up(charge[r] * (1 + 1e-9) + std::fabs(bias[r]) * 1e-15 + kUnderflow)) : bias[r]);
  }
  c_.region.minimum(d_, c_.relaxations, rows, rows_, accounts());
  take_best(bias_.data(), charge_.data(), true);
  if (!request_.planes) return;
  result_.plane = std::move(rows);
  result_.origin = origin_;
  result_.box = std::move(box_);
}

template class RowPass<float>;
template class RowPass<double>;

}  // namespace boundlight::BL_NS
