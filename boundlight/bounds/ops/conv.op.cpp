// Conv: y[o, q] = sum_{c, k} w[o, c, k] x[c, position(q, k)] + b[o] over one to three spatial axes, with groups. Linear in x.
//
// Forward: patches [terms][positions] per sample, then one product with the weights. Back (dense rows): the product with the
// transposed weights, then every input element collects the patch entries it is in. Windowed rows never leave their
// receptive field: [rows x window][out channels] times [out channels][kernel x in channels], collected into a window that
// has grown by the kernel.
#include "boundlight/bounds/ops/conv_geometry.hpp"
#include "boundlight/bounds/ops/conv_lanes.hpp"
#include "boundlight/bounds/ops/conv_lines.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/spatial.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/bounds/ops/weights.hpp"
#include "boundlight/device/window_product.hpp"

namespace boundlight {

Result<ConvGeometry> conv_geometry(const NodeView& node);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {

Result<ConvGeometry> conv_geometry(const NodeView& node) {
  const Shape &x = node.shape(0), &w = node.shape(1);
  if (w.size() != x.size()) return refuse("the weights' shape " + to_string(w) + " does not fit an input of shape " + to_string(x));
  ConvGeometry g;
  BL_TRY(windows, spatial::windows_of(node, {w.begin() + std::min<std::ptrdiff_t>(2, static_cast<std::ptrdiff_t>(w.size())), w.end()}));
  g.at = windows;
  g.samples = x[0];
  g.in_channels = x[1];
  g.out_channels = w[0];
  g.groups = node.integer("group", 1);
  if (g.groups < 1 || g.in_channels % g.groups != 0 || g.out_channels % g.groups != 0 || w[1] != g.in_channels / g.groups)
    return refuse("group " + std::to_string(g.groups) + " does not fit weights of shape " + to_string(w) + " and an input of shape " + to_string(x));
  if (node.has(2) && node.shape(2) != Shape{g.out_channels}) return refuse("the bias has shape " + to_string(node.shape(2)) + ", needed is " + std::to_string(g.out_channels));
  return g;
}

namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(g, conv_geometry(node));
  return std::vector<TypedShape>{{node.inputs[0]->type, spatial::output_shape(node.shape(0), g.out_channels, g.at)}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, conv_geometry(node));
  return typed::with_floating(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = typed::elements<S>(*in[0]), w = typed::elements<S>(*in[1]);
    const auto bias = node.has(2) ? typed::elements<S>(*in[2]) : std::vector<S>();
    std::vector<S> y(static_cast<std::size_t>(g.samples * g.out_channels * g.at.out_size()));
    std::size_t to = 0;
    for (std::int64_t n = 0; n < g.samples; ++n)
      for (std::int64_t o = 0; o < g.out_channels; ++o)
        for (std::int64_t q = 0; q < g.at.out_size(); ++q, ++to) {
          S sum = bias.empty() ? S{} : static_cast<S>(bias[static_cast<std::size_t>(o)]);
          for (std::int64_t c = 0; c < g.group_in(); ++c)
            for (std::int64_t k = 0; k < g.at.kernel_size(); ++k) {
              const std::int64_t p = g.at.input_of(q, k);
              if (p < 0) continue;
              const std::int64_t channel = o / g.group_out() * g.group_in() + c;
              sum = static_cast<S>(sum + x[static_cast<std::size_t>((n * g.in_channels + channel) * g.at.in_size() + p)] *
                                             w[static_cast<std::size_t>((o * g.group_in() + c) * g.at.kernel_size() + k)]);
            }
          y[to] = sum;
        }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), spatial::output_shape(node.shape(0), g.out_channels, g.at), y)};
  });
}

}  // namespace

