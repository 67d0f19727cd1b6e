#include "boundlight/device/cpu/sample_lanes_set.hpp"

namespace boundlight::device_cpu {

template <class T>
const LaneLoops<T>& lane_loops() {
  static const LaneLoops<T> loops = [] {
    LaneLoops<T> l{};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
      avx512::set_lanes(l);
      return l;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      avx2::set_lanes(l);
      return l;
    }
#endif
    base::set_lanes(l);
    return l;
  }();
  return loops;
}
template const LaneLoops<float>& lane_loops();
template const LaneLoops<double>& lane_loops();

}  // namespace boundlight::device_cpu
