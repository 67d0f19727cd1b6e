// Joint ascent of slopes and multipliers (beta-CROWN; Wang et al. 2021) for many parts of a condensed network at once. For a part
// with signs s_j z_j >= 0 of its split neurons, any slopes a_j in [0, 1] and multipliers b_j >= 0
//
//   form >= min over the box of  const + sum_i q_i x_i,
//
// q and const from one pass back: a neuron with coefficient c becomes c a_j z_j (c >= 0), c (s_j z_j + t_j) (c < 0, the chord), c z_j or
// 0 (split), minus b_j s_j z_j. The gradient is c z_j in a_j and -s_j z_j in b_j, z at the minimiser by the same planes. Steps are
// Adam's, projected. Estimates in float, rounded to nearest: to be confirmed by a bound.
#pragma once

#include "boundlight/core/stop.hpp"
#include "boundlight/solver/bab/condensed.hpp"

namespace boundlight::bab {

struct DualTask {
  std::uint32_t target = 0;
  std::vector<std::pair<std::int32_t, bool>> splits;  // neuron, positive
  std::vector<float> beta;                            // one per split; missing: 0
  const std::vector<std::uint8_t>* slopes = nullptr;  // per neuron, in 1 / 255; null: 1 where u >= -l, else 0
  const std::vector<float>* boxes = nullptr;          // of the neurons in this part: lower ends, then upper ends; null: the network's
  double enough = 0;                                  // an estimate above it needs no further steps
};

struct DualFound {
  double bound = 0;                                   // the best on the way, with its slopes and multipliers
  std::vector<float> slopes, beta;
  // With `finish`, at the last step: the minimiser, by varying input; and for every neuron that is not split what its relaxation
  // loses there, and at worst.
  std::vector<float> point, here, worst;
  std::vector<bool> open;                             // the neuron is undecided and not split
};

struct DualPlan {
  int steps = 0;                                      // 0: one pass back only
  bool finish = false;
  double slope_rate = 0.25, multiplier_rate = 0.1;    // of a slope's range; of the largest coefficient in the neuron's layer
};

// complete: false where the stop token ended it; what was not reached has the bound -inf. Independent of threads.
struct DualBatch {
  std::vector<DualFound> parts;
  bool complete = true;
};
DualBatch dual_ascent(const Condensed& network, const std::vector<DualTask>& tasks, const DualPlan& plan, const StopToken& stop);

}  // namespace boundlight::bab
