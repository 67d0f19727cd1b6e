#include "boundlight/solver/bab/search.hpp"

#include <cmath>
#include <cstdio>

namespace boundlight::bab {

check::Tree SearchTree::of(std::uint32_t target) const {
  std::vector<const check::Node*> leaf_at(nodes.size(), nullptr);
  for (const Leaf& l : leaves)
    if (l.target == target) leaf_at[static_cast<std::size_t>(l.node)] = &l.data;
  check::Tree tree;
  struct Step {
    std::int32_t from, parent;
    bool high;
  };
  std::vector<Step> open = {{0, -1, false}};
  while (!open.empty()) {
    const Step s = open.back();
    open.pop_back();
    const auto at = static_cast<std::int32_t>(tree.nodes.size());
    if (s.parent >= 0) (s.high ? tree.nodes[static_cast<std::size_t>(s.parent)].high : tree.nodes[static_cast<std::size_t>(s.parent)].low) = at;
    const check::Node* leaf = leaf_at[static_cast<std::size_t>(s.from)];
    const check::Node& inner = nodes[static_cast<std::size_t>(s.from)];
    check::Node n = leaf ? *leaf : inner;
    n.low = n.high = -1;
    if (leaf && inner.bounds != 0 && n.bounds == 0) n.bounds = inner.bounds;
    tree.nodes.push_back(std::move(n));
    if (leaf) continue;
    if (inner.high >= 0) open.push_back({inner.high, at, true});
    if (inner.low >= 0) open.push_back({inner.low, at, false});
  }
  return tree;
}

std::uint64_t bytes_of(const SearchTree::Leaf& leaf) {
  std::uint64_t n = sizeof(SearchTree::Leaf) + leaf.data.lambda.size() * sizeof(double) + leaf.data.beta.size() * sizeof(float);
  for (const check::Slopes& s : leaf.data.slopes) n += sizeof s + s.neurons.size() * sizeof s.neurons[0] + s.numbers.size() * sizeof s.numbers[0];
  return n;
}

std::uint64_t SearchTree::bytes() const {
  std::uint64_t n = nodes.size() * sizeof(check::Node);
  for (; counted < leaves.size(); ++counted) counted_bytes += bytes_of(leaves[counted]);
  return n + counted_bytes;
}

void Watch::tell(double best, std::int64_t open, double share_done, double estimate) {
  result.open = open;
  result.best_bound = best;
  if (!options.progress) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - told < std::chrono::milliseconds(100)) return;
  told = now;
  const double seconds = std::chrono::duration<double>(now - start).count();
  char line[160];
  const bool about = !std::isnan(estimate) && estimate != best;
  std::snprintf(line, sizeof line, "best bound %s%.4g, %lld open, %.0f domains/s", about ? "about " : "", about ? estimate : best, static_cast<long long>(open),
                static_cast<double>(result.domains) / std::max(seconds, 1e-3));
  options.progress(line, share_done, 1.0);
}

Forms forms_of(const Network& network, const Group& group, const std::vector<bool>& open) {
  Forms f;
  f.value = network.outputs[0];
  f.want_upper = false;
  for (std::size_t t = 0; t < group.targets.size(); ++t) {
    if (!open[t]) continue;
    for (const ConstraintRow& row : group.targets[t].rows) {
      f.coefficient.insert(f.coefficient.end(), row.b.begin(), row.b.end());
      ++f.rows;
    }
  }
  return f;
}

BoundOptions bound_options(const VerifyOptions& options, const StopToken& stop) {
  BoundOptions o;
  o.semantics = options.semantics;
  o.stop = stop;
  return o;
}

}  // namespace boundlight::bab
