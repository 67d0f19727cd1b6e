#include "boundlight/bounds/engines/row_runner.hpp"

#include <algorithm>
#include <mutex>

#include "boundlight/core/files.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr double kCopies = 4;  // blocks of rows alive at once: before, after, a branch, scratch

template <class D>
concept HasOwnMemory = requires(const D& d) { d.memory_size(); };

template <class D>
std::uint64_t memory_of(const D& d) {
  if constexpr (HasOwnMemory<D>) return d.memory_size();
  else return physical_memory();
}

// How rows are cut.
struct ChunkSizes {
  double bytes;             // of a chunk, about
  std::int64_t fewest, most;
  std::int64_t worth_splitting;
};
template <class D>
ChunkSizes chunk_sizes(const D& d) {
  // A device of its own takes as many rows as it has room for; every chunk costs it a hundred launches.
  if constexpr (HasOwnMemory<D>) return {static_cast<double>(default_memory(d)) / 64, 16, 8192, 8192};
  // Rows of a chunk stay near a core on their way; 64 of them keep two cores busy.
  else return {1 << 20, 16, 256, 64};
}

}  // namespace

std::uint64_t default_memory(const Device& d) {
  const std::uint64_t all = memory_of(d);
  return all > 0 ? all / 2 : std::uint64_t{1} << 30;
}

template <class T>
std::int64_t RowRunner<T>::widest(ValueId value) const {
  const Network& network = c_.model.network();
  const auto nodes = ancestors(network, value);
  std::int64_t most = network.values[static_cast<std::size_t>(value)].size;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i]) continue;
    for (const ValueId in : network.nodes[i].node.inputs)
      if (in != kAbsent && !network.values[static_cast<std::size_t>(in)].constant) most = std::max(most, network.values[static_cast<std::size_t>(in)].size);
  }
  return most;
}

// At most so many rows that they stay in a core's cache, at least so few that several cores have work; boxes are kept apart
// where they have enough rows of their own, because dead columns are found per chunk.
template <class T>
std::vector<typename RowRunner<T>::Cut> RowRunner<T>::cuts(const RowJob<T>& job) const {
  const auto total = static_cast<std::int64_t>(job.box.size());
  const double row_bytes = static_cast<double>(widest(job.value)) * sizeof(T);
  const double allowed = static_cast<double>(memory_ ? memory_ : default_memory(c_.model.device())) / (row_bytes * kCopies);
  const ChunkSizes sizes = chunk_sizes(c_.model.device());
  std::int64_t most = std::clamp<std::int64_t>(static_cast<std::int64_t>(sizes.bytes / row_bytes), sizes.fewest, sizes.most);
  if (static_cast<double>(most) > allowed) most = std::max<std::int64_t>(1, static_cast<std::int64_t>(allowed));
  std::vector<Cut> made;
  for (std::int64_t from = 0; from < total;) {
    // A run of boxes with at least `half` rows, or one box.
    std::int64_t end = from;
    while (end < total) {
      std::int64_t next = end;
      while (next < total && job.box[static_cast<std::size_t>(next)] == job.box[static_cast<std::size_t>(end)]) ++next;
      if (end > from && next - from > most) break;
      end = next;
      if (end - from >= sizes.worth_splitting / 2) break;
    }
    const std::int64_t n = end - from;
    std::int64_t parts = std::max((n + most - 1) / most, n / sizes.worth_splitting);
    if (n >= sizes.worth_splitting) parts += parts % 2;  // even: two cores finish together
    parts = std::max<std::int64_t>(parts, 1);
    const std::int64_t unit = std::max<std::int64_t>(job.together, 1);
    const std::int64_t height = std::max(unit, ((n + parts - 1) / parts + unit - 1) / unit * unit);
    for (std::int64_t at = from; at < end; at += height) made.push_back({static_cast<std::size_t>(at), static_cast<std::size_t>(std::min(end, at + height))});
    from = end;
  }
  return made;
}

