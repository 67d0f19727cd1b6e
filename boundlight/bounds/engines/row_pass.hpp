// RowPass: linear forms of a value taken back to the inputs of the network (CROWN; Zhang et al. 2018; the order of visits
// and the join of branches after GPUPoly). Every row is a *lower* bound of its form on the region it belongs to; an upper
// bound is minus the lower bound of the negated form.
#pragma once

#include <optional>

#include "boundlight/bounds/engines/model.hpp"

namespace boundlight::BL_NS {

// The relaxations of a batch of regions, made on demand from the boxes and kept.
template <class T>
class Relaxations {
 public:
  Relaxations(const Model<T>& model, const BoxArrays<T>& boxes, BoundSettings settings, SlopeRule rule)
      : model_(model), boxes_(boxes), settings_(settings), rule_(rule), at_(model.network().nodes.size()) {}
  // Null: the node has no planes.
  Relaxation<T>* at(int node);
  void forget(int node) { at_[static_cast<std::size_t>(node)].reset(); }

 private:
  const Model<T>& model_;
  const BoxArrays<T>& boxes_;
  BoundSettings settings_;
  SlopeRule rule_;
  std::vector<std::optional<std::unique_ptr<Relaxation<T>>>> at_;
};

template <class T>
struct RowResult {
  std::vector<double> lower;         // per row; -inf when lost
  std::vector<double> charge;        // per row
  std::vector<Buffer<T>> plane;      // per network input: [rows][input size], when asked for
  std::vector<double> plane_offset;  // lower offset of those planes: plane . x + offset <= form on the region
};

template <class T>
class RowPass {
 public:
  RowPass(const Model<T>& model, const BoxArrays<T>& boxes, Relaxations<T>& relaxations, const Regions& regions, BoundSettings settings)
      : model_(model), boxes_(boxes), relaxations_(relaxations), regions_(regions), settings_(settings) {}

  // Dense rows on `value`, with the region of each row and its constant.
  RowResult<T> run(ValueId value, RowBlock<T>&& rows, const std::vector<std::int32_t>& box, const std::vector<double>& constant, bool planes, Counters& counters);
  // Rows sign[r] * value[element[r]].
  RowResult<T> run_selected(ValueId value, const std::vector<std::int32_t>& element, const std::vector<T>& sign, const std::vector<std::int32_t>& box, Counters& counters);

  // Public because they hold device lambdas (device/device.hpp).
  struct State;
  void add(State& s, ValueId value, RowBlock<T>&& rows);
  void stop_at(State& s, ValueId value, RowBlock<T>&& rows);
  void densify(ValueId value, RowBlock<T>& rows);

 private:
  void visit(State& s, int node);
  RowResult<T> finish(State& s, bool planes);

  const Model<T>& model_;
  const BoxArrays<T>& boxes_;
  Relaxations<T>& relaxations_;
  const Regions& regions_;
  BoundSettings settings_;
};

}  // namespace boundlight::BL_NS
