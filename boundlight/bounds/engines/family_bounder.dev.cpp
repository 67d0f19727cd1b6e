#include "boundlight/bounds/engines/family_bounder.hpp"

#include <algorithm>
#include <numeric>

#include "boundlight/bounds/engines/slope_search.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr std::size_t kMembersAtOnce = 256;

template <class U>
Buffer<U> family_list(Device& d, const std::vector<U>& from) {
  auto b = d.buffer<U>(static_cast<std::int64_t>(from.size()));
  d.upload(b.data(), from.data(), b.size());
  return b;
}

// One box for every member.
template <class T>
Buffer<T> repeated(Device& d, const T* from, std::int64_t size, std::int64_t times) {
  auto made = d.buffer<T>(size * times);
  T* to = made.data();
  d.map_rows(times, size, [=] BL_HD(std::int64_t m, std::int64_t j) { to[m * size + j] = from[j]; });
  return made;
}

// The members' own ranges: for member m, entries [start[m], start[m + 1]) of input, lower, upper.
struct Ranges {
  const std::int32_t *start, *input;
  const double *lower, *upper;
};

// Rank updates of kept planes: the bound of every (member, row), intersected into the members' boxes.
template <class T>
void update_boxes(Device& d, const KeptPlanes<T>& planes, const T* base_lower, const T* base_upper, std::int64_t inputs, Ranges m, std::int64_t members, double share,
                  std::int64_t size, T* lower, T* upper) {
  const std::int32_t* element = planes.element.data();
  const T *sign = planes.sign.data(), *plane = planes.plane.data();
  const double *sum = planes.sum.data(), *sizes = planes.size.data();
  d.map_rows(members, planes.rows, [=] BL_HD(std::int64_t i, std::int64_t r) {
    double value = sum[r];
    for (std::int32_t t = m.start[i]; t < m.start[i + 1]; ++t) {
      const std::int32_t at = m.input[t];
      const double a = static_cast<double>(plane[r * inputs + at]);
      const bool low = a >= 0;
      value += a * (low ? m.lower[t] : m.upper[t]) - a * static_cast<double>(low ? base_lower[at] : base_upper[at]);
    }
    const double bound = next_down(value - 3 * share * sizes[r] - 1e-290);
    if (!(bound - bound == 0)) return;
    const std::int64_t e = i * size + element[r];
    if (sign[r] > T(0)) {
      const T x = round_down_to<T>(bound);
      if (x > lower[e]) lower[e] = x;
    } else {
      const T x = round_up_to<T>(-bound);
      if (x < upper[e]) upper[e] = x;
    }
  });
}

// Row r of every member ranges over its inputs' ends, outward.
template <class T>
void put_ranges(Device& d, Ranges m, std::int64_t members, std::int64_t first, std::int64_t size, T* lower, T* upper) {
  d.map(members, [=] BL_HD(std::int64_t i) {
    for (std::int32_t t = m.start[i]; t < m.start[i + 1]; ++t) {
      const std::int64_t at = m.input[t] - first;
      if (at < 0 || at >= size) continue;
      lower[i * size + at] = round_down_to<T>(m.lower[t]);
      upper[i * size + at] = round_up_to<T>(m.upper[t]);
    }
  });
}

}  // namespace

template <class B, class R>
struct FamilyBounder<B, R>::Members {
  std::int64_t count = 0, most_inputs = 0;
  Buffer<std::int32_t> start, input;
  Buffer<double> lower, upper;
  Ranges ranges() const { return {start.data(), input.data(), lower.data(), upper.data()}; }
};

template <class B, class R>
typename FamilyBounder<B, R>::Members FamilyBounder<B, R>::members(const BoxFamily& family, std::size_t from, std::size_t to) const {
  std::vector<std::int32_t> start{0}, input;
  std::vector<double> lower, upper;
  Members m;
  m.count = static_cast<std::int64_t>(to - from);
  for (std::size_t i = from; i < to; ++i) {
    const FamilyMember& member = family.members[i];
    for (std::size_t k = 0; k < member.inputs.size(); ++k) {
      input.push_back(static_cast<std::int32_t>(member.inputs[k]));
      lower.push_back(member.lower[k]);
      upper.push_back(member.upper[k]);
    }
    start.push_back(static_cast<std::int32_t>(input.size()));
    m.most_inputs = std::max(m.most_inputs, static_cast<std::int64_t>(member.inputs.size()));
  }
  m.start = family_list(d_, start);
  m.input = family_list(d_, input);
  m.lower = family_list(d_, lower);
  m.upper = family_list(d_, upper);
  return m;
}

