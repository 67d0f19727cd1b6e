// The host functions of the CUDA runtime and of cuBLAS that device/cuda uses, for the emulator: same names, same argument
// orders, same refusals. Work is done at once; a stream only says that it exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "boundlight/device/emulated/fibers.hpp"
#include "boundlight/device/pool.hpp"

namespace boundlight::emulated {

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInsufficientDriver = 35, cudaErrorInvalidDevice = 101 };
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrComputeCapabilityMinor = 76 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
inline constexpr unsigned cudaStreamNonBlocking = 1;
struct Stream;
using cudaStream_t = Stream*;

const char* cudaGetErrorString(cudaError_t code);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* all);
cudaError_t cudaSetDevice(int index);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
// Refuses directions that do not fit where the memory lies.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_INITIALIZED = 1, CUBLAS_STATUS_INVALID_VALUE = 7, CUBLAS_STATUS_NOT_SUPPORTED = 15 };
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasMath_t { CUBLAS_DEFAULT_MATH = 0, CUBLAS_PEDANTIC_MATH = 2 };
enum cublasAtomicsMode_t { CUBLAS_ATOMICS_NOT_ALLOWED = 0 };
enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_64F = 1 };
// The fast variants are here so that a mistaken choice shows: they round the factors to TF32, as hardware may.
enum cublasComputeType_t { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_PEDANTIC = 69, CUBLAS_COMPUTE_64F = 70, CUBLAS_COMPUTE_64F_PEDANTIC = 71 };
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1 };
struct Blas;
using cublasHandle_t = Blas*;

const char* cublasGetStatusString(cublasStatus_t code);
cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode);
// Column-major c[m][n] = alpha op(a) op(b) + beta c, `count` times, step elements apart. Every entry is a sum over a random permutation of its terms, cut into
// random pieces that are summed in random order (gemm.cpp).
cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, std::int64_t m, std::int64_t n,
                                             std::int64_t k, const void* alpha, const void* a, cudaDataType_t a_type, std::int64_t lda,
                                             long long step_a, const void* b, cudaDataType_t b_type, std::int64_t ldb, long long step_b,
                                             const void* beta, void* c, cudaDataType_t c_type, std::int64_t ldc, long long step_c, std::int64_t count,
                                             cublasComputeType_t compute, cublasGemmAlgo_t algorithm);

// Device memory comes from here and is registered.
device::Pool::Source device_source();
bool is_device_memory(const void* at, std::size_t bytes);
// Throws DeviceError when one of the 8-byte words is the address of mapped memory that is not the device's.
void demand_device_words(const void* words, std::size_t bytes);

void run_grid(const Launch& launch, cudaStream_t stream);

}  // namespace boundlight::emulated
