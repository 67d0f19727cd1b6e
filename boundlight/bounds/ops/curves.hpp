// Scalar mathematics of nonlinear operators: planes under and over a curve, with every rounding on the safe side.
//
// A plane s z + t below f over [l, u] needs  t <= min of g(z) = f(z) - s z.  The slope s is free; the minimum is enclosed
// piece by piece, where f is known to be convex, concave or straight:
//   concave, straight   g is least at an end of the piece;
//   convex              g lies above each of its tangents: for any z0 of the piece
//                         g(z) >= g(z0) + (f'(z0) - s) (z - z0),
//                       so z0 near the stationary point f'(z0) = s encloses the minimum whatever error z0 carries;
//   unknown             (the ulps around an inflection point that is no double) by f's range.
// Planes above f are planes below -f.  Slopes are chosen for the least area between plane and curve: the best line below f
// has the slope of f's convex envelope at the middle of [l, u] (the rule behind CROWN's ReLU slopes and its tangents for
// S-shaped functions; Zhang et al. 2018, section 3).
#pragma once

#include <cfloat>

#include "boundlight/bounds/options.hpp"
#include "boundlight/core/interval.hpp"

namespace boundlight::BL_NS {

struct Slopes {
  double lower, upper;
};

// fmin and fmax forget a NaN; these turn it into a lost bound.
BL_HD inline double lesser(double a, double b) {
  return a <= b ? a : (b < a ? b : -std::numeric_limits<double>::infinity());
}
BL_HD inline double greater(double a, double b) {
  return a >= b ? a : (b > a ? b : std::numeric_limits<double>::infinity());
}
#if defined(__CUDACC__)  // on a GPU calls stay calls: formulas inlined into each other make kernels of half a megabyte
#define BL_HD_CALL BL_HD __noinline__
#else
#define BL_HD_CALL BL_HD
#endif
// ---- functions of <cmath>, enclosed. Twice the worst documented error in ulp of glibc 2.36 and CUDA 13: erfc 5; tanh, erf, sin, cos 2; else 1
inline constexpr double kUlps = 4, kUlpsErfc = 10;  // and compared with MPFR in tests/bounds/curves_test.cpp

// The numbers within `ulps` of a library result y. Overflow: anything from (nearly) the largest double on.
BL_HD inline Interval around(double y, double ulps) {
  if (y > DBL_MAX) return {DBL_MAX * (1 - 1e-14), y};
  if (y < -DBL_MAX) return {y, -DBL_MAX * (1 - 1e-14)};
  // Below 1e-290 the relative margin itself could underflow; results there may also have been flushed.
  const double e = fabs(y) < 1e-290 ? DBL_MIN + fabs(y) * 1e-14 : fabs(y) * (ulps * DBL_EPSILON);
  return {next_down(y - e), next_up(y + e)};
}

BL_HD inline Interval clamped(Interval y, double lo, double hi) { return {fmin(fmax(y.lo, lo), hi), fmax(fmin(y.hi, hi), lo)}; }

BL_HD_CALL inline Interval enclose_exp(double x) {
  const Interval y = around(std::exp(x), kUlps);
  return {fmax(y.lo, 0.0), y.hi};
}
BL_HD_CALL inline Interval enclose_expm1(double x) {
  const Interval y = around(std::expm1(x), kUlps);
  return {fmax(y.lo, -1.0), y.hi};
}
BL_HD_CALL inline Interval enclose_log(double x) { return x == 1 ? Interval(0) : around(std::log(x), kUlps); }  // x >= 0
BL_HD_CALL inline Interval enclose_log1p(double x) { return around(std::log1p(x), kUlps); }
BL_HD inline Interval enclose_sqrt(double x) {  // x >= 0; correctly rounded
  const double y = std::sqrt(x);
  return {fmax(next_down(y), 0.0), next_up(y)};
}
BL_HD_CALL inline Interval enclose_tanh(double x) { return clamped(around(std::tanh(x), kUlps), -1, 1); }
BL_HD_CALL inline Interval enclose_erf(double x) { return clamped(around(std::erf(x), kUlps), -1, 1); }
BL_HD_CALL inline Interval enclose_erfc(Interval x) {
  return {fmax(around(std::erfc(x.hi), kUlpsErfc).lo, 0.0), fmin(around(std::erfc(x.lo), kUlpsErfc).hi, 2.0)};
}
BL_HD_CALL inline Interval enclose_sin(double x) { return clamped(around(std::sin(x), kUlps), -1, 1); }
BL_HD_CALL inline Interval enclose_cos(double x) { return clamped(around(std::cos(x), kUlps), -1, 1); }

// 1 / (1 + e^-x), with a relative error of a few ulps on both sides.
BL_HD_CALL inline Interval enclose_sigmoid(double x) {
  const Interval e = enclose_exp(-fabs(x)), d = Interval(1) + e;
  return clamped(x < 0 ? e / d : Interval(1) / d, 0, 1);
}
// Its derivative: sigmoid(x) sigmoid(-x) = e / (1 + e)^2 with e = e^-|x|.
BL_HD_CALL inline Interval enclose_sigmoid_slope(double x) {
  const Interval e = enclose_exp(-fabs(x));
  return clamped(e / square(Interval(1) + e), 0, 0.25);
}

BL_HD inline Interval enclosed_pi() { return {3.141592653589793116, 3.141592653589793560}; }            // neighbours
BL_HD inline Interval enclosed_sqrt2() { return {1.4142135623730949234, 1.4142135623730951455}; }       // neighbours
BL_HD inline Interval enclosed_inverse_sqrt_2pi() { return {0.39894228040143264, 0.39894228040143276}; }
BL_HD inline Interval enclosed_two_over_sqrt_pi() { return {1.1283791670955123, 1.1283791670955129}; }

// ---- curves -------------------------------------------------------------------------------------------------------------

enum class Bend : std::int8_t { convex, concave, straight, unknown };
struct Piece {
  double from = 0, to = 0;
  Bend bend = Bend::straight;
};
inline constexpr int kMaxPieces = 8;

// What a curve F states (a functor of elementwise.hpp that derives from Curve<F>):
//   template <class S> S value(S), derivative(S)      plain arithmetic
//   Interval range(Interval x) const
//   Interval at(double z) const                       encloses f(z), z in the domain
//   Interval slope(double z, Bend) const              encloses f'(z) as seen from a piece of that bend (one-sided at a kink)
//   double stationary(double s, Piece p) const        a point where f' is near s on a convex or concave piece; may be anywhere
//   int pieces(Interval x, Piece* p) const            a cover of the finite x in ascending order; 0: none known, or x leaves
//                                                     the domain (planes then come from the range)

// f upside down.
template <class F>
struct Mirrored {
  const F& f;
  BL_HD static Bend turned(Bend b) { return b == Bend::convex ? Bend::concave : (b == Bend::concave ? Bend::convex : b); }
  BL_HD double value(double z) const { return -f.value(z); }
  BL_HD double derivative(double z) const { return -f.derivative(z); }
  BL_HD Interval range(Interval x) const { return -f.range(x); }
  BL_HD Interval at(double z) const { return -f.at(z); }
  BL_HD Interval slope(double z, Bend b) const { return -f.slope(z, turned(b)); }
  BL_HD double stationary(double s, Piece p) const { return f.stationary(-s, {p.from, p.to, turned(p.bend)}); }
  BL_HD int pieces(Interval x, Piece* p) const {
    const int n = f.pieces(x, p);
    for (int i = 0; i < n; ++i) p[i].bend = turned(p[i].bend);
    return n;
  }
};

BL_HD inline double within(double z, double from, double to) { return z > from ? (z < to ? z : to) : from; }  // NaN: from

// Lower end of f(z) - s z.
template <class F>
BL_HD_CALL double gap_low(const F& f, double s, double z) {
  const Interval y = f.at(z);
  return s == 0 || z == 0 ? y.lo : (y - Interval(s) * Interval(z)).lo;
}

// <= min over a convex piece of f(z) - s z.
template <class F>
BL_HD_CALL double convex_low(const F& f, double s, Piece p) {
  const double z = within(f.stationary(s, p), p.from, p.to);
  const double low = gap_low(f, s, z);
  const Interval turn = f.slope(z, p.bend) - Interval(s);
  // Over [from, z] a positive turn makes g smaller than at z, over [z, to] a negative one.
  double fall = 0;
  if (turn.hi > 0 && p.from < z) fall = lesser(fall, mul_down(turn.hi, sub_down(p.from, z)));
  if (turn.lo < 0 && p.to > z) fall = lesser(fall, mul_down(turn.lo, sub_up(p.to, z)));
  return fall == 0 ? low : add_down(low, fall);
}

// <= min over x of f(z) - s z, for any number s.
template <class F>
BL_HD_CALL double curve_low(const F& f, double s, Interval x) {
  Piece p[kMaxPieces];
  const int n = f.pieces(x, p);
  if (n == 0) return s == 0 ? f.range(x).lo : (f.range(x) - Interval(s) * x).lo;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < n; ++i) {
    if (p[i].bend == Bend::convex) {
      best = lesser(best, convex_low(f, s, p[i]));
    } else if (p[i].bend == Bend::unknown) {
      const Interval z(p[i].from, p[i].to);
      best = lesser(best, (f.range(z) - Interval(s) * z).lo);
    } else {
      best = lesser(best, lesser(gap_low(f, s, p[i].from), gap_low(f, s, p[i].to)));
    }
  }
  return best;
}
template <class F>
BL_HD double curve_high(const F& f, double s, Interval x) {
  return -curve_low(Mirrored<F>{f}, -s, x);
}

