// The parts of a search over the signs of ReLUs.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "boundlight/solver/bab/archive.hpp"

namespace boundlight::bab {

struct SignCut {
  std::int32_t act = 0, neuron = 0;
  bool positive = false;
};

struct SignPart {
  std::uint32_t target = 0;
  std::int32_t node = 0;
  std::vector<SignCut> path;
  std::vector<float> beta;                           // by cut
  std::shared_ptr<const std::vector<std::uint8_t>> slopes;  // of the neurons undecided at the root, in 1 / 255
  double bound = -std::numeric_limits<double>::infinity();  // of the target's form, proved
  std::vector<SignCut> list;                         // neurons to try, best first
  bool last_chance = false;                          // nothing left to split: searched with more steps
  bool again = false;                                // its search was stopped: to be bounded before it is split
  // Made anew when needed, not kept in state files. boxes: of the neurons undecided at the root, lower ends, then upper ends.
  std::shared_ptr<const std::vector<float>> boxes;
  // Of the bounds just made, not kept in state files.
  double estimate = -std::numeric_limits<double>::infinity();
  std::vector<float> exact_slopes;                   // unrounded `slopes`; empty: those
};

template <class A>
void fields(A& a, SignCut& c) {
  all(a, c.act, c.neuron, c.positive);
}
template <class A>
void fields(A& a, SignPart& p) {
  all(a, p.target, p.node, p.path, p.beta, p.slopes, p.bound, p.list, p.last_chance, p.again);
}

}  // namespace boundlight::bab
