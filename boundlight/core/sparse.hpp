// Sparse: a matrix W by rows, and W^T A for eight columns of A side by side (A[row * 8 + lane]). Sums are rounded to nearest
// in an order that is not promised; who needs a bound charges gamma_n |W^T| |A| for sums of n terms (rounding.hpp).
#pragma once

#include <cstdint>
#include <vector>

namespace boundlight {

struct Sparse {
  std::vector<std::uint32_t> start{0}, index;  // row r: index and value from start[r] to start[r + 1]
  std::vector<double> value;

  // Adds a term to the row that is being written; ends that row.
  void add(std::int64_t i, double w) { index.push_back(static_cast<std::uint32_t>(i)), value.push_back(w); }
  void end_row() { start.push_back(static_cast<std::uint32_t>(index.size())); }
};

// Precondition: every index is below `columns`. Terms of a row stand in the order of W's rows.
Sparse transposed(const Sparse& w, std::size_t columns);

// out[j * 8 + lane] = sum_o W_oj a[o * 8 + lane] for every column j, that is every row j of W's transpose.
void gather_eight(const Sparse& transpose, const double* a, double* out);
// The same from the listed rows of W only, for an A that is mostly zero; out starts as zero.
void scatter_eight(const Sparse& w, const std::vector<std::uint32_t>& listed, const double* a, double* out);

}  // namespace boundlight