// Boxes, planes and linear relaxations of the base.
template <class B, class R>
void FamilyBounder<B, R>::prepare_base(const Forms& forms) {
  const std::vector<ValueId> values{forms.value};
  const bool rows = options_.method != Method::interval && !options_.intermediate_by_interval;
  if (exact_model_) {
    exact_ = std::make_unique<BoxBuilder<double>>(*exact_model_, base_region_, options_, nullptr, nullptr, report_);
    exact_->build(values, BoxBuilder<double>::Effort::exact_only);
  }
  base_ = std::make_unique<BoxBuilder<B>>(box_model_, base_region_, options_, nullptr, exact_ ? &exact_->boxes() : nullptr, report_);
  base_->keep_planes();
  base_->build(values, rows ? BoxBuilder<B>::Effort::rows : BoxBuilder<B>::Effort::interval);
  BoxArrays<R> boxes = converted<R>(d_, network_, base_->boxes());
  if constexpr (std::is_same_v<R, double>) {
    for (std::size_t v = 0; exact_ && v < boxes.lower.size(); ++v)
      if (boxes.lower[v] && exact_->boxes().lower[v])
        intersect_boxes(d_, boxes.lower[v].data(), boxes.upper[v].data(), exact_->boxes().lower[v].data(), exact_->boxes().upper[v].data(), network_.values[v].size);
  }
  rows_ = std::make_unique<BoxBuilder<R>>(row_model_, base_region_, options_, nullptr, nullptr, report_);
  rows_->adopt(std::move(boxes));
  base_relaxations_ = std::make_unique<Relaxations<R>>(row_model_, rows_->boxes(), settings_of(options_), options_.slopes);
  auto linear = ancestors(network_, forms.value);
  for (std::size_t i = 0; i < linear.size(); ++i) linear[i] = linear[i] && row_model_.kernel(static_cast<int>(i)).linear();
  base_relaxations_->prepare(linear);
}

// Slopes of the forms' rows on the base: any slope in range is valid for every member as well.
template <class B, class R>
void FamilyBounder<B, R>::search_slopes(const Forms& forms) {
  base_->relaxations().prepare(ancestors(network_, forms.value));
  for (const bool low : {true, false}) {
    Forms one = forms;
    one.want_lower = low && forms.want_lower;
    one.want_upper = !low && forms.want_upper;
    if (!one.want_lower && !one.want_upper) continue;
    SlopeSearch<B> search(base_->context(), options_, report_.counters);
    const auto found = search.run(job_of(network_, 1, one, settings_of(options_), d_, base_->boxes().view(forms.value)), true);
    for (const auto& [node, lines] : found.slopes.at) {
      std::vector<B> host(static_cast<std::size_t>(lines.size()));
      d_.download(host.data(), lines.data(), lines.size());
      slopes_[low ? 0 : 1][node].assign(host.begin(), host.end());
    }
  }
}

template <class B, class R>
BoundResult FamilyBounder<B, R>::base(const Regions& base, const Forms& forms) {
  base_region_ = base;
  prepare_base(forms);
  BoundResult result = nothing_known(1, forms);
  const auto job = [&] { return job_of(network_, 1, forms, settings_of(options_), d_, rows_->boxes().view(forms.value)); };
  BoundOptions with_planes = options_;
  with_planes.planes = true;
  bound_rows(*rows_, forms, with_planes, job(), result);
  if (options_.method != Method::alpha || options_.alpha_steps == 0) return result;
  search_slopes(forms);
  JobSlopes<R> slopes;
  std::map<int, std::vector<R>> lines = slopes_[0];  // lower rows come first
  for (const auto& [node, more] : slopes_[1]) lines[node].insert(lines[node].end(), more.begin(), more.end());
  for (const auto& [node, all] : lines) slopes.at[node] = family_list(d_, all);
  RowJob<R> again = job();
  slopes.row.resize(again.box.size());
  std::iota(slopes.row.begin(), slopes.row.end(), 0);
  again.slopes = &slopes;
  bound_rows(*rows_, forms, with_planes, std::move(again), result);
  return result;
}

