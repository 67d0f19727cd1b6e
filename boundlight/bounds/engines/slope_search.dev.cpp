#include "boundlight/bounds/engines/slope_search.hpp"

#include <cmath>
#include <mutex>
#include <numeric>

namespace boundlight::BL_NS {
namespace {

constexpr double kMomentum = 0.9, kEnergy = 0.999, kDecay = 0.98;

// to[r] = from[row of r], [rows][size] from [batch][size].
template <class T>
void spread_rows(Device& d, const T* from, const std::int32_t* box, std::int64_t rows, std::int64_t size, T* to) {
  d.map_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) { to[r * size + j] = from[box[r] * size + j]; });
}

// The corner of a box that minimises each row.
template <class T>
void minimiser(Device& d, const T* a, BoxView<T> box, const std::int32_t* owner, std::int64_t rows, std::int64_t size, T* to) {
  const T *lower = box.lower, *upper = box.upper;
  d.map_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) {
    const std::int64_t e = owner[r] * size + j;
    to[r * size + j] = !a || a[r * size + j] >= T(0) ? lower[e] : upper[e];
  });
}

template <class T>
void middles(Device& d, BoxView<T> box, const std::int32_t* owner, std::int64_t rows, std::int64_t size, T* to) {
  const T *lower = box.lower, *upper = box.upper;
  d.map_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) { to[r * size + j] = lower[owner[r] * size + j] / 2 + upper[owner[r] * size + j] / 2; });
}

template <class T>
void copy_better(Device& d, const std::uint8_t* better, const T* from, std::int64_t rows, std::int64_t size, T* to) {
  d.map_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) {
    if (better[r]) to[r * size + j] = from[r * size + j];
  });
}

// One step of Adam uphill on the free slopes; gradient a z where a >= 0.
template <class T>
struct Adam {
  T *alpha, *momentum, *energy;
  T rate, first, second, low, high;  // first, second: corrections of the running means
};
template <class T>
void adam_step(Device& d, Adam<T> s, const T* a, const T* z, const std::uint8_t* free, const std::int32_t* box, std::int64_t rows, std::int64_t size) {
  d.map_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) {
    const std::int64_t i = r * size + j;
    if (!free[box[r] * size + j]) return;
    const T g = a[i] >= T(0) ? a[i] * z[i] : T(0);
    const T m = T(kMomentum) * s.momentum[i] + T(1 - kMomentum) * g;
    const T v = T(kEnergy) * s.energy[i] + T(1 - kEnergy) * g * g;
    s.momentum[i] = m;
    s.energy[i] = v;
    T x = s.alpha[i] + s.rate * (m * s.first) / (sqrt(v * s.second) + T(1e-12));
    if (!(x >= s.low)) x = s.low;
    s.alpha[i] = x <= s.high ? x : s.high;
  });
}

// The largest coefficient of every row.
template <class T>
void largest(Device& d, const T* a, std::int64_t rows, std::int64_t size, double* to) {
  d.max_rows(rows, size, [=] BL_HD(std::int64_t r, std::int64_t j) { return fabs(static_cast<double>(a[r * size + j])); }, to);
}

// scale[s] = the row's number, where it has none yet.
template <class T>
void first_scale(Device& d, const std::int32_t* start, const double* of_row, std::int64_t rows, T* scale) {
  d.map(rows, [=] BL_HD(std::int64_t r) {
    for (std::int32_t s = start[r]; s < start[r + 1]; ++s)
      if (scale[s] == T(0)) scale[s] = static_cast<T>(of_row[r]);
  });
}

