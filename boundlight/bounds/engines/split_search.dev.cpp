#include "boundlight/bounds/engines/split_search.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include "boundlight/bounds/engines/bounder.hpp"
#include "boundlight/bounds/engines/engine_impl.hpp"
#include "boundlight/bounds/engines/slope_search.hpp"

namespace boundlight::BL_NS {
namespace {

void check_search(const Network& network, const SplitSearch& s) {
  demand(s.regions && s.forms && s.known, "SplitSearch: regions, forms and known boxes are needed");
  check_forms(network, *s.forms, s.regions->batch);
  demand(!s.aim || (s.aim->batch == s.regions->batch && s.aim->lower.size() == s.regions->lower.size() && s.aim->upper.size() == s.regions->upper.size()),
         "SplitSearch: aim needs a box per region");
  for (std::size_t i = 0; s.aim && i < s.aim->lower.size(); ++i)
    demand(s.regions->lower[i] <= s.aim->lower[i] && s.aim->lower[i] <= s.aim->upper[i] && s.aim->upper[i] <= s.regions->upper[i], "SplitSearch: aim must lie inside the regions");
  demand(!s.boxes_as_given || !s.options.sound, "SplitSearch: boxes taken as they are give no bounds (sound = false)");
  demand(s.forms->want_lower && !s.forms->want_upper, "SplitSearch: lower bounds only");
  const auto rows = static_cast<std::size_t>(s.forms->rows), lines = static_cast<std::size_t>(s.regions->batch) * rows;
  demand(s.enough.empty() || s.enough.size() == lines, "SplitSearch: enough needs a number per line");
  demand(s.multipliers.empty() || s.multipliers.size() == s.splits.size() * rows, "SplitSearch: multipliers need a number per split and row");
  std::int64_t last = 0;
  for (const SignSplit& split : s.splits) {
    demand(split.region >= last && split.region < s.regions->batch, "SplitSearch: splits stand by rising region");
    demand(split.value >= 0 && static_cast<std::size_t>(split.value) < network.values.size() && !network.values[static_cast<std::size_t>(split.value)].constant, "SplitSearch: no such value to split");
    demand(split.element >= 0 && split.element < network.values[static_cast<std::size_t>(split.value)].size, "SplitSearch: no such element to split");
    last = split.region;
  }
  for (const float beta : s.multipliers) demand(beta >= 0, "SplitSearch: a multiplier is negative or no number");
  for (const auto& [value, lines_of] : s.slopes)
    demand(lines_of.size() == lines * static_cast<std::size_t>(network.values[static_cast<std::size_t>(value)].size), "SplitSearch: slopes need a line per region and row");
}

// Splits by value; where each of them went: (value, place there) in the order of splits and rows.
template <class T>
struct Sorted {
  std::map<ValueId, JobSplits<T>> by_value;
  std::vector<std::pair<ValueId, std::size_t>> place;
};
template <class T>
Sorted<T> sorted(const SplitSearch& s) {
  const auto rows = static_cast<std::size_t>(s.forms->rows);
  const std::int64_t batch = s.regions->batch;
  Sorted<T> made;
  made.place.resize(s.splits.size() * rows);
  for (const SignSplit& split : s.splits) made.by_value[split.value];
  for (auto& [value, of] : made.by_value) {
    std::size_t at = 0;
    of.start.push_back(0);
    for (std::int64_t b = 0; b < batch; ++b) {
      std::size_t end = at;
      while (end < s.splits.size() && s.splits[end].region == b) ++end;
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = at; i < end; ++i) {
          if (s.splits[i].value != value) continue;
          made.place[i * rows + r] = {value, of.element.size()};
          of.element.push_back(static_cast<std::int32_t>(s.splits[i].element));
          of.sign.push_back(s.splits[i].positive ? T(1) : T(-1));
          of.beta.push_back(s.multipliers.empty() ? T(0) : static_cast<T>(s.multipliers[i * rows + r]));
        }
        of.start.push_back(static_cast<std::int32_t>(of.element.size()));
      }
      at = end;
    }
  }
  return made;
}

