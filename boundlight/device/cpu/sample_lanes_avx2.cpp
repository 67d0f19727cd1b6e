#define BL_SIMD avx2
#define BL_SIMD_BYTES 32
#include "boundlight/device/cpu/sample_lanes.inl"
