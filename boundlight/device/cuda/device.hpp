// The cuda back end: one stream, generic kernels, cuBLAS for gemm. Interface: device/device.hpp.
//
// Compiled twice: by nvcc over device/cuda/runtime.hpp, and by the host compiler over device/emulated/runtime.hpp, which
// declares the same few functions of the CUDA runtime and of cuBLAS and runs them on the host. BL_RUNTIME_HEADER says which.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "boundlight/core/result.hpp"
#include "boundlight/device/buffer.hpp"
#include "boundlight/device/cuda/kernels.hpp"
#include "boundlight/device/error.hpp"

namespace boundlight::BL_NS {

inline void must(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw DeviceError(std::string(what) + " failed: " + cudaGetErrorString(code));
}
inline void must(cublasStatus_t code, const char* what) {
  if (code != CUBLAS_STATUS_SUCCESS) throw DeviceError(std::string(what) + " failed: " + cublasGetStatusString(code));
}

struct StreamHolder {
  explicit StreamHolder(int device) {
    must(cudaSetDevice(device), "choosing the device");
    must(cudaStreamCreateWithFlags(&at, cudaStreamNonBlocking), "making a stream");
  }
  StreamHolder(const StreamHolder&) = delete;
  StreamHolder& operator=(const StreamHolder&) = delete;
  ~StreamHolder() { cudaStreamDestroy(at); }
  cudaStream_t at = nullptr;
};

struct BlasHolder {
  explicit BlasHolder(cudaStream_t stream) {
    must(cublasCreate(&at), "starting cuBLAS");
    try {
      must(cublasSetStream(at, stream), "giving cuBLAS its stream");
      // Neither TF32 nor emulated precision, whatever the environment asks for: charges count on classical sums in T.
      must(cublasSetMathMode(at, CUBLAS_PEDANTIC_MATH), "setting the precision of cuBLAS");
      must(cublasSetAtomicsMode(at, CUBLAS_ATOMICS_NOT_ALLOWED), "making cuBLAS deterministic");
    } catch (...) {
      cublasDestroy(at);
      throw;
    }
  }
  BlasHolder(const BlasHolder&) = delete;
  BlasHolder& operator=(const BlasHolder&) = delete;
  ~BlasHolder() { cublasDestroy(at); }
  cublasHandle_t at = nullptr;
};

class Device {
 public:
  static constexpr const char* kName = kRuntimeName;

