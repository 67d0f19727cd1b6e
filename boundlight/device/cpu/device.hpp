// The cpu back end: TBB over fixed blocks, BLAS (one thread per task) for gemm. Interface: device/device.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "boundlight/core/result.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/device/buffer.hpp"
#include "boundlight/device/cpu/gemm.hpp"
#include "boundlight/device/cpu/parallel.hpp"
#include "boundlight/device/cpu/simd.hpp"

namespace boundlight::BL_NS {

// A slot of the K running sums; lanes are interleaved so that the loop over a block of columns vectorises.
struct Sums {
  static constexpr int kLanes = 8;
  double* at;
  void add(int k, double x) const { at[k * kLanes] += x; }
};

class Device {
 public:
  explicit Device(int /*index*/ = 0) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  static constexpr const char* kName = "cpu";
  static Result<void> available() { return {}; }

  template <class T> Buffer<T> buffer(std::int64_t n) { return Buffer<T>(&pool_, n); }

  template <class F>
  void map(std::int64_t n, F f) {
    blocks(n, kBlock, [&](std::int64_t from, std::int64_t to) {
      const F own = f;  // nobody else knows its address: what it captured stays in registers
      for (std::int64_t i = from; i < to; ++i) own(i);
    });
  }

  template <class F>
  void map_rows(std::int64_t rows, std::int64_t cols, F f) {
    blocks(rows, rows_per_block(cols), [&](std::int64_t from, std::int64_t to) {
      const F own = f;
      const std::int64_t n = cols;
      for (std::int64_t r = from; r < to; ++r)
        for (std::int64_t c = 0; c < n; ++c) own(r, c);
    });
  }

  template <int K, class F>
  void sum_rows(std::int64_t rows, std::int64_t cols, F f, double* const (&out)[K]) {
    double* targets[K];
    for (int k = 0; k < K; ++k) targets[k] = out[k];
    blocks(rows, rows_per_block(cols), [&](std::int64_t from, std::int64_t to) {
      const F own = f;
      for (std::int64_t r = from; r < to; ++r) {
        double lanes[K * kLanes] = {};
        std::int64_t c = 0;
        for (; c + kLanes <= cols; c += kLanes)
          for (int lane = 0; lane < kLanes; ++lane) own(r, c + lane, Sums{lanes + lane});
        for (int lane = 0; c < cols; ++c, ++lane) own(r, c, Sums{lanes + lane});
        for (int k = 0; k < K; ++k) {
          double total = 0;
          for (int lane = 0; lane < kLanes; ++lane) total += lanes[k * kLanes + lane];
          targets[k][r] += total;
        }
      }
    });
  }

  template <class F>
  void max_rows(std::int64_t rows, std::int64_t cols, F f, double* out) {
    blocks(rows, rows_per_block(cols), [&](std::int64_t from, std::int64_t to) {
      const F own = f;
      for (std::int64_t r = from; r < to; ++r) {
        // In lanes, so that no comparison waits for the one before; NaN is remembered beside.
        double lanes[kLanes], lost[kLanes] = {}, best = -std::numeric_limits<double>::infinity(), nan = 0;
        for (double& x : lanes) x = best;
        std::int64_t c = 0;
        for (; c + kLanes <= cols; c += kLanes)
          for (int lane = 0; lane < kLanes; ++lane) {
            const double x = own(r, c + lane);
            lanes[lane] = x > lanes[lane] ? x : lanes[lane];
            lost[lane] = x == x ? lost[lane] : x;
          }
        for (; c < cols; ++c) {
          const double x = own(r, c);
          best = x > best ? x : best;
          nan = x == x ? nan : x;
        }
        for (int lane = 0; lane < kLanes; ++lane) best = lanes[lane] > best ? lanes[lane] : best, nan = lost[lane] == lost[lane] ? nan : lost[lane];
        if (nan != nan) best = nan;
        out[r] = best;
      }
    });
  }

