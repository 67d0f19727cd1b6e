#include "boundlight/device/cpu/simd_set.hpp"

namespace boundlight::device_cpu {

template <class T>
const SimdLoops<T>& simd() {
  static const SimdLoops<T> loops = [] {
    SimdLoops<T> l{};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
      avx512::set_sums(l);
      avx512::set_products(l);
      return l;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      avx2::set_sums(l);
      avx2::set_products(l);
      return l;
    }
#endif
    base::set_sums(l);
    base::set_products(l);
    return l;
  }();
  return loops;
}
template const SimdLoops<float>& simd();
template const SimdLoops<double>& simd();

}  // namespace boundlight::device_cpu
