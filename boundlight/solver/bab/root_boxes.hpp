// Boxes of the neurons over a whole region with slopes searched for every neuron (alpha-CROWN for intermediate bounds; Xu et al.
// 2021), and the choices that let the checker find the same boxes.
#pragma once

#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/solver/bab/problem.hpp"
#include "boundlight/solver/check/certificate.hpp"

namespace boundlight::bab {

// An activation whose slopes may be chosen.
struct Activation {
  ValueId in = kAbsent, out = kAbsent;
  std::int64_t size = 0;
  std::size_t first = 0;              // of its slopes among all
  std::uint32_t in_name = 0, out_name = 0;  // in the certificate
};

// Narrows `boxes` (of the group's box; batch 1) at the inputs of the activations, in order, where the rows are few enough for
// slopes of their own. section (optional): a backward step per activation, in the mode `steps`; the checker's boxes are about those
// found, since its slopes have eight bits.
Result<void> refine_root(Engine& engine, const Group& group, const std::vector<Activation>& activations, const BoundOptions& options, ValueBoxes& boxes,
                         check::Bounds* section);

}  // namespace boundlight::bab
