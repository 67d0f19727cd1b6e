#include "boundlight/bounds/engines/bounder.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/bounds/engines/forward_pass.hpp"
#include "boundlight/bounds/engines/slope_search.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_regions(const Network& network, const Regions& r) {
  const auto n = static_cast<std::size_t>(r.batch * network.input_size()), b = static_cast<std::size_t>(r.batch), j = static_cast<std::size_t>(std::max<std::int64_t>(r.directions, 0));
  demand(r.batch > 0, "Regions: batch must be positive");
  const auto need = [](const std::vector<double>& v, std::size_t count, const char* what) {
    demand(v.size() == count, std::string("Regions: ") + what + " needs " + std::to_string(count) + " numbers, got " + std::to_string(v.size()));
  };
  need(r.lower, n, "lower (batch x input size)");
  need(r.upper, n, "upper (batch x input size)");
  if (r.norm != Regions::Norm::linf) {
    need(r.centre, n, "centre (batch x input size)");
    need(r.scale, n, "scale (batch x input size)");
    for (const double s : r.scale) demand(s >= 0, "Regions: scale must not be negative");
  }
  if (r.directions > 0) {
    need(r.anchor, n, "anchor (batch x input size)");
    need(r.direction, n * j, "direction (batch x directions x input size)");
    need(r.p_lower, b * j, "p_lower (batch x directions)");
    need(r.p_upper, b * j, "p_upper (batch x directions)");
  }
  for (const auto& h : r.half_spaces) {
    demand(h.box >= 0 && h.box < r.batch, "Regions: a half-space names box " + std::to_string(h.box));
    need(h.normal, static_cast<std::size_t>(network.input_size()), "a half-space's normal (input size)");
  }
}

void append(BoundResult& to, const BoundResult& from) {
  const auto add = [](std::vector<double>& a, const std::vector<double>& b) { a.insert(a.end(), b.begin(), b.end()); };
  add(to.lower, from.lower);
  add(to.upper, from.upper);
  add(to.charge, from.charge);
  add(to.lower_plane, from.lower_plane);
  add(to.lower_offset, from.lower_offset);
  add(to.upper_plane, from.upper_plane);
  add(to.upper_offset, from.upper_offset);
  to.complete = to.complete && from.complete;
  for (const auto& note : from.notes)
    if (std::find(to.notes.begin(), to.notes.end(), note) == to.notes.end()) to.notes.push_back(note);
  to.counters.rows += from.counters.rows;
  to.counters.retired += from.counters.retired;
  to.counters.multiply_adds += from.counters.multiply_adds;
  to.counters.concretised += from.counters.concretised;
}

ValueBoxes some_boxes(const Network& network, const ValueBoxes* boxes, std::int64_t from, std::int64_t to) {
  ValueBoxes some;
  some.batch = to - from;
  if (!boxes) return some;
  for (std::size_t v = 0; v < boxes->lower.size(); ++v) {
    const std::int64_t n = boxes->lower[v].empty() ? 0 : network.values[v].size;
    some.lower.emplace_back(boxes->lower[v].begin() + from * n, boxes->lower[v].begin() + to * n);
    some.upper.emplace_back(boxes->upper[v].begin() + from * n, boxes->upper[v].begin() + to * n);
  }
  return some;
}

}  // namespace

void check_forms(const Network& network, const Forms& f, std::int64_t batch) {
  demand(f.value >= 0 && static_cast<std::size_t>(f.value) < network.values.size(), "Forms: no such value");
  const NetworkValue& v = network.values[static_cast<std::size_t>(f.value)];
  demand(!v.constant, "Forms: value " + v.name + " is a constant");
  const std::int64_t rows = f.per_region ? f.rows * batch : f.rows;
  demand(static_cast<std::int64_t>(f.coefficient.size()) == rows * v.size, "Forms: coefficient needs rows x value size numbers");
  demand(f.constant.empty() || static_cast<std::int64_t>(f.constant.size()) == rows, "Forms: constant needs one number per row");
}

