// The laws that every operator obeys, on the public Engine interface, so on every back end: a graph of one node is built from a
// LawCase, bounded over boxes of many kinds, and compared with its own concrete values. Findings are returned, not asserted:
// tests also run the laws on engines with planted errors, which must be found.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "support/law_cases.hpp"

namespace boundlight::test {

struct LawFindings {
  int checks = 0;
  bool planes = false, tighter = false;      // planes were returned; were strictly narrower than the interval somewhere
  std::vector<std::string> violations;       // "law=containment box=straddle ...: what", reproducible with the case's name
  [[nodiscard]] bool found(const std::string& law) const {
    for (const auto& v : violations)
      if (v.starts_with("law=" + law + " ")) return true;
    return false;
  }
};

// Between the laws and an engine: lets a test spoil what the engine answers.
using EngineMaker = std::function<Result<std::unique_ptr<Engine>>(std::shared_ptr<const Network>)>;

struct LawRun {
  const LawCase& c;
  std::uint64_t seed;
  EngineMaker make;
  bool linear = false;    // OpInfo says "exact"
  bool gradient = false;  // OpInfo has one
  bool deployed = false;  // OpInfo names covered binary32 evaluations
  bool brief = false;     // fewer boxes (slow back ends)
};

// The case as a graph of one node; the error is the operator's refusal.
Result<std::shared_ptr<const Network>> law_network(const LawCase& c, std::uint64_t seed);

LawFindings check_laws(const LawRun& run);

// "op=Relu shape=3x5 seed=17 device=cpu".
std::string law_name(const LawCase& c, std::uint64_t seed, const std::string& device);

}  // namespace boundlight::test
