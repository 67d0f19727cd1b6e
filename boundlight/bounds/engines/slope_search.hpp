// SlopeSearch (alpha-CROWN; Xu et al. 2021): free lower slopes of every row moved uphill, the best bound of every row kept.
//
// A row's bound as a function of its slopes alpha is  a.x* + b  for the rows a at the inputs and x* where the region minimises
// them, and (envelope theorem) d bound / d alpha_j = a_j z_j: a_j the row's nonnegative coefficient in front of the node, z_j the
// value that the row's own planes, followed forward from x*, give to the node's input. So one step is one pass back and one sweep
// forward, without any recorded derivative graph. Steps are Adam's (Kingma and Ba 2015), projected onto the slopes' range.
// Any slopes are valid, so every bound met on the way is one.
//
// Splits (beta-CROWN; Wang et al. 2021): on the half sign z >= 0 of a neuron a row is at least  row - beta sign z  for every
// beta >= 0; the multiplier enters where the row stands on z, its derivative is -sign z at the same minimiser, and it climbs along
// with the slopes.
#pragma once

#include "boundlight/bounds/engines/row_runner.hpp"

namespace boundlight::BL_NS {

template <class T>
class SlopeSearch {
 public:
  SlopeSearch(const PassContext<T>& context, const BoundOptions& options, Counters& counters)
      : c_(context), options_(options), counters_(counters) {}

  // What else is asked of a search: where slopes start, which bounds suffice, what is handed back.
  struct Ask {
    bool slopes = false, trace = false, points = false, planes = false;
    const JobSlopes<T>* start = nullptr;           // one line per row
    const std::vector<double>* enough = nullptr;   // per row
    double multiplier_rate = 0.1;
  };
  struct Trace {
    std::vector<T> coefficient, point;             // [rows][size]
  };
  struct Found {
    RowResult<T> bounds;
    JobSlopes<T> slopes;                           // of every row, those of its best bound
    std::map<ValueId, std::vector<T>> multipliers; // in the order of the job's splits
    std::map<int, Trace> trace;                    // by node: at the last step
    std::vector<std::vector<T>> points;            // per input: minimisers at the last step
    std::vector<std::vector<T>> planes;            // per input: of the best bound's step, [rows][size]
    std::vector<double> offset;                    // of the planes; -inf: none
  };
  // Rows as RowRunner takes them.
  Found run(const RowJob<T>& job, const Ask& ask);
  Found run(const RowJob<T>& job, bool keep_slopes) {
    Ask ask;
    ask.slopes = keep_slopes;
    return run(job, ask);
  }

 private:
  struct Layer {
    int node = 0;
    std::int64_t size = 0;
    Buffer<T> alpha, best, momentum, energy;  // [rows][size]
  };
  // Multipliers on one value; RowMultipliers::delta is -sign beta.
  struct Betas {
    ValueId value = kAbsent;
    std::int64_t size = 0, first = 0;              // of the value; in the job's list
    RowMultipliers<T> rows;
    Buffer<T> sign, beta, best, momentum, energy, scale;
  };
  struct Chunk;
  Chunk make_chunk(const RowJob<T>& job, const Ask& ask, std::size_t from, std::size_t to, const std::vector<std::pair<int, std::int64_t>>& free_nodes) const;
  void add_betas(Chunk& chunk, const RowJob<T>& job) const;
  void keep(Chunk& chunk, const Ask& ask, Found& found) const;
  bool take(Chunk& chunk, const PassResult<T>& pass, const Ask& ask);
  void take_planes(Chunk& chunk, const PassResult<T>& pass, const std::vector<std::uint8_t>& better) const;
  void search(Chunk& chunk, const RowJob<T>& job, const Ask& ask);
  void climb_betas(Chunk& chunk, const std::map<int, RowBlock<T>>& rows, const Ask& ask, int step);
  void sweep(Chunk& chunk, const PassResult<T>& pass, std::map<int, RowBlock<T>>& rows);
  void climb(Chunk& chunk, const std::map<int, RowBlock<T>>& rows, int step);

  const PassContext<T>& c_;
  const BoundOptions& options_;
  Counters& counters_;
};

}  // namespace boundlight::BL_NS