template <class B, class R>
BoxArrays<B> FamilyBounder<B, R>::member_boxes(const Members& m, const Forms& forms) const {
  const BoxArrays<B>& base = base_->boxes();
  BoxArrays<B> boxes;
  boxes.batch = m.count;
  boxes.lower.resize(base.lower.size());
  boxes.upper.resize(base.upper.size());
  for (std::size_t v = 0; v < base.lower.size(); ++v) {
    if (!base.lower[v]) continue;
    boxes.lower[v] = repeated(d_, base.lower[v].data(), network_.values[v].size, m.count);
    boxes.upper[v] = repeated(d_, base.upper[v].data(), network_.values[v].size, m.count);
  }
  std::vector<B> base_lower, base_upper;
  for (std::size_t k = 0; k < network_.inputs.size(); ++k) {
    const auto v = static_cast<std::size_t>(network_.inputs[k]);
    const std::int64_t size = network_.values[v].size;
    put_ranges(d_, m.ranges(), m.count, network_.input_offset(k), size, boxes.lower[v].data(), boxes.upper[v].data());
    std::vector<B> lower(static_cast<std::size_t>(size)), upper(lower.size());
    d_.download(lower.data(), base.lower[v].data(), size);
    d_.download(upper.data(), base.upper[v].data(), size);
    base_lower.insert(base_lower.end(), lower.begin(), lower.end());
    base_upper.insert(base_upper.end(), upper.begin(), upper.end());
  }
  const auto lower = family_list(d_, base_lower), upper = family_list(d_, base_upper);
  const std::int64_t inputs = network_.input_size();
  const double share = gamma_up<double>(inputs + 4 * m.most_inputs + 16) * static_cast<double>(1 + m.most_inputs);
  for (const KeptPlanes<B>& planes : base_->kept()) {
    const auto v = static_cast<std::size_t>(planes.value);
    update_boxes(d_, planes, lower.data(), upper.data(), inputs, m.ranges(), m.count, share, network_.values[v].size, boxes.lower[v].data(), boxes.upper[v].data());
  }
  const auto needed = ancestors(network_, forms.value);
  for (std::size_t i = 0; i < needed.size(); ++i)
    if (needed[i] && !box_model_.kernel(static_cast<int>(i)).linear()) box_model_.interval_node(static_cast<int>(i), boxes, settings_of(options_));
  return boxes;
}

// Rows (member of this batch, form), negated for upper bounds.
template <class B, class R>
void FamilyBounder<B, R>::run_rows(const PassContext<R>& context, const std::vector<std::pair<std::int32_t, std::int32_t>>& wanted, const Forms& forms, double sign,
                                   std::size_t first, FamilyResult& result) {
  if (wanted.empty()) return;
  const auto size = static_cast<std::size_t>(network_.values[static_cast<std::size_t>(forms.value)].size), rows = static_cast<std::size_t>(forms.rows);
  Forms one = forms;
  one.want_lower = sign > 0;
  one.want_upper = sign < 0;
  const RowJob<R> all = job_of(network_, 1, one, settings_of(options_), d_, rows_->boxes().view(forms.value));
  RowJob<R> job;
  job.value = forms.value;
  JobSlopes<R> slopes;
  for (const auto& [node, lines] : slopes_[sign > 0 ? 0 : 1]) slopes.at[node] = family_list(d_, lines);
  for (const auto& [member, form] : wanted) {
    const auto f = static_cast<std::size_t>(form);
    job.box.push_back(member);
    job.coefficient.insert(job.coefficient.end(), all.coefficient.begin() + static_cast<std::ptrdiff_t>(f * size), all.coefficient.begin() + static_cast<std::ptrdiff_t>((f + 1) * size));
    job.constant.push_back(all.constant[f]);
    if (!all.charge.empty()) job.charge.push_back(all.charge[f]);
    slopes.row.push_back(form);
  }
  if (!slopes.at.empty()) job.slopes = &slopes;
  RowRunner<R> runner(context, options_.memory, report_.counters);
  const RowResult<R> found = runner.run(job);
  report_.complete = report_.complete && found.complete;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::size_t at = (first + static_cast<std::size_t>(wanted[i].first)) * rows + static_cast<std::size_t>(wanted[i].second);
    result.charge[at] = std::max(result.charge[at], found.charge[i]);
    if (sign > 0) result.lower[at] = std::max(result.lower[at], found.lower[i]);
    else result.upper[at] = std::min(result.upper[at], -found.lower[i]);
  }
}

