// EVA: explaining by verified perturbation analysis (Fel et al., CVPR 2023), with certified intervals around the truth.
//
// Around an input x lies a region B that is closed under resetting any cell u to x; B_u is B with u held at x.
//   true overlap      AO(R)  = max over z in R, rivals k of f_k(z) - f_c(z)
//   verified overlap  AOv(R) >= AO(R), from the engine; AOv(B) < 0 proves that nothing in B changes the decision
//   attained overlap  a(R)   <= AO(R): the overlap at a concrete point of R, evaluated soundly
//   true drop         D(u)   = AO(B) - AO(B_u) >= 0: how much of the danger needs u to move
//   EVA score         AOv(B) - AOv(B_u)                                              (the paper's, section 3)
//   certified         max(0, a(B) - AOv(B_u)) <= D(u) <= min(AOv(B) - a(B_u), L(u))
//                     L(u) bounds what u alone can change (eva_difference.cpp): loose, but it stays small where AOv is vacuous
// Cell u is provably more important than v when AOv(B_u) < a(B_v): AO(B) cancels; or when their intervals lie apart.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/stop.hpp"

namespace boundlight {

enum class EvaTier : std::uint8_t {
  shared,   // one set of planes on B, read off for every cell
  refined,  // intermediate boxes and final rows per cell, by rank updates of B's planes
  full,     // everything recomputed per cell
  alpha,    // refined, with lower slopes optimised on B
};
enum class Overlap : std::uint8_t {
  margin,    // bound f_k - f_c itself
  separate,  // the paper's max up_k - lo_c
};
// What is drawn for a cell; all three lie inside its certified interval.
//   attained  a(B) - a(B_u), clipped into the interval: closest to the true drop wherever that could be checked
//   verified  the paper's score AOv(B) - AOv(B_u)
//   midpoint  of the interval
//   automatic attained, unless the slack AOv(B) - a(B) is larger than the margin |overlap(x)| by which x itself is decided: then
//             verified. On so large a region the worst points lie far from x, where every rival has won, and the drop of one
//             cell there says little about the decision at x (docs/explain.md, planted evidence). A fixed rule: nothing to tune.
//             Hybrid maps, whose parts rest on samples, draw verified.
enum class Estimate : std::uint8_t { automatic, attained, verified, midpoint };

// What is asked about one input: the region and the partition of its elements. All arrays have the network's input size.
struct EvaQuestion {
  std::vector<double> x;
  std::vector<double> lower, upper;              // encloses B (rounded outward)
  std::vector<double> inner_lower, inner_upper;  // inside B (rounded inward), containing x
  std::vector<std::int32_t> cell;                // of every element, 0 .. cells-1
  std::int64_t cells = 0;
  std::int64_t label = -1;   // class c; -1: the predicted one
  std::int64_t target = -1;  // only this rival; -1: all
};

struct EvaOptions {
  EvaTier tier = EvaTier::refined;
  Overlap overlap = Overlap::margin;
  Estimate estimate = Estimate::automatic;
  BoundOptions bounds;      // method, precision, semantics, slopes, memory, stop
  double tau = 0;           // cells and pairs within tau count as equal; 0: 1 % of the largest upper end
  int starts = 36, steps = 40, cell_steps = 12;  // attack behind a(.)
  std::uint64_t seed = 1;
  // Further tightening by splits of B that serve every cell (eva_split.cpp): until `budget` seconds after the call began, or
  // until `most_parts` parts were bounded; 0 and 0: none.
  double budget = 0;
  std::int64_t most_parts = 0;
  // L(u) for every cell, by intervals and by rows back. Without this: by intervals, where the other bounds order no pair of cells.
  bool differences = false;
  // For networks too large to bound from the input: boxes of the value `hybrid` from `samples` points of each region, bounds
  // from there on (the paper's section 3.4). The result is not verified, and marked so.
  ValueId hybrid = kAbsent;
  std::int64_t samples = 256;
  bool evidence = false;     // keep what a certificate is made of
};

// What a certificate of the map is made of (eva_certificate.hpp).
struct EvaEvidence {
  struct Layer {  // an activation that a sign makes linear: its input and output values
    ValueId before = kAbsent, after = kAbsent;
    std::size_t size = 0, first = 0;  // neurons, and the place of the first among all layers'
  };
  struct Cut {
    std::int32_t layer = 0, element = 0;
    bool active = false;  // z >= 0
  };
  struct Part {
    std::int64_t rival = 0;
    std::vector<Cut> cuts;
    std::vector<float> beta;
    std::shared_ptr<const std::vector<std::uint8_t>> slopes;  // of all layers, in 255ths
  };
  std::vector<double> points;  // [1 + cells][inputs]: of B and of every B_u, where a(.) is attained
  std::vector<Layer> layers;
  std::vector<Part> parts;     // all that were bounded, those that were cut again included; none: B was not cut
};

// How much was proven when.
struct EvaMoment {
  double seconds = 0;
  std::int64_t ordered = 0, equal = 0, undecided = 0;
  double verified_base = 0;
};

struct EvaMap {
  std::int64_t label = 0, cells = 0;
  std::vector<double> logits;            // at x
  double overlap = 0;                    // at x: below 0 when class c is the predicted one
  double verified_base = 0, attained_base = 0;       // AOv(B), a(B)
  std::vector<double> verified, attained;            // AOv(B_u), a(B_u)
  std::vector<double> estimate, lower, upper, score; // per cell; score = AOv(B) - AOv(B_u)
  std::vector<double> difference;        // L(u); empty: was not needed
  Estimate drawn = Estimate::attained;   // what `estimate` holds: never automatic
  double tau = 0;
  // Pairs u < v: order proven, proven equal within tau, undecided; and cells proven irrelevant (upper end <= tau).
  std::int64_t ordered = 0, equal = 0, undecided = 0, irrelevant = 0;
  bool vacuous = false;                  // the certificate says nothing: every pair undecided
  bool complete = true;                  // false: interrupted; everything is sound but could be tighter
  bool certified = true;                 // false: `verified`, `score` and the intervals rest on samples (hybrid)
  double charge_base = 0;                // rounding charges inside verified_base and verified
  std::vector<double> charge;
  std::vector<EvaMoment> moments;        // of the budget: at 1, 10, 60 ... seconds and at its end
  std::int64_t parts = 0;                // of B, bounded under the budget
  std::vector<double> worst_point;       // of B, where a(B) is attained
  std::int64_t evaluations = 0;
  std::vector<std::pair<std::string, double>> seconds;  // per stage
  std::vector<std::string> notes;
  Counters counters;
  std::shared_ptr<EvaEvidence> evidence;  // when asked for
};

// Errors: a class out of range, a model with one output, cells that cover nothing, a region that does not contain x.
Result<EvaMap> eva(Engine& engine, const EvaQuestion& question, const EvaOptions& options);

// Fills estimate, lower, upper, score, pair counts and flags from the overlaps. Used by eva() and when overlaps improve.
void summarise(EvaMap& map, Estimate estimate, double tau);

}  // namespace boundlight