Regions some_regions(const Network& network, const Regions& regions, std::int64_t from, std::int64_t to) {
  Regions some = regions;
  some.batch = to - from;
  const std::int64_t n = network.input_size(), j = regions.directions;
  const auto cut = [&](std::vector<double>& v, std::int64_t each) {
    if (!v.empty()) v = std::vector<double>(v.begin() + from * each, v.begin() + to * each);
  };
  for (auto* v : {&some.lower, &some.upper, &some.centre, &some.scale, &some.anchor}) cut(*v, n);
  cut(some.direction, n * j);
  cut(some.p_lower, j);
  cut(some.p_upper, j);
  some.half_spaces.clear();
  for (Regions::HalfSpace h : regions.half_spaces) {
    if (h.box < from || h.box >= to) continue;
    h.box -= from;
    some.half_spaces.push_back(std::move(h));
  }
  return some;
}

Forms some_forms(const Network& network, const Forms& forms, std::int64_t from, std::int64_t to) {
  Forms some = forms;
  if (!forms.per_region) return some;
  const std::int64_t each = forms.rows * network.values[static_cast<std::size_t>(forms.value)].size;
  some.coefficient.assign(forms.coefficient.begin() + from * each, forms.coefficient.begin() + to * each);
  if (!forms.constant.empty()) some.constant.assign(forms.constant.begin() + from * forms.rows, forms.constant.begin() + to * forms.rows);
  return some;
}

CleanRegions clean(const Network& network, const Regions& regions) {
  check_regions(network, regions);
  CleanRegions c{regions, std::vector<bool>(static_cast<std::size_t>(regions.batch), false)};
  const auto n = static_cast<std::size_t>(network.input_size());
  for (std::size_t i = 0; i < c.regions.lower.size(); ++i) {
    double &lo = c.regions.lower[i], &hi = c.regions.upper[i];
    if (std::isnan(lo)) lo = -kInfinity;
    if (std::isnan(hi)) hi = kInfinity;
    if (lo > hi) c.empty[i / n] = true;
  }
  for (std::int64_t b = 0; b < regions.batch; ++b)
    for (std::int64_t j = 0; j < regions.directions; ++j)
      if (regions.p_lower[static_cast<std::size_t>(b * regions.directions + j)] > regions.p_upper[static_cast<std::size_t>(b * regions.directions + j)]) c.empty[static_cast<std::size_t>(b)] = true;
  for (std::size_t i = 0; i < c.regions.lower.size(); ++i)
    if (c.empty[i / n]) c.regions.lower[i] = c.regions.upper[i] = 0;
  return c;
}

BoundResult nothing_known(std::int64_t batch, const Forms& forms) {
  BoundResult r;
  r.batch = batch;
  r.rows = forms.rows;
  const auto n = static_cast<std::size_t>(batch * forms.rows);
  if (forms.want_lower) r.lower.assign(n, -kInfinity);
  if (forms.want_upper) r.upper.assign(n, kInfinity);
  r.charge.assign(n, 0.0);
  return r;
}

