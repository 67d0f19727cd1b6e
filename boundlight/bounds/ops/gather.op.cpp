// Gather: slices of the data along an axis, picked by indices. Constant indices only move elements; variable ones pick among
// what their box allows.
#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> gather(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape &data = node.shape(0), &index = node.shape(1);
  const auto axis = NodeView::axis(node.integer("axis", 0), data.size());
  if (!axis) return refuse("axis " + std::to_string(node.integer("axis", 0)) + " is outside of shape " + to_string(data));
  if (node.inputs[1]->type != DataType::int32 && node.inputs[1]->type != DataType::int64) return refuse("its indices must be int32 or int64");
  Shape out(data.begin(), data.begin() + *axis);
  out.insert(out.end(), index.begin(), index.end());
  out.insert(out.end(), data.begin() + *axis + 1, data.end());
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

Result<moves::Move> moves::gather(const NodeView& node) {
  const auto axis = static_cast<std::size_t>(*NodeView::axis(node.integer("axis", 0), node.shape(0).size()));
  const auto picks = node.inputs[1]->constant->to_int64s();
  const Shape& data = node.shape(0);
  const auto stride = indices::strides(data);
  const std::int64_t inner = stride[axis], block = inner * data[axis];
  std::vector<std::int64_t> from;
  for (std::int64_t outer = 0, n = block == 0 ? 0 : node.size(0) / block; outer < n; ++outer)
    for (const std::int64_t pick : picks) {
      BL_TRY(p, indices::wrapped(pick, data[axis]));
      for (std::int64_t i = 0; i < inner; ++i) from.push_back(outer * block + p * inner + i);
    }
  return indices::from_first({from});
}

extern const OpInfo Gather_op;
const OpInfo Gather_op = {"Gather", "axis:i", infer, typed::moved<infer, moves::gather>, "all", "yes", "inputs", "exact range; variable indices: hull of what they may pick",
                          "exact; variable indices: no: piecewise constant", "exact", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// y[o][p][i] = data[o][index[p]][i]; the data [outer][size][inner] variable or constant.
template <class T>
class PickKernel : public Kernel<T> {
 public:
  PickKernel(Device& d, const NodeView& node) {
    const auto axis = static_cast<std::size_t>(*NodeView::axis(node.integer("axis", 0), node.shape(0).size()));
    size_ = node.shape(0)[axis];
    inner_ = indices::strides(node.shape(0))[axis];
    outer_ = node.size(0) / std::max<std::int64_t>(1, size_ * inner_);
    picks_ = node.size(1);
    if (node.variable(0)) return;
    const auto exact = node.inputs[0]->constant->to_doubles();
    std::vector<T> near, low, high;
    for (const double x : exact) near.push_back(static_cast<T>(x)), low.push_back(round_down_to<T>(x)), high.push_back(round_up_to<T>(x));
    const auto upload = [&](Buffer<T>& to, const std::vector<T>& from) {
      to = d.buffer<T>(static_cast<std::int64_t>(from.size()));
      d.upload(to.data(), from.data(), to.size());
    };
    upload(near_, near), upload(low_, low), upload(high_, high);
  }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const T *data = in[0] ? in[0] : near_.data(), *index = in[1];
    T* y = out[0];
    const std::int64_t size = size_, inner = inner_, picks = picks_, stride = in[0] ? outer_ * size_ * inner_ : 0, total = outer_ * picks_ * inner_;
    d.map_rows(batch, total, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t at = position(static_cast<double>(index[b * picks + e / inner % picks]), size);
      y[b * total + e] = at < 0 ? std::numeric_limits<T>::quiet_NaN() : data[b * stride + (e / (inner * picks) * size + at) * inner + e % inner];
    });
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_in[0] || !grad_out[0]) return;
    const T *index = in[1], *g = grad_out[0];
    T* to = grad_in[0];
    const std::int64_t size = size_, inner = inner_, picks = picks_, width = outer_ * size_ * inner_, total = outer_ * picks_ * inner_;
    const bool shared = !in[0];  // constant data: the gradient is summed over the batch
    // One element of the data collects from every pick, so that no two tasks add to the same place.
    d.map_rows(shared ? 1 : batch, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
      T sum = 0;
      for (std::int64_t b = shared ? 0 : r; b < (shared ? batch : r + 1); ++b)
        for (std::int64_t p = 0; p < picks; ++p)
          if (position(static_cast<double>(index[b * picks + p]), size) == i / inner % size)
            sum += g[b * total + (i / (inner * size) * picks + p) * inner + i % inner];
      to[r * width + i] += sum;
    });
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings&) const override {
    const bool variable = in[0].lower != nullptr;
    const T *dl = variable ? in[0].lower : low_.data(), *du = variable ? in[0].upper : high_.data(), *il = in[1].lower, *iu = in[1].upper;
    T *lo = lower[0], *hi = upper[0];
    const std::int64_t size = size_, inner = inner_, picks = picks_, stride = variable ? outer_ * size_ * inner_ : 0, total = outer_ * picks_ * inner_;
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    d.map_rows(batch, total, [=] BL_HD(std::int64_t b, std::int64_t e) {
      const std::int64_t p = b * picks + e / inner % picks, base = b * stride + e / (inner * picks) * size * inner + e % inner;
      const double from = ceil(static_cast<double>(il[p])), to = floor(static_cast<double>(iu[p]));
      T a = kInfinity, z = -kInfinity;
      bool good = from <= to && from >= static_cast<double>(-size) && to < static_cast<double>(size);
      for (std::int64_t k = good ? static_cast<std::int64_t>(from) : 1, last = good ? static_cast<std::int64_t>(to) : 0; k <= last; ++k) {
        const std::int64_t at = base + (k < 0 ? k + size : k) * inner;
        good = good && dl[at] <= du[at];
        a = dl[at] < a ? dl[at] : a;
        z = du[at] > z ? du[at] : z;
      }
      lo[b * total + e] = good ? a : -kInfinity;
      hi[b * total + e] = good ? z : kInfinity;
    });
  }
  bool linear() const override { return false; }

 private:
  // An index as a position, -1 when it is outside (the file's mistake: the value is NaN, never another element).
  BL_HD static std::int64_t position(double index, std::int64_t size) {
    if (!(index >= static_cast<double>(-size) && index < static_cast<double>(size))) return -1;
    const auto k = static_cast<std::int64_t>(index);
    return k < 0 ? k + size : k;
  }
  std::int64_t size_ = 0, inner_ = 0, outer_ = 0, picks_ = 0;
  Buffer<T> near_, low_, high_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(1)) return make_move<T, moves::gather>(d, node);
  return std::unique_ptr<Kernel<T>>(std::make_unique<PickKernel<T>>(d, node));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Gather, make)
