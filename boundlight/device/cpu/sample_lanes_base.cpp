#define BL_SIMD base
#define BL_SIMD_BYTES 16
#include "boundlight/device/cpu/sample_lanes.inl"
