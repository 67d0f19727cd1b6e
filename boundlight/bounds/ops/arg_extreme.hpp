// ArgMax and ArgMin: the position of the largest (smallest) element along an axis, the first or the last of equals.
#pragma once

#include "boundlight/bounds/ops/arg_extreme_value.hpp"
#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

// Position j is possible when x_j can be at least (more than, where ties go the other way) every other element:
// u_j >= max_i l_i. The interval is the hull of the possible positions.
template <class T, bool largest>
class ArgExtremeKernel : public Kernel<T> {
 public:
  explicit ArgExtremeKernel(const typed::ArgExtreme& a) : outer_(a.outer), n_(a.size), inner_(a.inner), last_(a.last) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const T* x = in[0];
    T* y = out[0];
    const std::int64_t n = n_, inner = inner_;
    const bool last = last_;
    d.map(batch * outer_ * inner_, [=] BL_HD(std::int64_t e) {
      const T* from = x + e / inner * n * inner + e % inner;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < n; ++j) {
        const T a = largest ? from[j * inner] : -from[j * inner], b = largest ? from[best * inner] : -from[best * inner];
        if (a > b || (last && a == b)) best = j;
      }
      y[e] = static_cast<T>(best);
    });
  }
  void vjp(Device&, const T* const*, const T* const*, const T* const*, T* const*, std::int64_t) const override {}
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings&) const override {
    const T *l = in[0].lower, *u = in[0].upper;
    T *lo = lower[0], *hi = upper[0];
    const std::int64_t n = n_, inner = inner_;
    const bool last = last_;
    d.map(batch * outer_ * inner_, [=] BL_HD(std::int64_t e) {
      const std::int64_t base = e / inner * n * inner + e % inner;
      const auto low = [=](std::int64_t j) { return largest ? l[base + j * inner] : -u[base + j * inner]; };
      const auto high = [=](std::int64_t j) { return largest ? u[base + j * inner] : -l[base + j * inner]; };
      // The element that is surely largest among the lower ends; of equals the one that wins ties.
      std::int64_t surest = 0;
      bool lost = !(low(0) <= high(0));
      for (std::int64_t j = 1; j < n; ++j) {
        lost = lost || !(low(j) <= high(j));
        if (low(j) > low(surest) || (last && low(j) == low(surest))) surest = j;
      }
      std::int64_t first = n, final = -1;
      for (std::int64_t j = 0; j < n; ++j) {
        const bool wins_ties = last ? j >= surest : j <= surest;
        if (!lost && !(wins_ties ? high(j) >= low(surest) : high(j) > low(surest))) continue;
        first = j < first ? j : first;
        final = j;
      }
      lo[e] = round_down_to<T>(static_cast<double>(first));
      hi[e] = round_up_to<T>(static_cast<double>(final));
    });
  }
  bool linear() const override { return false; }

 private:
  std::int64_t outer_, n_, inner_;
  bool last_;
};

template <class T, bool largest>
Result<std::unique_ptr<Kernel<T>>> make_arg_extreme(Device&, const NodeView& node) {
  BL_TRY(a, typed::arg_extreme(node));
  return std::unique_ptr<Kernel<T>>(std::make_unique<ArgExtremeKernel<T, largest>>(a));
}

}  // namespace boundlight::BL_NS

#define BL_REGISTER_ARG(name, largest)                                                                                 \
  namespace boundlight::BL_NS {                                                                                        \
  extern const KernelMakers name##_makers;                                                                             \
  const KernelMakers name##_makers = {#name, &make_arg_extreme<float, largest>, &make_arg_extreme<double, largest>};   \
  }
