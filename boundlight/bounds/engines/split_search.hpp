// SplitSearch: bounds of forms over many parts of regions that are cut by signs of neurons, with slopes and multipliers searched
// jointly (beta-CROWN; Wang et al. 2021). Boxes of the neurons are given and kept; what a search tree asks for at every step.
//
//   part p = { x in region p : sign_s z_s(x) >= 0 for its splits s },   lower(p) <= min over p of form(x)
// For beta_s >= 0 the form is at least  form - sum_s beta_s sign_s z_s  on the part, and the right side is bounded without the
// splits. Every beta >= 0 and every slope in its range gives a bound; the search only makes it better.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

// On region `region` only points with value[element] >= 0 (positive) or <= 0 are asked about.
struct SignSplit {
  std::int64_t region = 0;
  ValueId value = kAbsent;
  std::int64_t element = 0;
  bool positive = false;
};

struct SplitSearch {
  // Asked. forms: lower bounds only; per_region rows allowed. known: boxes of neurons that hold on the parts (splits put in by the
  // caller); other boxes follow by interval steps. splits: by rising region.
  const Regions* regions = nullptr;
  const Forms* forms = nullptr;
  const ValueBoxes* known = nullptr;
  // Known boxes are taken as they are, others are [-1, 1] and no interval steps are made: for what a network is where its activations
  // are made to behave as the boxes say. With BoundOptions::sound = false only; results are no bounds.
  bool boxes_as_given = false;
  // Boxes inside the regions, one per region (null: the regions): slopes and multipliers are searched for the minimum over these,
  // and `lower` holds on them alone. Planes still hold on the regions' parts.
  const Regions* aim = nullptr;
  BoundOptions options;               // alpha_steps: steps; alpha_rate; precision single or dual
  double multiplier_rate = 0.1;       // size of a step in beta, relative to the row's largest coefficient on the split value
  std::vector<SignSplit> splits;
  std::vector<double> enough;         // [batch][rows]: a bound above it needs no further steps; empty: none
  bool want_trace = false;
  bool want_points = false;
  bool want_planes = false;

  // In and out. Lines are [batch][rows]. slopes: by the output value of a node with free slopes, [lines][size]; missing: the
  // relaxation's own. multipliers: [splits][rows]; empty: 0. On return: those of the best bound.
  std::map<ValueId, std::vector<float>> slopes;
  std::vector<float> multipliers;

  // Out.
  std::vector<double> lower, charge;  // [batch][rows]; charge: rounding charges inside lower. +inf: boxes exclude each other, the part is empty
  bool complete = true;
  Counters counters;
  // By the output value of nodes that are not linear, at the last step: the row's coefficient there, and the value that the row's
  // planes give to the node's first input at the row's own minimiser. [lines][size]
  struct Trace {
    std::vector<float> coefficient, point;
  };
  std::map<ValueId, Trace> trace;
  std::vector<float> points;          // the minimisers on the inputs, [lines][input size]
  // plane . x + offset <= form on the part, of the step with the best bound: [lines][input size], [lines] (-inf: none).
  std::vector<double> planes, offset;
};

}  // namespace boundlight