// One step of Adam uphill on multipliers, projected onto beta >= 0; gradient -sign z.
template <class T>
struct BetaStep {
  const std::int32_t *start, *element;
  const T *sign, *scale;
  T *beta, *delta, *momentum, *energy;
  T rate, first, second;
};
template <class T>
void beta_step(Device& d, BetaStep<T> b, const T* z, std::int64_t rows, std::int64_t size) {
  d.map(rows, [=] BL_HD(std::int64_t r) {
    for (std::int32_t s = b.start[r]; s < b.start[r + 1]; ++s) {
      const T g = -b.sign[s] * z[r * size + b.element[s]];
      const T m = T(kMomentum) * b.momentum[s] + T(1 - kMomentum) * g;
      const T v = T(kEnergy) * b.energy[s] + T(1 - kEnergy) * g * g;
      b.momentum[s] = m;
      b.energy[s] = v;
      T x = b.beta[s] + b.rate * b.scale[s] * (m * b.first) / (sqrt(v * b.second) + T(1e-12));
      if (!(x >= T(0))) x = T(0);
      b.beta[s] = x;
      b.delta[s] = -b.sign[s] * x;
    }
  });
}

template <class T>
void deltas(Device& d, const T* sign, const T* beta, std::int64_t n, T* delta) {
  d.map(n, [=] BL_HD(std::int64_t s) { delta[s] = -sign[s] * beta[s]; });
}

template <class T>
void keep_better(Device& d, const std::uint8_t* better, const std::int32_t* start, const T* from, std::int64_t rows, T* to) {
  d.map(rows, [=] BL_HD(std::int64_t r) {
    for (std::int32_t s = start[r]; better[r] && s < start[r + 1]; ++s) to[s] = from[s];
  });
}

template <class T>
Buffer<T> search_list(Device& d, const std::vector<T>& from) {
  auto b = d.buffer<T>(static_cast<std::int64_t>(from.size()));
  d.upload(b.data(), from.data(), b.size());
  return b;
}

}  // namespace

template <class T>
struct SlopeSearch<T>::Chunk {
  std::size_t from = 0, to = 0;
  std::int64_t rows = 0;
  std::vector<Layer> layers;
  std::vector<Betas> betas;
  std::map<ValueId, RowMultipliers<T>*> multipliers;  // of betas
  Buffer<std::int32_t> box;
  std::vector<double> lower, charge;
  std::map<ValueId, Buffer<T>> values;  // of the last sweep: [rows][size]
  std::map<int, RowBlock<T>> recorded;  // of the last pass
  bool complete = true, swept = false;
  std::vector<std::vector<T>> planes;  // per input, of the best bounds: [rows][size]; empty: none yet
  std::vector<double> offset;
};

// Values of the rows' own planes at the rows' own minimisers, for the inputs of every node with free slopes.
template <class T>
void SlopeSearch<T>::sweep(Chunk& k, const PassResult<T>& pass, std::map<int, RowBlock<T>>& rows) {
  const Model<T>& model = c_.model;
  const Network& network = model.network();
  Device& d = model.device();
  k.values.clear();
  const auto size_of = [&](ValueId v) { return network.values[static_cast<std::size_t>(v)].size; };
  for (std::size_t i = 0; i < network.inputs.size(); ++i) {
    const ValueId v = network.inputs[i];
    auto at = d.template buffer<T>(k.rows * size_of(v));
    minimiser(d, pass.plane[i].a.data(), c_.relaxations.box(v), k.box.data(), k.rows, size_of(v), at.data());
    k.values[v] = std::move(at);
  }
  const int last = k.layers.empty() ? -1 : k.layers.back().node;
  const auto needed = ancestors(network, last < 0 ? std::vector<ValueId>{} : network.nodes[static_cast<std::size_t>(last)].node.inputs);
  for (int i = 0; i < last; ++i) {
    if (!needed[static_cast<std::size_t>(i)]) continue;
    const Node& node = network.nodes[static_cast<std::size_t>(i)].node;
    std::vector<const T*> in;
    for (const ValueId id : node.inputs) {
      const auto found = id == kAbsent ? k.values.end() : k.values.find(id);
      in.push_back(found == k.values.end() ? nullptr : found->second.data());
    }
    Relaxation<T>* relaxation = c_.relaxations.at(i);
    for (std::size_t slot = 0; slot < node.outputs.size(); ++slot) {
      const ValueId id = node.outputs[slot];
      if (id == kAbsent) continue;
      auto at = d.template buffer<T>(k.rows * size_of(id));
      const auto recorded = rows.find(i);
      RowBlock<T> counted;  // linear operators only need to know how many
      counted.rows = k.rows;
      const bool linear = model.kernel(i).linear();
      const bool followed = relaxation && (linear || recorded != rows.end()) &&
                            relaxation->follow(d, static_cast<int>(slot), linear ? counted : recorded->second, k.box.data(), in.data(), at.data());
      if (!followed) middles(d, c_.relaxations.box(id), k.box.data(), k.rows, size_of(id), at.data());
      k.values[id] = std::move(at);
    }
  }
}

