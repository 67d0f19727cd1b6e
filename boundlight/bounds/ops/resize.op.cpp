// Resize: nearest, linear and cubic interpolation in every coordinate mode.
#include "boundlight/bounds/ops/resampling_kernel.hpp"

#ifdef BL_ONCE
namespace boundlight {

extern const OpInfo Resize_op;
const OpInfo Resize_op = {"Resize", "antialias:i axes:I coordinate_transformation_mode:s cubic_coeff_a:f exclude_outside:i extrapolation_value:f keep_aspect_ratio_policy:s mode:s nearest_mode:s",
                        resampling::infer_sizes<resampling::resize_plan>, resampling::evaluate_sized<resampling::resize_plan>, "none", "yes", "inputs", "enclosure", "exact",
                        "no: runtimes differ in how they round coordinates and weights", 1, 4, 10};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  return make_resampling<T, resampling::resize_plan>(d, node);
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Resize, make)
