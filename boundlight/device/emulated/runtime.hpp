// The runtime layer of the emulated back end: the functions of the CUDA runtime and of cuBLAS that device/cuda uses, run on
// the host, with the same names and argument orders. It is the debugger of the cuda back end: the same kernels and host
// code under any sanitizer, on a machine without a GPU.
//
// Kernels run block by block, a fiber per waiting thread (fibers.hpp), in an order of threads and blocks that can be chosen
// (BOUNDLIGHT_EMULATED_ORDER = ascending | descending | shuffled, BOUNDLIGHT_EMULATED_SEED): results must not depend on it.
// What real hardware leaves to chance is an error here: a barrier that some threads of a block skip or reach at another
// line, and host memory handed to a kernel. Products sum in a random order and, for small ones, fused or not (seeded).
// ThreadSanitizer finds races between the threads and blocks of a kernel (fibers.cpp). Not shown: speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "boundlight/device/emulated/fibers.hpp"
#include "boundlight/device/emulated/host_api.hpp"
#include "boundlight/device/error.hpp"
#include "boundlight/device/pool.hpp"

#define BL_KERNEL
#define barrier() wait_at_barrier(__LINE__)

namespace boundlight::emulated {

inline constexpr const char* kRuntimeName = "emulated";
// Small blocks and grids, so that small tests cross their edges.
inline constexpr std::uint32_t kThreads = 16, kFewestThreads = 4, kMostBlocks = 64, kMostGridRows = 48;
inline constexpr int kLeastCapability = 8;
inline constexpr std::size_t kSharedEverywhere = 48 * 1024;

inline std::uint32_t thread_index() { return place().thread; }
inline std::uint32_t threads() { return place().threads; }
inline std::uint32_t block_index() { return place().block; }
inline std::uint32_t block_row() { return place().block_row; }
inline std::uint32_t grid_width() { return place().grid.width; }
inline std::uint32_t grid_height() { return place().grid.height; }

template <class T>
T* shared_memory() {
  return static_cast<T*>(static_cast<void*>(place().shared));
}

template <class... P, class... A>
void launch(void (*kernel)(P...), Grid grid, std::uint32_t block, std::size_t shared_bytes, cudaStream_t stream, A... args) {
  static_assert((std::is_trivially_copyable_v<A> && ...), "a kernel's arguments are copied to the device as bytes");
  // Padding is cleared so that what looks like an address in an argument is one.
  (__builtin_clear_padding(&args), ...);
  (demand_device_words(&args, sizeof args), ...);
  const std::tuple<P...> values(args...);
  struct Call {
    void (*kernel)(P...);
    const std::tuple<P...>* values;
  } const call{kernel, &values};
  const auto thread = [](const void* at) {
    const auto& c = *static_cast<const Call*>(at);
    std::apply(c.kernel, *c.values);
  };
  run_grid({grid, block, shared_bytes, thread, &call}, stream);
}

}  // namespace boundlight::emulated
