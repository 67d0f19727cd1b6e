// LayerNormalization's bounds: y_i = g (c_i r) + b over a group of n elements, c = x - mean(x), D = mean(c^2) + epsilon,
// r = 1 / sqrt(D).
//
// Range: n_i = c_i r rises with c_i; for a fixed c_i = t the rest R = sum of the other squares lies in its interval and is at
// least t^2 / (n - 1), because the others add up to -t.
//
// Planes, composed in c (exactly linear in x):
//   c_i r >= P c_i + A r - A P       McCormick, (P, A) = (r_lo, c_lo) or (r_hi, c_hi), whichever is better in the middle
//   A >= 0:  r >= 3/2 r0 - r0^3 / 2 D   the tangent of D^(-1/2), for any r0 > 0;   D below the chords of the squares
//   A < 0:   r <= k + s D               the chord over [D_lo, D_hi];               D above the tangents of the squares
// Slopes b_j on the c_j are chosen first; the intercept is computed for the chosen numbers, square by square. Slopes on x are
// b_j - mean(b); what storing them lost is charged by |x_j|. The other side is the same plane of -c.
#pragma once

#include "boundlight/bounds/ops/curves.hpp"
#include "boundlight/bounds/ops/planes.hpp"

namespace boundlight::BL_NS {

struct LayerNormPlanes {
  const double *scale, *bias;  // per output
  std::int64_t group;          // n; groups are contiguous
  double epsilon;

  // Sums of both ends, for the intervals of c.
  template <class X>
  struct Centred {
    X x;
    double n;
    Interval lower_sum{0}, upper_sum{0};
    BL_HD explicit Centred(X boxes) : x(boxes), n(static_cast<double>(boxes.count())) {
      for (std::int64_t k = 0; k < x.count(); ++k) {
        lower_sum = lower_sum + Interval(x[k].lo);
        upper_sum = upper_sum + Interval(x[k].hi);
      }
    }
    // c_j is largest where x_j is and all others are least.
    BL_HD_CALL Interval at(std::int64_t j) const {
      const Interval z = x[j], count(n);
      if (n == 1) return 0;
      const double high = (Interval(z.hi) - (lower_sum - Interval(z.lo) + Interval(z.hi)) / count).hi;
      const double low = (Interval(z.lo) - (upper_sum - Interval(z.hi) + Interval(z.lo)) / count).lo;
      return {low, high};
    }
    // mean(c^2) + epsilon
    BL_HD_CALL Interval spread(double epsilon) const {
      Interval sum(0);
      for (std::int64_t k = 0; k < x.count(); ++k) sum = sum + square(at(k));
      const Interval d = Interval(fmax(sum.lo, 0.0), sum.hi) / Interval(n) + Interval(epsilon);
      return {fmax(d.lo, 0.0), d.hi};
    }
  };

  template <class X>
  BL_HD Interval range(std::int64_t e, X x) const {
    const Centred<X> c(x);
    const std::int64_t i = e % group;
    const Interval mine = c.at(i);
    double least = 0, most = 0;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      if (j == i) continue;
      const Interval s = square(c.at(j));
      least = add_down(least, s.lo);
      most = add_up(most, s.hi);
    }
    const Interval n{-end(-mine.lo, fmax(least, 0.0), most, c.n), end(mine.hi, fmax(least, 0.0), most, c.n)};
    return Interval(scale[e]) * n + Interval(bias[e]);
  }

  // Mean, then the variance as E[(x - mean)^2] or E[x^2] - mean^2, then (x - mean) / sqrt(variance + epsilon) * scale + bias.
  template <class X>
  BL_HD double deployed_error(std::int64_t e, X x, Interval) const {
    const double none = std::numeric_limits<double>::infinity(), n = static_cast<double>(x.count());
    double m = 0;
    for (std::int64_t k = 0; k < x.count(); ++k) m = fmax(m, x[k].magnitude());
    const double u = kFloatUnit, g = gamma_up<float>(x.count() + 6), tiny = (n + 8) * kFloatFloor;
    if (!(m < 1e15)) return none;
    const Centred<X> c(x);
    const Interval d = c.spread(epsilon);
    const double c_error = (g * m + 2.1 * u * m) * 1.0001 + tiny;
    const double d_error = (g * (2 * m + c_error) * (2 * m + c_error) + 4 * m * c_error + c_error * c_error + 4 * g * m * m + u * d.hi) * 1.0001 + tiny;
    if (!(d.lo > 4 * d_error) || !(d.lo > 1e-30)) return none;
    const double r = next_up(1 / sqrt(d.lo)), relative = (d_error / (d.lo - d_error) + 4 * u) * 1.0001;
    const double size = fmin(next_up(sqrt(n)), r * c.at(e % group).magnitude() * 1.0001);
    const double normal = (r * c_error * (1 + relative) + size * relative) * 1.0001, gain = fabs(scale[e]);
    return (gain * normal + 5 * u * (gain * (size + normal) + fabs(bias[e])) + tiny * (1 + gain)) * 1.0001;
  }

