#include "boundlight/bounds/engines/box_builder.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/bounds/engines/slope_search.hpp"

namespace boundlight::BL_NS {

template <class To, class From>
Buffer<To> rounded(Device& d, const From* from, std::int64_t n, bool up) {
  auto made = d.buffer<To>(n);
  To* to = made.data();
  d.map(n, [=] BL_HD(std::int64_t i) {
    const double x = static_cast<double>(from[i]);
    to[i] = up ? round_up_to<To>(x) : round_down_to<To>(x);
  });
  return made;
}
template Buffer<double> rounded(Device&, const float*, std::int64_t, bool);
template Buffer<double> rounded(Device&, const double*, std::int64_t, bool);
template Buffer<float> rounded(Device&, const float*, std::int64_t, bool);
template Buffer<float> rounded(Device&, const double*, std::int64_t, bool);

BoundSettings settings_of(const BoundOptions& options) { return {options.semantics, options.sound, options.without_charges}; }

template <class T>
std::vector<int> interval_exactness(const Model<T>& model, bool independent_inputs) {
  const Network& network = model.network();
  std::vector<int> exact(network.values.size(), 0);
  for (const ValueId v : network.inputs) exact[static_cast<std::size_t>(v)] = independent_inputs ? 2 : 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i].node;
    int variable = 0, from = 0;
    for (const ValueId in : node.inputs)
      if (in != kAbsent && !network.values[static_cast<std::size_t>(in)].constant) ++variable, from = exact[static_cast<std::size_t>(in)];
    const Kernel<T>& kernel = model.kernel(static_cast<int>(i));
    if (!kernel.linear() || variable != 1 || from != 2) continue;
    for (const ValueId out : node.outputs)
      if (out != kAbsent) exact[static_cast<std::size_t>(out)] = kernel.one_to_one() && node.outputs.size() == 1 ? 2 : 1;
  }
  return exact;
}
template std::vector<int> interval_exactness(const Model<float>&, bool);
template std::vector<int> interval_exactness(const Model<double>&, bool);

template <class To, class From>
BoxArrays<To> converted(Device& d, const Network& network, const BoxArrays<From>& boxes) {
  BoxArrays<To> made;
  made.batch = boxes.batch;
  made.lower.resize(boxes.lower.size());
  made.upper.resize(boxes.upper.size());
  for (std::size_t v = 0; v < boxes.lower.size(); ++v) {
    if (!boxes.lower[v]) continue;
    const std::int64_t n = boxes.batch * network.values[v].size;
    made.lower[v] = rounded<To>(d, boxes.lower[v].data(), n, false);
    made.upper[v] = rounded<To>(d, boxes.upper[v].data(), n, true);
  }
  return made;
}
template BoxArrays<double> converted(Device&, const Network&, const BoxArrays<float>&);
template BoxArrays<float> converted(Device&, const Network&, const BoxArrays<double>&);
template BoxArrays<float> converted(Device&, const Network&, const BoxArrays<float>&);
template BoxArrays<double> converted(Device&, const Network&, const BoxArrays<double>&);

template <class T>
void meet_known(Device& d, const Network& network, const ValueBoxes* known, ValueId id, BoxArrays<T>& boxes) {
  if (!known || id == kAbsent || known->lower[static_cast<std::size_t>(id)].empty()) return;
  const auto v = static_cast<std::size_t>(id);
  const auto n = static_cast<std::int64_t>(known->lower[v].size());
  demand(n == boxes.batch * network.values[v].size, "known boxes: value " + network.values[v].name + " needs batch x size numbers");
  auto lower = d.template buffer<double>(n), upper = d.template buffer<double>(n);
  d.upload(lower.data(), known->lower[v].data(), n);
  d.upload(upper.data(), known->upper[v].data(), n);
  intersect_boxes(d, boxes.lower[v].data(), boxes.upper[v].data(), rounded<T>(d, lower.data(), n, false).data(), rounded<T>(d, upper.data(), n, true).data(), n);
}

