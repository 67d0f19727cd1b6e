// Arithmetic on blocks of rows, for every back end: loops of its own where a device has them (kRowLoops), functors elsewhere.
// Everything here adds to one bias and one charge per row, in double: products of floats are exact there.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"
#include "boundlight/device/row_span.hpp"

namespace boundlight::BL_NS {

template <class D>
concept HasRowLoops = requires { D::kRowLoops; };

// task(i) for 0 <= i < n on the host; in parallel where the device is the host.
template <class D, class Task>
void run_tasks(D& d, std::int64_t n, const Task& task) {
  if constexpr (HasRowLoops<D>) {
    d.tasks(n, task);
  } else {
    for (std::int64_t i = 0; i < n; ++i) task(i);
  }
}

// Where entry j of a row of a span lies, for functors.
struct SpanPlace {
  std::int64_t segments, length, pitch;
  BL_HD explicit SpanPlace(const RowSpan& s) : segments(s.segments), length(s.length), pitch(s.pitch) {}
  BL_HD std::int64_t offset(std::int64_t j) const { return segments == 1 ? j : j / length * pitch + j % length; }
};

// a *= slope of the plane its sign picks; bias += sum a offset, charge += sum |a| cost.
template <class D, class T>
void substitute(D& d, const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge) {
  if constexpr (HasRowLoops<D>) {
    d.substitute(span, a, planes, bias, charge);
  } else {
    const SpanPlace place(span);
    const std::int64_t width = span.segments * span.length;
    const std::int64_t* base = span.base;
    const SubstitutionPlanes<T> p = planes;
    double* const sums[2] = {bias, charge};
    d.template sum_rows<2>(span.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const std::int64_t e = base[r] + place.offset(j);
      const T x = a[r * width + j];
      const bool up = x >= T(0);
      T slope = up ? p.lower_slope[e] : p.upper_slope[e];
      if (up && p.own_slope && p.free[e]) slope = p.own_slope[(p.own_row ? p.own_row[r] : r) * width + j];
      sum.add(0, static_cast<double>(x) * static_cast<double>(up ? p.lower_offset[e] : p.upper_offset[e]));
      if (p.cost) sum.add(1, fabs(static_cast<double>(x)) * static_cast<double>(p.cost[e]));
      a[r * width + j] = x * slope;
    }, sums);
  }
}

// bias += sum a w (w without batch), charge += sum |a| cost; either null: left out.
template <class D, class T>
void dot(D& d, const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge) {
  if (!w && !cost) return;
  if constexpr (HasRowLoops<D>) {
    d.dot(span, a, w, cost, bias, charge);
  } else {
    const SpanPlace place(span);
    const std::int64_t width = span.segments * span.length, modulus = span.modulus;
    const std::int64_t* base = span.base;
    double* const sums[2] = {bias, charge};
    d.template sum_rows<2>(span.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const double x = static_cast<double>(a[r * width + j]);
      const std::int64_t at = place.offset(j);
      if (w) sum.add(0, x * static_cast<double>(w[base[r] % modulus + at]));
      if (cost) sum.add(1, fabs(x) * static_cast<double>(cost[base[r] + at]));
    }, sums);
  }
}

// bias += sum min(a lower, a upper), charge += share * sum |min(...)|; charge null: left out.
template <class D, class T>
void minimum(D& d, const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge) {
  if constexpr (HasRowLoops<D>) {
    d.minimum(span, a, lower, upper, share, bias, charge);
  } else {
    const SpanPlace place(span);
    const std::int64_t width = span.segments * span.length;
    const std::int64_t* base = span.base;
    const double per_size = charge ? share : 0.0;
    double* const sums[2] = {bias, charge ? charge : bias};
    d.template sum_rows<2>(span.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const T x = a[r * width + j];
      const std::int64_t e = base[r] + place.offset(j);
      const double p = static_cast<double>(x) * static_cast<double>(x >= T(0) ? lower[e] : upper[e]);
      sum.add(0, p);
      if (per_size > 0) sum.add(1, per_size * fabs(p));
    }, sums);
  }
}

