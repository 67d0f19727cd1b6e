// Upsample: nearest and linear interpolation by scales of at least 1 (before opset 10).
#include "boundlight/bounds/ops/resampling_kernel.hpp"

#ifdef BL_ONCE
namespace boundlight {

extern const OpInfo Upsample_op;
const OpInfo Upsample_op = {"Upsample", "mode:s scales:F",
                        resampling::infer_sizes<resampling::upsample_plan>, resampling::evaluate_sized<resampling::upsample_plan>, "none", "yes", "inputs", "enclosure", "exact",
                        "no: runtimes differ in how they round coordinates and weights", 1, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_resampling<T, resampling::upsample_plan>(d, node);
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Upsample, make)
