// One configuration of one operator, for the laws that every operator obeys (support/laws.hpp). Each operator that has kernels
// has at least one in tests/bounds/law_cases_*.cpp; a test fails for those that have none.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "boundlight/models/graph.hpp"
#include "support/big.hpp"

namespace boundlight::test {

struct LawInput {
  Shape shape;
  double low = -3, high = 3;   // boxes lie in here; constants are drawn from here, as multiples of 1/16
  bool constant = false;
  std::vector<double> values = {};  // a constant's values, instead of drawn ones
  DataType type = DataType::float32;
  bool absent = false;         // an optional input left out
};

inline LawInput variable(Shape shape, double low = -3, double high = 3) { return {std::move(shape), low, high, false, {}, DataType::float32, false}; }
inline LawInput truths(Shape shape) { return {std::move(shape), 0, 1, false, {}, DataType::boolean, false}; }
inline LawInput weights(Shape shape, double low = -2, double high = 2) { return {std::move(shape), low, high, true, {}, DataType::float32, false}; }
inline LawInput constants(Shape shape, std::vector<double> values, DataType type = DataType::float32) {
  return {std::move(shape), 0, 0, true, std::move(values), type, false};
}
inline LawInput integers(std::vector<double> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return constants({n}, std::move(values), DataType::int64);
}
inline std::string numbered(const char* prefix, std::size_t k) {
  std::string name = prefix;
  name += std::to_string(k);
  return name;
}
inline LawInput left_out() { return {{}, 0, 0, false, {}, DataType::float32, true}; }

// The operator's formula in 300 bits: all inputs (constants too; empty where absent) to all outputs, one behind the other.
using BigInputs = std::vector<std::vector<Big>>;
using LawOracle = std::function<std::vector<Big>(const BigInputs&)>;

// Where the operator's own slow evaluation (OpInfo::evaluate, in binary32) is exact, for cases without an oracle.
enum class Exact {
  nowhere,  // compared with a forward pass in double, up to its rounding
  on_grid,  // at multiples of 1/64: linear operators with weights of few bits
  always,   // elements are moved, compared or chosen
};

struct LawCase {
  std::string op;
  std::string label;  // what distinguishes this case of the operator
  std::vector<LawInput> inputs;
  std::map<std::string, Attribute, std::less<>> attributes = {};
  std::vector<double> kinks = {};  // where boxes are anchored: kinks, jumps, inflection points of the inputs' elements
  LawOracle oracle = {};
  Exact exact = Exact::nowhere;
  bool linear = false;      // in its variable inputs together
  bool tighter = false;     // planes are strictly tighter than the interval for some box
  bool continuous = true;   // false: the value jumps, so a point's bounds may be wide
  std::size_t outputs = 1;
  std::int64_t version = 20;
  bool added = false;       // the node reads constants only: its value is added to one more variable input
};

std::vector<LawCase> law_cases_elementwise();
std::vector<LawCase> law_cases_pairs();
std::vector<LawCase> law_cases_lists();
std::vector<LawCase> law_cases_linear();
std::vector<LawCase> law_cases_moves();

inline std::vector<LawCase> law_cases() {
  std::vector<LawCase> all;
  for (const auto& group : {law_cases_elementwise(), law_cases_pairs(), law_cases_lists(), law_cases_linear(), law_cases_moves()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace boundlight::test
