// RowRunner: any number of rows over any number of boxes, cut into chunks that run side by side. The cuts depend on the request
// alone, so results have the same bits for any number of threads; how many chunks are in flight depends on the memory allowed.
#pragma once

#include "boundlight/bounds/engines/row_pass.hpp"

namespace boundlight::BL_NS {

// Slopes of the rows of a job, by node: lines of [size], and the line of every row.
template <class T>
struct JobSlopes {
  std::map<int, Buffer<T>> at;
  std::vector<std::int32_t> row;
};

// Splits of the rows of a job on one value: row r has those in [start[r], start[r + 1]); the sign of the half that is kept, and the
// multiplier beta >= 0.
template <class T>
struct JobSplits {
  std::vector<std::int32_t> start, element;
  std::vector<T> sign, beta;
};

// Rows of one request: dense coefficients on the host, or selections. Rows of one box stand together.
template <class T>
struct RowJob {
  ValueId value = kAbsent;
  std::vector<std::int32_t> box;
  std::vector<T> coefficient;             // [rows][size]; or
  std::vector<std::int32_t> element;      // sign * value[element]
  std::vector<T> sign;
  std::vector<double> constant, charge;
  bool planes = false, producer_only = false;
  const JobSlopes<T>* slopes = nullptr;
  const std::map<ValueId, JobSplits<T>>* splits = nullptr;  // for searches only
  // (first row of a chunk, its best lower bounds) -> which of its rows want better ones.
  std::function<std::vector<std::uint8_t>(std::size_t first, const std::vector<double>& lower)> wanted;
  std::int64_t together = 1;              // chunks are cut at multiples of this many rows
  // Called with every finished chunk, one at a time; may keep the planes.
  std::function<void(std::size_t first, PassResult<T>& chunk)> done;
};

template <class T>
struct RowResult {
  std::vector<double> lower, charge;  // per row; -inf when lost
  bool complete = true;
};

// Rows [from, to) of a job, without their slopes.
template <class T>
PassRequest<T> chunk_request(Device& d, const Network& network, const RowJob<T>& job, std::size_t from, std::size_t to);

template <class T>
class RowRunner {
 public:
  // memory: bytes that rows in flight may take; 0: half of the machine's.
  RowRunner(const PassContext<T>& context, std::uint64_t memory, Counters& counters) : c_(context), memory_(memory), counters_(counters) {}
  RowResult<T> run(const RowJob<T>& job);
  // chunk(from, to) for every chunk of the job, side by side.
  void each_chunk(const RowJob<T>& job, const std::function<void(std::size_t from, std::size_t to)>& chunk);

 private:
  struct Cut {
    std::size_t from, to;
  };
  std::vector<Cut> cuts(const RowJob<T>& job) const;
  std::int64_t widest(ValueId value) const;

  const PassContext<T>& c_;
  std::uint64_t memory_;
  Counters& counters_;
};

// Half of the memory that rows live in (the GPU's own, where the device has some; else the machine's), in bytes.
std::uint64_t default_memory(const Device& d);

}  // namespace boundlight::BL_NS