template void meet_known(Device&, const Network&, const ValueBoxes*, ValueId, BoxArrays<float>&);
template void meet_known(Device&, const Network&, const ValueBoxes*, ValueId, BoxArrays<double>&);

template <class T>
BoxBuilder<T>::BoxBuilder(const Model<T>& model, const Regions& regions, const BoundOptions& options, const ValueBoxes* known, const BoxArrays<double>* exact, BuildReport& report)
    : model_(model), network_(model.network()), d_(model.device()), regions_(regions), options_(options), settings_(settings_of(options)), known_(known), exact_(exact), report_(report),
      region_(model, regions, settings_), relaxations_(model, boxes_, settings_, options.slopes), context_{model, relaxations_, region_, settings_, options.stop},
      refined_(network_.values.size()) {}

template <class T>
void BoxBuilder<T>::take_exact(ValueId id) {
  const auto v = static_cast<std::size_t>(id);
  const std::int64_t n = boxes_.batch * network_.values[v].size;
  boxes_.lower[v] = rounded<T>(d_, exact_->lower[v].data(), n, false);
  boxes_.upper[v] = rounded<T>(d_, exact_->upper[v].data(), n, true);
}

template <class T>
void BoxBuilder<T>::aim_at(const Regions& parts) {
  BoxArrays<T> inputs = model_.input_boxes(parts.lower.data(), parts.upper.data(), parts.batch);
  for (const ValueId id : network_.inputs) {
    const auto v = static_cast<std::size_t>(id);
    // Charges where branches meet at an input are made from its box: such rows keep the whole.
    if (network_.values[v].consumers.size() > 1) continue;
    boxes_.lower[v] = std::move(inputs.lower[v]);
    boxes_.upper[v] = std::move(inputs.upper[v]);
  }
}

template <class T>
RowResult<T> BoxBuilder<T>::run(const RowJob<T>& job) {
  relaxations_.prepare(ancestors(network_, job.value));
  RowRunner<T> runner(context_, options_.memory, report_.counters);
  auto result = runner.run(job);
  report_.complete = report_.complete && result.complete;
  return result;
}

template <class T>
void BoxBuilder<T>::build(const std::vector<ValueId>& values, Effort effort) {
  const auto needed = ancestors(network_, values);
  for (const ValueId id : values) last_ = std::max(last_, model_.producer(id));
  const auto exact = interval_exactness(model_, regions_.norm == Regions::Norm::linf && regions_.half_spaces.empty() && regions_.directions == 0);
  boxes_ = model_.input_boxes(regions_.lower.data(), regions_.upper.data(), regions_.batch);
  for (const ValueId id : network_.inputs) meet_known(d_, network_, known_, id, boxes_);
  for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
    if (!needed[i]) continue;
    const Node& node = network_.nodes[i].node;
    const int index = static_cast<int>(i);
    if (effort == Effort::rows && !model_.kernel(index).linear()) {
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        const ValueId id = node.inputs[k];
        if (id == kAbsent || network_.values[static_cast<std::size_t>(id)].constant || model_.producer(id) < 0) continue;
        if (exact[static_cast<std::size_t>(id)] > 0 && !keeps_) continue;
        if (options_.stop.stop_requested()) {
          report_.complete = false;
          continue;
        }
        refine(id, index, static_cast<int>(k));
      }
    }
    bool taken = false, skipped = effort == Effort::exact_only;
    for (const ValueId id : node.outputs) {
      if (id == kAbsent) continue;
      const int level = exact[static_cast<std::size_t>(id)];
      if (level > 0) skipped = false;
      if (level > 0 && exact_ && exact_->lower[static_cast<std::size_t>(id)]) take_exact(id), taken = true;
    }
    if (skipped) continue;
    if (!taken) model_.interval_node(index, boxes_, settings_);
    for (const ValueId id : node.outputs) meet_known(d_, network_, known_, id, boxes_);
  }
}

