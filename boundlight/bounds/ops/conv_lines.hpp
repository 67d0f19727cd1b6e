// Patches of a convolution line by line, for back ends whose kernels are loops on the host: filled from the input, and collected
// back into it. Divisions are made per line, not per element.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "boundlight/bounds/ops/spatial.hpp"

namespace boundlight::BL_NS {

// Where a line of the output (its last axis) meets the input under a kernel position: outputs [from, to) lie inside, output q at
// input start + q stride. Empty: from == to.
struct LineMeeting {
  std::int64_t from = 0, to = 0, start = 0;
};
inline LineMeeting meeting(const spatial::Windows& at, std::int64_t kernel_column) {
  LineMeeting m;
  m.start = kernel_column * at.dilation[2] - at.pad[2];
  const std::int64_t s = at.stride[2];
  m.from = m.start < 0 ? (-m.start + s - 1) / s : 0;
  m.to = m.start < at.in[2] ? (at.in[2] - m.start + s - 1) / s : 0;
  if (m.to > at.out[2]) m.to = at.out[2];
  if (m.from > m.to) m.from = m.to;
  return m;
}

// A line of the input collected from patches: what output_of says element by element, without its divisions. On a cpu these
// sums cost more than the product before them when done one element at a time.
template <class T>
void collect_line(const spatial::Windows& at, const T* patches, std::int64_t line, T* __restrict to) {
  for (std::int64_t x = 0; x < at.in[2]; ++x) to[x] = T(0);
  const std::int64_t y = line % at.in[1], z = line / at.in[1], positions = at.out_size();
  for (std::int64_t kz = 0; kz < at.kernel[0]; ++kz) {
    const std::int64_t vz = z + at.pad[0] - kz * at.dilation[0];
    if (vz < 0 || vz % at.stride[0] != 0 || vz / at.stride[0] >= at.out[0]) continue;
    for (std::int64_t ky = 0; ky < at.kernel[1]; ++ky) {
      const std::int64_t vy = y + at.pad[1] - ky * at.dilation[1];
      if (vy < 0 || vy % at.stride[1] != 0 || vy / at.stride[1] >= at.out[1]) continue;
      for (std::int64_t kx = 0; kx < at.kernel[2]; ++kx) {
        const LineMeeting m = meeting(at, kx);
        const T* __restrict from = patches + ((kz * at.kernel[1] + ky) * at.kernel[2] + kx) * positions + (vz / at.stride[0] * at.out[1] + vy / at.stride[1]) * at.out[2];
        T* into = to + m.start;
        if (at.stride[2] == 1)
          for (std::int64_t q = m.from; q < m.to; ++q) into[q] += from[q];
        else
          for (std::int64_t q = m.from; q < m.to; ++q) into[q * at.stride[2]] += from[q];
      }
    }
  }
}

// The patches of one channel, [kernel element][line][position]: the channel is laid out once with its padding, its columns sorted
// by their remainder modulo the stride, so that every line of patches is one run of it.
template <class T>
void fill_channel(const spatial::Windows& at, const T* from, std::int64_t first, std::int64_t lines, T* to) {
  const std::int64_t step = at.stride[2], line = at.out[2], top = first * at.stride[1], high = (lines - 1) * at.stride[1] + at.reach(1);
  const std::int64_t run = ((line - 1) * step + at.reach(2) + step - 1) / step;  // columns of one remainder
  thread_local std::vector<T> laid_out;
  laid_out.assign(static_cast<std::size_t>(high * step * run), T(0));
  for (std::int64_t y = std::max<std::int64_t>(0, at.pad[1] - top); y < high && top + y - at.pad[1] < at.in[1]; ++y) {
    const T* get = from + (top + y - at.pad[1]) * at.in[2];
    T* put = laid_out.data() + y * step * run;
    for (std::int64_t column = at.pad[2]; column < at.pad[2] + step; ++column) {  // the first of every remainder
      T* into = put + column % step * run + column / step;
      const std::int64_t count = std::min((at.in[2] - (column - at.pad[2]) + step - 1) / step, run - column / step);
      const T* cell = get + (column - at.pad[2]);
      if (step == 1) {
        for (std::int64_t j = 0; j < count; ++j) into[j] = cell[j];
      } else {
        for (std::int64_t j = 0; j < count; ++j) into[j] = cell[j * step];
      }
    }
  }
  for (std::int64_t ky = 0; ky < at.kernel[1]; ++ky)
    for (std::int64_t kx = 0; kx < at.kernel[2]; ++kx) {
      const std::int64_t column = kx * at.dilation[2];
      const T* get = laid_out.data() + (ky * at.dilation[1] * step + column % step) * run + column / step;
      for (std::int64_t l = 0; l < lines; ++l, get += at.stride[1] * step * run, to += line) {
        std::int64_t j = 0;
        for (; j + 4 <= line; j += 4) std::memcpy(to + j, get + j, 4 * sizeof(T));
        for (; j < line; ++j) to[j] = get[j];
      }
    }
}

}  // namespace boundlight::BL_NS
