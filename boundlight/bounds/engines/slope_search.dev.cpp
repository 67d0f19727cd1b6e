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

}  // namespace

template <class T>
struct SlopeSearch<T>::Chunk {
  std::size_t from = 0, to = 0;
  std::int64_t rows = 0;
  std::vector<Layer> layers;
  Buffer<std::int32_t> box;
  std::vector<double> lower, charge;
  std::map<ValueId, Buffer<T>> values;  // of the last sweep: [rows][size]
  bool complete = true;
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
void SlopeSearch<T>::search(Chunk& k, const RowJob<T>& job) {
  Device& d = c_.model.device();
  std::vector<std::int32_t> own(static_cast<std::size_t>(k.rows));
  std::iota(own.begin(), own.end(), 0);
  auto better = d.template buffer<std::uint8_t>(k.rows);
  for (int step = 0; step <= options_.alpha_steps; ++step) {
    std::map<int, RowBlock<T>> recorded;
    ChosenSlopes<T> chosen;
    for (const Layer& layer : k.layers) chosen.at[layer.node] = layer.alpha.data();
    chosen.row = own;
    chosen.record = &recorded;
    PassRequest<T> request = chunk_request(d, c_.model.network(), job, k.from, k.to);
    request.planes = true;
    request.slopes = &chosen;
    request.wanted = nullptr;
    RowPass<T> pass(c_, std::move(request));
    const PassResult<T> result = pass.run();
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(k.rows), 0);
    for (std::size_t r = 0; r < flags.size(); ++r) {
      if (!(result.lower[r] > k.lower[r])) continue;
      k.lower[r] = result.lower[r];
      k.charge[r] = result.charge[r];
      flags[r] = 1;
    }
    d.upload(better.data(), flags.data(), k.rows);
    for (Layer& layer : k.layers) copy_better(d, better.data(), layer.alpha.data(), k.rows, layer.size, layer.best.data());
    if (!result.complete || c_.stop.stop_requested()) {
      k.complete = false;
      return;
    }
    if (step == options_.alpha_steps || k.layers.empty()) return;
    sweep(k, result, recorded);
    climb(k, recorded, step);
  }
}

template <class T>
typename SlopeSearch<T>::Found SlopeSearch<T>::run(const RowJob<T>& job, bool keep_slopes) {
  const Model<T>& model = c_.model;
  const Network& network = model.network();
  Device& d = model.device();
  const auto needed = ancestors(network, job.value);
  std::vector<std::pair<int, std::int64_t>> free_nodes;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    Relaxation<T>* r = needed[i] ? c_.relaxations.at(static_cast<int>(i)) : nullptr;
    if (r && r->free_slopes()) free_nodes.emplace_back(static_cast<int>(i), network.values[static_cast<std::size_t>(network.nodes[i].node.outputs[0])].size);
  }
  Found found;
  const std::size_t total = job.box.size();
  found.bounds.lower.assign(total, -std::numeric_limits<double>::infinity());
  found.bounds.charge.assign(total, 0.0);
  if (keep_slopes) {
    for (const auto& [node, size] : free_nodes) found.slopes.at[node] = d.template buffer<T>(static_cast<std::int64_t>(total) * size);
    found.slopes.row.resize(total);
    std::iota(found.slopes.row.begin(), found.slopes.row.end(), 0);
  }
  RowRunner<T> runner(c_, options_.memory, counters_);
  std::mutex gate;
  runner.each_chunk(job, [&](std::size_t from, std::size_t to) {
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
      spread_rows(d, c_.relaxations.at(node)->free_slopes()->alpha, k.box.data(), k.rows, size, layer.alpha.data());
      d.copy(layer.best.data(), layer.alpha.data(), k.rows * size);
      d.fill(layer.momentum.data(), T(0), k.rows * size);
      d.fill(layer.energy.data(), T(0), k.rows * size);
      k.layers.push_back(std::move(layer));
    }
    search(k, job);
    std::copy(k.lower.begin(), k.lower.end(), found.bounds.lower.begin() + static_cast<std::ptrdiff_t>(from));
    std::copy(k.charge.begin(), k.charge.end(), found.bounds.charge.begin() + static_cast<std::ptrdiff_t>(from));
    if (keep_slopes)
      for (const Layer& layer : k.layers) d.copy(found.slopes.at[layer.node].data() + static_cast<std::int64_t>(from) * layer.size, layer.best.data(), k.rows * layer.size);
    const std::lock_guard lock(gate);
    found.bounds.complete = found.bounds.complete && k.complete;
  });
  return found;
}

template class SlopeSearch<float>;
template class SlopeSearch<double>;

}  // namespace boundlight::BL_NS
