#include "boundlight/solver/bab/lanes.hpp"

namespace boundlight::bab {

namespace base { extern const LaneLoops lane_loops; }
namespace avx2 { extern const LaneLoops lane_loops; }
namespace avx512 { extern const LaneLoops lane_loops; }

const LaneLoops& lane_loops() {
  static const LaneLoops& best = []() -> const LaneLoops& {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) return avx512::lane_loops;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::lane_loops;
#endif
    return base::lane_loops;
  }();
  return best;
}

}  // namespace boundlight::bab
