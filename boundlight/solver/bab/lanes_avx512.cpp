#if defined(__x86_64__)
#define BL_SIMD avx512
#define BL_SIMD_BYTES 64
#include "boundlight/solver/bab/lanes.inl"
#endif
