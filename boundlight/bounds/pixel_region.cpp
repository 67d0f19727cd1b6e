#include "boundlight/bounds/pixel_region.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "boundlight/core/interval.hpp"

namespace boundlight {
namespace {

Error bad(const std::string& what) { return {ErrorKind::bad_input, "region", what}; }

}  // namespace

Result<PixelRegion> pixel_region(const PixelBall& ball) {
  const std::size_t n = ball.pixel.size();
  demand((ball.mean.empty() || ball.mean.size() == n) && (ball.deviation.empty() || ball.deviation.size() == n), "pixel_region: mean and deviation need one number per pixel");
  if (!(ball.eps >= 0) || std::isinf(ball.eps)) return bad("--eps must be a finite number that is not negative, got " + std::to_string(ball.eps));
  if (ball.clip && !(ball.clip->first <= ball.clip->second)) return bad("the clipping range is empty");
  PixelRegion r;
  for (auto* v : {&r.x, &r.lower, &r.upper, &r.inner_lower, &r.inner_upper}) v->resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double p = ball.pixel[i];
    const double deviation = ball.deviation.empty() ? 1 : ball.deviation[i];
    if (!std::isfinite(p)) return bad("element " + std::to_string(i) + " of the input is not a finite number");
    if (!(deviation > 0) || std::isinf(deviation)) return bad("the standard deviation must be positive, got " + std::to_string(deviation));
    Interval low = Interval(p) - Interval(ball.eps), high = Interval(p) + Interval(ball.eps);
    if (ball.eps == 0) low = high = Interval(p);
    if (ball.clip) {
      if (low.lo > ball.clip->second || high.hi < ball.clip->first)
        return bad("pixel " + std::to_string(i) + " has the value " + std::to_string(p) + ", farther than eps outside of the clipping range");
      low = max(low, Interval(ball.clip->first));
      high = min(high, Interval(ball.clip->second));
    }
    const double mean = ball.mean.empty() ? 0 : ball.mean[i];
    const auto scaled = [&](Interval z) {
      if (mean != 0) z = z - Interval(mean);
      return deviation == 1 ? z : z / Interval(deviation);
    };
    const Interval a = scaled(low), b = scaled(high);
    const double x = static_cast<double>(static_cast<float>((p - mean) / deviation));
    const bool inside = a.hi <= b.lo;
    r.x[i] = inside ? std::clamp(x, a.hi, b.lo) : x;
    r.inner_lower[i] = inside ? a.hi : r.x[i];
    r.inner_upper[i] = inside ? b.lo : r.x[i];
    r.lower[i] = std::min(a.lo, r.x[i]);
    r.upper[i] = std::max(b.hi, r.x[i]);
  }
  return r;
}

}  // namespace boundlight