template <class T>
RowJob<T> job_of(const Network& network, std::int64_t batch, const Forms& forms, const BoundSettings& settings, Device& d, BoxView<T> box) {
  const auto size = static_cast<std::size_t>(network.values[static_cast<std::size_t>(forms.value)].size), rows = static_cast<std::size_t>(forms.rows);
  RowJob<T> job;
  job.value = forms.value;
  bool inexact = false;
  for (std::int64_t b = 0; b < batch; ++b)
    for (const double sign : {1.0, -1.0}) {
      if (sign > 0 ? !forms.want_lower : !forms.want_upper) continue;
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t from = (forms.per_region ? static_cast<std::size_t>(b) * rows : 0) + r;
        job.box.push_back(static_cast<std::int32_t>(b));
        job.constant.push_back(forms.constant.empty() ? 0.0 : sign * forms.constant[from]);
        for (std::size_t j = 0; j < size; ++j) {
          const double c = sign * forms.coefficient[from * size + j];
          job.coefficient.push_back(static_cast<T>(c));
          inexact = inexact || static_cast<double>(job.coefficient.back()) != c;
        }
      }
    }
  if (!inexact || !settings.charges(Charge::conversion)) return job;
  const auto n = static_cast<std::int64_t>(size) * batch;
  std::vector<T> lower(static_cast<std::size_t>(n)), upper(lower.size());
  d.download(lower.data(), box.lower, n);
  d.download(upper.data(), box.upper, n);
  const std::size_t signs = (forms.want_lower ? 1U : 0U) + (forms.want_upper ? 1U : 0U);
  for (std::size_t row = 0; row < job.box.size(); ++row) {
    const auto b = static_cast<std::size_t>(job.box[row]);
    const std::size_t r = row % rows, from = (forms.per_region ? b * rows : 0) + r;
    const double sign = forms.want_lower && row / rows % signs == 0 ? 1.0 : -1.0;
    double charge = 0;
    for (std::size_t j = 0; j < size; ++j) {
      const double lost = std::fabs(sign * forms.coefficient[from * size + j] - static_cast<double>(job.coefficient[row * size + j]));
      const double m = std::max(std::fabs(static_cast<double>(lower[b * size + j])), std::fabs(static_cast<double>(upper[b * size + j])));
      if (lost != 0) charge += next_up(next_up(lost) * m);
    }
    job.charge.push_back(charge * inflation<double>(static_cast<std::int64_t>(size)));
  }
  return job;
}
template RowJob<float> job_of(const Network&, std::int64_t, const Forms&, const BoundSettings&, Device&, BoxView<float>);
template RowJob<double> job_of(const Network&, std::int64_t, const Forms&, const BoundSettings&, Device&, BoxView<double>);

namespace {

// Where row `row` of a job made by job_of stands in the result.
struct Place {
  bool low;
  std::size_t at;
};
Place place_of(const Forms& forms, std::size_t row) {
  const auto rows = static_cast<std::size_t>(forms.rows);
  const std::size_t signs = (forms.want_lower ? 1U : 0U) + (forms.want_upper ? 1U : 0U);
  return {forms.want_lower && row / rows % signs == 0, row / (rows * signs) * rows + row % rows};
}

}  // namespace

template <class T>
void take_rows(const Forms& forms, const RowResult<T>& found, BoundResult& result) {
  for (std::size_t row = 0; row < found.lower.size(); ++row) {
    const auto [low, at] = place_of(forms, row);
    const double bound = low ? found.lower[row] : -found.lower[row];
    if (!(low ? bound > result.lower[at] : bound < result.upper[at])) continue;
    (low ? result.lower : result.upper)[at] = bound;
    result.charge[at] = std::max(result.charge[at], found.charge[row]);
  }
}
template void take_rows(const Forms&, const RowResult<float>&, BoundResult&);
template void take_rows(const Forms&, const RowResult<double>&, BoundResult&);

template <class T>
void bound_rows(BoxBuilder<T>& builder, const Forms& forms, const BoundOptions& options, RowJob<T>&& job, BoundResult& result) {
  const Network& network = builder.context().model.network();
  Device& d = builder.context().model.device();
  const auto rows = static_cast<std::size_t>(forms.rows), inputs = static_cast<std::size_t>(network.input_size());
  const auto total = static_cast<std::size_t>(result.batch) * rows;
  job.planes = options.planes && !job.producer_only;
  if (job.planes) {
    if (forms.want_lower) result.lower_plane.assign(total * inputs, 0.0), result.lower_offset.assign(total, -kInfinity);
    if (forms.want_upper) result.upper_plane.assign(total * inputs, 0.0), result.upper_offset.assign(total, kInfinity);
    job.done = [&](std::size_t first, PassResult<T>& chunk) {
      for (std::size_t k = 0; k < chunk.plane.size(); ++k) {
        if (!chunk.plane[k]) continue;
        const auto width = static_cast<std::size_t>(chunk.plane[k].width), at = static_cast<std::size_t>(network.input_offset(k));
        std::vector<T> host(static_cast<std::size_t>(chunk.plane[k].rows) * width);
        d.download(host.data(), chunk.plane[k].a.data(), static_cast<std::int64_t>(host.size()));
        for (std::size_t r = 0; r < static_cast<std::size_t>(chunk.plane[k].rows); ++r) {
          const auto [low, to] = place_of(forms, first + r);
          auto& plane = low ? result.lower_plane : result.upper_plane;
          for (std::size_t j = 0; j < width; ++j) plane[to * inputs + at + j] = (low ? 1.0 : -1.0) * static_cast<double>(host[r * width + j]);
        }
      }
      for (std::size_t r = 0; r < chunk.offset.size(); ++r) {  // no row is dropped: all want their best bound
        const auto [low, to] = place_of(forms, first + r);
        (low ? result.lower_offset : result.upper_offset)[to] = low ? chunk.offset[r] : -chunk.offset[r];
      }
    };
  }
  take_rows(forms, builder.run(job), result);
}
template void bound_rows(BoxBuilder<float>&, const Forms&, const BoundOptions&, RowJob<float>&&, BoundResult&);
template void bound_rows(BoxBuilder<double>&, const Forms&, const BoundOptions&, RowJob<double>&&, BoundResult&);

