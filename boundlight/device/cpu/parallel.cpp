#include "boundlight/device/cpu/parallel.hpp"

#include <tbb/parallel_for.h>

namespace boundlight::device_cpu {

void parallel(std::int64_t count, const void* context, void (*run)(const void* context, std::int64_t i)) {
  tbb::parallel_for(std::int64_t{0}, count, [=](std::int64_t i) { run(context, i); });
}

}  // namespace boundlight::device_cpu
