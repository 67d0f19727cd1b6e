// Law cases of operators that move elements, choose among them, or turn them into integers.
#include "support/law_cases.hpp"

namespace boundlight::test {
namespace {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Integers = std::vector<std::int64_t>;

LawCase moved(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes = {}, std::size_t outputs = 1) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), std::move(attributes)};
  c.exact = Exact::always;
  c.linear = true;
  c.outputs = outputs;
  return c;
}
LawCase stepped(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes = {}) {
  LawCase c = moved(std::move(op), std::move(label), std::move(inputs), std::move(attributes));
  c.linear = false;
  c.continuous = false;
  c.kinks = {-1, 0, 1};
  return c;
}

}  // namespace

std::vector<LawCase> law_cases_moves() {
  constexpr std::int64_t kFloat = 1, kInt64 = 7, kDouble = 11;
  const auto mask = constants({4}, {1, 0, 0, 1}, DataType::boolean);
  return {
      moved("Concat", "two", {variable({2, 2}), variable({2, 1})}, {{"axis", std::int64_t{1}}}),
      moved("Concat", "a constant", {variable({2}), weights({3})}, {{"axis", std::int64_t{0}}}),
      moved("Split", "3 and 2", {variable({5}), integers({3, 2})}, {{"axis", std::int64_t{0}}}, 2),
      moved("Slice", "backwards", {variable({2, 4}), integers({3}), integers({0}), integers({1}), integers({-2})}),
      moved("Gather", "rows", {variable({3, 2}), constants({2}, {2, 0}, DataType::int64)}),
      moved("GatherElements", "per column", {variable({2, 2}), constants({1, 2}, {1, 0}, DataType::int64)}),
      moved("GatherND", "points", {variable({2, 2}), constants({2, 2}, {0, 1, 1, 1}, DataType::int64)}),
      moved("Reshape", "3x2 to 6", {variable({3, 2}), integers({-1})}),
      moved("Flatten", "1x2x3", {variable({1, 2, 3})}),
      moved("Transpose", "2x3x1", {variable({2, 3, 1})}, {{"perm", Integers{1, 2, 0}}}),
      moved("Squeeze", "axis 0", {variable({1, 4}), integers({0})}),
      moved("Unsqueeze", "axis 1", {variable({4}), integers({1})}),
      moved("Expand", "to 3x2", {variable({2}), integers({3, 2})}),
      moved("Tile", "twice", {variable({1, 3}), integers({2, 1})}),
      moved("DepthToSpace", "2", {variable({1, 4, 1, 2})}, {{"blocksize", std::int64_t{2}}}),
      moved("SpaceToDepth", "2", {variable({1, 1, 2, 4})}, {{"blocksize", std::int64_t{2}}}),
      moved("Pad", "constant", {variable({2, 2}), integers({0, 1, 1, 0}), constants({}, {0.5})}),
      moved("Pad", "reflect", {variable({4}), integers({2, 1})}, {{"mode", std::string("reflect")}}),
      moved("Trilu", "lower", {variable({3, 3})}, {{"upper", std::int64_t{0}}}),
      moved("Where", "constant condition", {mask, variable({4}), variable({4})}),
      moved("Where", "a constant choice", {mask, variable({4}), weights({4})}),
      moved("Cast", "to float", {variable({4})}, {{"to", kFloat}}),
      moved("Cast", "to double", {variable({4})}, {{"to", kDouble}}),
      moved("CastLike", "a float", {variable({4}), constants({1}, {0})}),
      stepped("Where", "variable condition", {truths({4}), variable({4}), variable({4})}),
      stepped("Cast", "to integers", {variable({4})}, {{"to", kInt64}}),
      stepped("ArgMax", "last axis", {variable({2, 3})}, {{"axis", std::int64_t{1}}}),
      stepped("ArgMin", "last axis", {variable({2, 3})}, {{"axis", std::int64_t{1}}}),
  };
}

}  // namespace boundlight::test
