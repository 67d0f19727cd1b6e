#include "boundlight/solver/audit/radius.hpp"

#include <algorithm>

namespace boundlight {

Result<Radius> certified_radius(const std::function<Result<VerifyResult>(double)>& ask, const RadiusOptions& o) {
  demand(o.start > 0 && o.largest >= o.start && o.smallest > 0 && o.relative > 0, "certified_radius: start, largest, smallest and relative must be positive");
  Radius found;
  double open = std::numeric_limits<double>::infinity();  // the least radius that was not decided
  double next = o.start;
  while (!o.stop.stop_requested()) {
    BL_TRY(r, ask(next));
    ++found.queries;
    if (r.answer == Answer::unsat) {
      found.certified = next;
    } else if (r.answer == Answer::sat) {
      found.falsified = next;
      found.counterexample = std::move(r.counterexample);
    } else {
      open = std::min(open, next);
    }
    const double high = std::min(found.falsified, open);
    const bool closed = found.certified > 0 && high <= found.certified * (1 + o.relative);
    const bool nothing = found.certified == 0 && high <= o.smallest;
    if (closed || nothing || (found.certified >= o.largest && high > o.largest)) {
      found.complete = high == found.falsified || found.certified >= o.largest;
      return found;
    }
    if (found.certified == 0) next = high / 2;
    else if (high > 2 * found.certified) next = std::min(2 * found.certified, o.largest);
    else next = found.certified + (high - found.certified) / 2;
  }
  return found;
}

}  // namespace boundlight
