// What the cpu back end does not compile per instruction set: the memory pool and the calls to BLAS.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace boundlight::device_cpu {

// Freed blocks are kept by size class and handed out again: a backward pass allocates the same sizes over and over, and
// fresh pages cost more than the arithmetic on them. 64-byte aligned. Thread safe.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();
  void* take(std::size_t bytes);  // throws std::bad_alloc
  void give(void* memory, std::size_t bytes) noexcept;
  [[nodiscard]] std::size_t in_use() const { return in_use_; }
  [[nodiscard]] std::size_t peak() const { return peak_; }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::atomic<std::size_t> in_use_ = 0, peak_ = 0;
  std::size_t kept_ = 0;
};

// Row-major c = op(a) op(b) + beta c over fixed tiles, one BLAS thread per task.
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc);
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
          std::int64_t ldb, double beta, double* c, std::int64_t ldc);
// The same for `count` triples of matrices, step_a, step_b and step_c elements apart.
void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  std::int64_t step_a, const float* b, std::int64_t ldb, std::int64_t step_b, float beta, float* c, std::int64_t ldc, std::int64_t step_c);
void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                  std::int64_t step_a, const double* b, std::int64_t ldb, std::int64_t step_b, double beta, double* c, std::int64_t ldc, std::int64_t step_c);

}  // namespace boundlight::device_cpu