// A point where f(z) - s z is least, in plain arithmetic (slopes only).
template <class F>
BL_HD_CALL double touching(const F& f, double s, const Piece* p, int n) {
  double at = p[0].from, best = f.value(at) - s * at;
  for (int i = 0; i < n; ++i) {
    const double candidates[2] = {within(f.stationary(s, p[i]), p[i].from, p[i].to), p[i].to};
    for (int k = p[i].bend == Bend::convex ? 0 : 1; k < 2; ++k) {
      const double g = f.value(candidates[k]) - s * candidates[k];
      if (g < best) best = g, at = candidates[k];
    }
  }
  return at;
}

// The slope of f's convex envelope at the middle of x: f's own where the envelope touches f there, else that of the segment
// between the touching points on both sides (each step replaces one end by the point furthest below the segment).
template <class F>
BL_HD_CALL double envelope_slope(const F& f, Interval x) {
  Piece p[kMaxPieces];
  const int n = f.pieces(x, p);
  const double width = x.hi - x.lo, m = x.middle();
  if (n == 0 || !(width > 0) || !(width < 1e300)) return 0;
  const double own = f.derivative(m), at_m = f.value(m);
  if (own - own == 0) {
    const double z = touching(f, own, p, n);
    if (at_m - own * m - (f.value(z) - own * z) <= 1e-13 * (fabs(at_m) + fabs(own * m))) return own;
  }
  double left = x.lo, right = x.hi, f_left = f.value(left), f_right = f.value(right), s = 0;
  for (int step = 0; step < 30; ++step) {
    s = (f_right - f_left) / (right - left);
    const double z = touching(f, s, p, n), f_z = f.value(z);
    if (!(f_z - s * z < f_left - s * left - 1e-12 * (fabs(f_z) + fabs(s * z)))) break;
    if (z <= m) left = z, f_left = f_z;
    else right = z, f_right = f_z;
  }
  return s - s == 0 ? s : 0;
}

