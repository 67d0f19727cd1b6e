// CROWN as the text books have it, for comparison: every linear node a dense matrix, every neuron of every layer a row, all rows
// back to the input through gemm in float, nothing charged, nothing left out. ReLU networks only.
#pragma once

#include <optional>
#include <vector>

#include "boundlight/bounds/network.hpp"

namespace boundlight::bench {

class PlainDense {
 public:
  // Nothing: an operator that is neither linear in one or two inputs (an Add) nor Relu.
  static std::optional<PlainDense> make(const Network& network);

  // Bounds of the outputs on one box, all intermediate bounds recomputed.
  struct Bounds { std::vector<float> lower, upper; };
  Bounds bound(const std::vector<float>& lower, const std::vector<float>& upper) const;
  double bytes() const;  // of the matrices

 private:
  struct Step {
    bool relu = false;
    std::vector<int> in;                    // values
    int out = 0;
    std::vector<std::vector<float>> matrix;  // per input: [out size][in size]; empty: the identity
    std::vector<float> bias;
  };
  Bounds rows_back(int value, const std::vector<Bounds>& boxes) const;

  std::vector<std::size_t> size_;  // by value
  std::vector<Step> steps_;
  int input_ = 0, output_ = 0;
};

}  // namespace boundlight::bench
