// The sizes of a convolution: what Conv and ConvTranspose share. For ConvTranspose the sides are swapped: its output is the fine
// side of `in_channels`.
#pragma once

#include <cstdint>

#include "boundlight/bounds/ops/spatial.hpp"

namespace boundlight {

struct ConvGeometry {
  spatial::Windows at;
  std::int64_t samples = 1, in_channels = 1, out_channels = 1, groups = 1;
  BL_HD std::int64_t group_in() const { return in_channels / groups; }
  BL_HD std::int64_t group_out() const { return out_channels / groups; }
  BL_HD std::int64_t terms() const { return group_in() * at.kernel_size(); }
};

}  // namespace boundlight
