#include "boundlight/core/sparse.hpp"

#include <cstddef>
#include <numeric>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BL_SPARSE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BL_SPARSE_CLONES
#endif

namespace boundlight {
namespace {

using Eight [[gnu::vector_size(64), gnu::aligned(8), gnu::may_alias]] = double;

}  // namespace

Sparse transposed(const Sparse& w, std::size_t columns) {
  Sparse t;
  t.start.assign(columns + 1, 0);
  for (const std::uint32_t j : w.index) ++t.start[j + 1];
  std::partial_sum(t.start.begin(), t.start.end(), t.start.begin());
  t.index.resize(w.index.size());
  t.value.resize(w.index.size());
  std::vector<std::uint32_t> next(t.start.begin(), t.start.end() - 1);
  for (std::size_t o = 0; o + 1 < w.start.size(); ++o)
    for (std::uint32_t k = w.start[o]; k < w.start[o + 1]; ++k) {
      const std::uint32_t at = next[w.index[k]]++;
      t.index[at] = static_cast<std::uint32_t>(o);
      t.value[at] = w.value[k];
    }
  return t;
}

BL_SPARSE_CLONES void gather_eight(const Sparse& transpose, const double* a, double* out) {
  const std::uint32_t *start = transpose.start.data(), *index = transpose.index.data();
  const double* value = transpose.value.data();
  for (std::size_t j = 0; j + 1 < transpose.start.size(); ++j) {
    Eight s0{}, s1{}, s2{}, s3{};  // four chains hide the latency of an addition
    std::uint32_t k = start[j];
    const std::uint32_t end = start[j + 1];
    for (; k + 4 <= end; k += 4) {
      s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
      s1 += value[k + 1] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 1]});
      s2 += value[k + 2] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 2]});
      s3 += value[k + 3] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 3]});
    }
    for (; k < end; ++k) s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
    *reinterpret_cast<Eight*>(out + 8 * j) = (s0 + s1) + (s2 + s3);
  }
}

BL_SPARSE_CLONES void scatter_eight(const Sparse& w, const std::vector<std::uint32_t>& listed, const double* a, double* out) {
  const std::uint32_t* index = w.index.data();
  const double* value = w.value.data();
  for (const std::uint32_t o : listed) {
    const Eight ao = *reinterpret_cast<const Eight*>(a + 8 * std::size_t{o});
    for (std::uint32_t k = w.start[o]; k < w.start[o + 1]; ++k) *reinterpret_cast<Eight*>(out + 8 * std::size_t{index[k]}) += value[k] * ao;
  }
}

}  // namespace boundlight