// sum[start[r] + s * step + j] += part entry (s, j) of row r; charge += u * sum |result| max(|lower|, |upper|), or null.
template <class D, class T>
void join(D& d, const RowSpan& span, T* sum, const std::int64_t* start, std::int64_t step, const T* part, const T* lower, const T* upper, double u, double* charge) {
  if constexpr (HasRowLoops<D>) {
    d.join(span, sum, start, step, part, lower, upper, u, charge);
  } else {
    const SpanPlace place(span);
    const std::int64_t width = span.segments * span.length, length = span.length;
    const std::int64_t* base = span.base;
    if (!charge) {
      d.map_rows(span.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j) { sum[start[r] + j / length * step + j % length] += part[r * width + j]; });
      return;
    }
    double* const sums[1] = {charge};
    d.template sum_rows<1>(span.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums total) {
      T& to = sum[start[r] + j / length * step + j % length];
      const T x = to + part[r * width + j];
      to = x;
      const std::int64_t e = base[r] + place.offset(j);
      total.add(0, u * fabs(static_cast<double>(x)) * fmax(fabs(static_cast<double>(lower[e])), fabs(static_cast<double>(upper[e]))));
    }, sums);
  }
}

// charge[r] += cost0 of the row's box, and one rounding of the bias.
inline void charge_per_row(Device& d, std::int64_t rows, const RowAccounts& accounts, const double* cost0) {
  double *bias = accounts.bias, *charge = accounts.charge;
  const std::int32_t* box = accounts.box;
  d.map(rows, [=] BL_HD(std::int64_t r) { charge[r] += cost0[box[r]] + fabs(bias[r]) * 3e-16; });
}

// gemm(false, false, ...) that may leave out columns of `a` that are zero in every row.
template <class D, class T>
void gemm_live(D& d, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc) {
  if constexpr (HasRowLoops<D>) d.gemm_live(m, n, k, a, lda, b, ldb, c, ldc);
  else d.gemm(false, false, m, n, k, a, lda, b, ldb, T(0), c, ldc);
}

// [batch][channels][height * width] -> [batch][height * width][channels].
template <class D, class T>
Buffer<T> channels_last(D& d, const T* from, std::int64_t batch, std::int64_t channels, std::int64_t cells) {
  auto made = d.template buffer<T>(batch * channels * cells);
  T* to = made.data();
  if constexpr (HasRowLoops<D>) {
    // A few cells of all channels at a time: what is written stays in the nearest cache until its lines are full.
    constexpr std::int64_t kCells = 16;
    const std::int64_t groups = (cells + kCells - 1) / kCells;
    d.map_rows(batch * groups, channels, [=](std::int64_t r, std::int64_t c) {
      const std::int64_t b = r / groups, first = r % groups * kCells, n = cells - first < kCells ? cells - first : kCells;
      const T* x = from + (b * channels + c) * cells + first;
      T* y = to + (b * cells + first) * channels + c;
      if (n == kCells) {
        for (std::int64_t i = 0; i < kCells; ++i) y[i * channels] = x[i];
      } else {
        for (std::int64_t i = 0; i < n; ++i) y[i * channels] = x[i];
      }
    });
  } else {
    d.map_rows(batch * cells, channels, [=] BL_HD(std::int64_t r, std::int64_t c) {
      to[r * channels + c] = from[(r / cells * channels + c) * cells + r % cells];
    });
  }
  return made;
}

// The span of a block on a value of `size` elements (channels, height, width when windowed); keeps the bases alive.
template <class T>
struct BlockSpan {
  RowSpan span;
  Buffer<std::int64_t> base;
};
template <class D, class T>
BlockSpan<T> span_of(D& d, const RowBlock<T>& rows, const std::int32_t* box, std::int64_t size, std::int64_t channels, std::int64_t across) {
  BlockSpan<T> s;
  s.base = d.template buffer<std::int64_t>(rows.rows);
  std::int64_t* base = s.base.data();
  s.span.rows = rows.rows;
  s.span.base = base;
  s.span.modulus = size;
  if (!rows.windowed) {
    s.span.length = rows.width;
    d.map(rows.rows, [=] BL_HD(std::int64_t r) { base[r] = box[r] * size; });
    return s;
  }
  s.span.segments = rows.window_h;
  s.span.length = rows.window_w * channels;
  s.span.pitch = across * channels;
  if (rows.window_w == across) {  // whole lines follow each other
    s.span.length *= s.span.segments;
    s.span.segments = 1;
  }
  const std::int32_t *top = rows.top.data(), *left = rows.left.data();
  d.map(rows.rows, [=] BL_HD(std::int64_t r) { base[r] = box[r] * size + (top[r] * across + left[r]) * channels; });
  return s;
}

}  // namespace boundlight::BL_NS