template <class T>
void SlopeSearch<T>::climb(Chunk& k, const std::map<int, RowBlock<T>>& rows, int step) {
  Device& d = c_.model.device();
  const double rate = options_.alpha_rate * std::pow(kDecay, step);
  const T first = static_cast<T>(1 / (1 - std::pow(kMomentum, step + 1))), second = static_cast<T>(1 / (1 - std::pow(kEnergy, step + 1)));
  for (Layer& layer : k.layers) {
    const auto recorded = rows.find(layer.node);
    const ValueId in = c_.model.network().nodes[static_cast<std::size_t>(layer.node)].node.inputs[0];
    const auto value = k.values.find(in);
    if (recorded == rows.end() || recorded->second.windowed || value == k.values.end()) continue;
    const FreeSlopes<T>* free = c_.relaxations.at(layer.node)->free_slopes();
    const Adam<T> adam{layer.alpha.data(), layer.momentum.data(), layer.energy.data(), static_cast<T>(rate), first, second, free->low, free->high};
    adam_step(d, adam, recorded->second.a.data(), value->second.data(), free->mask, k.box.data(), k.rows, layer.size);
  }
}

template <class T>
void SlopeSearch<T>::climb_betas(Chunk& k, const std::map<int, RowBlock<T>>& rows, const Ask& ask, int step) {
  Device& d = c_.model.device();
  const Network& network = c_.model.network();
  const double rate = ask.multiplier_rate * std::pow(kDecay, step);
  const T first = static_cast<T>(1 / (1 - std::pow(kMomentum, step + 1))), second = static_cast<T>(1 / (1 - std::pow(kEnergy, step + 1)));
  for (Betas& b : k.betas) {
    const auto value = k.values.find(b.value);
    if (value == k.values.end()) continue;
    if (step == 0)
      for (const int node : network.values[static_cast<std::size_t>(b.value)].consumers) {
        const auto found = rows.find(node);
        if (found == rows.end() || found->second.windowed || found->second.width != b.size) continue;
        auto of_row = d.template buffer<double>(k.rows);
        largest(d, found->second.a.data(), k.rows, b.size, of_row.data());
        first_scale(d, b.rows.start.data(), of_row.data(), k.rows, b.scale.data());
      }
    const BetaStep<T> how{b.rows.start.data(), b.rows.element.data(), b.sign.data(), b.scale.data(), b.beta.data(), b.rows.delta.data(), b.momentum.data(), b.energy.data(),
                          static_cast<T>(rate), first, second};
    beta_step(d, how, value->second.data(), k.rows, b.size);
  }
}

