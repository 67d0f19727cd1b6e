// The device that engines of a test live on: BOUNDLIGHT_TEST_DEVICE, or cpu (BOUNDLIGHT_TEST_DEVICE=emulated build/tests/test_bounds).
// A test whose subject is the cpu back end names its device and does not ask here.
#pragma once

#include <cstdlib>
#include <string>

namespace boundlight::test {

inline std::string test_device() {
  const char* named = std::getenv("BOUNDLIGHT_TEST_DEVICE");
  return named != nullptr && *named != '\0' ? named : "cpu";
}

}  // namespace boundlight::test
