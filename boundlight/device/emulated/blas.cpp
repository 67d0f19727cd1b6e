// Matrix products of the emulated back end. The rounding charge of a product holds for sums in any order, fused or not: so
// every product here is summed in another order, drawn from the seed, and small ones are fused at random.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "boundlight/device/emulated/host_api.hpp"

namespace boundlight::emulated {

struct Blas {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace {

constexpr std::int64_t kColumns = 48;          // columns of c that share a drawn order
constexpr std::int64_t kFewForFused = 200000;  // multiply-adds up to which a fused product is affordable here

template <class T>
struct Matrix {
  const T* at;
  std::int64_t ld;
  bool transposed;
  T operator()(std::int64_t row, std::int64_t col) const { return transposed ? at[row * ld + col] : at[col * ld + row]; }
};

// The 10 bits of significand that tensor cores keep.
float tf32(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x1000U) & ~0x1fffU;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}
template <class T>
T rounded(T x, bool reduced) {
  if constexpr (std::is_same_v<T, float>) {
    if (reduced) return tf32(x);
  }
  return x;
}

// Ends of the pieces into which k terms are cut: one piece (a running sum) up to k (all products first).
std::vector<std::int64_t> random_pieces(std::int64_t k) {
  std::vector<std::int64_t> ends;
  const std::uint64_t longest = 1 + next_random() % static_cast<std::uint64_t>(k);
  for (std::int64_t at = 0; at < k;) {
    at = std::min(k, at + 1 + static_cast<std::int64_t>(next_random() % longest));
    ends.push_back(at);
  }
  return ends;
}

template <class T>
void product(const Matrix<T>& a, const Matrix<T>& b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, T beta, T* c, std::int64_t ldc, bool reduced) {
  const bool fused = m * n * k <= kFewForFused && next_random() % 2 == 0;
  std::vector<T> packed(static_cast<std::size_t>(m * k)), sum(static_cast<std::size_t>(m)), part(sum.size());
  std::vector<std::int64_t> order(static_cast<std::size_t>(k));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t first = 0; first < n; first += kColumns) {
    for (std::int64_t i = k; i > 1; --i)
      std::swap(order[static_cast<std::size_t>(i - 1)], order[static_cast<std::size_t>(next_random() % static_cast<std::uint64_t>(i))]);
    for (std::int64_t p = 0; p < k; ++p)
      for (std::int64_t i = 0; i < m; ++i) packed[static_cast<std::size_t>(p * m + i)] = rounded(a(i, order[static_cast<std::size_t>(p)]), reduced);
    const auto pieces = random_pieces(k);
    for (std::int64_t j = first; j < std::min(n, first + kColumns); ++j) {
      bool begun = false;
      std::int64_t p = 0;
      for (const std::int64_t end : pieces) {
        std::fill(part.begin(), part.end(), T(0));
        for (; p < end; ++p) {
          const T factor = rounded(b(order[static_cast<std::size_t>(p)], j), reduced);
          const T* const column = packed.data() + p * m;
          T* const to = part.data();
          if (fused)
            for (std::int64_t i = 0; i < m; ++i) to[i] = std::fma(column[i], factor, to[i]);
          else
            for (std::int64_t i = 0; i < m; ++i) to[i] += column[i] * factor;
        }
        for (std::int64_t i = 0; i < m; ++i) {
          const auto at = static_cast<std::size_t>(i);
          sum[at] = begun ? part[at] + sum[at] : part[at];
        }
        begun = true;
      }
      for (std::int64_t i = 0; i < m; ++i) {
        T& to = c[j * ldc + i];
        const T x = alpha == T(1) ? sum[static_cast<std::size_t>(i)] : alpha * sum[static_cast<std::size_t>(i)];
        to = beta == T(0) ? x : x + (beta == T(1) ? to : beta * to);
      }
    }
  }
}

}  // namespace

const char* cublasGetStatusString(cublasStatus_t code) {
  switch (code) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the functionality is not supported";
  }
  return "unknown status";
}
cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new Blas;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t) {
  return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, std::int64_t m, std::int64_t n,
                                             std::int64_t k, const void* alpha, const void* a, cudaDataType_t a_type, std::int64_t lda,
                                             long long step_a, const void* b, cudaDataType_t b_type, std::int64_t ldb, long long step_b,
                                             const void* beta, void* c, cudaDataType_t c_type, std::int64_t ldc, long long step_c, std::int64_t count,
                                             cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (!handle || !handle->stream) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::int64_t a_rows = ta == CUBLAS_OP_T ? k : m, b_rows = tb == CUBLAS_OP_T ? n : k;
  const std::int64_t a_cols = ta == CUBLAS_OP_T ? m : k, b_cols = tb == CUBLAS_OP_T ? k : n;
  const auto at_least = [](std::int64_t rows) { return std::max<std::int64_t>(1, rows); };
  if (m < 0 || n < 0 || k < 0 || count < 0 || lda < at_least(a_rows) || ldb < at_least(b_rows) || ldc < at_least(m)) return CUBLAS_STATUS_INVALID_VALUE;
  if (count > 1 && step_c < (n - 1) * ldc + m) return CUBLAS_STATUS_INVALID_VALUE;  // results would overlap
  const bool single = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC;
  const cudaDataType_t type = single ? CUDA_R_32F : CUDA_R_64F;
  if (a_type != type || b_type != type || c_type != type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (m == 0 || n == 0 || count == 0) return CUBLAS_STATUS_SUCCESS;
  const std::int64_t item = single ? 4 : 8;
  const auto inside = [&](const void* p, std::int64_t rows, std::int64_t cols, std::int64_t ld, std::int64_t step) {
    return rows == 0 || cols == 0 || is_device_memory(p, static_cast<std::size_t>(((count - 1) * step + (cols - 1) * ld + rows) * item));
  };
  if (!inside(a, a_rows, a_cols, lda, step_a) || !inside(b, b_rows, b_cols, ldb, step_b) || !inside(c, m, n, ldc, step_c)) return CUBLAS_STATUS_INVALID_VALUE;
  const bool reduced = compute == CUBLAS_COMPUTE_32F || handle->math != CUBLAS_PEDANTIC_MATH;
  const auto as = [&]<class T>(T) {
    for (std::int64_t i = 0; i < count; ++i)
      product<T>({static_cast<const T*>(a) + i * step_a, lda, ta == CUBLAS_OP_T}, {static_cast<const T*>(b) + i * step_b, ldb, tb == CUBLAS_OP_T}, m, n, k,
                 *static_cast<const T*>(alpha), *static_cast<const T*>(beta), static_cast<T*>(c) + i * step_c, ldc, reduced);
  };
  if (single) as(0.0F);
  else as(0.0);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace boundlight::emulated
