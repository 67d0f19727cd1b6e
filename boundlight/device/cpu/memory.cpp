#include "boundlight/device/cpu/memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace boundlight::device_cpu {
namespace {

constexpr std::size_t kKeepAtMost = std::size_t{1} << 30;  // bytes of freed blocks held back for reuse

// Size classes of a quarter of a power of two: at most 25 % waste, few classes.
std::size_t size_class(std::size_t bytes) {
  std::size_t step = 256;
  while (step * 8 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

Pool::~Pool() {
  for (auto& [size, blocks] : free_)
    for (void* block : blocks) std::free(block);
}

void* Pool::take(std::size_t bytes) {
  const std::size_t size = size_class(std::max<std::size_t>(bytes, 1));
  const std::size_t now = in_use_ += size;
  std::size_t peak = peak_;
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {}
  {
    const std::lock_guard lock(mutex_);
    auto found = free_.find(size);
    if (found != free_.end() && !found->second.empty()) {
      void* memory = found->second.back();
      found->second.pop_back();
      kept_ -= size;
      return memory;
    }
  }
  void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64);
  if (!memory) {
    in_use_ -= size;
    throw std::bad_alloc();
  }
  return memory;
}

void Pool::give(void* memory, std::size_t bytes) noexcept {
  const std::size_t size = size_class(std::max<std::size_t>(bytes, 1));
  in_use_ -= size;
  const std::lock_guard lock(mutex_);
  if (kept_ + size <= kKeepAtMost) {
    try {
      free_[size].push_back(memory);
      kept_ += size;
      return;
    } catch (const std::bad_alloc&) {
      // no room to remember it: free it below
    }
  }
  std::free(memory);
}

}  // namespace boundlight::device_cpu