// Better bounds, and the choices that gave them. False: every row has enough.
template <class T>
bool SlopeSearch<T>::take(Chunk& k, const PassResult<T>& pass, const Ask& ask) {
  Device& d = c_.model.device();
  std::vector<std::uint8_t> flags(static_cast<std::size_t>(k.rows), 0);
  bool all = ask.enough != nullptr;
  for (std::size_t r = 0; r < flags.size(); ++r) {
    if (pass.lower[r] > k.lower[r]) {
      k.lower[r] = pass.lower[r];
      k.charge[r] = pass.charge[r];
      flags[r] = 1;
    }
    all = all && !(k.lower[r] <= (*ask.enough)[k.from + r]);  // NaN: nothing is wanted
  }
  if (ask.planes && pass.complete) take_planes(k, pass, flags);
  const auto better = search_list(d, flags);
  for (Layer& layer : k.layers) copy_better(d, better.data(), layer.alpha.data(), k.rows, layer.size, layer.best.data());
  for (Betas& b : k.betas) keep_better(d, better.data(), b.rows.start.data(), b.beta.data(), k.rows, b.best.data());
  return !all;
}

template <class T>
void SlopeSearch<T>::take_planes(Chunk& k, const PassResult<T>& pass, const std::vector<std::uint8_t>& better) const {
  const Network& network = c_.model.network();
  k.planes.resize(network.inputs.size());
  k.offset.resize(better.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < k.planes.size(); ++i) {
    const auto size = static_cast<std::size_t>(network.values[static_cast<std::size_t>(network.inputs[i])].size);
    k.planes[i].resize(better.size() * size, T(0));
    std::vector<T> host(pass.plane[i] ? better.size() * size : 0);
    c_.model.device().download(host.data(), pass.plane[i].a.data(), static_cast<std::int64_t>(host.size()));
    for (std::size_t r = 0; r < better.size(); ++r) {
      if (!better[r]) continue;
      const auto to = k.planes[i].begin() + static_cast<std::ptrdiff_t>(r * size);
      if (host.empty()) std::fill_n(to, size, T(0));
      else std::copy_n(host.begin() + static_cast<std::ptrdiff_t>(r * size), size, to);
    }
  }
  for (std::size_t r = 0; r < better.size(); ++r)
    if (better[r]) k.offset[r] = pass.offset[r];
}

template <class T>
void SlopeSearch<T>::search(Chunk& k, const RowJob<T>& job, const Ask& ask) {
  Device& d = c_.model.device();
  std::vector<std::int32_t> own(static_cast<std::size_t>(k.rows));
  std::iota(own.begin(), own.end(), 0);
  for (int step = 0; step <= options_.alpha_steps; ++step) {
    k.recorded.clear();
    ChosenSlopes<T> chosen;
    for (const Layer& layer : k.layers) chosen.at[layer.node] = layer.alpha.data();
    chosen.row = own;
    chosen.record = &k.recorded;
    PassRequest<T> request = chunk_request(d, c_.model.network(), job, k.from, k.to);
    request.planes = true;
    request.slopes = &chosen;
    request.wanted = nullptr;
    if (!k.betas.empty()) request.multipliers = &k.multipliers;
    RowPass<T> pass(c_, std::move(request));
    const PassResult<T> result = pass.run();
    const bool more = take(k, result, ask);
    if (!result.complete || c_.stop.stop_requested()) {
      k.complete = false;
      return;
    }
    const bool last = step == options_.alpha_steps || (k.layers.empty() && k.betas.empty()) || !more;
    if (last && !ask.trace && !ask.points) return;
    sweep(k, result, k.recorded);
    k.swept = true;
    if (last) return;
    climb(k, k.recorded, step);
    climb_betas(k, k.recorded, ask, step);
  }
}

