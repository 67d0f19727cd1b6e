// Contracts: what a caller must hold. A violation is a bug of the caller, so it throws, with the values in the message,
// in every build type; a server or a Python session survives it.
#pragma once

#include <stdexcept>
#include <string>

namespace boundlight {

class ContractViolation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Overloads keep the message from being built on the fast path when it is a literal.
inline void demand(bool holds, const char* message) {
  if (!holds) throw ContractViolation(message);
}
inline void demand(bool holds, const std::string& message) {
  if (!holds) throw ContractViolation(message);
}

}  // namespace boundlight
