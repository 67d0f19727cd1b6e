// One configuration of one operator, for the laws that every operator obeys (support/laws.hpp). Each operator of the list has at
// least one in tests/bounds/law_cases_*.cpp; a test fails for those that have none.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "boundlight/models/graph.hpp"

namespace boundlight::test {

struct LawInput {
  Shape shape;
  double low = -3, high = 3;   // boxes lie in here; constants are drawn from here, as multiples of 1/16
  bool constant = false;
  std::vector<double> values;  // a constant's values, instead of drawn ones
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
inline LawInput left_out() { return {{}, 0, 0, false, {}, DataType::float32, true}; }

struct LawCase {
  std::string op;
  std::string label;  // what distinguishes this case of the operator: "shape=3x5 alpha=0.5"
  std::vector<LawInput> inputs;
  std::map<std::string, Attribute, std::less<>> attributes = {};
  std::vector<double> kinks = {};  // where boxes are anchored: kinks, jumps, inflection points of the inputs' elements
  std::size_t outputs = 1;
  std::int64_t version = 18;
  // On multiples of 1/64 a forward pass in double is exact (linear operators with weights of few bits; moves).
  bool exact_on_grid = false;
  // Random points are (almost surely) smooth: finite differences apply.
  bool smooth = true;
  // A point box may be wide only by rounding; false for operators whose value jumps.
  bool continuous = true;
};

std::vector<LawCase> law_cases_unary();

inline std::vector<LawCase> law_cases() {
  std::vector<LawCase> all;
  for (const auto& group : {law_cases_unary()}) all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace boundlight::test
