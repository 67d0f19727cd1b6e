// Bounds of parts that are cut by signs of ReLUs: slopes and multipliers are searched, the bound that they give is proved by the
// engine, and the neurons worth splitting next are listed.
//
// Where only ReLUs are not linear the search runs on the condensed network (condensed.hpp), and only parts whose estimate suffices
// cost a pass of the engine; elsewhere the engine searches itself.
#pragma once

#include <optional>

#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/solver/bab/condensed.hpp"
#include "boundlight/solver/bab/dual_ascent.hpp"
#include "boundlight/solver/bab/relu_part.hpp"

namespace boundlight::bab {

class ReluBounds {
 public:
  ReluBounds(Engine& engine, const Group& group, const VerifyOptions& options, StopToken stop) : engine_(engine), network_(engine.network()), group_(group), options_(options), stop_(std::move(stop)) {}

  // root: boxes of the activations' inputs over the group's box, kept for all parts.
  Result<void> prepare(const std::vector<Activation>& activations, const ValueBoxes& root, const ReluTargets& targets);

  struct Found {
    std::vector<double> points;   // a minimiser per part, all inputs
    std::int64_t rows = 0;        // the engine's
    bool complete = true;
  };
  // From every part's slopes and multipliers: better ones, bound, estimate, list.
  Result<Found> bound(std::vector<SignPart>& parts, int steps);
  // Estimates by a short search, for choosing.
  Result<std::vector<double>> estimates(const std::vector<SignPart>& parts);

  const std::vector<FreeNeuron>& free() const { return free_; }
  bool condensed() const { return condensed_.has_value(); }

 private:
  Result<void> ask(const std::vector<SignPart>& parts, int steps, bool trace, SplitSearch& s, Precision precision) const;
  void add_splits(const std::vector<SignPart>& parts, SplitSearch& s, ValueBoxes& known) const;
  void add_slopes(const std::vector<SignPart>& parts, SplitSearch& s) const;
  Result<Found> bound_by_engine(std::vector<SignPart>& parts, int steps);
  Result<void> narrow(std::vector<SignPart>& parts) const;
  Result<Found> bound_condensed(std::vector<SignPart>& parts, int steps);
  Result<void> prove(std::vector<SignPart*> parts, Found& found);
  Result<void> ask_in_double(std::vector<SignPart*> parts, const std::vector<double>& charge) const;
  std::vector<DualTask> tasks_of(const std::vector<SignPart>& parts) const;
  // In free(); -1: a neuron that the root decides (of a search that goes on with better boxes).
  std::int32_t place_of(const SignCut& cut) const { return place_[acts_[static_cast<std::size_t>(cut.act)].first + static_cast<std::size_t>(cut.neuron)]; }
  struct Scored {
    std::int32_t neuron;  // in free()
    double here, worst;
  };
  void make_list(SignPart& part, std::vector<Scored> all) const;
  std::vector<Scored> losses(const SignPart& part, std::size_t line, const SplitSearch& s) const;

  Engine& engine_;
  const Network& network_;
  const Group& group_;
  const VerifyOptions& options_;
  StopToken stop_;
  std::vector<Activation> acts_;
  ValueBoxes root_;
  ReluTargets targets_;
  std::vector<FreeNeuron> free_;
  std::vector<std::int32_t> place_;  // in free_, by first + element; -1: decided
  std::optional<Condensed> condensed_;
  bool small_ = false;
  double reserve_ = 0;               // what proofs were charged at most: estimates have to be so much better
};

}  // namespace boundlight::bab
