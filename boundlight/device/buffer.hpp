// Buffer<T>: an array of a device; move-only, returned to the device's pool when it dies. The device must outlive it.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "boundlight/device/pool.hpp"

namespace boundlight::BL_NS {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  Buffer(device::Pool* pool, std::int64_t n) : pool_(pool), size_(n), data_(static_cast<T*>(pool->take(bytes(n)))) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer gone(std::move(other));
    swap(gone);
    return *this;
  }
  ~Buffer() {
    if (data_) pool_->give(data_, bytes(size_));
  }
  T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  static std::size_t bytes(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(T); }
  void swap(Buffer& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
  }
  device::Pool* pool_ = nullptr;
  std::int64_t size_ = 0;
  T* data_ = nullptr;
};

}  // namespace boundlight::BL_NS
