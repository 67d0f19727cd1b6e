// The kernel makers of this back end, by operator name.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

// Null when the operator has no kernels (values of integer type only).
const KernelMakers* find_makers(std::string_view name);

}  // namespace boundlight::BL_NS
