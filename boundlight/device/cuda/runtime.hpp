// The runtime layer of the cuda back end: CUDA itself. The emulator's counterpart is device/emulated/runtime.hpp.
// <<<>>> occurs here and nowhere else.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "boundlight/device/error.hpp"
#include "boundlight/device/pool.hpp"

#define BL_KERNEL __global__

namespace boundlight::BL_NS {

inline constexpr const char* kRuntimeName = "cuda";
inline constexpr std::uint32_t kThreads = 256;       // of a block, at most
inline constexpr std::uint32_t kFewestThreads = 32;  // of a reduction: one warp
inline constexpr int kLeastCapability = 8;           // major; the first that the module is compiled for
inline constexpr std::size_t kSharedEverywhere = 48 * 1024;  // bytes of shared memory that a block has without asking
inline constexpr std::uint32_t kMostBlocks = 1 << 20, kMostGridRows = 65535;

struct Grid {
  std::uint32_t width, height;
};

__device__ inline std::uint32_t thread_index() { return threadIdx.x; }
__device__ inline std::uint32_t threads() { return blockDim.x; }
__device__ inline std::uint32_t block_index() { return blockIdx.x; }
__device__ inline std::uint32_t block_row() { return blockIdx.y; }
__device__ inline std::uint32_t grid_width() { return gridDim.x; }
__device__ inline std::uint32_t grid_height() { return gridDim.y; }
__device__ inline void barrier() { __syncthreads(); }

template <class T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

template <class... P, class... A>
void launch(void (*kernel)(P...), Grid grid, std::uint32_t block, std::size_t shared_bytes, cudaStream_t stream, A... args) {
  kernel<<<dim3(grid.width, grid.height), block, shared_bytes, stream>>>(args...);
  const cudaError_t code = cudaGetLastError();
  if (code != cudaSuccess) throw DeviceError(std::string("a launch failed: ") + cudaGetErrorString(code));
}

inline void* take_device_memory(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();  // out of memory is the pool's to tell; it must not fail the next launch
  return nullptr;
}
inline void give_device_memory(void* memory) noexcept { cudaFree(memory); }
inline device::Pool::Source device_source() { return {take_device_memory, give_device_memory, false, false}; }

}  // namespace boundlight::BL_NS
