// Pool: memory of one device, kept by size class and handed out again. A backward pass allocates the same sizes over and
// over; fresh pages (or a driver's allocation, which waits for the whole GPU) cost more than the arithmetic on them.
//
// The pool of a device with a stream may hand out a block that queued work still uses: the next user's work is queued
// behind it, on the same stream.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace boundlight::device {

class Pool {
 public:
  struct Source {
    void* (*take)(std::size_t bytes);  // aligned to 64 bytes; null when there is no room
    void (*give)(void* memory) noexcept;
    // The host can touch this memory. AddressSanitizer is then told which bytes are live: reading beyond a buffer's end or
    // after its return is caught although the block stays allocated.
    bool host;
    // Fill what is handed out with 0xff bytes (NaN), so that no test passes by reading fresh zeros.
    bool scrub;
  };

  explicit Pool(Source source) : source_(source) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { release_kept(); }

  // Never null. Throws std::bad_alloc when the source has no room even after everything kept was given back to it,
  // and for more than 2^40 bytes.
  void* take(std::size_t bytes);
  void give(void* memory, std::size_t bytes) noexcept;

  // Bytes of live blocks, now and at most so far (in size classes: up to a quarter above what was asked for).
  [[nodiscard]] std::size_t in_use() const { return in_use_; }
  [[nodiscard]] std::size_t peak() const { return peak_; }

 private:
  void release_kept() noexcept;
  void* reuse(std::size_t size) noexcept;

  Source source_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::atomic<std::size_t> in_use_ = 0, peak_ = 0;
  std::size_t kept_ = 0;
};

// Memory of the host.
Pool::Source host_source();

}  // namespace boundlight::device