template <class B, class R>
void FamilyBounder<B, R>::bound_members(const BoxFamily& family, const Forms& forms, std::size_t from, std::size_t to, FamilyResult& result) {
  const Members m = members(family, from, to);
  const Regions regions = member_regions(family, from, to);
  BoxArrays<R> boxes = converted<R>(d_, network_, member_boxes(m, forms));
  BoxArrays<R> inputs = row_model_.input_boxes(regions.lower.data(), regions.upper.data(), regions.batch);
  for (const ValueId v : network_.inputs) {
    boxes.lower[static_cast<std::size_t>(v)] = std::move(inputs.lower[static_cast<std::size_t>(v)]);
    boxes.upper[static_cast<std::size_t>(v)] = std::move(inputs.upper[static_cast<std::size_t>(v)]);
  }
  const BoundSettings settings = settings_of(options_);
  Relaxations<R> relaxations(row_model_, boxes, settings, options_.slopes);
  auto curved = ancestors(network_, forms.value);
  for (std::size_t i = 0; i < curved.size(); ++i) curved[i] = curved[i] && !row_model_.kernel(static_cast<int>(i)).linear();
  relaxations.prepare(curved);
  const InputRegion<R> region(row_model_, regions, settings);
  const PassContext<R> context{row_model_, relaxations, region, settings, options_.stop, base_relaxations_.get()};
  const auto rows = static_cast<std::int32_t>(forms.rows), count = static_cast<std::int32_t>(m.count);
  std::vector<std::pair<std::int32_t, std::int32_t>> all;
  for (std::int32_t i = 0; i < count; ++i)
    for (std::int32_t r = 0; r < rows; ++r) all.emplace_back(i, r);
  if (forms.want_lower) run_rows(context, all, forms, 1, from, result);
  if (!forms.want_upper) return;
  if (!forms.largest_only) return run_rows(context, all, forms, -1, from, result);
  // The row with the largest bound so far is bounded anew, until the largest is one that was.
  std::vector<std::vector<bool>> done(static_cast<std::size_t>(count), std::vector<bool>(static_cast<std::size_t>(rows), false));
  for (std::int32_t round = 0; round < rows; ++round) {
    std::vector<std::pair<std::int32_t, std::int32_t>> next;
    for (std::int32_t i = 0; i < count; ++i) {
      const double* upper = result.upper.data() + (from + static_cast<std::size_t>(i)) * static_cast<std::size_t>(rows);
      const auto top = static_cast<std::int32_t>(std::max_element(upper, upper + rows) - upper);
      if (done[static_cast<std::size_t>(i)][static_cast<std::size_t>(top)]) continue;
      done[static_cast<std::size_t>(i)][static_cast<std::size_t>(top)] = true;
      next.emplace_back(i, top);
    }
    if (next.empty()) break;
    run_rows(context, next, forms, -1, from, result);
  }
}

template <class B, class R>
void FamilyBounder<B, R>::run(const BoxFamily& family, const Forms& forms, FamilyResult& result) {
  for (std::size_t from = 0; from < family.members.size(); from += kMembersAtOnce) {
    if (options_.stop.stop_requested()) {
      report_.complete = false;
      break;
    }
    bound_members(family, forms, from, std::min(family.members.size(), from + kMembersAtOnce), result);
  }
}

template class FamilyBounder<float, float>;
template class FamilyBounder<float, double>;
template class FamilyBounder<double, double>;

}  // namespace boundlight::BL_NS
