// An engine whose device can fail in the middle of a call (a kernel that faults, a driver that goes away): what the back end throws
// becomes the call's error, one sentence that names the device.
#pragma once

#include <memory>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

std::unique_ptr<Engine> guarded(std::unique_ptr<Engine> engine);

}  // namespace boundlight
