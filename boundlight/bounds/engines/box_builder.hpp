// BoxBuilder: boxes of every value that a value needs, in topological order, by interval steps and (crown) by rows for those
// elements whose relaxation a tighter box could improve.
//
// No rows for values whose interval is exact already: with independent inputs (a box and nothing else), every element of a
// value that meets each input at most once, through operators of one term, ranges independently; one more linear operator
// gives exact intervals.
#pragma once

#include "boundlight/bounds/engines/row_runner.hpp"

namespace boundlight::BL_NS {

struct BuildReport {
  Counters counters;
  bool complete = true;
  std::vector<int> concretised;  // nodes without planes that rows met
};

// How tight interval steps are at every value: 2 independent elements, 1 exact, 0 neither.
template <class T>
std::vector<int> interval_exactness(const Model<T>& model, bool independent_inputs);

// Planes of elements of a value in the inputs, kept for box families: row r says
//   sign[r] value[element[r]] >= plane[r] . x + offset    on the base region,
// sum: the minimum over the base's box of the right side, computed in double, size: the sum of |plane| |x| and |offset|.
template <class T>
struct KeptPlanes {
  ValueId value = kAbsent;
  std::int64_t rows = 0;
  Buffer<std::int32_t> element;
  Buffer<T> sign, plane;       // [rows], [rows][input size]
  Buffer<double> sum, size;    // [rows]
};

template <class T>
class BoxBuilder {
 public:
  // exact (optional): boxes in double of the values whose intervals are exact, used instead of interval steps in T.
  BoxBuilder(const Model<T>& model, const Regions& regions, const BoundOptions& options, const ValueBoxes* known, const BoxArrays<double>* exact, BuildReport& report);

  // Boxes of what the values need and of themselves. rows: refine (crown); interval: steps only; exact_only: steps only, and
  // only for values whose intervals are exact.
  enum class Effort { exact_only, interval, rows };
  void build(const std::vector<ValueId>& values, Effort effort);
  // Boxes made elsewhere, instead of build().
  void adopt(BoxArrays<T>&& boxes) { boxes_ = std::move(boxes); }

  // After the relaxations were prepared: rows are minimised over boxes [batch] inside the regions from now on; relaxations stay
  // those of the regions, and so do planes: a search can aim at a part and still bound the whole.
  void aim_at(const Regions& parts);

  // Before build(): keeps the planes of all elements that rows were made for (one region only), exact intervals included.
  void keep_planes() { keeps_ = true; }
  const std::vector<KeptPlanes<T>>& kept() const { return kept_; }

  const BoxArrays<T>& boxes() const { return boxes_; }
  const PassContext<T>& context() const { return context_; }
  Relaxations<T>& relaxations() { return relaxations_; }
  RowResult<T> run(const RowJob<T>& job);

 private:
  void take_exact(ValueId id);
  void refine(ValueId id, int node, int k);
  void keep_from(RowJob<T>& job);
  void keep(const RowJob<T>& job, std::size_t first, PassResult<T>& chunk);
  std::vector<T> middle(ValueId id);
  void run_open(RowJob<T>& job, const Kernel<T>& kernel, int k, std::vector<T>& lower, std::vector<T>& upper);
  void search(ValueId id, int node, int k, std::vector<T>& lower, std::vector<T>& upper, const RowJob<T>& job);

  const Model<T>& model_;
  const Network& network_;
  Device& d_;
  const Regions& regions_;
  const BoundOptions& options_;
  BoundSettings settings_;
  const ValueBoxes* known_;
  const BoxArrays<double>* exact_;
  BuildReport& report_;
  BoxArrays<T> boxes_;
  InputRegion<T> region_;
  Relaxations<T> relaxations_;
  PassContext<T> context_;
  std::vector<std::vector<std::uint8_t>> refined_;  // by value: elements done
  ValueArrays<T> middles_;                          // values at the middle of every region, when first asked for
  int last_ = -1;                                   // the last node that build() was asked about
  bool keeps_ = false;
  std::vector<KeptPlanes<T>> kept_;
};

BoundSettings settings_of(const BoundOptions& options);

// Numbers in another precision, upward or downward.
template <class To, class From>
Buffer<To> rounded(Device& d, const From* from, std::int64_t n, bool up);

// Intersects a value's boxes with what is known of it.
template <class T>
void meet_known(Device& d, const Network& network, const ValueBoxes* known, ValueId id, BoxArrays<T>& boxes);

// Boxes in another precision, outward.
template <class To, class From>
BoxArrays<To> converted(Device& d, const Network& network, const BoxArrays<From>& boxes);

}  // namespace boundlight::BL_NS
