#if defined(__x86_64__)
#define BL_SIMD avx2
#define BL_SIMD_BYTES 32
#include "boundlight/solver/bab/lanes.inl"
#endif
