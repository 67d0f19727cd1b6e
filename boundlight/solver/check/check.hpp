// The independent checker: replays a certificate against the model's and the property's own bytes. It shares no code with
// the engine, the search, the model loader or the property reader; it includes core/ and the ONNX message classes only,
// and these, the compiler and the C and C++ libraries are what an accepted certificate rests on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/result.hpp"
#include "boundlight/core/stop.hpp"
#include "boundlight/solver/check/certificate.hpp"

namespace boundlight::check {

struct Verdict {
  enum class Kind { accepted, partial, rejected } kind = Kind::rejected;
  std::string place, reason;          // rejected: the first step that fails, and why
  std::vector<std::string> trusted;   // partial: what was believed

  std::string engine, model_sha256, spec_sha256;  // as the certificate says; the hashes have been compared
  Semantics semantics = Semantics::real;
  std::vector<std::string> proved;    // accepted, partial: one line per statement
  std::size_t disjuncts = 0, vacuous = 0, nodes = 0, leaves = 0;
  double least_margin = 0;            // by which the closest leaf was closed; infinite when there was none
};

// Errors: a stop was asked for, or there is too little memory. Everything that is wrong with the certificate is a verdict.
// `spec` is needed when the certificate speaks about a property file, and refused when it does not.
Result<Verdict> check_bytes(std::string_view certificate, std::string_view model, std::optional<std::string_view> spec, const StopToken& stop = {});

}  // namespace boundlight::check
