// Runs the blocks and threads of a kernel on the host. A block's threads run one after another on one fiber until one waits
// at a barrier; that fiber is set aside and the next thread starts on another. When all wait, all are resumed.
//
// Stricter than hardware on purpose: threads that end while others wait, or that wait at different lines, are errors. Built with
// ThreadSanitizer, two threads that touch the same memory without the launch's end or a barrier between them are a data race.
#pragma once

#include <cstddef>
#include <cstdint>

namespace boundlight::emulated {

struct Grid {
  std::uint32_t width, height;
};

// Where the running thread is.
struct Place {
  std::uint32_t thread = 0, threads = 0, block = 0, block_row = 0;
  Grid grid{0, 0};
  std::byte* shared = nullptr;
};
Place place();

// Throws ContractViolation outside of a kernel.
void wait_at_barrier(int line);

enum class Order : std::uint8_t { ascending, descending, shuffled };
// Order of blocks and of threads between barriers, for launches from this host thread. The start is
// BOUNDLIGHT_EMULATED_ORDER and BOUNDLIGHT_EMULATED_SEED, or ascending and 1. BOUNDLIGHT_EMULATED_FAIL = n: launch n fails.
void set_order(Order order, std::uint64_t seed);
// Numbers from the same seed, for whatever else hardware leaves open.
std::uint64_t next_random();

struct Launch {
  Grid grid;
  std::uint32_t block;
  std::size_t shared_bytes;
  void (*thread)(const void* call);  // one thread of the kernel
  const void* call;
};
// Throws DeviceError for what a GPU would refuse and for misused barriers; rethrows what a kernel throws.
void run_blocks(const Launch& launch);

}  // namespace boundlight::emulated