extern const OpInfo Conv_op;
const OpInfo Conv_op = {"Conv", "kernel_shape:I strides:I pads:I dilations:I group:i auto_pad:s", infer, evaluate, "none",
                        "yes", "inputs and weights", "enclosure", "exact", "dot products in any order (direct, im2col; not Winograd)", 2, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// Elements of scratch that stay in the second-level cache or its neighbourhood, per step of the loops below.
constexpr std::int64_t kScratch = std::int64_t{1} << 21;
constexpr std::int64_t kWorthTasks = std::int64_t{1} << 18;  // elements that are worth filling side by side

template <class T>
class ConvKernel : public LinearKernel<T>, public LaneForward<T> {
 public:
  ConvKernel(Device& d, const ConvGeometry& g, bool flat, std::vector<std::int64_t> in, const std::vector<double>& w, const std::vector<double>& bias)
      : LinearKernel<T>(std::move(in), {g.samples * g.out_channels * g.at.out_size()}), g_(g), flat_(flat), w_(weights_of<T>(d, w)),
        bias_(weights_of<T>(d, bias)), offset_(weights_of<T>(d, expanded(bias))), window_w_(d.buffer<T>(w_.data.size())), lanes_(g), back_(g) {
    reorder_weights(d);
    if constexpr (HasRowLoops<Device>) pack_for_loops(d, w);
  }

  // Public, as are the other members with device lambdas (device/device.hpp): the same weights, kernel positions before channels.
  void reorder_weights(Device& d) {
    const T* from = w_.data.data();
    T* to = window_w_.data();
    const std::int64_t channels = g_.group_in(), kernel = g_.at.kernel_size();
    d.map_rows(g_.out_channels * kernel, channels, [=] BL_HD(std::int64_t r, std::int64_t c) {
      to[r * channels + c] = from[(r / kernel * channels + c) * kernel + r % kernel];
    });
  }

  // Weights that stay in a core's cache go through the device's own loop over windows, larger ones through gemm.
  void pack_for_loops(Device& d, const std::vector<double>& w) {
    constexpr std::int64_t kMostPacked = 96 * 1024;
    const WindowProduct p = product(1, 1);
    if (!flat_ || packed_weights_size(p) > kMostPacked) return;
    std::vector<T> packed(static_cast<std::size_t>(packed_weights_size(p)));
    const std::int64_t channels = g_.group_in(), kernel_h = g_.at.kernel[1], kernel_w = g_.at.kernel[2];
    pack_weights(p, [&](std::int64_t o, std::int64_t c, std::int64_t ky, std::int64_t kx) { return w[static_cast<std::size_t>(((o * channels + c) * kernel_h + ky) * kernel_w + kx)]; },
                 packed.data());
    packed_ = d.template buffer<T>(static_cast<std::int64_t>(packed.size()));
    d.upload(packed_.data(), packed.data(), packed_.size());
  }
  WindowProduct product(std::int64_t window_h, std::int64_t window_w) const {
    return {window_h, window_w, g_.out_channels, g_.at.stride[1], g_.at.stride[2], g_.at.dilation[1], g_.at.dilation[2], g_.at.kernel[1], g_.at.kernel[2],
            g_.group_in(), g_.group_out(), g_.groups, g_.at.in[1], g_.at.in[2]};
  }

  // Many samples: each on one thread, so that its patches stay in a core's cache.
  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const std::int64_t total = batch * g_.samples, from = g_.in_channels * g_.at.in_size(), to = g_.out_channels * g_.at.out_size();
    if constexpr (HasRowLoops<Device>) {
      if (total > 1) {
        const std::int64_t together = std::clamp<std::int64_t>((std::int64_t{1} << 15) / (g_.terms() * g_.at.out_size()), 1, total);
        run_tasks(d, (total + together - 1) / together, [&](std::int64_t i) {
          const std::int64_t first = i * together;
          apply_to(d, mode, x[0] + first * from, y[0] + first * to, std::min(together, total - first));
        });
        return;
      }
    }
    apply_to(d, mode, x[0], y[0], total);
  }

  bool lanes() const override { return lanes_.offered(); }
  void forward_lanes(Device& d, const T* const* in, T* out, bool rectify) const override { lanes_.run(d, w_.data.data(), bias_.data.size() ? bias_.data.data() : nullptr, in[0], out, rectify); }
  void back_lanes(Device& d, const T*, const T* g, T* const* parts) const override { back_.run(d, w_.data.data(), g, parts[0]); }

  void apply_to(Device& d, LinearMode mode, const T* x, T* y, std::int64_t total) const {
    const T* w = mode == LinearMode::absolute ? w_.absolute.data() : w_.data.data();
    each_patch_block(d, x, total, [&](const PatchBlock& p) {
      d.gemm_batched(p.count, false, false, g_.group_out(), p.positions, g_.terms(), w + p.group * g_.group_out() * g_.terms(), g_.terms(), std::int64_t{0},
                     p.data, p.stride, p.step, T(0), y + p.output, g_.at.out_size(), g_.out_channels * g_.at.out_size());
    });
    if (mode != LinearMode::affine || bias_.data.size() == 0) return;
    const T* bias = bias_.data.data();
    const std::int64_t positions = g_.at.out_size(), channels = g_.out_channels;
    d.map_rows(total * channels, positions, [=] BL_HD(std::int64_t r, std::int64_t q) { y[r * positions + q] += bias[r % channels]; });
  }

  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    if (!in[0]) return;
    const std::int64_t positions = g_.at.out_size(), kernel = g_.at.kernel_size(), cells = g_.at.in_size(), total = count * g_.samples;
    const std::int64_t per_channel = kernel * positions;
    const std::int64_t channels = std::clamp<std::int64_t>(kScratch / per_channel, 1, g_.group_in());
    const std::int64_t chunk = std::clamp<std::int64_t>(kScratch / (per_channel * channels), 1, total);
    auto scratch = d.template buffer<T>(chunk * channels * per_channel);
    const spatial::Windows at = g_.at;
    const std::int64_t all_channels = g_.in_channels;
    for (std::int64_t group = 0; group < g_.groups; ++group)
      for (std::int64_t c0 = 0; c0 < g_.group_in(); c0 += channels)
        for (std::int64_t s0 = 0; s0 < total; s0 += chunk) {
          const std::int64_t n = std::min(chunk, total - s0), block = std::min(channels, g_.group_in() - c0), first = group * g_.group_in() + c0;
          d.gemm_batched(n, true, false, block * kernel, positions, g_.group_out(), w_.data.data() + group * g_.group_out() * g_.terms() + c0 * kernel, g_.terms(),
                         std::int64_t{0}, rows + (s0 * g_.out_channels + group * g_.group_out()) * positions, positions, g_.out_channels * positions, T(0),
                         scratch.data(), positions, block * per_channel);
          const T* from = scratch.data();
          T* to = in[0] + s0 * all_channels * cells;
          if constexpr (HasRowLoops<Device>) {
            d.map_rows(n * block, at.in[0] * at.in[1], [=](std::int64_t r, std::int64_t line) {
              collect_line(at, from + r * per_channel, line, to + (r / block * all_channels + first + r % block) * cells + line * at.in[2]);
            });
            continue;
          }
          d.map_rows(n * block, cells, [=] BL_HD(std::int64_t r, std::int64_t i) {
            T sum = 0;
            for (std::int64_t k = 0; k < kernel; ++k) {
              const std::int64_t q = at.output_of(i, k);
              if (q >= 0) sum += from[(r * kernel + k) * positions + q];
            }
            to[(r / block * all_channels + first + r % block) * cells + i] = sum;
          });
        }
  }

  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const std::int64_t positions = g_.at.out_size(), channels = g_.out_channels, total = batch * g_.samples;
    const T* g = grad_out[0];
    if (grad_in[1])
      each_patch_block(d, in[0], total, [&](const PatchBlock& p) {
        for (std::int64_t s = 0; s < p.count; ++s)
          d.gemm(false, true, g_.group_out(), g_.terms(), p.positions, g + p.output + s * channels * positions, positions, p.data + s * p.step, p.stride, T(1),
                 grad_in[1] + p.group * g_.group_out() * g_.terms(), g_.terms());
      });
    if (this->in_sizes().size() > 2 && grad_in[2]) {
      T* to = grad_in[2];
      d.map(channels, [=] BL_HD(std::int64_t c) {
        for (std::int64_t s = 0; s < total; ++s)
          for (std::int64_t q = 0; q < positions; ++q) to[c] += g[(s * channels + c) * positions + q];
      });
    }
  }

  const T* offset(int) const override { return offset_.data.size() ? offset_.data.data() : nullptr; }
  std::int64_t terms_ahead() const override { return g_.terms(); }
  std::int64_t terms_back() const override { return g_.group_out() * g_.at.most_readers(); }
  double relative_error() const override { return std::max(w_.relative, bias_.relative); }
  bool windows() const override { return flat_; }
  typename LinearKernel<T>::Plane plane() const override { return {g_.out_channels, g_.at.out[1], g_.at.out[2]}; }

  // The result's windows are moved inside of the input; origin: where their unmoved corner lies in them.
  template <class D>
  void transpose_by_loops(D& d, const RowBlock<T>& rows, RowBlock<T>& made) const {
    WindowProduct p = product(rows.window_h, rows.window_w);
    made = block_of(d, rows.rows, reach_h(p), reach_w(p), rows.top.data(), rows.left.data(), true);
    p.into_h = made.window_h;
    p.into_w = made.window_w;
    auto origin_y = d.template buffer<std::int32_t>(rows.rows), origin_x = d.template buffer<std::int32_t>(rows.rows);
    std::int32_t *oy = origin_y.data(), *ox = origin_x.data();
    const std::int32_t *top = rows.top.data(), *left = rows.left.data(), *to_top = made.top.data(), *to_left = made.left.data();
    const spatial::Windows at = g_.at;
    d.map(rows.rows, [=] BL_HD(std::int64_t r) {
      oy[r] = static_cast<std::int32_t>(top[r] * at.stride[1] - at.pad[1] - to_top[r]);
      ox[r] = static_cast<std::int32_t>(left[r] * at.stride[2] - at.pad[2] - to_left[r]);
    });
    d.window_back(p, rows.rows, rows.a.data(), packed_.data(), oy, ox, made.a.data());
  }

  void transpose_windows(Device& d, RowBlock<T>&& rows, RowBlock<T>* out) const override {
    if constexpr (HasRowLoops<Device>) {
      if (packed_) return transpose_by_loops(d, rows, out[0]);
    }
    const std::int64_t wh = rows.window_h, ww = rows.window_w, kernel = g_.at.kernel_size(), channels = g_.group_in(), per_cell = kernel * channels;
    out[0] = block_of(d, rows.rows, (wh - 1) * g_.at.stride[1] + g_.at.reach(1), (ww - 1) * g_.at.stride[2] + g_.at.reach(2), rows.top.data(), rows.left.data());
    RowBlock<T>& made = out[0];
    const std::int64_t chunk = std::clamp<std::int64_t>(kScratch / (wh * ww * per_cell), 1, rows.rows);
    auto scratch = d.template buffer<T>(chunk * wh * ww * per_cell);
    for (std::int64_t group = 0; group < g_.groups; ++group)
      for (std::int64_t r0 = 0; r0 < rows.rows; r0 += chunk) {
        const std::int64_t n = std::min(chunk, rows.rows - r0);
        d.gemm(false, false, n * wh * ww, per_cell, g_.group_out(), rows.a.data() + r0 * rows.width + group * g_.group_out(), g_.out_channels,
               window_w_.data() + group * g_.group_out() * per_cell, per_cell, T(0), scratch.data(), per_cell);
        collect(d, scratch.data(), rows, made, r0, n, group);
      }
  }

  bool select_rows(Device& d, int, std::int64_t rows, const std::int32_t* element, const T* sign, RowBlock<T>* out) const override {
    if (!flat_) return false;
    const spatial::Windows at = g_.at;
    auto top = d.template buffer<std::int32_t>(rows), left = d.template buffer<std::int32_t>(rows);
    std::int32_t *t = top.data(), *l = left.data();
    d.map(rows, [=] BL_HD(std::int64_t r) {
      t[r] = static_cast<std::int32_t>(element[r] / at.out[2] % at.out[1]);
      l[r] = static_cast<std::int32_t>(element[r] % at.out[2]);
    });
    out[0] = block_of(d, rows, at.reach(1), at.reach(2), t, l);
    if (out[0].windowed) select_cells(d, rows, element, sign, t, l, out[0]);
    else select_dense(d, rows, element, sign, t, l, out[0]);
    return true;
  }

  // Cell by cell of the windows: the kernel position that lies on a cell first (-1: none), then its channels.
  void select_cells(Device& d, std::int64_t rows, const std::int32_t* element, const T* sign, const std::int32_t* t, const std::int32_t* l, RowBlock<T>& made) const {
    const spatial::Windows at = g_.at;
    const std::int64_t cells = made.window_h * made.window_w, across = made.window_w, positions = at.out_size(), kernel = at.kernel_size(), groups = g_.groups;
    const std::int64_t group_out = g_.group_out(), group_in = g_.group_in(), channels = g_.in_channels;
    const std::int32_t *top = made.top.data(), *left = made.left.data();
    auto from = d.template buffer<std::int64_t>(rows * cells);
    std::int64_t* start = from.data();
    d.map(rows * cells, [=] BL_HD(std::int64_t i) {
      const std::int64_t r = i / cells, y = top[r] + i % cells / across, x = left[r] + i % across;
      const std::int64_t ky = y + at.pad[1] - t[r] * at.stride[1], kx = x + at.pad[2] - l[r] * at.stride[2];
      const bool inside = ky >= 0 && kx >= 0 && ky % at.dilation[1] == 0 && kx % at.dilation[2] == 0 && ky / at.dilation[1] < at.kernel[1] && kx / at.dilation[2] < at.kernel[2];
      start[i] = inside ? (element[r] / positions * kernel + ky / at.dilation[1] * at.kernel[2] + kx / at.dilation[2]) * group_in : -1;
    });
    const T* w = window_w_.data();
    T* to = made.a.data();
    if (groups == 1) {
      d.map_rows(rows * cells, channels, [=] BL_HD(std::int64_t i, std::int64_t c) { to[i * channels + c] = start[i] < 0 ? T(0) : sign[i / cells] * w[start[i] + c]; });
      return;
    }
    d.map_rows(rows * cells, channels, [=] BL_HD(std::int64_t i, std::int64_t c) {
      const std::int64_t in_group = c - element[i / cells] / positions / group_out * group_in;
      to[i * channels + c] = start[i] < 0 || in_group < 0 || in_group >= group_in ? T(0) : sign[i / cells] * w[start[i] + in_group];
    });
  }

  void select_dense(Device& d, std::int64_t rows, const std::int32_t* element, const T* sign, const std::int32_t* t, const std::int32_t* l, RowBlock<T>& block) const {
    const View made(block, g_);
    const spatial::Windows at = g_.at;
    const std::int64_t positions = at.out_size(), group_out = g_.group_out(), group_in = g_.group_in();
    const T* w = w_.data.data();
    T* to = block.a.data();
    d.map_rows(rows, made.width, [=] BL_HD(std::int64_t r, std::int64_t j) {
      std::int64_t c, y, x;
      made.place(r, j, c, y, x);
      const std::int64_t o = element[r] / positions, ky = y + at.pad[1] - t[r] * at.stride[1], kx = x + at.pad[2] - l[r] * at.stride[2], in_group = c - o / group_out * group_in;
      const bool inside = in_group >= 0 && in_group < group_in && ky >= 0 && kx >= 0 && ky % at.dilation[1] == 0 && kx % at.dilation[2] == 0 &&
                          ky / at.dilation[1] < at.kernel[1] && kx / at.dilation[2] < at.kernel[2];
      to[r * made.width + j] =
          inside ? sign[r] * w[((o * group_in + in_group) * at.kernel[1] + ky / at.dilation[1]) * at.kernel[2] + kx / at.dilation[2]] : T(0);
    });
  }

  // Where the entries of a row block on the input lie: windowed (channels last) or dense.
  struct View {
    View(const RowBlock<T>& b, const ConvGeometry& g)
        : windowed(b.windowed), width(b.width), across(b.window_w), channels(g.in_channels), height(g.at.in[1]), wide(g.at.in[2]), top(b.top.data()), left(b.left.data()) {}
    bool windowed;
    std::int64_t width, across, channels, height, wide;
    const std::int32_t *top, *left;
    BL_HD void place(std::int64_t r, std::int64_t j, std::int64_t& c, std::int64_t& y, std::int64_t& x) const {
      if (windowed) {
        c = j % channels;
        x = left[r] + j / channels % across;
        y = top[r] + j / (channels * across);
      } else {
        c = j / (height * wide);
        y = j / wide % height;
        x = j % wide;
      }
    }
  };

  // Patches of samples [sample, sample + count), group `group`, positions [first, first + positions) of the output:
  // entry (s, term, q) at data[s * step + term * stride + q]; the output they make starts at `output`.
  struct PatchBlock {
    const T* data;
    std::int64_t group, count, positions, step, stride, output;
  };

  template <class Body>
  void each_patch_block(Device& d, const T* x, std::int64_t total, const Body& body) const {
    const std::int64_t all = g_.at.out_size(), terms = g_.terms(), cells = g_.at.in_size(), channels = g_.group_in(), in_channels = g_.in_channels, kernel = g_.at.kernel_size();
    bool as_is = kernel == 1;
    for (int a = 0; a < 3; ++a) as_is = as_is && g_.at.stride[a] == 1 && g_.at.pad[a] == 0 && g_.at.pad_end[a] == 0;
    if (as_is) {
      for (std::int64_t group = 0; group < g_.groups; ++group)
        body(PatchBlock{x + group * channels * cells, group, total, all, in_channels * cells, cells, group * g_.group_out() * all});
      return;
    }
    const std::int64_t line = g_.at.out[2], positions = std::clamp<std::int64_t>(kScratch / (terms * line), 1, all / line) * line;
    const std::int64_t chunk = std::clamp<std::int64_t>(kScratch / (terms * positions), 1, total);
    auto scratch = d.template buffer<T>(chunk * terms * positions);
    T* to = scratch.data();
    for (std::int64_t group = 0; group < g_.groups; ++group)
      for (std::int64_t s0 = 0; s0 < total; s0 += chunk)
        for (std::int64_t q0 = 0; q0 < all; q0 += positions) {
          const std::int64_t n = std::min(chunk, total - s0), wide = std::min(positions, all - q0);
          fill_patches(d, x + (s0 * in_channels + group * channels) * cells, n, q0, wide, to);
          body(PatchBlock{to, group, n, wide, terms * wide, wide, (s0 * g_.out_channels + group * g_.group_out()) * all + q0});
        }
  }

  // to[s][term][q] for n samples (one group's channels, from `from` on), positions [q0, q0 + wide), whole lines of them: one line
  // of one term reads one line of the input. One item is one term of one sample, so that divisions are rare.
  void fill_patches(Device& d, const T* from, std::int64_t n, std::int64_t q0, std::int64_t wide, T* to) const {
    const std::int64_t terms = g_.terms(), cells = g_.at.in_size(), channels = g_.group_in(), in_channels = g_.in_channels, kernel = g_.at.kernel_size();
    const spatial::Windows at = g_.at;
    const std::int64_t line = at.out[2], first = q0 / line;
    if constexpr (HasRowLoops<Device>) {
      if (at.in[0] == 1 && at.kernel[0] == 1) {
        const auto fill = [&](std::int64_t i) { fill_channel(at, from + (i / channels * in_channels + i % channels) * cells, first, wide / line, to + i * kernel * wide); };
        if (n == 1 && terms * wide > kWorthTasks) run_tasks(d, channels, fill);
        else
          for (std::int64_t i = 0; i < n * channels; ++i) fill(i);
        return;
      }
    }
    d.map(n * terms, [=] BL_HD(std::int64_t i) {
      const std::int64_t k = i % kernel, c = i / kernel % channels, s = i / terms, step = at.stride[2], across = at.in[2];
      const std::int64_t x = k % at.kernel[2] * at.dilation[2] - at.pad[2], ky = k / at.kernel[2] % at.kernel[1] * at.dilation[1] - at.pad[1];
      const std::int64_t kz = k / (at.kernel[1] * at.kernel[2]) * at.dilation[0] - at.pad[0];
      std::int64_t begin = 0, end = line;  // positions of a line whose input cell is inside
      while (begin < end && x + begin * step < 0) ++begin;
      while (end > begin && x + (end - 1) * step >= across) --end;
      const T* plane = from + (s * in_channels + c) * cells;
      std::int64_t oy = first % at.out[1], oz = first / at.out[1];
      T* put = to + i * wide;
      for (T* const last = put + wide; put < last; put += line) {
        const std::int64_t y = oy * at.stride[1] + ky, z = oz * at.stride[0] + kz;
        if (++oy == at.out[1]) oy = 0, ++oz;
        if (z < 0 || z >= at.in[0] || y < 0 || y >= at.in[1]) {
          for (std::int64_t j = 0; j < line; ++j) put[j] = T(0);
          continue;
        }
        const T* get = plane + (z * at.in[1] + y) * across;
        for (std::int64_t j = 0; j < begin; ++j) put[j] = T(0);
        if (step == 1) {
          for (std::int64_t j = begin; j < end; ++j) put[j] = get[x + j];
        } else {
          for (std::int64_t j = begin; j < end; ++j) put[j] = get[x + j * step];
        }
        for (std::int64_t j = end; j < line; ++j) put[j] = T(0);
      }
    });
  }

  // An empty block for rows whose window starts at output position (top, left): window_h x window_w cells of the input, cut
  // to the input's size and moved inside it; dense when that is everything, unless windows are wanted always.
  RowBlock<T> block_of(Device& d, std::int64_t rows, std::int64_t window_h, std::int64_t window_w, const std::int32_t* top, const std::int32_t* left, bool always = false) const {
    const std::int64_t height = g_.at.in[1], wide = g_.at.in[2];
    RowBlock<T> b;
    b.rows = rows;
    b.window_h = std::min(window_h, height);
    b.window_w = std::min(window_w, wide);
    b.windowed = always || b.window_h < height || b.window_w < wide;
    b.width = b.window_h * b.window_w * g_.in_channels;
    b.a = d.template buffer<T>(rows * b.width);
    if (!b.windowed) return b;
    b.top = d.template buffer<std::int32_t>(rows);
    b.left = d.template buffer<std::int32_t>(rows);
    std::int32_t *t = b.top.data(), *l = b.left.data();
    const std::int64_t last_top = height - b.window_h, last_left = wide - b.window_w;
    const spatial::Windows at = g_.at;
    d.map(rows, [=] BL_HD(std::int64_t r) {
      const std::int64_t y = top[r] * at.stride[1] - at.pad[1], x = left[r] * at.stride[2] - at.pad[2];
      t[r] = static_cast<std::int32_t>(y < 0 ? 0 : y < last_top ? y : last_top);
      l[r] = static_cast<std::int32_t>(x < 0 ? 0 : x < last_left ? x : last_left);
    });
    return b;
  }

  // Rows [r0, r0 + n) of `made`, channels of one group: every entry is the sum of the patch entries (in `from`) it is in.
  void collect(Device& d, const T* from, const RowBlock<T>& rows, RowBlock<T>& made, std::int64_t r0, std::int64_t n, std::int64_t group) const {
    const spatial::Windows at = g_.at;
    const View view(made, g_);
    const std::int64_t wh = rows.window_h, ww = rows.window_w, channels = g_.group_in(), first = group * channels;
    const std::int32_t *top = rows.top.data(), *left = rows.left.data();
    T* to = made.a.data();
    d.map_rows(n, made.width, [=] BL_HD(std::int64_t i, std::int64_t j) {
      const std::int64_t r = r0 + i;
      std::int64_t c, y, x;
      view.place(r, j, c, y, x);
      if (c < first || c >= first + channels) return;
      T sum = 0;
      for (std::int64_t ky = 0; ky < at.kernel[1]; ++ky) {
        const std::int64_t v = y + at.pad[1] - ky * at.dilation[1], dy = v / at.stride[1] - top[r];
        if (v < 0 || v % at.stride[1] != 0 || dy < 0 || dy >= wh) continue;
        for (std::int64_t kx = 0; kx < at.kernel[2]; ++kx) {
          const std::int64_t h = x + at.pad[2] - kx * at.dilation[2], dx = h / at.stride[2] - left[r];
          if (h < 0 || h % at.stride[2] != 0 || dx < 0 || dx >= ww) continue;
          sum += from[(((i * wh + dy) * ww + dx) * at.kernel[1] * at.kernel[2] + ky * at.kernel[2] + kx) * channels + c - first];
        }
      }
      to[r * view.width + j] = sum;
    });
  }

 private:
  std::vector<double> expanded(const std::vector<double>& bias) const {
    std::vector<double> all;
    for (std::int64_t s = 0; s < g_.samples && !bias.empty(); ++s)
      for (const double b : bias) all.insert(all.end(), static_cast<std::size_t>(g_.at.out_size()), b);
    return all;
  }

  ConvGeometry g_;
  bool flat_;  // 1 x C x H x W: rows may be windowed
  Weights<T> w_, bias_, offset_;
  Buffer<T> window_w_;
  Buffer<T> packed_;  // for WindowProduct; null: not used
  ConvLanes<T> lanes_;
  ConvLanesBack<T> back_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0) || node.variable(1) || node.variable(2)) return refuse("only the input may be variable, weights and bias must be constants");
  BL_TRY(g, conv_geometry(node));
  std::vector<std::int64_t> in(node.inputs.size(), 0);
  in[0] = node.size(0);
  const bool flat = node.shape(0).size() == 4 && g.samples == 1;
  return std::unique_ptr<Kernel<T>>(std::make_unique<ConvKernel<T>>(d, g, flat, std::move(in), node.inputs[1]->constant->to_doubles(),
                                                                    node.has(2) ? node.inputs[2]->constant->to_doubles() : std::vector<double>()));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Conv, make)
