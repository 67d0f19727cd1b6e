#include "boundlight/device/emulated/host_api.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "boundlight/device/error.hpp"

namespace boundlight::emulated {
namespace {

// Live allocations of device memory: start -> bytes.
struct Registry {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> blocks;
};
Registry& registry() {
  static auto* const one = new Registry;  // outlives every engine, whatever the order of destruction
  return *one;
}

bool mapped(std::uintptr_t address) {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  return mincore(reinterpret_cast<void*>(address / page * page), 1, &resident) == 0;
}

}  // namespace

struct Stream {};

const char* cudaGetErrorString(cudaError_t code) {
  switch (code) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
  }
  return "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8 : 0;
  return index == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* all) {
  *free = *all = std::size_t{1} << 32;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int index) { return index == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return stream ? cudaSuccess : cudaErrorInvalidValue; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if (!stream || is_device_memory(to, bytes) != to_device || is_device_memory(from, bytes) != from_device) return cudaErrorInvalidValue;
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

device::Pool::Source device_source() {
  return {[](std::size_t bytes) -> void* {
            void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
            if (!memory) return nullptr;
            const std::lock_guard lock(registry().mutex);
            registry().blocks.emplace(reinterpret_cast<std::uintptr_t>(memory), bytes);
            return memory;
          },
          [](void* memory) noexcept {
            {
              const std::lock_guard lock(registry().mutex);
              registry().blocks.erase(reinterpret_cast<std::uintptr_t>(memory));
            }
            std::free(memory);
          },
          true, true};
}

bool is_device_memory(const void* at, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  const std::lock_guard lock(registry().mutex);
  auto found = registry().blocks.upper_bound(address);
  if (found == registry().blocks.begin()) return false;
  --found;
  return address - found->first <= found->second && bytes <= found->second - (address - found->first);
}

void demand_device_words(const void* words, std::size_t bytes) {
  // Where Linux puts a process's heap, libraries and stacks (sanitizers included); numbers that a functor carries look different.
  constexpr std::uintptr_t kLowest = std::uintptr_t{1} << 46, kHighest = std::uintptr_t{1} << 47;
  for (std::size_t i = 0; i + sizeof(std::uintptr_t) <= bytes; i += sizeof(std::uintptr_t)) {
    std::uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(words) + i, sizeof word);
    if (word < kLowest || word >= kHighest || is_device_memory(reinterpret_cast<void*>(word), 0) || !mapped(word)) continue;
    throw DeviceError("a kernel was handed host memory (argument bytes " + std::to_string(i) + " to " + std::to_string(i + sizeof word - 1) +
                      "); a GPU cannot read it");
  }
}

void run_grid(const Launch& launch, cudaStream_t stream) {
  if (!stream) throw DeviceError("a launch failed: no stream");
  run_blocks(launch);
}

}  // namespace boundlight::emulated
