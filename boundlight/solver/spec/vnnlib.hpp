// VNN-LIB 1.0 files -> Property.
//
//   file    := { (declare-const NAME Real) | (declare-fun NAME () Real) | (assert F) }      NAME: X_i or Y_j
//   F       := (and F ...) | (or F ...) | (not F) | (<= E E ...) | (>= ...) | (< ...) | (> ...) | (= ...)
//   E       := NUMBER | NAME | (+ E ...) | (- E ...) | (* E ...) | (/ E E ...)              linear: at most one factor
//                                                                                          of a product holds names
// Numbers are exact rationals ("1e-3" is 1/1000); ";" starts a comment; comparisons chain as in SMT-LIB.
// Everything else is an error with file, line and column.
//
// Disjunctive normal form in a fixed order, on which certificates rely (docs/certificates.md): the atoms of a disjunct
// stand in file order, products of disjunctions run with the leftmost slowest, nothing is dropped or merged; "=" is "<="
// followed by ">="; "not" is pushed inward. An atom over a single input and nothing else is a side of the box; every
// other one is a constraint. Every input needs both sides in every disjunct.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "boundlight/core/result.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight {

// Against hostile and hopeless files. Beyond a limit: an error that names it.
struct VnnlibLimits {
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
  int max_depth = 200;                       // nesting of parentheses
  std::int64_t max_disjuncts = 100'000;      // of the normal form
  std::int64_t max_literals = 20'000'000;    // atoms over all disjuncts, shared ones counted once; sides of boxes
  std::int64_t max_variables = 20'000'000;
  int max_digits = 2'000;                    // of one number, and of its decimal exponent
};

Result<Property> read_vnnlib(const std::filesystem::path& path, const VnnlibLimits& limits = {});

// The same from memory; `source` is used in messages.
Result<Property> parse_vnnlib(std::string_view text, const std::string& source, const VnnlibLimits& limits = {});

}  // namespace boundlight
