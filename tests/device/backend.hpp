// Tests that are compiled once per back end (*.dev.cpp): BL_TEST("map covers ...") is the case "emulated: map covers ...".
#pragma once

#include <catch2/catch.hpp>
#include <vector>

#include "boundlight/device/device.hpp"

#define BL_STRING_(x) #x
#define BL_STRING(x) BL_STRING_(x)
#define BL_TEST(name) TEST_CASE(BL_STRING(BL_NS) ": " name)

namespace boundlight::BL_NS {

template <class T>
Buffer<T> to_device(Device& d, const std::vector<T>& host) {
  auto b = d.buffer<T>(static_cast<std::int64_t>(host.size()));
  d.upload(b.data(), host.data(), b.size());
  return b;
}
template <class T>
std::vector<T> to_host(Device& d, const Buffer<T>& b) {
  std::vector<T> host(static_cast<std::size_t>(b.size()));
  d.download(host.data(), b.data(), b.size());
  return host;
}

}  // namespace boundlight::BL_NS