// Planes of a curve.
template <class F>
struct Curve {
  BL_HD const F& self() const { return static_cast<const F&>(*this); }
  BL_HD Slopes slopes(Interval x, SlopeRule) const {
    return {envelope_slope(self(), x), -envelope_slope(Mirrored<F>{self()}, x)};
  }
  BL_HD double low(double s, Interval x) const { return curve_low(self(), s, x); }
  BL_HD double high(double s, Interval x) const { return curve_high(self(), s, x); }
  BL_HD bool decided(Interval x) const { return x.lo == x.hi; }
  BL_HD bool free_slope(Interval) const { return false; }
  BL_HD double free_low() const { return 0; }
  BL_HD double free_high() const { return 0; }
  // f rising: its range from its values at the ends.
  BL_HD Interval rising(Interval x) const { return {self().at(x.lo).lo, self().at(x.hi).hi}; }
  // The pieces of a curve that turns from one bend to another at 0.
  BL_HD static int split_at_zero(Interval x, Bend left, Bend right, Piece* p) {
    int n = 0;
    if (x.lo < 0) p[n++] = {x.lo, fmin(x.hi, 0.0), left};
    if (x.hi > 0 || n == 0) p[n++] = {fmax(x.lo, 0.0), x.hi, right};
    return n;
  }
};