template <class T>
void Bounder::build_single(Stage<T>& stage, const Regions& regions, const std::vector<ValueId>& values) {
  stage.builder = std::make_unique<BoxBuilder<T>>(model<T>(), regions, options_, known_, nullptr, stage.report);
  const bool rows = options_.method != Method::interval && !options_.intermediate_by_interval;
  stage.builder->build(values, rows ? BoxBuilder<T>::Effort::rows : BoxBuilder<T>::Effort::interval);
}

// Exact intervals in double, rows for the other boxes in float, everything handed on in double.
void Bounder::build_automatic(Stage<double>& stage, const Regions& regions, const std::vector<ValueId>& values) {
  stage.exact = std::make_unique<BoxBuilder<double>>(*dual_, regions, options_, known_, nullptr, stage.report);
  stage.exact->build(values, BoxBuilder<double>::Effort::exact_only);
  const BoxArrays<double>& exact = stage.exact->boxes();
  stage.middle = std::make_unique<BoxBuilder<float>>(*single_, regions, options_, known_, &exact, stage.report);
  stage.middle->build(values, BoxBuilder<float>::Effort::rows);
  BoxArrays<double> boxes = converted<double>(d_, network_, stage.middle->boxes());
  for (std::size_t v = 0; v < boxes.lower.size(); ++v) {
    if (!exact.lower[v]) continue;
    intersect_boxes(d_, boxes.lower[v].data(), boxes.upper[v].data(), exact.lower[v].data(), exact.upper[v].data(), boxes.batch * network_.values[v].size);
  }
  stage.builder = std::make_unique<BoxBuilder<double>>(*dual_, regions, options_, known_, nullptr, stage.report);
  stage.builder->adopt(std::move(boxes));
}

template <class T>
void Bounder::build(Stage<T>& stage, const Regions& regions, const std::vector<ValueId>& values) {
  if constexpr (std::is_same_v<T, double>) {
    const bool rows = options_.method != Method::interval && !options_.intermediate_by_interval;
    if (options_.precision == Precision::automatic && rows) return build_automatic(stage, regions, values);
  }
  build_single(stage, regions, values);
}

template <class T>
BoundResult Bounder::bound_as(const Regions& regions, const Forms& forms) {
  BoundResult result = nothing_known(regions.batch, forms);
  if (options_.method == Method::forward) {
    forward_as<T>(regions, forms, result);
    return result;
  }
  Stage<T> stage;
  build(stage, regions, {forms.value});
  RowJob<T> job = job_of(network_, regions.batch, forms, settings_of(options_), d_, stage.builder->boxes().view(forms.value));
  job.producer_only = options_.method == Method::interval;
  bound_rows(*stage.builder, forms, options_, std::move(job), result);
  if (options_.method == Method::combined) combine_as(stage, regions, forms, result);
  if (options_.method == Method::alpha && options_.alpha_steps > 0) search_slopes(stage, regions.batch, forms, result);
  tell(stage.report, result);
  return result;
}

