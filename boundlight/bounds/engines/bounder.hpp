// Bounder: one call of Engine::bound or Engine::boxes, from regions and forms to a result, by the methods of engine.hpp.
#pragma once

#include "boundlight/bounds/engines/box_builder.hpp"

namespace boundlight::BL_NS {

// Regions as engines need them: NaN ends opened to infinity, empty regions replaced by a point and remembered.
struct CleanRegions {
  Regions regions;
  std::vector<bool> empty;
};
CleanRegions clean(const Network& network, const Regions& regions);

// Contract of Engine::bound: sizes of the arrays, a variable value.
void check_forms(const Network& network, const Forms& forms, std::int64_t batch);

// A form's rows of every box: the lower ones, then the negated ones for the upper bounds; coefficients in T, what T cannot hold
// charged by the value's box.
template <class T>
RowJob<T> job_of(const Network& network, std::int64_t batch, const Forms& forms, const BoundSettings& settings, Device& d, BoxView<T> box);

// Rows of a job (made by job_of) taken back; better bounds replace those in `result`, planes are kept when asked for.
template <class T>
void bound_rows(BoxBuilder<T>& builder, const Forms& forms, const BoundOptions& options, RowJob<T>&& job, BoundResult& result);

// Regions [from, to) alone, and forms for them.
Regions some_regions(const Network& network, const Regions& regions, std::int64_t from, std::int64_t to);
Forms some_forms(const Network& network, const Forms& forms, std::int64_t from, std::int64_t to);

// Bounds found for the rows of a job; better ones replace those in `result`.
template <class T>
void take_rows(const Forms& forms, const RowResult<T>& found, BoundResult& result);

// An empty result for a batch of forms: nothing known.
BoundResult nothing_known(std::int64_t batch, const Forms& forms);

class Bounder {
 public:
  Bounder(Device& d, const Network& network, Model<float>* single, Model<double>* dual, const BoundOptions& options, const ValueBoxes* known)
      : d_(d), network_(network), single_(single), dual_(dual), options_(options), known_(known) {}

  BoundResult bound(const Regions& regions, const Forms& forms);
  ValueBoxes boxes(const Regions& regions, const std::vector<ValueId>& values);

 private:
  // The builder of the deciding rows, with boxes of everything that the values need. Precision automatic: what came before it,
  // exact intervals in double and the other boxes by rows in float.
  template <class T>
  struct Stage {
    BuildReport report;
    std::unique_ptr<BoxBuilder<double>> exact;
    std::unique_ptr<BoxBuilder<float>> middle;
    std::unique_ptr<BoxBuilder<T>> builder;
  };
  template <class T> void build_single(Stage<T>& stage, const Regions& regions, const std::vector<ValueId>& values);
  void build_automatic(Stage<double>& stage, const Regions& regions, const std::vector<ValueId>& values);
  template <class T> BoundResult bound_as(const Regions& regions, const Forms& forms);
  template <class T> void forward_as(const Regions& regions, const Forms& forms, BoundResult& result);
  template <class T> void search_slopes(Stage<T>& stage, std::int64_t batch, const Forms& forms, BoundResult& result);
  template <class T> void combine_as(Stage<T>& crown, const Regions& regions, const Forms& forms, BoundResult& result);
  BoundResult bound_some(const Regions& regions, const Forms& forms);
  std::int64_t regions_at_once(const Regions& regions) const;
  template <class T> void build(Stage<T>& stage, const Regions& regions, const std::vector<ValueId>& values);
  template <class T> Model<T>& model() {
    if constexpr (std::is_same_v<T, float>) return *single_;
    else return *dual_;
  }
  void tell(const BuildReport& report, BoundResult& result) const;

  Device& d_;
  const Network& network_;
  Model<float>* single_;
  Model<double>* dual_;
  const BoundOptions& options_;
  const ValueBoxes* known_;
};

}  // namespace boundlight::BL_NS
