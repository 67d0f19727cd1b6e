// FamilyBounder: tier `refined` of box families. The base is bounded once and the planes of all its open neurons are kept. For a
// member, the boxes of those neurons are rank updates of the planes: with S = min over the base of a x + b,
//   min over the member = S + sum over the member's inputs i of a_i (e'_i - e_i),
// e_i and e'_i the ends of base and member that a_i picks; no matrix product. Nonlinear operators are then relaxed anew per
// member, linear ones keep the base's magnitudes and costs (every member lies in the base), and only the forms' rows go back.
// B: precision of boxes and planes, R: of the forms' rows.
#pragma once

#include "boundlight/bounds/engines/bounder.hpp"
#include "boundlight/bounds/engines/family.hpp"

namespace boundlight::BL_NS {

template <class B, class R>
class FamilyBounder {
 public:
  FamilyBounder(Device& d, const Network& network, const Model<B>& boxes, const Model<R>& rows, Model<double>* exact, const BoundOptions& options)
      : d_(d), network_(network), box_model_(boxes), row_model_(rows), exact_model_(exact), options_(options) {}

  // First: bounds the base. The forms' bounds and planes on it.
  BoundResult base(const Regions& base, const Forms& forms);
  // Then: better bounds replace those in `result`, whose lower and upper hold bounds of every member already.
  void run(const BoxFamily& family, const Forms& forms, FamilyResult& result);
  const BuildReport& report() const { return report_; }

 private:
  struct Members;
  void prepare_base(const Forms& forms);
  void search_slopes(const Forms& forms);
  Members members(const BoxFamily& family, std::size_t from, std::size_t to) const;
  BoxArrays<B> member_boxes(const Members& m, const Forms& forms) const;
  void bound_members(const BoxFamily& family, const Forms& forms, std::size_t from, std::size_t to, FamilyResult& result);
  void run_rows(const PassContext<R>& context, const std::vector<std::pair<std::int32_t, std::int32_t>>& wanted, const Forms& forms, double sign, std::size_t first,
                FamilyResult& result);

  Device& d_;
  const Network& network_;
  const Model<B>& box_model_;
  const Model<R>& row_model_;
  Model<double>* exact_model_;
  const BoundOptions& options_;
  BuildReport report_;
  Regions base_region_;
  std::unique_ptr<BoxBuilder<double>> exact_;
  std::unique_ptr<BoxBuilder<B>> base_;
  std::unique_ptr<BoxBuilder<R>> rows_;  // of the forms on the base
  std::unique_ptr<Relaxations<R>> base_relaxations_;
  std::map<int, std::vector<R>> slopes_[2];  // of the forms' rows on the base, by node: lower, upper
};

}  // namespace boundlight::BL_NS
