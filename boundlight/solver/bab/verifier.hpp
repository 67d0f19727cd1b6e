// One call of verify: the stages, what they leave open, and the evidence so far.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/bab/exact_search.hpp"
#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab::verifying {

class Verifier {
 public:
  Verifier(std::shared_ptr<const Network> network, const Property& property, const VerifyOptions& options)
      : network_(std::move(network)), property_(property), options_(options), watch_{options, result_, stop_of(options)} {
    watch_.memory = options.memory ? options.memory : std::max<std::uint64_t>(physical_memory() / 4, std::uint64_t{1} << 28);
  }
  Result<VerifyResult> run();

 private:
  Result<VerifyResult> finish(End end);
  static StopToken stop_of(const VerifyOptions& o) { return o.timeout > 0 ? o.stop.with_deadline(o.timeout) : o.stop; }
  Result<void> prepare();
  Result<bool> try_attack(std::int64_t starts, int steps);
  Result<bool> interlude(std::size_t g, const std::vector<bool>& open);
  Result<void> root_bounds(Method method);
  Result<End> search();
  Result<End> decide_without_rounding(End end);
  Result<ExactAnswer> ask_exactly(const ExactNetwork& network, const ExactLimits& limits, const StopToken& stop);
  Result<bool> exact_interlude();
  void close_all();
  bool by_inputs(const Group& group) const;
  const std::string& subject();
  Result<void> save(std::size_t group, std::string regions);
  Result<bool> resume();
  Result<void> certify();
  void stage(const char* name);
  bool all_closed() const;
  void conclude(End end);
  double least_open(std::size_t g) const;
  void close(std::size_t g, std::size_t t, std::vector<double> lambda);
  void note_interruption();

  std::shared_ptr<const Network> network_;
  const Property& property_;
  const VerifyOptions& options_;
  VerifyResult result_;
  Watch watch_;
  Problem problem_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Replayer> replayer_;
  std::optional<LazyExactNetwork> exact_;
  std::int64_t next_exact_ = 2000;       // regions
  bool exactly_closed_ = false;
  std::vector<std::vector<bool>> open_;  // [group][target]
  std::vector<SearchTree> trees_;        // [group]: shared by its targets
  std::vector<std::vector<SearchTree>> own_;               // [group][target]: those that have a tree of their own
  std::vector<std::vector<std::vector<double>>> lambda_;   // [group][target]: multipliers that did best on the whole box
  std::set<std::string> how_;
  std::size_t group_ = 0;                // searches go on here
  std::string regions_;                  // with these
  std::string subject_;                  // of the state file
  double seconds_before_ = 0;
  std::uint64_t attacks_ = 0;
  std::int64_t restarts_ = 0;            // of interludes
  double attack_seconds_ = 0;
  std::chrono::steady_clock::time_point searching_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point lap_ = std::chrono::steady_clock::now();
};

}  // namespace boundlight::bab::verifying
