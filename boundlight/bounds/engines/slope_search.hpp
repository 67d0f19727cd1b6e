// SlopeSearch (alpha-CROWN; Xu et al. 2021): free lower slopes of every row moved uphill, the best bound of every row kept.
//
// A row's bound as a function of its slopes alpha is  a.x* + b  for the rows a at the inputs and x* where the region minimises
// them, and (envelope theorem) d bound / d alpha_j = a_j z_j: a_j the row's nonnegative coefficient in front of the node, z_j the
// value that the row's own planes, followed forward from x*, give to the node's input. So one step is one pass back and one sweep
// forward, without any recorded derivative graph. Steps are Adam's (Kingma and Ba 2015), projected onto the slopes' range.
// Any slopes are valid, so every bound met on the way is one.
#pragma once

#include "boundlight/bounds/engines/row_runner.hpp"

namespace boundlight::BL_NS {

template <class T>
class SlopeSearch {
 public:
  SlopeSearch(const PassContext<T>& context, const BoundOptions& options, Counters& counters)
      : c_(context), options_(options), counters_(counters) {}

  struct Found {
    RowResult<T> bounds;
    JobSlopes<T> slopes;  // of every row, those of its best bound
  };
  // Rows as RowRunner takes them. keep_slopes: else Found::slopes stays empty.
  Found run(const RowJob<T>& job, bool keep_slopes);

 private:
  struct Layer {
    int node = 0;
    std::int64_t size = 0;
    Buffer<T> alpha, best, momentum, energy;  // [rows][size]
  };
  struct Chunk;
  void search(Chunk& chunk, const RowJob<T>& job);
  void sweep(Chunk& chunk, const PassResult<T>& pass, std::map<int, RowBlock<T>>& rows);
  void climb(Chunk& chunk, const std::map<int, RowBlock<T>>& rows, int step);

  const PassContext<T>& c_;
  const BoundOptions& options_;
  Counters& counters_;
};

}  // namespace boundlight::BL_NS
