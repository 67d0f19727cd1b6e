// Constants on the device in precision T, with the relative error that the conversion made.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

template <class T>
struct Weights {
  Buffer<T> data;
  Buffer<T> absolute;      // |data|
  double relative = 0;     // |exact - data| <= relative |data|; infinite when a value does not fit into T
};

// The tensor's exact values, rounded to nearest T.
template <class T>
Weights<T> weights_of(Device& d, const std::vector<double>& exact) {
  Weights<T> w;
  const auto n = static_cast<std::int64_t>(exact.size());
  std::vector<T> near(exact.size()), size(exact.size());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    near[i] = static_cast<T>(exact[i]);
    size[i] = near[i] < 0 ? -near[i] : near[i];
    if (static_cast<double>(near[i]) == exact[i]) continue;
    // Normal results err by at most u |near| (1 + 2u); below that, and beyond the range, no relative bound exists.
    const bool normal = size[i] >= smallest_normal<T> && size[i] <= std::numeric_limits<T>::max();
    w.relative = normal ? std::max(w.relative, 2.0 * static_cast<double>(unit_roundoff<T>)) : std::numeric_limits<double>::infinity();
  }
  w.data = d.buffer<T>(n);
  w.absolute = d.buffer<T>(n);
  d.upload(w.data.data(), near.data(), n);
  d.upload(w.absolute.data(), size.data(), n);
  return w;
}
// Numbers known to lie in intervals, as the T nearest to their middles; `radius` (when asked for) takes the absolute errors,
// and `relative` is then 0.
template <class T>
Weights<T> weights_of(Device& d, const std::vector<Interval>& enclosures, std::vector<double>* radius = nullptr) {
  std::vector<double> near(enclosures.size());
  double relative = 0;
  if (radius) radius->assign(enclosures.size(), 0.0);
  for (std::size_t i = 0; i < near.size(); ++i) {
    const Interval e = enclosures[i];
    near[i] = e.finite() ? static_cast<double>(static_cast<T>(e.middle())) : 0.0;
    const double error = e.lo == near[i] && e.hi == near[i] ? 0.0 : std::max(sub_up(e.hi, near[i]), sub_up(near[i], e.lo));
    if (radius) (*radius)[i] = error;
    else if (error > 0) relative = std::max(relative, near[i] == 0 ? std::numeric_limits<double>::infinity() : div_up(error, std::fabs(near[i])));
  }
  auto w = weights_of<T>(d, near);
  w.relative = relative;
  return w;
}
template <class T>
Weights<T> weights_of(Device& d, const Tensor& tensor) {
  return weights_of<T>(d, tensor.to_doubles());
}

}  // namespace boundlight::BL_NS
