// Planes over few inputs per output: the relaxation of operators whose every output reads a short list of elements (max over
// a window, a product, a softmax over an axis). The host states the list (Entries); an operator's functor states the planes:
//
//   template <class X, class P> void planes(std::int64_t e, X x, Interval known, SlopeRule rule, P& p) const
//
//   x.count(), x[k]          interval of the k-th entry of output e (double, finite)
//   known                    what is known of output e
//   p.lower(k, s)            slope of the lower plane on entry k; p.lower(k) reads back what was kept of it: rounded to T, 0 for
//                            a constant entry (which no row can reach) and for no number. upper alike. (all start at 0)
//   p.low = t, p.high = t    sum_k lower(k) z_k + low <= f(z) <= sum_k upper(k) z_k + high for all z in x, *with the slopes
//                            as read back*; low and high start at the ends of `known`
//   double deployed_error(std::int64_t e, X x, Interval known) const     |binary32 evaluation - f| over x; infinite: none covered
//
// Soundness rests on low and high alone; slopes may be anything. Outputs that read an infinite entry keep slopes 0.
// entry_relaxation.hpp makes a Relaxation of them.
#pragma once

#include "boundlight/bounds/ops/entry_list.hpp"
#include "boundlight/bounds/ops/readers.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

// The entries of one output in one box.
template <class T>
struct EntryBoxes {
  const T *lower, *upper;  // of the concatenated inputs of the box
  const std::int32_t* element;
  std::int64_t n;
  BL_HD std::int64_t count() const { return n; }
  BL_HD Interval operator[](std::int64_t k) const { return {static_cast<double>(lower[element[k]]), static_cast<double>(upper[element[k]])}; }
};
template <class T>
struct EntryValues {
  const T* value;
  const std::int32_t* element;
  std::int64_t n;
  BL_HD std::int64_t count() const { return n; }
  BL_HD T operator[](std::int64_t k) const { return value[element[k]]; }
};

// The node as its entries see it when they come from input 0 alone (further inputs are axes or weights).
inline NodeView of_first_input(const NodeView& node) {
  NodeView only = node;
  only.inputs.resize(1);
  return only;
}

// An EntryList on the device, with the constants' values.
template <class T>
class Entries {
 public:
  Entries(Device& d, const NodeView& node, const EntryList& list);

  std::int64_t outputs() const { return outputs_; }
  std::int64_t total() const { return total_; }
  std::int64_t count() const { return count_; }
  std::int64_t most_readers() const { return most_readers_; }
  std::size_t inputs() const { return sizes_.size(); }
  const std::uint8_t* fixed() const { return fixed_.data(); }  // by element of the concatenation: 1 for constants; null: none
  std::int64_t size(std::size_t k) const { return sizes_[k]; }
  std::int64_t offset(std::size_t k) const { return offsets_[k]; }
  bool variable(std::size_t k) const { return variable_[k]; }
  const std::int32_t* at() const { return at_.data(); }
  const std::int32_t* element() const { return element_.data(); }
  const std::int32_t* owner() const { return owner_.data(); }            // output of an entry
  const std::int32_t* readers_at() const { return readers_at_.data(); }  // by element of the concatenation
  const std::int32_t* readers() const { return readers_.data(); }        // entries
  // The only input that varies when nothing else is there: its arrays can be read in place.
  bool alone() const { return sizes_.size() == 1 && variable_[0]; }

  // Inputs one behind the other, [batch][total]; constants by `side`: 0 nearest, -1 below, +1 above.
  Buffer<T> joined(Device& d, const std::vector<const T*>& in, std::int64_t batch, int side) const;

 private:
  void keep_constants(Device& d, const NodeView& node);

  std::int64_t outputs_, total_ = 0, most_readers_ = 1, count_ = 0;
  std::vector<std::int64_t> sizes_, offsets_;
  std::vector<bool> variable_;
  Buffer<std::int32_t> at_, element_, owner_, readers_at_, readers_;
  Buffer<T> constant_, constant_low_, constant_high_;
  Buffer<std::uint8_t> fixed_;
};

// Boxes of all inputs of a node side by side.
template <class T>
struct JoinedBoxes {
  Buffer<T> lower_data, upper_data;
  const T *lower = nullptr, *upper = nullptr;
  JoinedBoxes(Device& d, const Entries<T>& entries, const BoxView<T>* in, std::int64_t batch);
};

template <class T>
struct PlaneWriter {
  T *lower_slopes, *upper_slopes;  // of this output's entries
  const std::uint8_t* fixed;
  const std::int32_t* element;
  double low, high;
  BL_HD T kept(std::int64_t k, double s) const {
    const T x = static_cast<T>(s);
    return x - x == 0 && !(fixed && fixed[element[k]]) ? x : T(0);
  }
  BL_HD void lower(std::int64_t k, double s) { lower_slopes[k] = kept(k, s); }
  BL_HD void upper(std::int64_t k, double s) { upper_slopes[k] = kept(k, s); }
  BL_HD double lower(std::int64_t k) const { return static_cast<double>(lower_slopes[k]); }
  BL_HD double upper(std::int64_t k) const { return static_cast<double>(upper_slopes[k]); }
};

// Instantiated once, in entries.dev.cpp.
extern template class Entries<float>;
extern template class Entries<double>;
extern template struct JoinedBoxes<float>;
extern template struct JoinedBoxes<double>;

}  // namespace boundlight::BL_NS