  void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
            std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
    device_cpu::gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
  }
  void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
            std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
    device_cpu::gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
  }

  template <class T>
  void gemm_batched(std::int64_t count, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
                    std::int64_t step_a, const T* b, std::int64_t ldb, std::int64_t step_b, T beta, T* c, std::int64_t ldc, std::int64_t step_c) {
    device_cpu::gemm_batched(count, ta, tb, m, n, k, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c);
  }

  // gemm(false, false, ...) for an `a` in which many columns are zero: those and the rows of b that they meet are left out.
  template <class T>
  void gemm_live(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc) {
    device_cpu::gemm_live(m, n, k, a, lda, b, ldb, c, ldc);
  }

  // Loops over blocks of rows (device/row_span.hpp, device/cpu/simd.hpp); bounds/ops/row_math.hpp has them as functors for
  // back ends without this constant.
  static constexpr bool kRowLoops = true;
  template <class T>
  void substitute(const RowSpan& span, T* a, const SubstitutionPlanes<T>& planes, double* bias, double* charge) {
    row_blocks(span, [&](std::int64_t from, std::int64_t to) { device_cpu::simd<T>().substitute(span, a, planes, bias, charge, from, to); });
  }
  template <class T>
  void dot(const RowSpan& span, const T* a, const T* w, const T* cost, double* bias, double* charge) {
    row_blocks(span, [&](std::int64_t from, std::int64_t to) { device_cpu::simd<T>().dot(span, a, w, cost, bias, charge, from, to); });
  }
  template <class T>
  void minimum(const RowSpan& span, const T* a, const T* lower, const T* upper, double share, double* bias, double* charge) {
    row_blocks(span, [&](std::int64_t from, std::int64_t to) { device_cpu::simd<T>().minimum(span, a, lower, upper, share, bias, charge, from, to); });
  }
  template <class T>
  void join(const RowSpan& span, T* sum, const std::int64_t* start, std::int64_t step, const T* part, const T* lower, const T* upper, double u, double* charge) {
    row_blocks(span, [&](std::int64_t from, std::int64_t to) { device_cpu::simd<T>().join(span, sum, start, step, part, lower, upper, u, charge, from, to); });
  }
  // Every row's window through a convolution: origin_y, origin_x per row. Results follow each other in `into`.
  template <class T>
  void window_back(const WindowProduct& p, std::int64_t rows, const T* a, const T* weights, const std::int32_t* origin_y, const std::int32_t* origin_x, T* into) {
    const std::int64_t from_width = p.window_h * p.window_w * p.out_channels, to_width = p.into_h * p.into_w * p.groups * p.group_in;
    blocks(rows, rows_per_block(to_width), [&](std::int64_t from, std::int64_t to) {
      auto scratch = buffer<T>(window_scratch_size(p));
      for (std::int64_t r = from; r < to; ++r)
        device_cpu::simd<T>().window_back(p, a + r * from_width, weights, origin_y[r], origin_x[r], scratch.data(), into + r * to_width);
    });
  }

  // task(i) for 0 <= i < n on the host, in parallel: each may use this device, and what it runs there stays on its thread.
  template <class Task>
  static void tasks(std::int64_t n, const Task& task) {
    if (n == 1) return task(std::int64_t{0});
    const auto run = [&](std::int64_t i) {
      const device_cpu::OneThread alone;
      task(i);
    };
    device_cpu::parallel(n, &run, [](const void* at, std::int64_t i) { (*static_cast<const decltype(run)*>(at))(i); });
  }

  template <class T> void upload(T* to, const T* from, std::int64_t n) { copy(to, from, n); }
  template <class T> void download(T* to, const T* from, std::int64_t n) { copy(to, from, n); }
  template <class T> void copy(T* to, const T* from, std::int64_t n) {
    if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  }
  template <class T> void fill(T* to, T value, std::int64_t n) { std::fill_n(to, n, value); }
  void check() {}

  std::size_t memory_in_use() const { return pool_.in_use(); }
  std::size_t memory_peak() const { return pool_.peak(); }

 private:
  static constexpr std::int64_t kBlock = 8192;      // elements of one task: about 10 microseconds of work
  static constexpr std::int64_t kRowBlock = 65536;  // the same for the loops of simd.hpp
  static constexpr int kLanes = Sums::kLanes;

  static std::int64_t rows_per_block(std::int64_t cols) { return std::max<std::int64_t>(1, kBlock / std::max<std::int64_t>(1, cols)); }

  template <class Body>
  static void row_blocks(const RowSpan& span, const Body& body) {
    blocks(span.rows, std::max<std::int64_t>(1, kRowBlock / std::max<std::int64_t>(1, span.segments * span.length)), body);
  }

  // body(from, to) over fixed blocks, in parallel when there is more than one: the partition never depends on threads.
  template <class Body>
  static void blocks(std::int64_t n, std::int64_t block, const Body& body) {
    if (n <= block) {
      if (n > 0) body(std::int64_t{0}, n);
      return;
    }
    const std::int64_t count = (n + block - 1) / block;
    const auto run = [&](std::int64_t i) { body(i * block, std::min(n, (i + 1) * block)); };
    if (device_cpu::OneThread::here()) {
      for (std::int64_t i = 0; i < count; ++i) run(i);
      return;
    }
    device_cpu::parallel(count, &run, [](const void* at, std::int64_t i) { (*static_cast<const decltype(run)*>(at))(i); });
  }

  device::Pool pool_{device::host_source()};
};

}  // namespace boundlight::BL_NS
