#include "boundlight/solver/bab/dual_ascent.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "boundlight/solver/bab/lanes.hpp"

namespace boundlight::bab {
namespace {

constexpr double kDecay = 0.98;  // of the steps' size

// Up to kLanes parts.
class LaneGroup {
 public:
  LaneGroup(const Condensed& network, const DualTask* tasks, std::size_t count, const DualPlan& plan)
      : c_(network), tasks_(tasks), count_(count), plan_(plan), inputs_(network.inputs.size()), neurons_(network.neurons()) {
    for (auto* lines : {&slope_, &best_, &upper_slope_, &upper_offset_, &free_, &shift_, &onward_, &z_, &sign_}) lines->assign(neurons_ * kLanes, 0.0F);
    q_.assign((inputs_ + neurons_) * kLanes, 0.0F);
    x_.assign((inputs_ + neurons_) * kLanes, 0.0F);
    bound_.assign(kLanes, -std::numeric_limits<float>::infinity());
    empty_.assign(kLanes, false);
    start();
    for (std::size_t i = 0; i < count_; ++i)
      if (empty_[i]) bound_[i] = std::numeric_limits<float>::infinity();
  }

  // False: stopped.
  bool run(const StopToken& stop) {
    for (int step = 0;; ++step) {
      const bool more = back(step == 0);
      const bool last = step >= plan_.steps || !more;
      if (last && !plan_.finish) return true;
      forward();
      if (last) return true;
      if (stop.stop_requested()) return false;
      climb(step);
    }
  }

  void keep(DualFound* found) const {
    for (std::size_t i = 0; i < count_; ++i) {
      found[i].bound = static_cast<double>(bound_[i]);
      for (std::size_t j = 0; j < neurons_; ++j) found[i].slopes.push_back(best_[j * kLanes + i]);
      for (const auto& [neuron, positive] : tasks_[i].splits) found[i].beta.push_back(best_beta_[place_.at(static_cast<std::size_t>(neuron)) * kLanes + i]);
      if (!plan_.finish) continue;
      for (std::size_t k = 0; k < inputs_; ++k) found[i].point.push_back(x_[k * kLanes + i]);
      losses(found[i], i);
    }
  }

 private:
  void start() {
    place_.assign(neurons_, SIZE_MAX);
    for (std::size_t i = 0; i < count_; ++i)
      for (const auto& [neuron, positive] : tasks_[i].splits) {
        const auto j = static_cast<std::size_t>(neuron);
        if (place_[j] == SIZE_MAX) place_[j] = split_.size(), split_.push_back(j);
        sign_[j * kLanes + i] = positive ? -1.0F : 1.0F;
      }
    for (auto* lines : {&beta_, &best_beta_, &beta_momentum_, &beta_energy_, &scale_}) lines->assign(split_.size() * kLanes, 0.0F);
    if (plan_.steps > 0)
      for (auto* lines : {&momentum_, &energy_}) lines->assign(neurons_ * kLanes, 0.0F);
    for (std::size_t j = 0; j < neurons_; ++j)
      for (std::size_t i = 0; i < kLanes; ++i) relax(j, i);
    best_ = slope_;
    for (std::size_t i = 0; i < count_; ++i)
      for (std::size_t s = 0; s < tasks_[i].splits.size() && s < tasks_[i].beta.size(); ++s) {
        const auto j = static_cast<std::size_t>(tasks_[i].splits[s].first);
        beta_[place_[j] * kLanes + i] = tasks_[i].beta[s];
        shift_[j * kLanes + i] = sign_[j * kLanes + i] * tasks_[i].beta[s];
      }
    best_beta_ = beta_;
  }

  std::pair<float, float> box(std::size_t j, std::size_t i) const {
    const auto* own = i < count_ ? tasks_[i].boxes : nullptr;
    return own ? std::pair((*own)[j], (*own)[neurons_ + j]) : std::pair(c_.lower[j], c_.upper[j]);
  }

  void relax(std::size_t j, std::size_t i) {
    const std::size_t at = j * kLanes + i;
    const auto [l, u] = box(j, i);
    if (l > u && i < count_) empty_[i] = true;
    const bool open = sign_[at] == 0 && l < 0 && u > 0, on = sign_[at] < 0 || (sign_[at] == 0 && l >= 0);
    const auto* given = i < count_ ? tasks_[i].slopes : nullptr;
    const float chord = open ? u / (u - l) : 0.0F;
    free_[at] = open ? 1.0F : 0.0F;
    slope_[at] = !open ? (on ? 1.0F : 0.0F) : given ? static_cast<float>((*given)[j]) / 255.0F : (u >= -l ? 1.0F : 0.0F);
    upper_slope_[at] = open ? chord : slope_[at];
    upper_offset_[at] = open ? -chord * l : 0.0F;
  }

  NeuronLines lines() {
    return {slope_.data(), upper_slope_.data(), upper_offset_.data(), shift_.data(), q_.data() + inputs_ * kLanes, onward_.data(), z_.data(), x_.data() + inputs_ * kLanes, c_.constant.data()};
  }

