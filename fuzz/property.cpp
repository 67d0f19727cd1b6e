// The readers of properties: VNN-LIB by solver/spec and by the checker, which must agree, and the JSON form.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "boundlight/solver/check/model.hpp"
#include "boundlight/solver/check/property.hpp"
#include "boundlight/solver/spec/robustness.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;

namespace {

void compare(const Property& a, const check::Requirement& b) {
  fuzz::expect(a.disjuncts.size() == b.disjuncts.size(), "another number of disjuncts");
  for (std::size_t d = 0; d < a.disjuncts.size(); ++d) {
    const InputBox& box = a.box_of(a.disjuncts[d]);
    const check::Region& region = b.regions[b.disjuncts[d].region];
    fuzz::expect(box.lower == region.lower && box.upper == region.upper && box.empty == region.empty, "another box");
    fuzz::expect(a.disjuncts[d].constraints.size() == b.disjuncts[d].constraints.size(), "another number of constraints");
    for (std::size_t i = 0; i < a.disjuncts[d].constraints.size(); ++i) {
      const LinearConstraint& p = a.disjuncts[d].constraints[i];
      const check::Constraint& q = b.disjuncts[d].constraints[i];
      fuzz::expect(p.bound == q.bounds[0] && p.strict == q.strict && p.inputs.size() == q.inputs.size() && p.outputs.size() == q.outputs.size(), "another constraint");
    }
  }
}

void vnnlib(std::string_view text) {
  VnnlibLimits limits;
  limits.max_disjuncts = 2000;
  const auto property = parse_vnnlib(text, "f.vnnlib", limits);
  if (!property.ok()) fuzz::expect_sentence(property.error());
  if (!property.ok() && property.error().kind != ErrorKind::bad_input) return;  // a limit: the two have different ones
  try {
    const check::Requirement other = check::read_requirement(text);
    fuzz::expect(property.ok(), "only the checker reads this");
    compare(*property, other);
  } catch (const check::Refusal&) {
    fuzz::expect(!property.ok(), "only solver/spec reads this");
    return;
  }
  if (property->boxes.size() * static_cast<std::size_t>(property->inputs) > 10000) return;
  const auto again = parse_vnnlib(to_vnnlib(*property), "again.vnnlib");
  fuzz::expect(again.ok() && again->disjuncts.size() == std::max<std::size_t>(1, property->disjuncts.size()), "a property that does not come back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!text.starts_with("{")) {
    vnnlib(text);
    return 0;
  }
  const auto json = parse_robustness_json(text, "f.json");
  if (!json.ok()) {
    fuzz::expect_sentence(json.error());
    return 0;
  }
  if (json->classes > 10000) return 0;
  const auto property = robustness_property(*json, "f.json");
  if (!property.ok()) fuzz::expect_sentence(property.error());
  return 0;
}