  explicit Device(int index = 0) : stream_(index), blas_(stream_.at) {
    std::size_t free = 0;
    must(cudaMemGetInfo(&free, &memory_size_), "asking for the device's memory");
    probe<float>("float");
    probe<double>("double");
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { cudaStreamSynchronize(stream_.at); }  // a failure here has nobody left to tell: whoever read results was told

  // Why this back end cannot be used here, in a sentence.
  static Result<void> available() {
    const auto missing = [](const std::string& why) {
      return Error{ErrorKind::unsupported, std::string("device ") + kName, "there is no CUDA device here (" + why + "); use --device cpu"};
    };
    int count = 0, major = 0, minor = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaErrorInsufficientDriver) return missing("no NVIDIA driver, or one that is too old for this module");
    if (code != cudaSuccess) return missing(cudaGetErrorString(code));
    if (count == 0) return missing("no GPU was found");
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) != cudaSuccess)
      return missing("the first GPU does not say what it is");
    if (major < kLeastCapability)
      return missing("the first GPU has compute capability " + std::to_string(major) + "." + std::to_string(minor) + ", the module needs " +
                     std::to_string(kLeastCapability) + ".0 or more");
    return {};
  }

  // Bytes of the device's memory: what is kept in flight is chosen by it.
  std::uint64_t memory_size() const { return memory_size_; }

  template <class T> Buffer<T> buffer(std::int64_t n) { return Buffer<T>(&pool_, n); }

  template <class F>
  void map(std::int64_t n, F f) {
    if (n <= 0) return;
    launch(map_kernel<F>, {blocks_for(n, kThreads), 1}, kThreads, 0, stream_.at, n, f);
  }

  template <class F>
  void map_rows(std::int64_t rows, std::int64_t cols, F f) {
    if (rows <= 0 || cols <= 0) return;
    const std::uint32_t across = power_of_two(cols, 1);
    launch(map_rows_kernel<F>, {blocks_for(cols, across), std::min(blocks_for(rows, kThreads / across), kMostGridRows)}, kThreads, 0, stream_.at, rows,
           cols, across, f);
  }

  template <int K, class F>
  void sum_rows(std::int64_t rows, std::int64_t cols, F f, double* const (&out)[K]) {
    if (rows <= 0) return;
    static_assert(K * kThreads * sizeof(double) <= kSharedEverywhere, "a block's sums need more shared memory than every GPU grants");
    SumTargets<K> targets;
    for (int k = 0; k < K; ++k) targets.at[k] = out[k];
    const std::uint32_t across = power_of_two(cols, kFewestThreads);
    launch(sum_rows_kernel<K, F>, {block_per_row(rows), 1}, across, K * across * sizeof(double), stream_.at, cols, f, targets);
  }

  template <class F>
  void max_rows(std::int64_t rows, std::int64_t cols, F f, double* out) {
    if (rows <= 0) return;
    const std::uint32_t across = power_of_two(cols, kFewestThreads);
    launch(max_rows_kernel<F>, {block_per_row(rows), 1}, across, across * sizeof(double), stream_.at, cols, f, out);
  }

  template <class T>
  void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
            std::int64_t ldc) {
    gemm_batched(1, ta, tb, m, n, k, a, lda, 0, b, ldb, 0, beta, c, ldc, 0);
  }

  // cuBLAS is column-major: the transposes of row-major matrices, so c^T = op(b)^T op(a)^T.
  template <class T>
  void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
                    std::int64_t step_a, const T* b, std::int64_t ldb, std::int64_t step_b, T beta, T* c, std::int64_t ldc, std::int64_t step_c) {
    if (count <= 0 || m <= 0 || n <= 0) return;
    if (k <= 0) {  // cuBLAS demands leading dimensions that an empty matrix does not have
      if (beta != T(1)) map_rows(count * m, n, [=] BL_HD(std::int64_t i, std::int64_t j) {
        T& x = c[i / m * step_c + i % m * ldc + j];
        x = beta == T(0) ? T(0) : x * beta;
      });
      return;
    }
    constexpr bool kSingle = std::is_same_v<T, float>;
    constexpr auto kType = kSingle ? CUDA_R_32F : CUDA_R_64F;
    constexpr auto kCompute = kSingle ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_64F_PEDANTIC;
    const T one = 1;
    must(cublasGemmStridedBatchedEx_64(blas_.at, tb ? CUBLAS_OP_T : CUBLAS_OP_N, ta ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &one, b, kType, ldb, step_b, a,
                                       kType, lda, step_a, &beta, c, kType, ldc, step_c, count, kCompute, CUBLAS_GEMM_DEFAULT),
         "a matrix product");
  }

  // Host memory is pageable: the runtime has read it when the call returns, and has written it after the synchronisation.
  template <class T> void upload(T* to, const T* from, std::int64_t n) { transfer(to, from, n, cudaMemcpyHostToDevice); }
  template <class T> void download(T* to, const T* from, std::int64_t n) {
    transfer(to, from, n, cudaMemcpyDeviceToHost);
    if (n > 0) must(cudaStreamSynchronize(stream_.at), "a kernel or a copy back");
  }
  template <class T> void copy(T* to, const T* from, std::int64_t n) { transfer(to, from, n, cudaMemcpyDeviceToDevice); }
  template <class T> void fill(T* to, T value, std::int64_t n) {
    map(n, [=] BL_HD(std::int64_t i) { to[i] = value; });
  }
  void check() { must(cudaStreamSynchronize(stream_.at), "a kernel"); }

  std::size_t memory_in_use() const { return pool_.in_use(); }
  std::size_t memory_peak() const { return pool_.peak(); }

 private:
  static std::uint32_t blocks_for(std::int64_t n, std::int64_t each) {
    return static_cast<std::uint32_t>(std::min<std::int64_t>((n + each - 1) / each, kMostBlocks));
  }
  static std::uint32_t block_per_row(std::int64_t rows) {
    demand(rows <= 0x7fffffff, "a reduction has more rows than a grid has blocks; split it");
    return static_cast<std::uint32_t>(rows);
  }
  // The power of two from `least` to kThreads that covers n, or kThreads.
  static std::uint32_t power_of_two(std::int64_t n, std::uint32_t least) {
    std::uint32_t p = least;
    while (p < n && p < kThreads) p *= 2;
    return p;
  }

  template <class T>
  void transfer(T* to, const T* from, std::int64_t n, cudaMemcpyKind kind) {
    if (n > 0) must(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), kind, stream_.at), "a copy");
  }

  // Environment variables can make cuBLAS round its factors to fewer bits. (1 + e)(1 + 2 e) = 1 + 3 e + 2 e^2 with e just above
  // the last place of T shows it: fewer bits give 1.
  template <class T>
  void probe(const char* name) {
    constexpr std::int64_t kSide = 64, kSize = kSide * kSide;
    const T e = std::numeric_limits<T>::epsilon();
    std::vector<T> diagonal(kSize, T(0)), full(kSize, T(1) + 2 * e), product(kSize);
    for (std::int64_t i = 0; i < kSide; ++i) diagonal[static_cast<std::size_t>(i * kSide + i)] = T(1) + e;
    const auto a = buffer<T>(kSize), b = buffer<T>(kSize), c = buffer<T>(kSize);
    upload(a.data(), diagonal.data(), kSize);
    upload(b.data(), full.data(), kSize);
    gemm(false, false, kSide, kSide, kSide, a.data(), kSide, b.data(), kSide, T(0), c.data(), kSide);
    download(product.data(), c.data(), kSize);
    for (const T x : product)
      if (!(x >= T(1) + 2 * e && x <= T(1) + 4 * e))
        throw DeviceError(std::string("cuBLAS computes in less than ") + name + " here; unset NVIDIA_TF32_OVERRIDE and CUBLAS_EMULATE_*");
  }

  device::Pool pool_{device_source()};
  StreamHolder stream_;
  BlasHolder blas_;
  std::size_t memory_size_ = 0;
};

}  // namespace boundlight::BL_NS