// Slopes are searched in float where there is such a stage; the rows that decide are taken back once more in double with them.
template <class T>
void Bounder::search_slopes(Stage<T>& stage, std::int64_t batch, const Forms& forms, BoundResult& result) {
  if (options_.stop.stop_requested()) {
    stage.report.complete = false;
    return;
  }
  const BoundSettings settings = settings_of(options_);
  if (!stage.middle) {
    stage.builder->relaxations().prepare(ancestors(network_, forms.value));
    SlopeSearch<T> search(stage.builder->context(), options_, stage.report.counters);
    RowJob<T> job = job_of(network_, batch, forms, settings, d_, stage.builder->boxes().view(forms.value));
    const auto found = search.run(job, options_.planes);
    stage.report.complete = stage.report.complete && found.bounds.complete;
    take_rows(forms, found.bounds, result);
    if (!options_.planes) return;
    job.slopes = &found.slopes;  // once more, for the planes of the slopes found
    return bound_rows(*stage.builder, forms, options_, std::move(job), result);
  }
  stage.middle->relaxations().prepare(ancestors(network_, forms.value));
  SlopeSearch<float> search(stage.middle->context(), options_, stage.report.counters);
  const auto found = search.run(job_of(network_, batch, forms, settings, d_, stage.middle->boxes().view(forms.value)), true);
  stage.report.complete = stage.report.complete && found.bounds.complete;
  JobSlopes<T> slopes;
  slopes.row = found.slopes.row;
  for (const auto& [node, lines] : found.slopes.at) slopes.at[node] = rounded<T>(d_, lines.data(), lines.size(), false);
  RowJob<T> job = job_of(network_, batch, forms, settings, d_, stage.builder->boxes().view(forms.value));
  job.slopes = &slopes;
  bound_rows(*stage.builder, forms, options_, std::move(job), result);
}

template <class T>
void Bounder::forward_as(const Regions& regions, const Forms& forms, BoundResult& result) {
  BuildReport report;
  ForwardPass<T> pass(model<T>(), regions, options_, known_, report);
  pass.run({forms.value});
  pass.bound(forms, options_.planes, result);
  tell(report, result);
}

// The result of every engine alone, and of rows over the boxes that all of them leave. A tighter box may choose another slope
// and so a looser plane: only the results of the engines as they are alone make sure that none of them is better.
template <class T>
void Bounder::combine_as(Stage<T>& crown, const Regions& regions, const Forms& forms, BoundResult& result) {
  const BoundSettings settings = settings_of(options_);
  BoundOptions no_planes = options_;
  no_planes.planes = false;
  RowJob<T> interval = job_of(network_, regions.batch, forms, settings, d_, crown.builder->boxes().view(forms.value));
  interval.producer_only = true;
  bound_rows(*crown.builder, forms, no_planes, std::move(interval), result);
  if (options_.stop.stop_requested()) {
    crown.report.complete = false;
    return;
  }
  ForwardPass<T> pass(model<T>(), regions, options_, known_, crown.report);
  pass.run({forms.value});
  pass.bound(forms, false, result);
  BoxBuilder<T> both(model<T>(), regions, options_, known_, nullptr, crown.report);
  BoxArrays<T> boxes = converted<T>(d_, network_, crown.builder->boxes());
  for (std::size_t v = 0; v < boxes.lower.size(); ++v)
    if (boxes.lower[v] && pass.boxes().lower[v])
      intersect_boxes(d_, boxes.lower[v].data(), boxes.upper[v].data(), pass.boxes().lower[v].data(), pass.boxes().upper[v].data(), boxes.batch * network_.values[v].size);
  both.adopt(std::move(boxes));
  bound_rows(both, forms, no_planes, job_of(network_, regions.batch, forms, settings, d_, both.boxes().view(forms.value)), result);
}

void Bounder::tell(const BuildReport& report, BoundResult& result) const {
  result.counters.rows += report.counters.rows;
  result.counters.retired += report.counters.retired;
  result.counters.multiply_adds += report.counters.multiply_adds;
  result.counters.concretised += report.counters.concretised;
  result.complete = result.complete && report.complete;
  if (report.counters.concretised > 0) result.notes.push_back("rows were concretised on the way, at operators without planes");
  if (!options_.sound || options_.without_charges != 0) result.notes.push_back("UNSOUND: rounding charges were left out, these numbers are not bounds");
}

BoundResult Bounder::bound_some(const Regions& regions, const Forms& forms) {
  return options_.precision == Precision::single ? bound_as<float>(regions, forms) : bound_as<double>(regions, forms);
}

