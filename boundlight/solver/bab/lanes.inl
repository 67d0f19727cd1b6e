// The loops of lanes.hpp. Included by one file per instruction set, with BL_SIMD naming it and BL_SIMD_BYTES the size of a vector.
#include <cmath>

#include "boundlight/solver/bab/lanes.hpp"

namespace boundlight::bab::BL_SIMD {
namespace {

constexpr float kTiny = 1e-12F;

void add_products(const std::int32_t* start, const std::int32_t* index, const float* value, std::size_t from, std::size_t to, const float* x, float* out) {
  using V = float __attribute__((vector_size(BL_SIMD_BYTES)));
  constexpr std::size_t kWide = BL_SIMD_BYTES / 4, kParts = kLanes / kWide;
  for (std::size_t r = from; r < to; ++r) {
    V sum[kParts];
    for (std::size_t i = 0; i < kParts; ++i) __builtin_memcpy(&sum[i], out + r * kLanes + i * kWide, sizeof(V));
    for (std::int32_t e = start[r]; e < start[r + 1]; ++e) {
      const float* at = x + static_cast<std::size_t>(index[e]) * kLanes;
      const float w = value[e];
      for (std::size_t i = 0; i < kParts; ++i) {
        V v;
        __builtin_memcpy(&v, at + i * kWide, sizeof(V));
        sum[i] += w * v;
      }
    }
    for (std::size_t i = 0; i < kParts; ++i) __builtin_memcpy(out + r * kLanes + i * kWide, &sum[i], sizeof(V));
  }
}

void take_back(NeuronLines n, std::size_t from, std::size_t to, float* sum) {
  for (std::size_t j = from; j < to; ++j)
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t at = j * kLanes + i;
      const float c = n.coefficient[at], negative = c < 0 ? c : 0.0F, positive = c < 0 ? 0.0F : c;
      const float on = positive * n.slope[at] + negative * n.upper_slope[at] + n.shift[at];
      n.onward[at] = on;
      sum[i] += negative * n.upper_offset[at] + on * n.constant[j];
    }
}

void take_forward(NeuronLines n, std::size_t from, std::size_t to) {
  for (std::size_t j = from; j < to; ++j)
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t at = j * kLanes + i;
      const float z = n.z[at];
      n.y[at] = n.coefficient[at] < 0 ? n.upper_slope[at] * z + n.upper_offset[at] : n.slope[at] * z;
    }
}

void minimise(const float* q, const float* lower, const float* upper, std::size_t inputs, float* x, float* sum) {
  for (std::size_t k = 0; k < inputs; ++k)
    for (std::size_t i = 0; i < kLanes; ++i) {
      const float at = q[k * kLanes + i] >= 0 ? lower[k] : upper[k];
      x[k * kLanes + i] = at;
      sum[i] += q[k * kLanes + i] * at;
    }
}

void climb_slopes(AdamLines s, const float* coefficient, const float* z, const float* free, float rate, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = (coefficient[i] < 0 ? 0.0F : coefficient[i] * z[i]) * free[i];
    const float m = static_cast<float>(kAdamMomentum) * s.momentum[i] + static_cast<float>(1 - kAdamMomentum) * g;
    const float v = static_cast<float>(kAdamEnergy) * s.energy[i] + static_cast<float>(1 - kAdamEnergy) * g * g;
    s.momentum[i] = m;
    s.energy[i] = v;
    const float x = s.at[i] + free[i] * rate * (m * s.first) / (std::sqrt(v * s.second) + kTiny);
    const float above = x < 0 ? 0.0F : x;
    s.at[i] = above > 1 ? 1.0F : above;
  }
}

void climb_multipliers(AdamLines s, const float* sign, const float* z, const float* scale, float rate, float* shift) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    const float g = sign[i] * z[i];
    const float m = static_cast<float>(kAdamMomentum) * s.momentum[i] + static_cast<float>(1 - kAdamMomentum) * g;
    const float v = static_cast<float>(kAdamEnergy) * s.energy[i] + static_cast<float>(1 - kAdamEnergy) * g * g;
    s.momentum[i] = m;
    s.energy[i] = v;
    const float x = s.at[i] + rate * scale[i] * (m * s.first) / (std::sqrt(v * s.second) + kTiny);
    s.at[i] = x > 0 ? x : 0.0F;
    shift[i] = sign[i] * s.at[i];
  }
}

void keep_lanes(const float* better, const float* from, std::size_t n, float* to) {
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < kLanes; ++i) to[j * kLanes + i] = better[i] > 0 ? from[j * kLanes + i] : to[j * kLanes + i];
}

}  // namespace

extern const LaneLoops lane_loops;
const LaneLoops lane_loops = {add_products, take_back, take_forward, minimise, climb_slopes, climb_multipliers, keep_lanes};

}  // namespace boundlight::bab::BL_SIMD
