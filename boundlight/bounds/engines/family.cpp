#include "boundlight/bounds/engines/family.hpp"

#include "boundlight/core/contract.hpp"

namespace boundlight {

BoxFamily frozen_family(Regions base, const std::vector<double>& point, const std::vector<std::vector<std::int64_t>>& cells) {
  demand(base.batch == 1 && point.size() == base.lower.size(), "frozen_family: one base region and a point of the same size are needed");
  BoxFamily family;
  for (const auto& cell : cells) {
    FamilyMember member;
    for (const std::int64_t i : cell) {
      const auto at = static_cast<std::size_t>(i);
      demand(i >= 0 && at < point.size() && base.lower[at] <= point[at] && point[at] <= base.upper[at],
             "frozen_family: input " + std::to_string(i) + " of the point lies outside of the base region");
      member.inputs.push_back(i);
      member.lower.push_back(point[at]);
      member.upper.push_back(point[at]);
    }
    family.members.push_back(std::move(member));
  }
  family.base = std::move(base);
  return family;
}

}  // namespace boundlight