// What lives as long as a call: boxes and planes of every value (about 16 numbers each), and for planes carried forward a
// coefficient per coordinate of the two widest neighbours.
std::int64_t Bounder::regions_at_once(const Regions& regions) const {
  double all = 0, widest = 0;
  for (const auto& v : network_.values) {
    if (v.constant) continue;
    all += static_cast<double>(v.size);
    widest = std::max(widest, static_cast<double>(v.size));
  }
  const double number = options_.precision == Precision::single ? 4 : 8;
  double bytes = 16 * all * number;
  if (options_.method == Method::forward || options_.method == Method::combined)
    bytes += 8 * widest * number * static_cast<double>(1 + (regions.directions > 0 ? regions.directions : network_.input_size()));
  const double allowed = static_cast<double>(options_.memory ? options_.memory : default_memory(d_)) / 2;
  return static_cast<std::int64_t>(std::clamp(allowed / bytes, 1.0, static_cast<double>(regions.batch)));
}

BoundResult Bounder::bound(const Regions& regions, const Forms& forms) {
  check_forms(network_, forms, regions.batch);
  const CleanRegions c = clean(network_, regions);
  const std::int64_t step = regions_at_once(regions);
  BoundResult result;
  if (step >= regions.batch) {
    result = bound_some(c.regions, forms);
  } else {
    result.batch = regions.batch;
    result.rows = forms.rows;
    for (std::int64_t from = 0; from < regions.batch; from += step) {
      const std::int64_t to = std::min(regions.batch, from + step);
      const ValueBoxes known = some_boxes(network_, known_, from, to);
      Bounder part(d_, network_, single_, dual_, options_, known_ ? &known : nullptr);
      append(result, part.bound_some(some_regions(network_, c.regions, from, to), some_forms(network_, forms, from, to)));
    }
  }
  for (std::int64_t b = 0; b < regions.batch; ++b) {
    if (!c.empty[static_cast<std::size_t>(b)]) continue;
    result.notes.push_back("region " + std::to_string(b) + " is empty; every claim about it holds");
    for (std::int64_t r = 0; r < forms.rows; ++r) {
      if (forms.want_lower) result.lower[static_cast<std::size_t>(b * forms.rows + r)] = kInfinity;
      if (forms.want_upper) result.upper[static_cast<std::size_t>(b * forms.rows + r)] = -kInfinity;
    }
  }
  return result;
}

ValueBoxes Bounder::boxes(const Regions& regions, const std::vector<ValueId>& values) {
  const CleanRegions c = clean(network_, regions);
  ValueBoxes result;
  result.batch = regions.batch;
  result.lower.resize(network_.values.size());
  result.upper.resize(network_.values.size());
  const auto keep = [&](const auto& boxes) {
    using T = std::remove_cvref_t<decltype(boxes.lower[0].data()[0])>;
    for (std::size_t v = 0; v < boxes.lower.size(); ++v) {
      if (!boxes.lower[v]) continue;
      const std::int64_t n = regions.batch * network_.values[v].size;
      std::vector<T> lower(static_cast<std::size_t>(n)), upper(lower.size());
      d_.download(lower.data(), boxes.lower[v].data(), n);
      d_.download(upper.data(), boxes.upper[v].data(), n);
      result.lower[v].resize(lower.size(), -kInfinity);
      result.upper[v].resize(upper.size(), kInfinity);
      for (std::size_t i = 0; i < lower.size(); ++i) {
        result.lower[v][i] = std::max(result.lower[v][i], static_cast<double>(lower[i]));
        result.upper[v][i] = std::min(result.upper[v][i], static_cast<double>(upper[i]));
      }
    }
  };
  const auto build_and_keep = [&]<class T>(Stage<T> stage) {
    if (options_.method != Method::forward) {
      build(stage, c.regions, values);
      keep(stage.builder->boxes());
    }
    if (options_.method != Method::forward && options_.method != Method::combined) return;
    ForwardPass<T> pass(model<T>(), c.regions, options_, known_, stage.report);
    pass.run(values);
    keep(pass.boxes());
  };
  if (options_.precision == Precision::single) build_and_keep(Stage<float>{});
  else build_and_keep(Stage<double>{});
  return result;
}

}  // namespace boundlight::BL_NS
