// How far two answers to one question may lie apart on the device of the tests.
#pragma once

#include "support/test_device.hpp"

namespace boundlight::test {

// Relative. Nothing where products are always summed in one order; the emulator draws the order of every product anew.
inline double answers_apart() { return test_device() == "emulated" ? 1e-5 : 0.0; }

}  // namespace boundlight::test
