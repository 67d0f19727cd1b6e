// What the cpu back end does not compile per instruction set: the calls to BLAS, which picks its own kernels.
#pragma once

#include <cstdint>

namespace boundlight::device_cpu {

// While one lives, what this thread asks of the device runs on this thread alone: it is one of several tasks already.
class OneThread {
 public:
  OneThread() : before_(here_) { here_ = true; }
  ~OneThread() { here_ = before_; }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  static bool here() { return here_; }

 private:
  static thread_local bool here_;
  bool before_;
};

// Row-major c = op(a) op(b) + beta c over fixed tiles, one BLAS thread per task.
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc);
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
          std::int64_t ldb, double beta, double* c, std::int64_t ldc);
// c = a b where columns of a that are zero in every row are left out.
void gemm_live(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc);
void gemm_live(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double* c, std::int64_t ldc);
// The same for `count` triples of matrices, step_a, step_b and step_c elements apart.
void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  std::int64_t step_a, const float* b, std::int64_t ldb, std::int64_t step_b, float beta, float* c, std::int64_t ldc, std::int64_t step_c);
void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                  std::int64_t step_a, const double* b, std::int64_t ldb, std::int64_t step_b, double beta, double* c, std::int64_t ldc, std::int64_t step_c);

}  // namespace boundlight::device_cpu
