// RowPass: one chunk of linear forms of a value taken back to the inputs of the network (CROWN; Zhang et al. 2018; the order of
// visits, the join of branches and the early stop after GPUPoly, Mueller et al. 2021). Every row is a *lower* bound of its form
// on the region it belongs to; an upper bound is minus the lower bound of the negated form.
//
// On the way, where all rows stand on one value whose box is known, they are concretised there: the best bound so far is kept,
// and rows that need no better one are dropped.
#pragma once

#include <functional>

#include "boundlight/bounds/engines/input_region.hpp"
#include "boundlight/bounds/engines/row_blocks.hpp"

namespace boundlight::BL_NS {

// What all chunks of a request share.
template <class T>
struct PassContext {
  const Model<T>& model;
  Relaxations<T>& relaxations;
  const InputRegion<T>& region;
  BoundSettings settings;
  StopToken stop;
  // Box families: the linear operators' relaxations of the base (one box), which hold for every member.
  const Relaxations<T>* base = nullptr;
};

// Slopes chosen from outside, by node (empty: the relaxations' own), and where to keep the rows that met them.
template <class T>
struct ChosenSlopes {
  std::map<int, const T*> at;      // lines of [size of the node's output]
  std::vector<std::int32_t> row;   // line of every row of the request
  std::map<int, RowBlock<T>>* record = nullptr;  // rows before substitution, at every node that is not linear
};

// Multipliers of splits (slope_search.hpp): where row r stands on the value, delta[s] is added to its coefficient of element[s] for
// start[r] <= s < start[r + 1].
template <class T>
struct RowMultipliers {
  Buffer<std::int32_t> start, element;
  Buffer<T> delta;
};

// What is asked for one chunk. Rows are given dense (a) or as selections sign * value[element].
template <class T>
struct PassRequest {
  ValueId value = kAbsent;
  std::vector<std::int32_t> box;
  RowBlock<T> a;
  std::vector<std::int32_t> element;
  std::vector<T> sign;
  std::vector<double> constant, charge;  // empty: 0
  bool planes = false;                   // keep the rows on the inputs
  bool producer_only = false;            // concretise on the inputs of the value's producer, as interval steps do
  const ChosenSlopes<T>* slopes = nullptr;
  const std::map<ValueId, RowMultipliers<T>*>* multipliers = nullptr;  // no row may be dropped then: `wanted` is empty
  // Given the best lower bounds so far, marks the rows that want better ones; null: all do.
  std::function<std::vector<std::uint8_t>(const std::vector<double>& lower)> wanted;
};

template <class T>
struct PassResult {
  std::vector<double> lower, charge;      // per row; -inf when lost
  std::vector<RowBlock<T>> plane;         // per network input (empty: zero), when asked for
  std::vector<double> offset;             // plane . x + offset <= form on the region
  std::vector<std::int32_t> origin;       // the planes' rows in the request (those that were not dropped)
  Buffer<std::int32_t> box;               // owners of the planes' rows
  bool complete = true;
  std::int64_t retired = 0, concretised = 0;
  std::int64_t multiply_adds = 0;         // rows x entries x weights that an entry meets, entries of zero included
};

template <class T>
class RowPass {
 public:
  RowPass(const PassContext<T>& context, PassRequest<T>&& request);
  PassResult<T> run();

  void start();  // public because it holds a device lambda (device/device.hpp)

 private:
  RowAccounts accounts() const { return {bias_.data(), charge_.data(), box_.data()}; }
  bool visit(int node);
  void add(ValueId value, RowBlock<T>&& rows);
  void stop_at(ValueId value, RowBlock<T>&& rows, double* bias, double* charge);
  void stop_everywhere();
  bool checkpoint(int node);
  void drop(const std::vector<std::uint8_t>& wanted);
  void take_best(const double* bias, const double* charge, bool final);
  void finish();

  const PassContext<T>& c_;
  PassRequest<T> request_;
  Device& d_;
  const Network& network_;
  std::int64_t rows_ = 0;                 // still on their way
  int nonlinear_ = 0;                     // nodes passed that are not linear
  std::vector<std::int32_t> origin_;      // their indices in the request
  Buffer<double> bias_, charge_;
  Buffer<std::int32_t> box_, line_, base_box_;
  std::map<ValueId, RowBlock<T>> pending_;
  std::vector<int> paid_;                 // nodes whose charges the rows on their outputs have paid (Relaxations::pays_for)
  PassResult<T> result_;
};

}  // namespace boundlight::BL_NS