template <class T>
PassRequest<T> chunk_request(Device& d, const Network& network, const RowJob<T>& job, std::size_t from, std::size_t to) {
  PassRequest<T> request;
  request.value = job.value;
  const auto slice = [&](const auto& all, auto& some) {
    if (!all.empty()) some.assign(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to));
  };
  slice(job.box, request.box);
  slice(job.element, request.element);
  slice(job.sign, request.sign);
  slice(job.constant, request.constant);
  slice(job.charge, request.charge);
  request.planes = job.planes;
  request.producer_only = job.producer_only;
  if (job.element.empty()) {
    const auto size = static_cast<std::size_t>(network.values[static_cast<std::size_t>(job.value)].size);
    request.a.rows = static_cast<std::int64_t>(to - from);
    request.a.width = static_cast<std::int64_t>(size);
    request.a.a = d.template buffer<T>(request.a.rows * request.a.width);
    d.upload(request.a.a.data(), job.coefficient.data() + from * size, request.a.rows * request.a.width);
  }
  return request;
}

// As many chunks at once as the memory allows.
template <class T>
void RowRunner<T>::each_chunk(const RowJob<T>& job, const std::function<void(std::size_t, std::size_t)>& chunk) {
  const auto parts = cuts(job);
  const double bytes = parts.empty() ? 1.0 : static_cast<double>(parts[0].to - parts[0].from) * static_cast<double>(widest(job.value)) * sizeof(T) * kCopies;
  const auto at_once = static_cast<std::size_t>(std::clamp(static_cast<double>(memory_ ? memory_ : default_memory(c_.model.device())) / bytes, 1.0, 1e6));
  for (std::size_t from = 0; from < parts.size(); from += at_once) {
    const std::size_t n = std::min(at_once, parts.size() - from);
    run_tasks(c_.model.device(), static_cast<std::int64_t>(n), [&](std::int64_t i) {
      const Cut& cut = parts[from + static_cast<std::size_t>(i)];
      chunk(cut.from, cut.to);
    });
  }
  counters_.rows += static_cast<std::int64_t>(job.box.size());
}

template <class T>
RowResult<T> RowRunner<T>::run(const RowJob<T>& job) {
  RowResult<T> result;
  result.lower.assign(job.box.size(), -std::numeric_limits<double>::infinity());
  result.charge.assign(job.box.size(), 0.0);
  std::mutex gate;
  each_chunk(job, [&](std::size_t from, std::size_t to) {
    PassRequest<T> request = chunk_request(c_.model.device(), c_.model.network(), job, from, to);
    ChosenSlopes<T> chosen;
    if (job.slopes) {
      for (const auto& [node, lines] : job.slopes->at) chosen.at[node] = lines.data();
      chosen.row.assign(job.slopes->row.begin() + static_cast<std::ptrdiff_t>(from), job.slopes->row.begin() + static_cast<std::ptrdiff_t>(to));
      request.slopes = &chosen;
    }
    if (job.wanted) request.wanted = [&](const std::vector<double>& lower) { return job.wanted(from, lower); };
    RowPass<T> pass(c_, std::move(request));
    PassResult<T> made = pass.run();
    std::copy(made.lower.begin(), made.lower.end(), result.lower.begin() + static_cast<std::ptrdiff_t>(from));
    std::copy(made.charge.begin(), made.charge.end(), result.charge.begin() + static_cast<std::ptrdiff_t>(from));
    const std::lock_guard lock(gate);
    result.complete = result.complete && made.complete;
    counters_.retired += made.retired;
    counters_.concretised += made.concretised;
    counters_.multiply_adds += made.multiply_adds;
    if (job.done) job.done(from, made);
  });
  return result;
}

template PassRequest<float> chunk_request(Device&, const Network&, const RowJob<float>&, std::size_t, std::size_t);
template PassRequest<double> chunk_request(Device&, const Network&, const RowJob<double>&, std::size_t, std::size_t);
template class RowRunner<float>;
template class RowRunner<double>;

}  // namespace boundlight::BL_NS
