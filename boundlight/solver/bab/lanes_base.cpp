#define BL_SIMD base
#define BL_SIMD_BYTES 16
#include "boundlight/solver/bab/lanes.inl"