  // One pass back. False: every lane has enough.
  bool back(bool first) {
    std::vector<float> sum(kLanes, 0.0F), better(kLanes, 0.0F);
    const std::size_t columns = inputs_ + neurons_;
    std::fill(q_.begin(), q_.end(), 0.0F);
    for (std::size_t i = 0; i < count_; ++i) {
      const auto& form = c_.forms[tasks_[i].target];
      sum[i] = form.constant;
      for (std::size_t k = 0; k < columns; ++k) q_[k * kLanes + i] = form.coefficient[k];
    }
    const auto& t = c_.columns;
    for (std::size_t l = c_.layer.size() - 1; l-- > 0;) {
      const auto from = static_cast<std::size_t>(c_.layer[l]), to = static_cast<std::size_t>(c_.layer[l + 1]);
      loops_.add_products(t.start.data(), t.index.data(), t.value.data(), inputs_ + from, inputs_ + to, onward_.data(), q_.data());
      if (first) measure(from, to);
      loops_.take_back(lines(), from, to, sum.data());
    }
    loops_.add_products(t.start.data(), t.index.data(), t.value.data(), 0, inputs_, onward_.data(), q_.data());
    loops_.minimise(q_.data(), c_.input_lower.data(), c_.input_upper.data(), inputs_, x_.data(), sum.data());
    bool more = false;
    for (std::size_t i = 0; i < count_; ++i) {
      if (sum[i] > bound_[i]) bound_[i] = sum[i], better[i] = 1;
      more = more || !(static_cast<double>(bound_[i]) > tasks_[i].enough);
    }
    loops_.keep_lanes(better.data(), slope_.data(), neurons_, best_.data());
    loops_.keep_lanes(better.data(), beta_.data(), split_.size(), best_beta_.data());
    return more;
  }

  // The size of a step in beta: the largest coefficient of the layer.
  void measure(std::size_t from, std::size_t to) {
    for (std::size_t s = 0; s < split_.size(); ++s) {
      if (split_[s] < from || split_[s] >= to) continue;
      for (std::size_t j = from; j < to; ++j)
        for (std::size_t i = 0; i < kLanes; ++i) scale_[s * kLanes + i] = std::max(scale_[s * kLanes + i], std::fabs(q_[(inputs_ + j) * kLanes + i]));
    }
  }

  void forward() {
    const auto& r = c_.rows;
    for (std::size_t j = 0; j < neurons_; ++j) std::fill_n(z_.begin() + static_cast<std::ptrdiff_t>(j * kLanes), kLanes, c_.constant[j]);
    for (std::size_t l = 0; l + 1 < c_.layer.size(); ++l) {
      const auto from = static_cast<std::size_t>(c_.layer[l]), to = static_cast<std::size_t>(c_.layer[l + 1]);
      loops_.add_products(r.start.data(), r.index.data(), r.value.data(), from, to, x_.data(), z_.data());
      loops_.take_forward(lines(), from, to);
    }
  }

  void climb(int step) {
    const double decay = std::pow(kDecay, step);
    const auto first = static_cast<float>(1 / (1 - std::pow(kAdamMomentum, step + 1))), second = static_cast<float>(1 / (1 - std::pow(kAdamEnergy, step + 1)));
    loops_.climb_slopes({slope_.data(), momentum_.data(), energy_.data(), first, second}, q_.data() + inputs_ * kLanes, z_.data(), free_.data(),
                 static_cast<float>(plan_.slope_rate * decay), neurons_ * kLanes);
    for (std::size_t s = 0; s < split_.size(); ++s) {
      const std::size_t at = s * kLanes, j = split_[s] * kLanes;
      loops_.climb_multipliers({beta_.data() + at, beta_momentum_.data() + at, beta_energy_.data() + at, first, second}, sign_.data() + j, z_.data() + j, scale_.data() + at,
                        static_cast<float>(plan_.multiplier_rate * decay), shift_.data() + j);
    }
  }

  void losses(DualFound& found, std::size_t i) const {
    for (std::size_t j = 0; j < neurons_; ++j) {
      const std::size_t at = j * kLanes + i;
      const auto [l, u] = box(j, i);
      const bool open = free_[at] != 0;
      const float a = q_[inputs_ * kLanes + at], z = open ? std::clamp(z_[at], l, u) : 0.0F, relu = std::max(z, 0.0F);
      found.open.push_back(open);
      found.here.push_back(!open ? 0.0F : a < 0 ? -a * (u * (z - l) / (u - l) - relu) : a * (relu - slope_[at] * z));
      found.worst.push_back(!open ? 0.0F : a < 0 ? a * u * l / (u - l) : a * std::max((1 - slope_[at]) * u, -slope_[at] * l) * 0.5F);
    }
  }

  const LaneLoops& loops_ = lane_loops();
  const Condensed& c_;
  const DualTask* tasks_;
  const std::size_t count_;
  const DualPlan& plan_;
  const std::size_t inputs_, neurons_;
  std::vector<std::size_t> place_, split_;  // of a neuron among those split in some lane; those
  std::vector<float> slope_, best_, upper_slope_, upper_offset_, free_, shift_, onward_, z_, sign_, momentum_, energy_;  // [neurons][kLanes]
  std::vector<float> beta_, best_beta_, beta_momentum_, beta_energy_, scale_;                                            // [split][kLanes]
  std::vector<float> q_, x_;                                                                                             // [inputs, neurons][kLanes]
  std::vector<float> bound_;
  std::vector<bool> empty_;  // lanes whose boxes exclude each other
};

}  // namespace

DualBatch dual_ascent(const Condensed& network, const std::vector<DualTask>& tasks, const DualPlan& plan, const StopToken& stop) {
  DualBatch made;
  made.parts.resize(tasks.size());
  for (DualFound& f : made.parts) f.bound = -std::numeric_limits<double>::infinity();
  std::atomic<bool> complete{true};
  const std::size_t groups = (tasks.size() + kLanes - 1) / kLanes;
  tbb::parallel_for(std::size_t{0}, groups, [&](std::size_t g) {
    const std::size_t from = g * kLanes;
    LaneGroup group(network, tasks.data() + from, std::min(kLanes, tasks.size() - from), plan);
    if (!group.run(stop)) complete = false;
    group.keep(made.parts.data() + from);
  });
  made.complete = complete;
  return made;
}

}  // namespace boundlight::bab
