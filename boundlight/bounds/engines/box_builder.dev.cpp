#include "boundlight/bounds/engines/box_builder.hpp"

#include <algorithm>

namespace boundlight::BL_NS {
namespace {

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

}  // namespace

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
        if (id == kAbsent || network_.values[static_cast<std::size_t>(id)].constant || model_.producer(id) < 0 || exact[static_cast<std::size_t>(id)] > 0) continue;
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

// Two rows (value and minus value) for every element that a tighter box could help, of every box.
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
  RowJob<T> job;
  job.value = id;
  job.together = 2;
  for (std::int64_t e = 0; e < n; ++e) {
    if (!open[static_cast<std::size_t>(e)] || done[static_cast<std::size_t>(e)]) continue;
    done[static_cast<std::size_t>(e)] = 1;
    for (const T s : {T(1), T(-1)}) {
      job.element.push_back(static_cast<std::int32_t>(e % size));
      job.box.push_back(static_cast<std::int32_t>(e / size));
      job.sign.push_back(s);
    }
  }
  if (job.element.empty()) return;
  std::vector<T> lower(static_cast<std::size_t>(n)), upper(lower.size());
  d_.download(lower.data(), boxes_.lower[v].data(), n);
  d_.download(upper.data(), boxes_.upper[v].data(), n);
  const auto at = [&](std::size_t row) { return static_cast<std::size_t>(job.box[row] * size + job.element[row]); };
  // The better of two lower ends, in T.
  const auto tighter = [&](T& lo, T& hi, double low_row, double high_row) {
    lo = std::max(lo, round_down_to<T>(low_row));
    hi = std::min(hi, round_up_to<T>(-high_row));
  };
  if (kernel.refinable_alone())
    job.wanted = [&](std::size_t first, const std::vector<double>& found) {
      const std::size_t pairs = found.size() / 2;
      std::vector<T> lo(pairs), hi(pairs);
      for (std::size_t p = 0; p < pairs; ++p) {
        lo[p] = lower[at(first + 2 * p)];
        hi[p] = upper[at(first + 2 * p)];
        tighter(lo[p], hi[p], found[2 * p], found[2 * p + 1]);
      }
      const auto count = static_cast<std::int64_t>(pairs);
      auto dl = d_.template buffer<T>(count), dh = d_.template buffer<T>(count);
      auto flags = d_.template buffer<std::uint8_t>(count);
      d_.upload(dl.data(), lo.data(), count);
      d_.upload(dh.data(), hi.data(), count);
      kernel.refinable(d_, k, {dl.data(), dh.data()}, flags.data(), count);
      std::vector<std::uint8_t> pair_open(pairs), wanted(found.size());
      d_.download(pair_open.data(), flags.data(), count);
      for (std::size_t r = 0; r < wanted.size(); ++r) wanted[r] = pair_open[r / 2];
      return wanted;
    };
  const auto result = run(job);
  for (std::size_t r = 0; r + 1 < job.element.size(); r += 2) tighter(lower[at(r)], upper[at(r)], result.lower[r], result.lower[r + 1]);
  d_.upload(boxes_.lower[v].data(), lower.data(), n);
  d_.upload(boxes_.upper[v].data(), upper.data(), n);
}

template class BoxBuilder<float>;
template class BoxBuilder<double>;

}  // namespace boundlight::BL_NS
