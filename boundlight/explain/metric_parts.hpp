// What the metrics share (metrics.hpp).
#pragma once

#include "boundlight/core/result.hpp"

namespace boundlight::metric_parts {

Error stopped();

}  // namespace boundlight::metric_parts