// ---- functions made of straight lines --------------------------------------------------------------------------------

// f(z) = rise z + base for z in [from, to].
struct Line {
  double from = 0, to = 0, rise = 0, base = 0;
  BL_HD double value(double z) const { return rise == 0 ? base : rise * z + base; }
};
inline constexpr int kMaxLines = 4;

// rise z + base - s z at one point: enclosed, and exact where s is the line's own rise or nothing needs rounding.
BL_HD inline Interval line_gap(const Line& line, double s, double z) {
  if (line.rise == s || z == 0) return line.base;
  const Interval turn = s == 0 ? Interval(line.rise) : (line.rise == 0 ? Interval(-s) : Interval(line.rise) - Interval(s));
  const bool unit = turn.lo == turn.hi && fabs(turn.lo) == 1;
  const Interval product = unit ? Interval(turn.lo * z) : turn * Interval(z);
  return line.base == 0 ? product : product + Interval(line.base);
}

// What F states: `int lines(Interval x, Line* out)`: lines whose graphs cover f's over the finite x (they may overlap or reach
// beyond f by ulps, at kinks that are no doubles); plus value, derivative, range. Least and greatest gaps lie at ends.
template <class F>
struct Straight {
  BL_HD const F& self() const { return static_cast<const F&>(*this); }
  BL_HD_CALL double low(double s, Interval x) const {
    Line line[kMaxLines];
    const int n = self().lines(x, line);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < n; ++i) best = lesser(best, lesser(line_gap(line[i], s, line[i].from).lo, line_gap(line[i], s, line[i].to).lo));
    return n == 0 ? -best : best;
  }
  BL_HD_CALL double high(double s, Interval x) const {
    Line line[kMaxLines];
    const int n = self().lines(x, line);
    double best = -std::numeric_limits<double>::infinity();
    for (int i = 0; i < n; ++i) best = greater(best, greater(line_gap(line[i], s, line[i].from).hi, line_gap(line[i], s, line[i].to).hi));
    return n == 0 ? -best : best;
  }
  // The envelopes' slopes at the middle: over all pairs of vertices left and right of it, the lowest and highest segment.
  BL_HD_CALL Slopes slopes(Interval x, SlopeRule) const {
    Line line[kMaxLines];
    const int n = self().lines(x, line);
    const double m = x.middle();
    if (n == 1) return {line[0].rise, line[0].rise};
    Slopes s{0, 0};
    double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
    for (int a = 0; a < 2 * n; ++a)
      for (int b = 0; b < 2 * n; ++b) {
        const double za = a % 2 == 0 ? line[a / 2].from : line[a / 2].to, zb = b % 2 == 0 ? line[b / 2].from : line[b / 2].to;
        if (!(za <= m && zb >= m && za < zb)) continue;
        const double fa = line[a / 2].value(za), fb = line[b / 2].value(zb);
        // A line's own rise rather than a quotient: exact.
        const double rise = a / 2 == b / 2 ? line[a / 2].rise : (fb - fa) / (zb - za);
        const double at_m = fa + rise * (m - za);
        if (at_m <= lowest) lowest = at_m, s.lower = rise;
        if (at_m >= highest) highest = at_m, s.upper = rise;
      }
    return s;
  }
  BL_HD bool decided(Interval x) const {
    Line line[kMaxLines];
    return self().lines(x, line) == 1;
  }
  BL_HD bool free_slope(Interval) const { return false; }
  BL_HD double free_low() const { return 0; }
  BL_HD double free_high() const { return 0; }
};

// ---- binary32 evaluations ----------------------------------------------------------------------------------------------

// Bounds on |binary32 evaluation - f| are stated per operator in units of u = 2^-24 (relative) and this floor, which covers
// results flushed to zero.
inline constexpr double kFloatUnit = 0x1p-24, kFloatFloor = 0x1p-126;

// Within `units` u of the exact result, relative to its size or to `scale` where that is larger.
BL_HD inline double float_error(Interval y, double units, double scale = 0) {
  return units * kFloatUnit * fmax(y.magnitude(), scale) * (1 + 1e-6) + kFloatFloor;
}

}  // namespace boundlight::BL_NS