// Marks the regions in which two boxes of one value exclude each other: both are right, so no point is there.
template <class T>
void mark_empty(Device& d, BoxView<T> box, std::int64_t batch, std::int64_t size, std::vector<bool>& empty) {
  const T *lower = box.lower, *upper = box.upper;
  auto most = d.template buffer<double>(batch);
  d.max_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j) { return lower[b * size + j] > upper[b * size + j] ? 1.0 : 0.0; }, most.data());
  std::vector<double> host(static_cast<std::size_t>(batch));
  d.download(host.data(), most.data(), batch);
  for (std::size_t b = 0; b < host.size(); ++b) empty[b] = empty[b] || host[b] > 0;
}

template <class T>
BoxArrays<T> given_boxes(const Model<T>& model, const Regions& regions, const ValueBoxes& known) {
  Device& d = model.device();
  const Network& network = model.network();
  BoxArrays<T> boxes = model.input_boxes(regions.lower.data(), regions.upper.data(), regions.batch);
  for (std::size_t v = 0; v < network.values.size(); ++v) {
    if (network.values[v].constant || boxes.lower[v]) continue;
    const std::int64_t n = regions.batch * network.values[v].size;
    std::vector<T> lower(static_cast<std::size_t>(n), T(-1)), upper(static_cast<std::size_t>(n), T(1));
    if (!known.lower[v].empty()) {
      demand(static_cast<std::int64_t>(known.lower[v].size()) == n, "SplitSearch: known boxes need batch x size numbers");
      for (std::size_t i = 0; i < lower.size(); ++i) lower[i] = static_cast<T>(known.lower[v][i]), upper[i] = static_cast<T>(known.upper[v][i]);
    }
    boxes.lower[v] = d.template buffer<T>(n);
    boxes.upper[v] = d.template buffer<T>(n);
    d.upload(boxes.lower[v].data(), lower.data(), n);
    d.upload(boxes.upper[v].data(), upper.data(), n);
  }
  return boxes;
}

template <class U>
std::vector<float> floats(const std::vector<U>& from) {
  return {from.begin(), from.end()};
}

}  // namespace

