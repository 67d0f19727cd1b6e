// Box families (engines/family.hpp): tier `shared` on the host from the base's planes, `refined` by FamilyBounder, `full` by
// batches of members as regions of their own.
#include <algorithm>
#include <cmath>
#include <new>

#include "boundlight/bounds/engines/engine_impl.hpp"
#include "boundlight/bounds/engines/family_bounder.hpp"

namespace boundlight::BL_NS {
namespace {

constexpr std::int64_t kMembersPerCall = 64;

void check_family(const Network& network, const BoxFamily& family, const Forms& forms) {
  const auto n = static_cast<std::size_t>(network.input_size());
  demand(family.base.batch == 1 && family.base.lower.size() == n && family.base.upper.size() == n,
         "BoxFamily: the base must be one region of " + std::to_string(n) + " inputs");
  demand(!forms.per_region, "BoxFamily: forms are the same for every member");
  for (const FamilyMember& m : family.members) {
    demand(m.lower.size() == m.inputs.size() && m.upper.size() == m.inputs.size(), "BoxFamily: a member needs a range per input");
    for (std::size_t i = 0; i < m.inputs.size(); ++i) {
      const auto at = static_cast<std::size_t>(m.inputs[i]);
      demand(at < n && family.base.lower[at] <= m.lower[i] && m.upper[i] <= family.base.upper[at],
             "BoxFamily: the range of input " + std::to_string(m.inputs[i]) + " is not contained in the base's");
    }
  }
}

// min over each member of plane . x + offset (sign +1), or max (sign -1), from the base's sum by replacing the member's
// terms: with S = sum_i a_i e_i (e_i the end of the base that attains it) the member's sum is S + sum_{i in m} a_i (e'_i - e_i).
// Every product and sum is computed in double; the error is charged by the magnitude of all terms involved.
void shared_tier(const BoxFamily& family, const double* plane, double offset, double sign, double* out, std::size_t stride) {
  const auto& lo = family.base.lower;
  const auto& hi = family.base.upper;
  const std::size_t n = lo.size();
  double sum = 0, magnitude = std::fabs(offset);
  for (std::size_t i = 0; i < n; ++i) {
    sum += plane[i] * (sign * plane[i] >= 0 ? lo[i] : hi[i]);
    magnitude += std::fabs(plane[i]) * std::max(std::fabs(lo[i]), std::fabs(hi[i]));
  }
  for (std::size_t m = 0; m < family.members.size(); ++m) {
    const FamilyMember& member = family.members[m];
    double total = sum, size = magnitude;
    for (std::size_t k = 0; k < member.inputs.size(); ++k) {
      const auto i = static_cast<std::size_t>(member.inputs[k]);
      const bool low = sign * plane[i] >= 0;
      total += plane[i] * (low ? member.lower[k] : member.upper[k]) - plane[i] * (low ? lo[i] : hi[i]);
      size += 2 * std::fabs(plane[i]) * std::max(std::fabs(lo[i]), std::fabs(hi[i]));
    }
    const auto terms = static_cast<std::int64_t>(n + 2 * member.inputs.size() + 2);
    const double error = size * gamma_up<double>(terms + 4) * 1.0000001 + 1e-290;
    const double bound = total + offset;
    double& to = out[m * stride];
    if (sign > 0) {
      const double b = next_down(bound - error);
      if (b > to) to = b;
    } else {
      const double b = next_up(bound + error);
      if (b < to) to = b;
    }
  }
}

// Everything starts from the base's bounds, and shared planes where there are some.
FamilyResult start_from_base(const BoxFamily& family, const Forms& forms, const BoundResult& base) {
  FamilyResult result;
  const std::size_t members = family.members.size(), rows = static_cast<std::size_t>(forms.rows), n = family.base.lower.size();
  result.members = static_cast<std::int64_t>(members);
  result.rows = forms.rows;
  result.base_lower = base.lower;
  result.base_upper = base.upper;
  result.base_charge = base.charge;
  result.complete = base.complete;
  result.notes = base.notes;
  result.counters = base.counters;
  for (std::size_t m = 0; m < members; ++m) {
    result.lower.insert(result.lower.end(), base.lower.begin(), base.lower.end());
    result.upper.insert(result.upper.end(), base.upper.begin(), base.upper.end());
    result.charge.insert(result.charge.end(), base.charge.begin(), base.charge.end());
  }
  for (std::size_t r = 0; r < rows; ++r) {
    if (!base.lower_plane.empty()) shared_tier(family, &base.lower_plane[r * n], base.lower_offset[r], 1, &result.lower[r], rows);
    if (!base.upper_plane.empty()) shared_tier(family, &base.upper_plane[r * n], base.upper_offset[r], -1, &result.upper[r], rows);
  }
  return result;
}

template <class B, class R>
FamilyResult refine(Device& d, const Network& network, const Model<B>& boxes, const Model<R>& rows, Model<double>* exact, const BoxFamily& family, const Forms& forms,
                    const BoundOptions& options) {
  FamilyBounder<B, R> bounder(d, network, boxes, rows, exact, options);
  FamilyResult result = start_from_base(family, forms, bounder.base(family.base, forms));
  bounder.run(family, forms, result);
  result.complete = result.complete && bounder.report().complete;
  result.counters = bounder.report().counters;
  return result;
}

}  // namespace

Result<FamilyResult> EngineImpl::family(const BoxFamily& family, const Forms& forms, Tier tier, const BoundOptions& options) {
  check_family(*network_, family, forms);
  check_forms(*network_, forms, 1);
  const bool empty = clean(*network_, family.base).empty[0];
  try {
    // Planes of neurons come with the methods that take rows back; the others have their base bounded as they are.
    const bool own_base = !empty && tier != Tier::shared && (options.method == Method::crown || options.method == Method::alpha);
    FamilyResult result;
    if (own_base) {
      BL_TRY(models, models_for(options));
      if (options.precision == Precision::single) result = refine(device_, *network_, *models.single, *models.single, nullptr, family, forms, options);
      else if (models.single) result = refine(device_, *network_, *models.single, *models.dual, models.dual, family, forms, options);
      else result = refine(device_, *network_, *models.dual, *models.dual, nullptr, family, forms, options);
    } else {
      BoundOptions with_planes = options;
      with_planes.planes = options.method != Method::interval;
      BL_TRY(base, bound(family.base, forms, with_planes, nullptr));
      result = start_from_base(family, forms, base);
    }
    if (empty) return result;
    if (tier == Tier::full || (tier == Tier::refined && !own_base)) BL_CHECK(recompute(family, forms, options, result));
    return result;
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::out_of_memory, network_->source, "there is not enough memory for this family at once; ask about fewer members, or lower --memory"};
  }
}

