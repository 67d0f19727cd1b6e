// What passes over rows share: the relaxations of a batch of regions, and boxes in the layouts that rows meet.
#pragma once

#include <mutex>
#include <optional>

#include "boundlight/bounds/engines/model.hpp"
#include "boundlight/bounds/ops/row_math.hpp"

namespace boundlight::BL_NS {

// nodes[i]: node i is needed to compute one of the values.
std::vector<bool> ancestors(const Network& network, const std::vector<ValueId>& values);
inline std::vector<bool> ancestors(const Network& network, ValueId value) { return ancestors(network, std::vector<ValueId>{value}); }

template <class T>
class Relaxations {
 public:
  Relaxations(const Model<T>& model, const BoxArrays<T>& boxes, BoundSettings settings, SlopeRule rule)
      : model_(model), boxes_(boxes), settings_(settings), rule_(rule), at_(model.network().nodes.size()), pays_(at_.size(), -1), last_(model.network().values.size()) {}

  // Makes those of the nodes named, from the boxes as they are now. Passes over rows may then run side by side.
  void prepare(const std::vector<bool>& nodes);
  void forget() {
    for (auto& r : at_) r.reset();
    pays_.assign(pays_.size(), -1);
  }
  // Null: the node has no planes. Precondition: prepared.
  Relaxation<T>* at(int node) const { return at_[static_cast<std::size_t>(node)]->get(); }

  // The node whose charges rows have paid with those of `node` (LinearRelaxation::pay_for), or -1.
  int pays_for(int node) const { return pays_[static_cast<std::size_t>(node)]; }

  // The box of a value, and (4-D values) with channels last.
  BoxView<T> box(ValueId v) const { return boxes_.view(v); }
  BoxView<T> box_last(ValueId v);

  const Model<T>& model() const { return model_; }
  const BoundSettings& settings() const { return settings_; }

 private:
  struct Last {
    std::once_flag made;
    Buffer<T> lower, upper;
  };
  const Model<T>& model_;
  const BoxArrays<T>& boxes_;
  BoundSettings settings_;
  SlopeRule rule_;
  int pay(int node) const;
  std::vector<std::optional<std::unique_ptr<Relaxation<T>>>> at_;
  std::vector<int> pays_;
  std::vector<Last> last_;
};

}  // namespace boundlight::BL_NS