namespace {

// Which elements with these boxes a tighter box could help.
template <class T>
std::vector<std::uint8_t> still_open(const Kernel<T>& kernel, int k, Device& d, const std::vector<T>& lower, const std::vector<T>& upper) {
  const auto n = static_cast<std::int64_t>(lower.size());
  if (!kernel.refinable_alone()) return std::vector<std::uint8_t>(lower.size(), 1);
  auto lo = d.template buffer<T>(n), hi = d.template buffer<T>(n);
  auto flags = d.template buffer<std::uint8_t>(n);
  d.upload(lo.data(), lower.data(), n);
  d.upload(hi.data(), upper.data(), n);
  kernel.refinable(d, k, {lo.data(), hi.data()}, flags.data(), n);
  std::vector<std::uint8_t> open(lower.size());
  d.download(open.data(), flags.data(), n);
  return open;
}

template <class D>
void start_sizes(D& d, const double* offset, std::int64_t rows, double* size) {
  d.map(rows, [=] BL_HD(std::int64_t r) { size[r] = fabs(offset[r]); });
}

// Puts rows on one input into planes on all of them; sum += their minimum over the box, size += sum |a| max(|l|, |u|).
template <class T>
void add_plane(Device& d, const T* a, std::int64_t rows, std::int64_t width, std::int64_t inputs, std::int64_t first, const T* lower, const T* upper, T* plane, double* sum, double* size) {
  double* const sums[2] = {sum, size};
  d.template sum_rows<2>(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i, Sums total) {
    const T x = a[r * width + i];
    plane[r * inputs + first + i] = x;
    const double l = static_cast<double>(lower[i]), u = static_cast<double>(upper[i]), c = static_cast<double>(x);
    total.add(0, c * (c >= 0 ? l : u));
    total.add(1, fabs(c) * fmax(fabs(l), fabs(u)));
  }, sums);
}

// The ends that rows of elements (sign 1) and of their negations (sign -1) leave. alone: an end that decides nothing replaces
// what is known, tighter or not.
template <class T>
void tighten(const RowJob<T>& job, std::int64_t size, const RowResult<T>& found, std::vector<T>& lower, std::vector<T>& upper, bool alone = false) {
  for (std::size_t r = 0; r < job.element.size(); ++r) {
    const auto at = static_cast<std::size_t>(job.box[r] * size + job.element[r]);
    const bool replace = alone && lower[at] < 0 && upper[at] > 0 && found.lower[r] < 0 && std::isfinite(found.lower[r]);
    if (job.sign[r] > 0) lower[at] = replace ? round_down_to<T>(found.lower[r]) : std::max(lower[at], round_down_to<T>(found.lower[r]));
    else upper[at] = replace ? round_up_to<T>(-found.lower[r]) : std::min(upper[at], round_up_to<T>(-found.lower[r]));
  }
}

// A box whose end without a row is far further from the middle than the one that its row gave. Charges and the boxes behind it
// grow with such an end, and in float they grow beyond the widths of bounds.
template <class T>
bool lopsided(T sign, T lower, T middle, T upper) {
  constexpr T kFar = 10;
  return sign > 0 ? upper - middle > kFar * (middle - lower) : middle - lower > kFar * (upper - middle);
}

template <class T>
void add_element(RowJob<T>& job, std::int64_t at, std::int64_t size, T sign) {
  job.element.push_back(static_cast<std::int32_t>(at % size));
  job.box.push_back(static_cast<std::int32_t>(at / size));
  job.sign.push_back(sign);
}

}  // namespace