template <class T>
void SlopeSearch<T>::add_betas(Chunk& k, const RowJob<T>& job) const {
  if (!job.splits) return;
  Device& d = c_.model.device();
  k.betas.reserve(job.splits->size());
  for (const auto& [value, splits] : *job.splits) {
    Betas& b = k.betas.emplace_back();
    b.value = value;
    b.size = c_.model.network().values[static_cast<std::size_t>(value)].size;
    b.first = splits.start[k.from];
    const auto last = static_cast<std::int64_t>(splits.start[k.to]);
    std::vector<std::int32_t> start(splits.start.begin() + static_cast<std::ptrdiff_t>(k.from), splits.start.begin() + static_cast<std::ptrdiff_t>(k.to) + 1);
    for (std::int32_t& s : start) s -= static_cast<std::int32_t>(b.first);
    const auto part = [&](const auto& all) { return search_list(d, std::remove_cvref_t<decltype(all)>(all.begin() + b.first, all.begin() + last)); };
    b.rows.start = search_list(d, start);
    b.rows.element = part(splits.element);
    b.sign = part(splits.sign);
    b.beta = part(splits.beta);
    b.best = part(splits.beta);
    const std::int64_t n = last - b.first;
    for (Buffer<T>* zero : {&b.momentum, &b.energy, &b.scale}) {
      *zero = d.template buffer<T>(n);
      d.fill(zero->data(), T(0), n);
    }
    b.rows.delta = d.template buffer<T>(n);
    deltas(d, b.sign.data(), b.beta.data(), n, b.rows.delta.data());
  }
  for (Betas& b : k.betas) k.multipliers[b.value] = &b.rows;
}

template <class T>
typename SlopeSearch<T>::Chunk SlopeSearch<T>::make_chunk(const RowJob<T>& job, const Ask& ask, std::size_t from, std::size_t to, const std::vector<std::pair<int, std::int64_t>>& free_nodes) const {
  Device& d = c_.model.device();
  Chunk k;
  k.from = from;
  k.to = to;
  k.rows = static_cast<std::int64_t>(to - from);
  k.lower.assign(to - from, -std::numeric_limits<double>::infinity());
  k.charge.assign(to - from, 0.0);
  k.box = d.template buffer<std::int32_t>(k.rows);
  d.upload(k.box.data(), job.box.data() + from, k.rows);
  for (const auto& [node, size] : free_nodes) {
    Layer layer{node, size, d.template buffer<T>(k.rows * size), d.template buffer<T>(k.rows * size), d.template buffer<T>(k.rows * size), d.template buffer<T>(k.rows * size)};
    const auto given = ask.start ? ask.start->at.find(node) : typename std::map<int, Buffer<T>>::const_iterator{};
    if (ask.start && given != ask.start->at.end()) d.copy(layer.alpha.data(), given->second.data() + static_cast<std::int64_t>(from) * size, k.rows * size);
    else spread_rows(d, c_.relaxations.at(node)->free_slopes()->alpha, k.box.data(), k.rows, size, layer.alpha.data());
    d.copy(layer.best.data(), layer.alpha.data(), k.rows * size);
    d.fill(layer.momentum.data(), T(0), k.rows * size);
    d.fill(layer.energy.data(), T(0), k.rows * size);
    k.layers.push_back(std::move(layer));
  }
  return k;
}

// What a chunk found, into its place in the whole. Chunks write to different places.
template <class T>
void SlopeSearch<T>::keep(Chunk& k, const Ask& ask, Found& found) const {
  Device& d = c_.model.device();
  const Network& network = c_.model.network();
  const auto at = static_cast<std::ptrdiff_t>(k.from);
  std::copy(k.lower.begin(), k.lower.end(), found.bounds.lower.begin() + at);
  std::copy(k.charge.begin(), k.charge.end(), found.bounds.charge.begin() + at);
  if (ask.slopes)
    for (const Layer& layer : k.layers) d.copy(found.slopes.at[layer.node].data() + at * layer.size, layer.best.data(), k.rows * layer.size);
  for (const Betas& b : k.betas) d.download(found.multipliers.at(b.value).data() + b.first, b.best.data(), b.best.size());
  for (std::size_t i = 0; i < k.planes.size(); ++i) {
    const std::int64_t size = network.values[static_cast<std::size_t>(network.inputs[i])].size;
    std::copy(k.planes[i].begin(), k.planes[i].end(), found.planes[i].begin() + at * size);
  }
  std::copy(k.offset.begin(), k.offset.end(), found.offset.begin() + (k.offset.empty() ? 0 : at));
  if (!k.swept) return;
  for (auto& [node, trace] : found.trace) {
    const auto recorded = k.recorded.find(node);
    const auto value = k.values.find(network.nodes[static_cast<std::size_t>(node)].node.inputs[0]);
    if (recorded == k.recorded.end() || recorded->second.windowed || value == k.values.end()) continue;
    const std::int64_t width = recorded->second.width, in = value->second.size() / k.rows;
    if (static_cast<std::int64_t>(trace.coefficient.size()) < (at + k.rows) * width || static_cast<std::int64_t>(trace.point.size()) < (at + k.rows) * in) continue;
    d.download(trace.coefficient.data() + at * width, recorded->second.a.data(), k.rows * width);
    d.download(trace.point.data() + at * in, value->second.data(), k.rows * in);
  }
  for (std::size_t i = 0; i < found.points.size(); ++i) {
    const auto value = k.values.find(network.inputs[i]);
    const std::int64_t size = network.values[static_cast<std::size_t>(network.inputs[i])].size;
    if (value != k.values.end()) d.download(found.points[i].data() + at * size, value->second.data(), k.rows * size);
  }
}

