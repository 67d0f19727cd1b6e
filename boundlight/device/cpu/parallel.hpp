// Tasks of the cpu back end, without the headers of TBB: every operator's file includes this.
#pragma once

#include <cstdint>

namespace boundlight::device_cpu {

// run(context, i) for 0 <= i < count, in parallel and in any order; returns when all are done.
void parallel(std::int64_t count, const void* context, void (*run)(const void* context, std::int64_t i));

}  // namespace boundlight::device_cpu
