// The tables of loops that each instruction set fills in (sample_lanes.inl).
#pragma once

#include "boundlight/device/sample_lanes.hpp"

namespace boundlight::device_cpu {
namespace base { template <class T> void set_lanes(LaneLoops<T>& loops); }
namespace avx2 { template <class T> void set_lanes(LaneLoops<T>& loops); }
namespace avx512 { template <class T> void set_lanes(LaneLoops<T>& loops); }
}  // namespace boundlight::device_cpu