template <class T>
typename SlopeSearch<T>::Found SlopeSearch<T>::run(const RowJob<T>& job, const Ask& ask) {
  const Model<T>& model = c_.model;
  const Network& network = model.network();
  Device& d = model.device();
  const auto size_of = [&](ValueId v) { return network.values[static_cast<std::size_t>(v)].size; };
  const auto needed = ancestors(network, job.value);
  std::vector<std::pair<int, std::int64_t>> free_nodes;
  Found found;
  const std::size_t total = job.box.size();
  for (std::size_t i = 0; i < needed.size(); ++i) {
    Relaxation<T>* r = needed[i] ? c_.relaxations.at(static_cast<int>(i)) : nullptr;
    const Node& node = network.nodes[i].node;
    if (r && r->free_slopes()) free_nodes.emplace_back(static_cast<int>(i), size_of(node.outputs[0]));
    if (!ask.trace || !r || model.kernel(static_cast<int>(i)).linear()) continue;
    found.trace[static_cast<int>(i)] = {std::vector<T>(total * static_cast<std::size_t>(size_of(node.outputs[0])), T(0)), std::vector<T>(total * static_cast<std::size_t>(size_of(node.inputs[0])), T(0))};
  }
  found.bounds.lower.assign(total, -std::numeric_limits<double>::infinity());
  found.bounds.charge.assign(total, 0.0);
  if (ask.slopes) {
    for (const auto& [node, size] : free_nodes) found.slopes.at[node] = d.template buffer<T>(static_cast<std::int64_t>(total) * size);
    found.slopes.row.resize(total);
    std::iota(found.slopes.row.begin(), found.slopes.row.end(), 0);
  }
  if (job.splits)
    for (const auto& [value, splits] : *job.splits) found.multipliers[value] = splits.beta;
  if (ask.points)
    for (const ValueId v : network.inputs) found.points.emplace_back(total * static_cast<std::size_t>(size_of(v)), T(0));
  if (ask.planes) {
    for (const ValueId v : network.inputs) found.planes.emplace_back(total * static_cast<std::size_t>(size_of(v)), T(0));
    found.offset.assign(total, -std::numeric_limits<double>::infinity());
  }
  RowRunner<T> runner(c_, options_.memory, counters_);
  std::mutex gate;
  runner.each_chunk(job, [&](std::size_t from, std::size_t to) {
    Chunk k = make_chunk(job, ask, from, to, free_nodes);
    add_betas(k, job);
    search(k, job, ask);
    keep(k, ask, found);
    const std::lock_guard lock(gate);
    found.bounds.complete = found.bounds.complete && k.complete;
  });
  return found;
}

template class SlopeSearch<float>;
template class SlopeSearch<double>;

}  // namespace boundlight::BL_NS
