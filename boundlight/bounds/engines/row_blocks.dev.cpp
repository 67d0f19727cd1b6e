#include "boundlight/bounds/engines/row_blocks.hpp"

#include <algorithm>

namespace boundlight::BL_NS {
namespace {

// Entry (dy, dx, c) of a windowed row goes to to[start[r] + dy * pitch + dx * C + c] of a row that is `windowed` too.
template <class T>
RowBlock<T> empty_windows(Device& d, std::int64_t rows, std::int64_t height, std::int64_t across, std::int64_t channels) {
  RowBlock<T> b;
  b.rows = rows;
  b.windowed = true;
  b.window_h = height;
  b.window_w = across;
  b.width = height * across * channels;
  b.a = d.template buffer<T>(rows * b.width);
  b.top = d.template buffer<std::int32_t>(rows);
  b.left = d.template buffer<std::int32_t>(rows);
  return b;
}

// Where the windows of two blocks lie together: one size for all rows, moved inside of the value.
struct Union {
  std::int64_t height = 0, across = 0;
  std::vector<std::int32_t> top, left;
};
template <class T>
Union unite(Device& d, const Shape& shape, const RowBlock<T>& a, const RowBlock<T>& b) {
  const auto n = static_cast<std::size_t>(a.rows);
  std::vector<std::int32_t> at(n), al(n), bt(n), bl(n);
  d.download(at.data(), a.top.data(), a.rows);
  d.download(al.data(), a.left.data(), a.rows);
  d.download(bt.data(), b.top.data(), a.rows);
  d.download(bl.data(), b.left.data(), a.rows);
  Union u;
  for (std::size_t r = 0; r < n; ++r) {
    u.top.push_back(std::min(at[r], bt[r]));
    u.left.push_back(std::min(al[r], bl[r]));
    u.height = std::max(u.height, std::max(at[r] + a.window_h, bt[r] + b.window_h) - u.top[r]);
    u.across = std::max(u.across, std::max(al[r] + a.window_w, bl[r] + b.window_w) - u.left[r]);
  }
  for (std::size_t r = 0; r < n; ++r) {
    u.top[r] = static_cast<std::int32_t>(std::min<std::int64_t>(u.top[r], shape[2] - u.height));
    u.left[r] = static_cast<std::int32_t>(std::min<std::int64_t>(u.left[r], shape[3] - u.across));
  }
  return u;
}

template <class T>
bool lies_at(Device& d, const RowBlock<T>& a, const Union& u) {
  if (a.window_h != u.height || a.window_w != u.across) return false;
  std::vector<std::int32_t> top(u.top.size()), left(u.left.size());
  d.download(top.data(), a.top.data(), a.rows);
  d.download(left.data(), a.left.data(), a.rows);
  return top == u.top && left == u.left;
}

// Where row r of `part` starts inside row r of `into`.
template <class T>
Buffer<std::int64_t> starts(Device& d, const RowBlock<T>& into, const RowBlock<T>& part, std::int64_t channels) {
  auto made = d.template buffer<std::int64_t>(part.rows);
  std::int64_t* start = made.data();
  const std::int64_t width = into.width, across = into.window_w;
  const bool windowed = into.windowed;
  const std::int32_t *top = into.top.data(), *left = into.left.data(), *part_top = part.top.data(), *part_left = part.left.data();
  d.map(part.rows, [=] BL_HD(std::int64_t r) {
    start[r] = r * width;
    if (windowed) start[r] += ((part_top[r] - top[r]) * across + part_left[r] - left[r]) * channels;
  });
  return made;
}

}  // namespace

template <class T>
void densify(Device& d, const Shape& shape, RowBlock<T>& rows) {
  if (!rows.windowed) return;
  const std::int64_t channels = shape[1], height = shape[2], across = shape[3], ww = rows.window_w, wh = rows.window_h, size = channels * height * across;
  RowBlock<T> dense;
  dense.rows = rows.rows;
  dense.width = size;
  dense.a = d.template buffer<T>(rows.rows * size);
  const T* a = rows.a.data();
  T* to = dense.a.data();
  const std::int32_t *top = rows.top.data(), *left = rows.left.data();
  d.map_rows(rows.rows * channels * height, across, [=] BL_HD(std::int64_t line, std::int64_t x) {
    const std::int64_t r = line / (channels * height), c = line / height % channels, dy = line % height - top[r], dx = x - left[r];
    to[line * across + x] = dy >= 0 && dy < wh && dx >= 0 && dx < ww ? a[((r * wh + dy) * ww + dx) * channels + c] : T(0);
  });
  rows = std::move(dense);
}

template <class T>
void windowify(Device& d, const Shape& shape, RowBlock<T>& rows) {
  if (rows.windowed) return;
  RowBlock<T> full = empty_windows<T>(d, rows.rows, shape[2], shape[3], shape[1]);
  full.a = channels_last(d, rows.a.data(), rows.rows, shape[1], shape[2] * shape[3]);
  d.fill(full.top.data(), std::int32_t{0}, rows.rows);
  d.fill(full.left.data(), std::int32_t{0}, rows.rows);
  rows = std::move(full);
}

template <class T>
RowBlock<T> selected_entries(Device& d, std::int64_t size, const std::int32_t* element, const T* sign, std::int64_t rows) {
  RowBlock<T> made;
  made.rows = rows;
  made.width = size;
  made.a = d.template buffer<T>(rows * size);
  T* a = made.a.data();
  d.fill(a, T(0), rows * size);
  d.map(rows, [=] BL_HD(std::int64_t r) { a[r * size + element[r]] = sign[r]; });
  return made;
}

template <class T>
RowBlock<T> selected_cells(Device& d, const Shape& shape, const std::int32_t* element, const T* sign, std::int64_t rows) {
  const std::int64_t channels = shape[1], height = shape[2], across = shape[3];
  RowBlock<T> made = empty_windows<T>(d, rows, 1, 1, channels);
  T* a = made.a.data();
  std::int32_t *top = made.top.data(), *left = made.left.data();
  d.fill(a, T(0), rows * channels);
  d.map(rows, [=] BL_HD(std::int64_t r) {
    a[r * channels + element[r] / (height * across)] = sign[r];
    top[r] = static_cast<std::int32_t>(element[r] / across % height);
    left[r] = static_cast<std::int32_t>(element[r] % across);
  });
  return made;
}

template <class T>
void join_blocks(Device& d, Relaxations<T>& boxes, ValueId value, RowBlock<T>& sum, RowBlock<T>&& part, RowAccounts accounts) {
  const auto& v = boxes.model().network().values[static_cast<std::size_t>(value)];
  if (sum.windowed != part.windowed) {
    densify(d, v.shape, sum);
    densify(d, v.shape, part);
  }
  const bool windowed = sum.windowed;
  const std::int64_t channels = windowed ? v.shape[1] : 1, across = windowed ? v.shape[3] : 1;
  if (windowed) {
    const Union u = unite(d, v.shape, sum, part);
    if (!lies_at(d, sum, u)) {
      if (lies_at(d, part, u)) {
        std::swap(sum, part);
      } else {
        RowBlock<T> both = empty_windows<T>(d, sum.rows, u.height, u.across, channels);
        d.fill(both.a.data(), T(0), both.rows * both.width);
        d.upload(both.top.data(), u.top.data(), both.rows);
        d.upload(both.left.data(), u.left.data(), both.rows);
        const auto at = span_of(d, sum, accounts.box, v.size, channels, across);
        const auto start = starts(d, both, sum, channels);
        RowSpan lines = at.span;
        lines.segments = sum.window_h;
        lines.length = sum.window_w * channels;
        join(d, lines, both.a.data(), start.data(), u.across * channels, sum.a.data(), static_cast<const T*>(nullptr), static_cast<const T*>(nullptr), 0.0, nullptr);
        sum = std::move(both);
      }
    }
  }
  auto at = span_of(d, part, accounts.box, v.size, channels, across);
  if (windowed) {  // lines of `part` are apart in `sum`
    at.span.segments = part.window_h;
    at.span.length = part.window_w * channels;
    at.span.pitch = across * channels;
  }
  const auto start = starts(d, sum, part, channels);
  const bool charged = boxes.settings().charges(Charge::join);
  const BoxView<T> box = !charged ? BoxView<T>{} : windowed ? boxes.box_last(value) : boxes.box(value);
  join(d, at.span, sum.a.data(), start.data(), windowed ? sum.window_w * channels : 0, part.a.data(), box.lower, box.upper, static_cast<double>(unit_roundoff<T>), charged ? accounts.charge : nullptr);
}

template <class T>
RowBlock<T> keep_rows(Device& d, const RowBlock<T>& rows, const std::int32_t* which, std::int64_t count) {
  RowBlock<T> kept;
  kept.rows = count;
  kept.width = rows.width;
  kept.windowed = rows.windowed;
  kept.window_h = rows.window_h;
  kept.window_w = rows.window_w;
  kept.slopes = rows.slopes;
  kept.a = d.template buffer<T>(count * rows.width);
  const T* from = rows.a.data();
  T* to = kept.a.data();
  const std::int64_t width = rows.width;
  d.map_rows(count, width, [=] BL_HD(std::int64_t r, std::int64_t j) { to[r * width + j] = from[which[r] * width + j]; });
  if (rows.windowed) {
    kept.top = keep_numbers(d, rows.top.data(), which, count);
    kept.left = keep_numbers(d, rows.left.data(), which, count);
  }
  return kept;
}

#define BL_INSTANTIATE(T)                                                                                                   \
  template void densify(Device&, const Shape&, RowBlock<T>&);                                                               \
  template RowBlock<T> selected_entries(Device&, std::int64_t, const std::int32_t*, const T*, std::int64_t);                 \
  template RowBlock<T> selected_cells(Device&, const Shape&, const std::int32_t*, const T*, std::int64_t);                  \
  template void windowify(Device&, const Shape&, RowBlock<T>&);                                                             \
  template void join_blocks(Device&, Relaxations<T>&, ValueId, RowBlock<T>&, RowBlock<T>&&, RowAccounts);                   \
  template RowBlock<T> keep_rows(Device&, const RowBlock<T>&, const std::int32_t*, std::int64_t);
BL_INSTANTIATE(float)
BL_INSTANTIATE(double)
#undef BL_INSTANTIATE

}  // namespace boundlight::BL_NS
