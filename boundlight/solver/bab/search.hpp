// What the searches share: the tree that they leave behind, limits, statistics.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "boundlight/solver/bab/falsify.hpp"
#include "boundlight/solver/bab/problem.hpp"
#include "boundlight/solver/bab/replay.hpp"
#include "boundlight/solver/bab/verify.hpp"

namespace boundlight::bab {

// Sections of the certificate's bounds, from 1 on: backward with the checker's own slopes, and intervals only.
inline constexpr std::uint32_t kBackwardSection = 1, kIntervalSection = 2;

enum class End : std::uint8_t {
  closed,   // every target of the group
  sat,
  stopped,  // flag or deadline
  memory,
  limit,    // most_domains
  stuck,    // a region can be split no further and is still open
};

// The tree of one group: splits shared by its targets, leaves per target. Nodes are the checker's.
struct SearchTree {
  struct Leaf {
    std::int32_t node = 0;
    std::uint32_t target = 0;
    check::Node data;  // kind leaf: lambda, beta, slopes, bounds
  };
  std::vector<check::Node> nodes = {check::Node{}};  // the root; kind leaf: not split
  std::vector<Leaf> leaves;
  mutable std::size_t counted = 0;  // leaves whose bytes are known
  mutable std::uint64_t counted_bytes = 0;

  // Bytes that it holds, about.
  std::uint64_t bytes() const;

  // The tree of one target: its own leaves, everything below them left out. Precondition: they cover.
  check::Tree of(std::uint32_t target) const;
};

// A watch over limits, and what is told while searching.
struct Watch {
  const VerifyOptions& options;
  VerifyResult& result;
  StopToken stop;
  std::uint64_t memory = 0;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now(), told = start;

  std::chrono::steady_clock::time_point saved = start;

  // It is time to write the state again.
  bool time_to_save() {
    const auto now = std::chrono::steady_clock::now();
    if (std::chrono::duration<double>(now - saved).count() < options.save_seconds) return false;
    saved = now;
    return true;
  }
  bool out_of_domains() const { return options.most_domains > 0 && result.domains >= options.most_domains; }
  // At most ten times a second. estimate: shown instead of a bound that is proved for few regions only (NaN: none).
  void tell(double best, std::int64_t open, double share_done, double estimate);
};

struct SearchContext {
  Engine& engine;
  const Property& property;
  const Group& group;
  Watch& watch;
  Replayer* replayer = nullptr;        // null: no certificate
  std::uint32_t section = 0;           // 1 + index of the certificate's bounds that leaves refer to (inputs), or of the root's (relus)
  SearchTree& tree;                    // of all targets (inputs)
  std::vector<SearchTree>& own;        // by target (relus)
  std::vector<bool> open;              // by target of the group; closed ones are left alone
  // Called between batches with the targets that are still open: another try to find a witness. True: there is one.
  std::function<Result<bool>(const std::vector<bool>& open)> interlude;
  std::function<Result<void>(std::string regions)> save;  // empty: no state is kept
  std::string regions;                 // open regions to go on with; empty: start
  std::vector<std::vector<double>> lambda;  // by target: multipliers that did best on the whole box (relus)
  LazyExactNetwork* exact = nullptr;   // for points that enclosures cannot decide
};

// Bounds every target of the group: forms of the output, in the order of (target, row).
Forms forms_of(const Network& network, const Group& group, const std::vector<bool>& open);

BoundOptions bound_options(const VerifyOptions& options, const StopToken& stop);

Result<End> search_inputs(SearchContext& context);
Result<End> search_relus(SearchContext& context);

}  // namespace boundlight::bab
