// ForwardPass: affine planes of every value in the coordinates of the region, carried forward (forward mode of LiRPA; Xu et al.
// 2020, section 3.2): one pass, no rows, O(coordinates) times the cost of an evaluation. Boxes of all values come with it.
//
// The coordinates are the inputs, or, for low-dimensional edits, the parameters p: then a pass costs as many evaluations as there
// are directions. Region: the coordinates' box and, for balls, the dual norm; half-spaces are not used here.
#pragma once

#include "boundlight/bounds/engines/box_builder.hpp"

namespace boundlight::BL_NS {

template <class T>
class ForwardPass {
 public:
  ForwardPass(const Model<T>& model, const Regions& regions, const BoundOptions& options, const ValueBoxes* known, BuildReport& report);

  // Boxes of everything that the values need; planes are kept for the values themselves.
  void run(const std::vector<ValueId>& values);
  const BoxArrays<T>& boxes() const { return boxes_; }

  // Bounds of forms of one of those values from its planes; better ones replace those in `result`. With `planes` (inputs as
  // coordinates only) the forms' planes too.
  void bound(const Forms& forms, bool planes, BoundResult& result);

  void start_from_box(ValueId value);  // public because it holds a device lambda (device/device.hpp)

 private:
  void start_from_inputs();
  void concretise(ValueId value);
  bool carry(int node);

  const Model<T>& model_;
  const Network& network_;
  Device& d_;
  const Regions& regions_;
  const BoundOptions& options_;
  BoundSettings settings_;
  BuildReport& report_;
  BoxArrays<T> boxes_;
  std::vector<PlaneArrays<T>> planes_;  // by value
  std::int64_t coordinates_ = 0;        // without the constant
  Buffer<double> lower_, upper_, magnitude_, centre_, scale_;
  const ValueBoxes* known_;
};

}  // namespace boundlight::BL_NS