  template <class X, class P>
  BL_HD void planes(std::int64_t e, X x, Interval, SlopeRule, P& p) const {
    const double gain = fabs(scale[e]);
    if (gain == 0) {
      p.low = p.high = bias[e];
      return;
    }
    const Centred<X> c(x);
    const Interval d = c.spread(epsilon);
    if (!(d.lo > 1e-100) || !(d.hi < 1e100)) return;
    double middle = 0;
    for (std::int64_t j = 0; j < x.count(); ++j) {
      const Interval z = c.at(j);
      middle += z.middle() * z.middle() + z.width() * z.width() / 4;
    }
    const Shared<X> shared{c, d, e % group, gain, 1 / sqrt(middle / c.n + epsilon), epsilon};
    for (int side = 0; side < 2; ++side) {
      // lower: y >= |g| plane(sign(g) c) + b; upper: -y >= |g| plane(-sign(g) c) - b
      const bool upper = side == 1;
      const double turn = (scale[e] > 0) != upper ? 1 : -1;
      const double first = below(shared, turn, upper, 0, bias[e], p), second = below(shared, turn, upper, 1, bias[e], p);
      if (first > second) below(shared, turn, upper, 0, bias[e], p);
    }
  }

 private:
  template <class X>
  struct Shared {
    Centred<X> c;
    Interval d;
    std::int64_t i;
    double gain, r0, epsilon;
  };

  // Upper end of t / sqrt((t^2 + R) / n + epsilon).
  BL_HD_CALL double end(double t, double least, double most, double n) const {
    if (t == 0) return 0;
    const Interval own = square(Interval(t));
    const double rest = t > 0 ? (n > 1 ? fmax(least, div_down(own.lo, n - 1)) : 0.0) : most;
    const Interval d = (own + Interval(rest)) / Interval(n) + Interval(epsilon);
    if (!(d.lo > 0)) return t > 0 ? std::numeric_limits<double>::infinity() : 0.0;
    const double by_value = t > 0 ? div_up(t, next_down(sqrt(d.lo))) : div_up(t, next_up(sqrt(d.hi)));
    return n > 1 ? fmin(by_value, next_up(sqrt(n - 1))) : by_value;
  }

  // min over z of w c^2 - a c with w a number and a enclosed, rounded down.
  BL_HD_CALL static double least_square(double w, Interval a, Interval z) {
    const Interval k(w);
    const auto at = [&](double c) { return (k * square(Interval(c)) - a * Interval(c)).lo; };
    double low = fmin(at(z.lo), at(z.hi));
    if (w > 0) {
      const Interval where = a / Interval(2 * w);
      if (where.hi >= z.lo && where.lo <= z.hi) low = fmin(low, -div_up(square(a).hi, mul_down(4.0, w)));
    }
    return low;
  }

  // Writes the plane of one side; returns its height in the middle of the box (measured from below).
  template <class X, class P>
  BL_HD_CALL static double below(const Shared<X>& s, double turn, bool upper, int candidate, double bias, P& p) {
    const std::int64_t n = s.c.x.count();
    const auto turned = [&](std::int64_t j) { return turn > 0 ? s.c.at(j) : -s.c.at(j); };
    const Interval mine = turned(s.i);
    const double r_lo = next_down(1 / next_up(sqrt(s.d.hi))), r_hi = next_up(1 / next_down(sqrt(s.d.lo)));
    const double factor = candidate == 0 ? r_lo : r_hi, a = candidate == 0 ? mine.lo : mine.hi;
    // A r as  constant + weight * sum of squares  (weight <= 0: chords of the squares, else tangents)
    Interval constant, weight;
    if (a >= 0) {
      const Interval r0(s.r0), half_cube = Interval(a) * (r0 * r0 * r0) / Interval(2);
      weight = -(half_cube / Interval(s.c.n));
      constant = Interval(a) * Interval(1.5) * r0 - half_cube * Interval(s.epsilon);
    } else {
      const double chord = s.d.hi > s.d.lo ? -(r_hi - r_lo) / (s.d.hi - s.d.lo) : 0.0;
      const auto gap = [&](double d) { return (Interval(1) / enclose_sqrt(d) - Interval(chord) * Interval(d)).hi; };
      const double k = fmax(gap(s.d.lo), gap(s.d.hi));
      const Interval slope = Interval(a) * Interval(chord);
      weight = slope / Interval(s.c.n);
      constant = Interval(a) * Interval(k) + slope * Interval(s.epsilon);
    }
    const double w = weight.lo / 2 + weight.hi / 2;
    const auto slope_on = [&](std::int64_t j) {
      const Interval z = turned(j);
      return w * (z.lo + z.hi) + (j == s.i ? factor : 0.0);  // chord and middle tangent of a square have the same slope
    };
    Interval total(0);
    double low = (constant - Interval(a) * Interval(factor)).lo;
    for (std::int64_t j = 0; j < n; ++j) {
      const double b = slope_on(j);
      total = total + Interval(b);
      const Interval on_square = j == s.i ? Interval(b) - Interval(factor) : Interval(b);
      low = add_down(low, least_square(weight.lo, on_square, turned(j)));
    }
    // Back to x, to the scale, and to the side.
    const Interval mean = total / Interval(s.c.n), gain(s.gain);
    const double sign = (upper ? -1 : 1) * turn;
    Interval height = gain * Interval(low) + Interval(upper ? -bias : bias);
    double middle = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const Interval exact = gain * (Interval(slope_on(j)) - mean);
      const double suggested = sign * exact.middle();
      double kept;  // as seen from below
      if (upper) {
        p.upper(j, suggested);
        kept = -p.upper(j);
      } else {
        p.lower(j, suggested);
        kept = p.lower(j);
      }
      const Interval wanted = turn > 0 ? exact : -exact, z = s.c.x[j];
      height = height + (wanted - Interval(kept)) * z;
      middle += kept * z.middle();
    }
    (upper ? p.high : p.low) = upper ? -height.lo : height.lo;
    return height.lo + middle;
  }
};

}  // namespace boundlight::BL_NS
