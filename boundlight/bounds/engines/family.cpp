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

Regions member_regions(const BoxFamily& family, std::size_t from, std::size_t to) {
  Regions r = family.base;
  r.batch = static_cast<std::int64_t>(to - from);
  const auto repeat = [&](std::vector<double>& v) {
    const std::vector<double> one = v;
    v.clear();
    for (std::size_t i = from; i < to; ++i) v.insert(v.end(), one.begin(), one.end());
  };
  for (auto* v : {&r.lower, &r.upper, &r.centre, &r.scale, &r.anchor, &r.direction, &r.p_lower, &r.p_upper}) repeat(*v);
  const std::size_t n = family.base.lower.size();
  for (std::size_t i = from; i < to; ++i) {
    const FamilyMember& m = family.members[i];
    for (std::size_t k = 0; k < m.inputs.size(); ++k) {
      const std::size_t at = (i - from) * n + static_cast<std::size_t>(m.inputs[k]);
      r.lower[at] = m.lower[k];
      r.upper[at] = m.upper[k];
    }
  }
  r.half_spaces.clear();
  for (std::size_t i = from; i < to; ++i)
    for (Regions::HalfSpace h : family.base.half_spaces) {
      h.box = static_cast<std::int64_t>(i - from);
      r.half_spaces.push_back(std::move(h));
    }
  return r;
}

}  // namespace boundlight
