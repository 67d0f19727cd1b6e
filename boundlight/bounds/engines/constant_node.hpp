// Nodes that read constants only and were not folded (sqrt(2) is no float): their own kernel encloses them once, in double.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/bounds/ops/makers.hpp"

namespace boundlight::BL_NS {

bool reads_constants_only(const NodeView& node);

// A kernel without variable inputs (ops/constants.hpp). Errors: what the operator's maker refuses.
template <class T>
Result<std::unique_ptr<Kernel<T>>> make_constant_node(Device& d, const NodeView& node, const KernelMakers& makers);

}  // namespace boundlight::BL_NS
