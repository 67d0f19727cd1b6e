// Model<T>: the kernels of a network in one precision on one back end, and the plain passes over them (values, gradients,
// intervals). The engines for linear bounds build on it.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

// Device arrays of every value for a batch ([batch][size]); constants stay empty.
template <class T>
struct ValueArrays {
  std::int64_t batch = 0;
  std::vector<Buffer<T>> at;  // by ValueId
};

template <class T>
struct BoxArrays {
  std::int64_t batch = 0;
  std::vector<Buffer<T>> lower, upper;  // by ValueId
  BoxView<T> view(ValueId v) const {
    if (v == kAbsent || !lower[static_cast<std::size_t>(v)]) return {};
    return {lower[static_cast<std::size_t>(v)].data(), upper[static_cast<std::size_t>(v)].data()};
  }
};

template <class T>
class Model {
 public:
  static Result<std::unique_ptr<Model>> make(Device& d, const Network& network);

  const Network& network() const { return network_; }
  Device& device() const { return d_; }
  const Kernel<T>& kernel(int node) const { return *kernels_[static_cast<std::size_t>(node)]; }

  // Inputs from the host ([batch][input size], rounded to nearest T), then every node up to the last one wanted.
  ValueArrays<T> forward(const double* inputs, std::int64_t batch, int last_node) const;

  // Boxes of the inputs from the host (rounded outward).
  BoxArrays<T> input_boxes(const double* lower, const double* upper, std::int64_t batch) const;
  // Node `index` by interval; intersects with what is there already.
  void interval_node(int index, BoxArrays<T>& boxes, const BoundSettings& settings) const;
  // Boxes of a node's inputs / outputs as kernels take them (null entries for constants and unused outputs).
  std::vector<BoxView<T>> in_boxes(int index, const BoxArrays<T>& boxes) const;
  std::vector<BoxView<T>> out_boxes(int index, const BoxArrays<T>& boxes) const;
  // The last node that `value` needs (its producer), or -1.
  int producer(ValueId value) const { return network_.values[static_cast<std::size_t>(value)].producer; }

 private:
  Model(Device& d, const Network& network) : d_(d), network_(network) {}
  Device& d_;
  const Network& network_;
  std::vector<std::unique_ptr<Kernel<T>>> kernels_;
};

// lower = max(lower, from_lower), upper = min(upper, from_upper); a crossing (empty by rounding or by an empty region) stays.
template <class T>
void intersect_boxes(Device& d, T* lower, T* upper, const T* from_lower, const T* from_upper, std::int64_t n) {
  d.map(n, [=] BL_HD(std::int64_t i) {
    if (from_lower[i] > lower[i]) lower[i] = from_lower[i];
    if (from_upper[i] < upper[i]) upper[i] = from_upper[i];
  });
}

}  // namespace boundlight::BL_NS
