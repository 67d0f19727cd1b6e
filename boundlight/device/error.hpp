// DeviceError: a device refused or failed a launch, a copy or a call; nothing computed since is to be believed.
#pragma once

#include <stdexcept>

namespace boundlight {

class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace boundlight
