// gemm on the cpu: tiles of fixed shape (so that bits do not depend on the number of threads), one BLAS thread each.
#include <cblas.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "boundlight/device/cpu/gemm.hpp"
#include "boundlight/device/cpu/simd.hpp"

extern "C" void openblas_set_num_threads(int) __attribute__((weak));

namespace boundlight::device_cpu {
namespace {

constexpr std::int64_t kTileRows = 192, kTileCols = 512;
constexpr double kWorthATask = 4e5;  // multiply-adds below which a second task costs more than it gains

void call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
          float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0F, a, lda, b, ldb, beta, c, ldc);
}
void call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda, const double* b, int ldb, double beta,
          double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, beta, c, ldc);
}

// One row: no packing of b.
void vector_call(bool tb, int n, int k, const float* a, const float* b, int ldb, float beta, float* c) {
  if (tb) cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0F, b, ldb, a, 1, beta, c, 1);
  else cblas_sgemv(CblasRowMajor, CblasTrans, k, n, 1.0F, b, ldb, a, 1, beta, c, 1);
}
void vector_call(bool tb, int n, int k, const double* a, const double* b, int ldb, double beta, double* c) {
  if (tb) cblas_dgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0, b, ldb, a, 1, beta, c, 1);
  else cblas_dgemv(CblasRowMajor, CblasTrans, k, n, 1.0, b, ldb, a, 1, beta, c, 1);
}

// The library's own threads would fight with ours; asked for once, before the first call.
void one_thread() {
  static const bool done = [] {
    if (openblas_set_num_threads) openblas_set_num_threads(1);
    return true;
  }();
  (void)done;
}

template <class T>
void tiled(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb,
           T beta, T* c, std::int64_t ldc) {
  if (m <= 0 || n <= 0) return;
  one_thread();
  const auto tile = [&](std::int64_t r0, std::int64_t r1, std::int64_t c0, std::int64_t c1) {
    if (m == 1 && !ta && k > 0) {
      if (beta == T(0)) std::fill_n(c + c0, c1 - c0, T(0));  // not every version leaves out what is multiplied by zero
      return vector_call(tb, static_cast<int>(c1 - c0), static_cast<int>(k), a, b + (tb ? c0 * ldb : c0), static_cast<int>(ldb), beta, c + c0);
    }
    call(ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, static_cast<int>(r1 - r0), static_cast<int>(c1 - c0),
         static_cast<int>(k), a + (ta ? r0 : r0 * lda), static_cast<int>(lda), b + (tb ? c0 * ldb : c0), static_cast<int>(ldb), beta,
         c + r0 * ldc + c0, static_cast<int>(ldc));
  };
  if (static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < kWorthATask) return tile(0, m, 0, n);
  const std::int64_t down = (m + kTileRows - 1) / kTileRows, across = (n + kTileCols - 1) / kTileCols;
  // Even tiles: one of 200 rows is cut into two of 100, not into 192 and 8.
  const std::int64_t height = (m + std::max<std::int64_t>(2, down) - 1) / std::max<std::int64_t>(2, down), width = (n + across - 1) / across;
  const std::int64_t rows = (m + height - 1) / height, cols = (n + width - 1) / width;
  if (OneThread::here()) return tile(0, m, 0, n);
  tbb::parallel_for(std::int64_t{0}, rows * cols, [&](std::int64_t i) {
    const std::int64_t r = i / cols * height, q = i % cols * width;
    tile(r, std::min(m, r + height), q, std::min(n, q + width));
  });
}

// Small products share a task; a large one is cut as if it stood alone. Which of the two it is depends on one product's
// shape only, so its bits do not depend on `count`.
template <class T>
void batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, std::int64_t step_a,
             const T* b, std::int64_t ldb, std::int64_t step_b, T beta, T* c, std::int64_t ldc, std::int64_t step_c) {
  if (count <= 0 || m <= 0 || n <= 0) return;
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(std::max<std::int64_t>(k, 1));
  const std::int64_t together = std::max<std::int64_t>(1, static_cast<std::int64_t>(kWorthATask / work));
  const auto run = [&](std::int64_t task) {
    for (std::int64_t i = task * together; i < std::min(count, (task + 1) * together); ++i)
      tiled(ta, tb, m, n, k, a + i * step_a, lda, b + i * step_b, ldb, beta, c + i * step_c, ldc);
  };
  const std::int64_t tasks = (count + together - 1) / together;
  if (tasks == 1) run(0);
  else tbb::parallel_for(std::int64_t{0}, tasks, run);
}

template <class T>
void live(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc) {
  constexpr std::int64_t kWorthGathering = 8;  // rows of a that pay for copying rows of b
  if (m >= kWorthGathering && k >= 16) {
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(k));
    simd<T>().live_columns(a, m, k, lda, flags.data());
    std::vector<std::int64_t> columns;
    for (std::int64_t j = 0; j < k; ++j)
      if (flags[static_cast<std::size_t>(j)]) columns.push_back(j);
    const auto some = static_cast<std::int64_t>(columns.size());
    if (some == 0) {
      for (std::int64_t r = 0; r < m; ++r) std::fill_n(c + r * ldc, n, T(0));
      return;
    }
    if (some * 8 < k * 7) {
      const auto left = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(m * some)), right = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(some * n));
      for (std::int64_t r = 0; r < m; ++r)
        for (std::int64_t j = 0; j < some; ++j) left[static_cast<std::size_t>(r * some + j)] = a[r * lda + columns[static_cast<std::size_t>(j)]];
      for (std::int64_t j = 0; j < some; ++j) std::copy_n(b + columns[static_cast<std::size_t>(j)] * ldb, n, right.get() + j * n);
      return tiled(false, false, m, n, some, left.get(), some, right.get(), n, T(0), c, ldc);
    }
  }
  tiled(false, false, m, n, k, a, lda, b, ldb, T(0), c, ldc);
}

}  // namespace

thread_local bool OneThread::here_ = false;

void gemm_live(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  live(m, n, k, a, lda, b, ldb, c, ldc);
}
void gemm_live(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
  live(m, n, k, a, lda, b, ldb, c, ldc);
}

void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  tiled(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
}
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
          std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
  tiled(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
}


void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  std::int64_t step_a, const float* b, std::int64_t ldb, std::int64_t step_b, float beta, float* c, std::int64_t ldc, std::int64_t step_c) {
  batched(count, ta, tb, m, n, k, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c);
}
void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                  std::int64_t step_a, const double* b, std::int64_t ldb, std::int64_t step_b, double beta, double* c, std::int64_t ldc, std::int64_t step_c) {
  batched(count, ta, tb, m, n, k, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c);
}

}  // namespace boundlight::device_cpu
