// on_device DEVICE PROGRAM [ARGUMENTS]: runs a test program whose engines live on DEVICE (support/test_device.hpp). Where DEVICE
// cannot be used, prints "skipped: " and why, and ends with code 77.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "boundlight/bounds/engines/engine.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: on_device DEVICE PROGRAM [ARGUMENTS]\n");
    return 2;
  }
  for (const auto& device : boundlight::available_devices()) {
    if (device.name != argv[1]) continue;
    if (!device.reason.empty()) {
      std::printf("skipped: %s\n", device.reason.c_str());
      return 77;
    }
    ::setenv("BOUNDLIGHT_TEST_DEVICE", argv[1], 1);
    ::execv(argv[2], argv + 2);
    std::fprintf(stderr, "on_device: %s: %s\n", argv[2], std::strerror(errno));
    return 1;
  }
  std::fprintf(stderr, "on_device: there is no device %s\n", argv[1]);
  return 1;
}
