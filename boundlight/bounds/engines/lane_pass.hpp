// LanePass: concrete values of a batch and gradients in its inputs, kSampleLanes samples side by side and one such block per task, through all nodes at once: a
// block's arrays stay in a core's cache from the inputs to what is wanted, and are given back after their last reader (values alone).
//
// Nodes without LaneForward run on rows, turned on their way in and out. A node that rectifies is done by the node before it
// where nobody else reads what lies between; reshaping costs nothing. Blocks are cut by position in the batch, so the bits do not
// depend on threads.
#pragma once

#include <algorithm>

#include "boundlight/bounds/engines/model.hpp"
#include "boundlight/bounds/ops/lane_forward.hpp"

namespace boundlight::BL_NS {

template <class T>
class LanePass {
 public:
  LanePass(const Model<T>& model, const std::vector<ValueId>& wanted);

  // Faster than layer by layer: enough samples for a block, a block's arrays of a size for caches, and no large constants in
  // nodes that would see them a block at a time.
  bool worth(std::int64_t batch) const;

  // results[i] is [batch][size of wanted[i]]; wanted values that are constants are left to the caller.
  void run(const double* inputs, std::int64_t batch, std::vector<std::vector<double>>& results) const;

  // Engine::gradient of the one wanted value, which is no constant.
  Engine::Gradient gradient(const double* inputs, std::int64_t batch, const Engine::WeightOf& weight_of) const;

 private:
  struct Step {
    int node = 0;
    const LaneForward<T>* lanes = nullptr;  // null: on rows
    bool rectify = false;
    std::vector<ValueId> in, out;  // owners of arrays; out[0] is the rectified value where that is made
    std::vector<ValueId> done;     // not read after this step
  };
  struct Arrays {
    std::vector<Buffer<T>> lanes, rows;  // by owner
    std::int64_t count = 0;              // samples
  };
  ValueId owner(ValueId v) const { return owner_[static_cast<std::size_t>(v)]; }
  std::int64_t size(ValueId v) const { return model_.network().values[static_cast<std::size_t>(v)].size; }
  void plan(const std::vector<bool>& needed);
  ValueId rectified(ValueId value, const std::vector<bool>& needed) const;
  bool is_wanted(ValueId v) const { return std::find(wanted_.begin(), wanted_.end(), v) != wanted_.end(); }
  const T* lanes_of(Arrays& a, ValueId v) const;
  const T* rows_of(Arrays& a, ValueId v) const;
  Arrays started(const double* inputs, std::int64_t first, std::int64_t count) const;
  void run_step(const Step& step, Arrays& a, bool keep) const;
  void deliver(Arrays& a, ValueId v, double* to) const;
  // Gradients by owner, in lanes; empty: nothing has come back yet.
  using Back = std::vector<Buffer<T>>;
  void back(Arrays& a, const double* weight, double* inputs) const;
  void step_back(const Step& step, Arrays& a, Back& back) const;
  void step_back_on_rows(const Step& step, Arrays& a, Back& back) const;
  void add(Back& back, ValueId v, Buffer<T>&& part) const;

  const Model<T>& model_;
  std::vector<ValueId> wanted_;
  std::vector<ValueId> owner_;  // the value whose array a value's elements are
  std::vector<Step> steps_;
};

}  // namespace boundlight::BL_NS