// The value at the middle of every region, in T and with any rounding: a guess at which end of a box can decide an element.
template <class T>
std::vector<T> BoxBuilder<T>::middle(ValueId id) {
  const auto v = static_cast<std::size_t>(id);
  if (middles_.at.empty()) {
    std::vector<double> x(regions_.lower.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = regions_.lower[i] / 2 + regions_.upper[i] / 2;
    middles_ = model_.forward(x.data(), regions_.batch, last_);
  }
  std::vector<T> values(static_cast<std::size_t>(boxes_.batch * network_.values[v].size));
  d_.download(values.data(), middles_.at[v].data(), static_cast<std::int64_t>(values.size()));
  return values;
}

// Two rows (value and minus value) for every element that a tighter box could help, of every box. Where elements are decided
// one by one, first the row that can decide an element: a neuron that is on in the middle of the region is never always off.
// The other row follows for those that this leaves open or lopsided (the latter are dropped at the first box on the way).
template <class T>
void BoxBuilder<T>::refine(ValueId id, int node, int k) {
  const auto v = static_cast<std::size_t>(id);
  const std::int64_t size = network_.values[v].size, n = boxes_.batch * size;
  const auto& kernel = model_.kernel(node);
  auto mask = d_.template buffer<std::uint8_t>(n);
  kernel.refinable(d_, k, boxes_.view(id), mask.data(), n);
  std::vector<std::uint8_t> open(static_cast<std::size_t>(n));
  d_.download(open.data(), mask.data(), n);
  auto& done = refined_[v];
  done.resize(static_cast<std::size_t>(n), 0);
  std::vector<std::int64_t> elements;
  for (std::int64_t e = 0; e < n; ++e) {
    if (!open[static_cast<std::size_t>(e)] || done[static_cast<std::size_t>(e)]) continue;
    done[static_cast<std::size_t>(e)] = 1;
    elements.push_back(e);
  }
  if (elements.empty()) return;
  std::vector<T> lower(static_cast<std::size_t>(n)), upper(lower.size());
  d_.download(lower.data(), boxes_.lower[v].data(), n);
  d_.download(upper.data(), boxes_.upper[v].data(), n);
  const bool alone = kernel.refinable_alone();
  const std::vector<T> guess = alone ? middle(id) : std::vector<T>();
  RowJob<T> first, second;
  first.value = second.value = id;
  for (const std::int64_t e : elements) {
    const T sign = alone && !(guess[static_cast<std::size_t>(e)] > 0) ? T(-1) : T(1);
    add_element(first, e, size, sign);
    if (!alone) add_element(first, e, size, -sign);
  }
  run_open(first, kernel, k, lower, upper);
  if (alone) {
    std::vector<T> lo, hi;
    for (const std::int64_t e : elements) lo.push_back(lower[static_cast<std::size_t>(e)]), hi.push_back(upper[static_cast<std::size_t>(e)]);
    const auto left = still_open(kernel, k, d_, lo, hi);
    for (std::size_t i = 0; i < elements.size(); ++i)
      if (left[i] || lopsided(first.sign[i], lower[static_cast<std::size_t>(elements[i])], guess[static_cast<std::size_t>(elements[i])], upper[static_cast<std::size_t>(elements[i])]))
        add_element(second, elements[i], size, -first.sign[i]);
    run_open(second, kernel, k, lower, upper);
  }
  if (options_.method == Method::alpha && options_.alpha_steps > 0) {
    RowJob<T> both;
    for (const std::int64_t e : elements) add_element(both, e, size, T(1)), add_element(both, e, size, T(-1));
    search(id, node, k, lower, upper, both);
  }
  d_.upload(boxes_.lower[v].data(), lower.data(), n);
  d_.upload(boxes_.upper[v].data(), upper.data(), n);
}

// Runs a job of elements; rows are dropped as soon as their element is decided, where elements are decided one by one.
template <class T>
void BoxBuilder<T>::run_open(RowJob<T>& job, const Kernel<T>& kernel, int k, std::vector<T>& lower, std::vector<T>& upper) {
  if (job.element.empty()) return;
  const std::int64_t size = network_.values[static_cast<std::size_t>(job.value)].size;
  if (kernel.refinable_alone())
    job.wanted = [&](std::size_t first, const std::vector<double>& found) {
      std::vector<T> lo(found.size()), hi(found.size());
      for (std::size_t r = 0; r < found.size(); ++r) {
        const auto at = static_cast<std::size_t>(job.box[first + r] * size + job.element[first + r]);
        const bool low = job.sign[first + r] > 0;
        lo[r] = low ? std::max(lower[at], round_down_to<T>(found[r])) : lower[at];
        hi[r] = low ? upper[at] : std::min(upper[at], round_up_to<T>(-found[r]));
      }
      return still_open(kernel, k, d_, lo, hi);
    };
  keep_from(job);
  tighten(job, size, run(job), lower, upper, options_.rows_alone && !known_);
}

// Slopes of their own for the rows that are still open; dense rows only, since every row keeps a slope per neuron below it.
template <class T>
void BoxBuilder<T>::search(ValueId id, int node, int k, std::vector<T>& lower, std::vector<T>& upper, const RowJob<T>& job) {
  const auto needed = ancestors(network_, id);
  for (std::size_t i = 0; i < needed.size(); ++i)
    if (needed[i] && relaxations_.at(static_cast<int>(i)) && relaxations_.at(static_cast<int>(i))->takes_windows()) return;
  const std::int64_t size = network_.values[static_cast<std::size_t>(id)].size;
  std::vector<T> lo, hi;
  for (std::size_t r = 0; r < job.element.size(); r += 2) {
    const auto at = static_cast<std::size_t>(job.box[r] * size + job.element[r]);
    lo.push_back(lower[at]);
    hi.push_back(upper[at]);
  }
  const auto open = still_open(model_.kernel(node), k, d_, lo, hi);
  RowJob<T> rest;
  rest.value = id;
  rest.together = 2;
  for (std::size_t r = 0; r < job.element.size(); ++r) {
    if (!open[r / 2]) continue;
    rest.element.push_back(job.element[r]);
    rest.box.push_back(job.box[r]);
    rest.sign.push_back(job.sign[r]);
  }
  if (rest.element.empty()) return;
  SlopeSearch<T> slopes(context_, options_, report_.counters);
  const auto found = slopes.run(rest, keeps_);
  report_.complete = report_.complete && found.bounds.complete;
  tighten(rest, size, found.bounds, lower, upper);
  if (!keeps_) return;
  rest.slopes = &found.slopes;  // once more, for the planes of the slopes found
  keep_from(rest);
  tighten(rest, size, run(rest), lower, upper);
}

template <class T>
void BoxBuilder<T>::keep_from(RowJob<T>& job) {
  if (!keeps_) return;
  job.planes = true;
  job.done = [&](std::size_t first, PassResult<T>& chunk) { keep(job, first, chunk); };
}

template <class T>
void BoxBuilder<T>::keep(const RowJob<T>& job, std::size_t first, PassResult<T>& chunk) {
  const std::int64_t inputs = network_.input_size();
  KeptPlanes<T> kept;
  kept.value = job.value;
  kept.rows = static_cast<std::int64_t>(chunk.origin.size());
  if (kept.rows == 0) return;
  std::vector<std::int32_t> element;
  std::vector<T> sign;
  for (const std::int32_t r : chunk.origin) {
    element.push_back(job.element[first + static_cast<std::size_t>(r)]);
    sign.push_back(job.sign[first + static_cast<std::size_t>(r)]);
  }
  kept.element = d_.template buffer<std::int32_t>(kept.rows);
  kept.sign = d_.template buffer<T>(kept.rows);
  kept.plane = d_.template buffer<T>(kept.rows * inputs);
  kept.sum = d_.template buffer<double>(kept.rows);
  kept.size = d_.template buffer<double>(kept.rows);
  d_.upload(kept.element.data(), element.data(), kept.rows);
  d_.upload(kept.sign.data(), sign.data(), kept.rows);
  d_.upload(kept.sum.data(), chunk.offset.data(), kept.rows);
  d_.fill(kept.plane.data(), T(0), kept.rows * inputs);
  start_sizes(d_, kept.sum.data(), kept.rows, kept.size.data());
  for (std::size_t k = 0; k < chunk.plane.size(); ++k) {
    if (!chunk.plane[k]) continue;
    const BoxView<T> box = boxes_.view(network_.inputs[k]);
    add_plane(d_, chunk.plane[k].a.data(), kept.rows, chunk.plane[k].width, inputs, network_.input_offset(k), box.lower, box.upper, kept.plane.data(), kept.sum.data(), kept.size.data());
  }
  kept_.push_back(std::move(kept));
}

template class BoxBuilder<float>;
template class BoxBuilder<double>;

}  // namespace boundlight::BL_NS
