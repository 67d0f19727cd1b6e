#define BL_SIMD avx512
#define BL_SIMD_BYTES 64
#include "boundlight/device/cpu/sample_lanes.inl"
