// verify: does any input violate a property? An attack looks for one; bounds, then branch and bound, show that there is none.
//
//   sat      a concrete input, exact as doubles, inside the exact box of a disjunct, and an outward enclosure of the outputs at
//            that very point that proves every constraint of the disjunct
//   unsat    for every disjunct a tree of regions that covers its box, every leaf closed by a certified bound; the tree is the
//            certificate when one was asked for
//   unknown, timeout, memory, interrupted   neither; `reason` says why
// A verdict unsat or sat never depends on threads, seed or timing being right: these only decide how soon it comes.
//
// Method: reference alpha-beta-CROWN (Wang et al. 2021), kFSB branching (De Palma et al. 2021), input splits with clipped boxes
// (Kotha et al. 2023).
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/interval.hpp"
#include "boundlight/solver/check/certificate.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight {

enum class Answer : std::uint8_t {
  unsat,        // no input violates the property
  sat,          // VerifyResult::counterexample does
  unknown,      // every method that was allowed ended without an answer
  timeout,      // the time ran out
  memory,       // the open regions reached the memory cap
  interrupted,  // the stop flag was set (Ctrl-C)
};
std::string_view text(Answer answer);  // "unsat", ...

enum class Splits : std::uint8_t {
  automatic,  // inputs where few of them vary, else ReLUs
  inputs,
  relus,
  none,  // bounds of the whole box only
};

// The search without rounding (exact_search.hpp): decides thresholds that are touched, on small piecewise-linear networks.
enum class Exact : std::uint8_t {
  automatic,  // where the search over regions ends undecided, or is long for a small network, within limits; and single points
              // that enclosures cannot decide
  off,
  only,       // nothing else, and as long as it takes
};

struct VerifyOptions {
  Semantics semantics = Semantics::real;
  double timeout = 0;        // seconds from the call on; 0: none. A deadline of `stop` counts as well
  StopToken stop;            // its flag: interrupted; its deadline: timeout
  ProgressSink progress;     // "best bound -0.31, 128 open, 2140 domains/s", share done, 1
  std::uint64_t memory = 0;  // bytes for open regions; 0: a quarter of the machine's
  int threads = 0;           // 0: all; the verdict does not depend on it
  std::uint64_t seed = 0;
  std::string device = "cpu";

  // Stages and methods that may be used.
  bool attack = true;
  bool bounds = true;             // false: attack only
  Splits splits = Splits::automatic;
  Exact exact = Exact::automatic;  // semantics real only; its unsat has no certificate
  bool clip = true;               // input splits: cut the box by the property's own plane
  int attack_restarts = 0;        // 0: chosen by the problem's size
  int alpha_steps = 20;           // slope search of the root
  int beta_steps = 20;            // joint search of slopes and multipliers per region
  std::int64_t batch = 0;         // regions bounded at once; 0: chosen
  std::int64_t most_domains = 0;  // ends as unknown after so many; 0: no limit. For tests and comparisons: counts, not seconds

  // Resume: the open regions are written here when the search stops early, and read when the file exists. A state of another
  // model, property or semantics is an error. Removed after unsat or sat. Empty: none.
  std::filesystem::path state;
  double save_seconds = 60;       // and while it goes on, so often

  // Certificates. Every leaf is confirmed by the checker's own arithmetic before it counts as closed.
  bool certificate = false;
  bool inlined = false;           // the property is no VNN-LIB file: its statement goes into the certificate
  std::shared_ptr<const std::string> model_bytes;  // of the model file; null: read again from network->source
};

struct Counterexample {
  std::vector<double> input;       // exact; float32 numbers where the box holds one
  std::vector<Interval> output;    // outward enclosure of the exact outputs
  std::vector<double> replay;      // outputs of a float32 evaluation
  std::size_t disjunct = 0;        // the one violated
};

struct VerifyStage {
  std::string name;  // "attack", "bounds", "alpha", "input splits", "relu splits"
  double seconds = 0;
};

struct VerifyResult {
  Answer answer = Answer::unknown;
  std::string reason;                           // unknown, timeout, memory, interrupted: a sentence
  bool vacuous = false;                         // unsat because every box is empty
  std::optional<Counterexample> counterexample; // sat
  // A point that violates in floating point, or within rounding only; no proof of sat.
  std::optional<Counterexample> near_miss;

  // Least lower bound over all open regions of the best constraint, -inf where nothing was bounded; > 0 proves. Per disjunct: of its
  // whole box, +inf where closed.
  double best_bound = -std::numeric_limits<double>::infinity();
  std::vector<double> disjunct_bound;

  std::size_t disjuncts = 0, disjuncts_closed = 0;
  std::int64_t domains = 0;                     // regions bounded
  std::int64_t leaves = 0, open = 0, splits = 0, clips = 0;
  std::int64_t deepest = 0;
  Counters counters;                            // of the engine
  std::vector<VerifyStage> stages;
  double seconds = 0;
  std::string strategy;                         // what was chosen and why, in words
  std::vector<std::string> notes;

  std::optional<check::Certificate> certificate;  // unsat and asked for
  std::string certificate_reason;                 // asked for and not there: why
};

// Errors: a property that does not fit the network, several outputs, an operator without kernels, a broken state file.
Result<VerifyResult> verify(std::shared_ptr<const Network> network, const Property& property, const VerifyOptions& options);

}  // namespace boundlight