// Every member as a region of its own.
Result<void> EngineImpl::recompute(const BoxFamily& family, const Forms& forms, const BoundOptions& options, FamilyResult& result) {
  const std::size_t members = family.members.size(), rows = static_cast<std::size_t>(forms.rows);
  for (std::size_t from = 0; from < members; from += kMembersPerCall) {
    if (options.stop.stop_requested()) {
      result.complete = false;
      break;
    }
    BL_TRY(part, bound(member_regions(family, from, std::min(members, from + kMembersPerCall)), forms, options, nullptr));
    for (std::size_t i = 0; i < part.lower.size(); ++i) result.lower[from * rows + i] = std::max(result.lower[from * rows + i], part.lower[i]);
    for (std::size_t i = 0; i < part.upper.size(); ++i) result.upper[from * rows + i] = std::min(result.upper[from * rows + i], part.upper[i]);
    for (std::size_t i = 0; i < part.charge.size(); ++i) result.charge[from * rows + i] = std::max(result.charge[from * rows + i], part.charge[i]);
    result.counters.rows += part.counters.rows;
    result.counters.retired += part.counters.retired;
    result.counters.multiply_adds += part.counters.multiply_adds;
    result.complete = result.complete && part.complete;
  }
  return {};
}

}  // namespace boundlight::BL_NS
