// The laws that every operator obeys, on the public Engine interface, so on every back end: a graph of one node is built from a
// LawCase, bounded over boxes of many kinds, and compared with its formula in 300 bits (or with its own slow evaluation where
// that is exact). Findings are returned, not asserted: tests also run the laws on engines with planted errors, which must be found.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "support/law_cases.hpp"

namespace boundlight::test {

struct LawFindings {
  int checks = 0, differences = 0, weights = 0;  // comparisons; of these gradients in inputs and in weights
  bool planes = false, tighter = false;          // planes were returned; were strictly narrower than the interval somewhere
  std::vector<std::string> violations;           // "law=rows box=straddle ...: what", reproducible with the case's name
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
  std::uint64_t seed = 17;
  EngineMaker make;
  bool deployed = false;   // OpInfo names covered binary32 evaluations
  bool weights = false;    // OpInfo has gradients of constants
  bool brief = false;      // fewer boxes and laws (slow back ends)
};

// The case as a graph of one node, floating values of type `floats`; inputs are called x0, x1 ... `nudge`: one element of constant
// input k moved by `by` (finite differences in weights).
struct Nudge {
  std::size_t input = 0, element = 0;
  double by = 0;
};
Graph law_graph(const LawCase& c, std::uint64_t seed, DataType floats, Nudge nudge = {});

LawFindings check_laws(const LawRun& run);

// "op=Relu shape=3x5 seed=17 device=cpu".
std::string law_name(const LawCase& c, std::uint64_t seed, const std::string& device);

}  // namespace boundlight::test
