// The part of verify that is without rounding.
#include <algorithm>

#include "boundlight/solver/bab/verifier.hpp"

namespace boundlight::bab::verifying {
namespace {

constexpr std::size_t kExactEarly = 20'000;  // cost of a network that the exact search may take before it must

}  // namespace

// What is left open, by the exact search; closed, or witnessed, where it says so.
Result<ExactAnswer> Verifier::ask_exactly(const ExactNetwork& network, const ExactLimits& limits, const StopToken& stop) {
  std::vector<std::size_t> asked;
  for (std::size_t g = 0; g < open_.size(); ++g)
    for (std::size_t t = 0; t < open_[g].size(); ++t)
      if (open_[g][t]) asked.push_back(problem_.groups[g].targets[t].disjunct);
  ExactAnswer answer = decide_exactly(network, property_, asked, limits, stop);
  if (answer.input) {
    BL_TRY(found, exact_counterexample(*engine_, network, *answer.input, *answer.disjunct));
    result_.counterexample = std::move(found);
  }
  if (answer.input || (answer.complete && !answer.disjunct)) {
    how_.insert("exact search");
    result_.notes.push_back("exact search: " + std::to_string(answer.pieces) + " linear pieces, " + std::to_string(answer.programs) + " linear programs");
  }
  return answer;
}

// Small networks need not wait until regions can be split no further: once there are many, the exact search may be sooner. True: decided.
Result<bool> Verifier::exact_interlude() {
  if (!exact_ || options_.certificate || result_.domains < next_exact_) return false;
  next_exact_ = 8 * result_.domains;
  const ExactNetwork* network = exact_->get();
  if (!network) return false;
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - searching_).count();
  BL_TRY(answer, ask_exactly(*network, {12, kExactEarly, 5000}, watch_.stop.with_deadline(std::max(0.2, spent / 2))));
  exactly_closed_ = answer.complete && !answer.disjunct;
  return exactly_closed_ || answer.input.has_value();
}

Result<End> Verifier::decide_without_rounding(End end) {
  const bool only = options_.exact == Exact::only;
  const ExactNetwork* network = exact_ ? exact_->get() : nullptr;
  if (!network) {
    if (only) result_.reason = options_.semantics != Semantics::real ? "the exact search is about real arithmetic only" : "the exact search needs a piecewise-linear network whose coefficients are doubles, in a file that the checker reads";
    return end;
  }
  ExactLimits limits;
  if (only) limits = {64, std::size_t{1} << 28, 0};
  BL_TRY(answer, ask_exactly(*network, limits, watch_.stop));
  stage("exact search");
  if (answer.input) return End::sat;
  if (answer.disjunct) {
    result_.reason = answer.reason;
    return end;
  }
  if (!answer.complete) {
    if (watch_.stop.stop_requested()) return End::stopped;
    if (only) result_.reason = answer.reason;
    return end;
  }
  if (options_.certificate) result_.certificate_reason = "decided without rounding by the exact search, for which there is no certificate";
  replayer_ = nullptr;
  close_all();
  return End::closed;
}

}  // namespace boundlight::bab::verifying