template <class T>
Result<void> EngineImpl::search_as(SplitSearch& s) {
  BL_TRY(made, model<T>());
  const Network& network = *network_;
  BuildReport report;
  const CleanRegions c = clean(network, *s.regions);
  BoxBuilder<T> builder(*made, c.regions, s.options, s.known, nullptr, report);
  if (s.boxes_as_given) builder.adopt(given_boxes(*made, c.regions, *s.known));
  else builder.build({s.forms->value}, BoxBuilder<T>::Effort::interval);
  std::vector<bool> empty = c.empty;
  for (std::size_t v = 0; v < network.values.size() && !s.boxes_as_given; ++v)
    if (builder.boxes().lower[v]) mark_empty(device_, builder.boxes().view(static_cast<ValueId>(v)), s.regions->batch, network.values[v].size, empty);
  const auto rows = static_cast<std::size_t>(s.forms->rows);
  std::vector<double> enough = s.enough;
  for (std::size_t i = 0; i < enough.size(); ++i)
    if (empty[i / rows]) enough[i] = std::numeric_limits<double>::quiet_NaN();  // nothing is wanted there
  builder.relaxations().prepare(ancestors(network, s.forms->value));
  if (s.aim) builder.aim_at(*s.aim);
  RowJob<T> job = job_of(network, s.regions->batch, *s.forms, settings_of(s.options), device_, builder.boxes().view(s.forms->value));
  const Sorted<T> splits = sorted<T>(s);
  if (!s.splits.empty()) job.splits = &splits.by_value;
  JobSlopes<T> start;
  for (const auto& [value, lines] : s.slopes) {
    const int node = made->producer(value);
    const FreeSlopes<T>* free = node < 0 || !builder.relaxations().at(node) ? nullptr : builder.relaxations().at(node)->free_slopes();
    if (!free) continue;
    std::vector<T> host(lines.size());
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = std::clamp(std::isnan(lines[i]) ? T(0) : static_cast<T>(lines[i]), free->low, free->high);
    start.at[node] = device_.template buffer<T>(static_cast<std::int64_t>(host.size()));
    device_.upload(start.at[node].data(), host.data(), static_cast<std::int64_t>(host.size()));
  }
  typename SlopeSearch<T>::Ask ask;
  ask.slopes = true;
  ask.trace = s.want_trace;
  ask.points = s.want_points;
  ask.planes = s.want_planes;
  ask.start = start.at.empty() ? nullptr : &start;
  ask.enough = enough.empty() ? nullptr : &enough;
  ask.multiplier_rate = s.multiplier_rate;
  SlopeSearch<T> search(builder.context(), s.options, report.counters);
  auto found = search.run(job, ask);
  s.lower = std::move(found.bounds.lower);
  s.charge = std::move(found.bounds.charge);
  for (std::size_t i = 0; i < s.lower.size(); ++i)
    if (empty[i / rows]) s.lower[i] = std::numeric_limits<double>::infinity();
  s.complete = found.bounds.complete && report.complete;
  s.counters = report.counters;
  s.multipliers.assign(s.splits.size() * rows, 0.0F);
  for (std::size_t i = 0; i < splits.place.size(); ++i) s.multipliers[i] = static_cast<float>(found.multipliers.at(splits.place[i].first)[splits.place[i].second]);
  s.slopes.clear();
  for (const auto& [node, lines] : found.slopes.at) {
    std::vector<T> host(static_cast<std::size_t>(lines.size()));
    device_.download(host.data(), lines.data(), lines.size());
    s.slopes[network.nodes[static_cast<std::size_t>(node)].node.outputs[0]] = floats(host);
  }
  s.trace.clear();
  for (const auto& [node, trace] : found.trace) s.trace[network.nodes[static_cast<std::size_t>(node)].node.outputs[0]] = {floats(trace.coefficient), floats(trace.point)};
  s.points.clear();
  s.planes.clear();
  s.offset = std::move(found.offset);
  const auto inputs = static_cast<std::size_t>(network.input_size());
  if (!found.points.empty()) s.points.resize(s.lower.size() * inputs);
  for (std::size_t k = 0; k < found.points.size(); ++k) {
    const auto size = static_cast<std::size_t>(network.values[static_cast<std::size_t>(network.inputs[k])].size), offset = static_cast<std::size_t>(network.input_offset(k));
    for (std::size_t line = 0; line < s.lower.size(); ++line)
      for (std::size_t i = 0; i < size; ++i) s.points[line * inputs + offset + i] = static_cast<float>(found.points[k][line * size + i]);
  }
  if (!found.planes.empty()) s.planes.resize(s.lower.size() * inputs);
  for (std::size_t k = 0; k < found.planes.size(); ++k) {
    const auto size = static_cast<std::size_t>(network.values[static_cast<std::size_t>(network.inputs[k])].size), offset = static_cast<std::size_t>(network.input_offset(k));
    for (std::size_t line = 0; line < s.lower.size(); ++line)
      for (std::size_t i = 0; i < size; ++i) s.planes[line * inputs + offset + i] = static_cast<double>(found.planes[k][line * size + i]);
  }
  return {};
}

Result<void> EngineImpl::search(SplitSearch& s) {
  check_search(*network_, s);
  try {
    return s.options.precision == Precision::single ? search_as<float>(s) : search_as<double>(s);
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::out_of_memory, network_->source, "there is not enough memory for this many regions at once; ask about fewer, or lower --memory"};
  }
}

}  // namespace boundlight::BL_NS
