#include "boundlight/device/pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) (static_cast<void>(at), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) (static_cast<void>(at), static_cast<void>(size))
#endif

namespace boundlight::device {
namespace {

constexpr std::size_t kKeepAtMost = std::size_t{1} << 30;  // bytes of freed blocks held back for reuse

constexpr std::size_t kMostBytes = std::size_t{1} << 40;  // of one block: beyond that a size is a mistake (a negative count)

// Size classes of a quarter of a power of two: at most 25 % waste, few classes.
std::size_t size_class(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 1);
  std::size_t step = 256;
  while (step * 8 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

Pool::Source host_source() {
  return {[](std::size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }, [](void* memory) noexcept { std::free(memory); },
          true, false};
}

void* Pool::reuse(std::size_t size) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = free_.find(size);
  if (found == free_.end() || found->second.empty()) return nullptr;
  void* memory = found->second.back();
  found->second.pop_back();
  kept_ -= size;
  return memory;
}

void* Pool::take(std::size_t bytes) {
  if (bytes > kMostBytes) throw std::bad_alloc();
  const std::size_t size = size_class(bytes);
  void* memory = reuse(size);
  if (!memory) memory = source_.take(size);
  if (!memory) {
    release_kept();
    memory = source_.take(size);
  }
  if (!memory) throw std::bad_alloc();
  if (source_.host) {
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    ASAN_POISON_MEMORY_REGION(static_cast<char*>(memory) + bytes, size - bytes);
    if (source_.scrub) std::memset(memory, 0xff, bytes);
  }
  const std::size_t now = in_use_ += size;
  std::size_t peak = peak_;
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {}
  return memory;
}

void Pool::give(void* memory, std::size_t bytes) noexcept {
  const std::size_t size = size_class(bytes);
  in_use_ -= size;
  if (source_.host) ASAN_POISON_MEMORY_REGION(memory, size);
  {
    const std::lock_guard lock(mutex_);
    if (kept_ + size <= kKeepAtMost) {
      try {
        free_[size].push_back(memory);
        kept_ += size;
        return;
      } catch (const std::bad_alloc&) {
        // no room to remember it: give it back below
      }
    }
  }
  source_.give(memory);
}

void Pool::release_kept() noexcept {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) {
      if (source_.host) ASAN_UNPOISON_MEMORY_REGION(block, size);
      source_.give(block);
    }
    blocks.clear();
  }
  kept_ = 0;
}

}  // namespace boundlight::device
