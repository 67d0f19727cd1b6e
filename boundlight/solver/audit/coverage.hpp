// Certified shares of an input region: how much of its volume surely satisfies a property (no disjunct holds), how much surely
// violates it (some disjunct holds), how much is undecided. For few inputs: boxes are halved, the largest first, until the time
// or the number of boxes is spent; what is reported is true whenever it stops.
//
// A box is the exact region halved along some inputs at exact rational points, so its share of the volume is 2^-halvings and
// the sums are exact. Its bounds are computed on the doubles around it: what holds there holds on the box.
//
//   safe    every disjunct has a constraint  a.x + b.y <= d  with  lower(a.x + b.y) > d  (>= where strict)
//   unsafe  some disjunct's constraints all have  upper(a.x + b.y) <= d  (< where strict)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight {

struct CoverageOptions {
  Semantics semantics = Semantics::real;
  Method method = Method::crown;
  StopToken stop;               // the time budget
  ProgressSink progress;        // done: the share decided so far, of 1
  std::int64_t most_boxes = 0;  // bounded boxes, 0: no limit
  std::int64_t batch = 256;     // boxes bounded at once
  std::string device = "cpu";
};

struct Coverage {
  Rational safe = 0, unsafe = 0;            // shares of the region's volume; 1 - safe - unsafe is undecided
  std::int64_t boxes = 0;                   // bounded
  std::int64_t safe_boxes = 0, unsafe_boxes = 0, open_boxes = 0;
  std::int64_t deepest = 0;                 // most halvings of one box
  bool complete = false;                    // nothing is undecided
  std::vector<std::int64_t> dimensions;     // inputs that vary
  std::string reason;                       // why it stopped before the end
};

// The shares of box `box` of the property, over the disjuncts that have this box. Inputs at a fixed value have no volume and are
// left out. Errors: a property that does not fit; an empty box; more than 64 varying inputs.
Result<Coverage> cover(std::shared_ptr<const Network> network, const Property& property, std::size_t box, const CoverageOptions& options);

}  // namespace boundlight
