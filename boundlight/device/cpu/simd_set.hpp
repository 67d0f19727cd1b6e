// The tables of loops that each instruction set fills in (simd_sums.inl, simd_products.inl).
#pragma once

#include "boundlight/device/cpu/simd.hpp"

#define BL_SIMD_SET(name)                                   \
  namespace boundlight::device_cpu::name {                  \
  template <class T> void set_sums(SimdLoops<T>& loops);     \
  template <class T> void set_products(SimdLoops<T>& loops); \
  }
BL_SIMD_SET(base)
BL_SIMD_SET(avx2)
BL_SIMD_SET(avx512)
#undef BL_SIMD_SET
