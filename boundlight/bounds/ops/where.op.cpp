// Where: x where the condition holds, else y, with broadcasting. A constant condition only moves elements; a variable one
// takes the hull of what it leaves open.
#include "boundlight/bounds/ops/moves.hpp"
#include "boundlight/bounds/ops/steps.hpp"

namespace boundlight::moves {
Result<Move> where(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  if (node.inputs[0]->type != DataType::boolean) return refuse("its condition must be boolean, it is " + std::string(name_of(node.inputs[0]->type)));
  if (node.inputs[1]->type != node.inputs[2]->type) return refuse("its two choices have different element types; insert a Cast");
  const auto xy = typed::broadcast(node.shape(1), node.shape(2));
  const auto out = xy ? typed::broadcast(node.shape(0), *xy) : std::nullopt;
  if (!out) return refuse("shapes " + to_string(node.shape(0)) + ", " + to_string(node.shape(1)) + " and " + to_string(node.shape(2)) + " do not broadcast");
  return std::vector<TypedShape>{{node.inputs[1]->type, *out}};
}

}  // namespace

Result<moves::Move> moves::where(const NodeView& node) {
  const Shape& out = node.outputs[0]->shape;
  const auto choice = node.inputs[0]->constant->to_int64s();
  const auto c = typed::broadcast_index(node.shape(0), out), x = typed::broadcast_index(node.shape(1), out), y = typed::broadcast_index(node.shape(2), out);
  moves::Move m;
  m.outputs.emplace_back();
  for (std::size_t e = 0; e < c.size(); ++e)
    m.outputs[0].push_back(choice[static_cast<std::size_t>(c[e])] != 0 ? moves::Source{1, x[e]} : moves::Source{2, y[e]});
  return m;
}

extern const OpInfo Where_op;
const OpInfo Where_op = {"Where", "", infer, typed::moved<infer, moves::where>, "all", "yes", "inputs and weights", "exact range; variable condition: hull of both choices",
                         "exact; variable condition: no: not continuous", "exact", 3, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
class ChooseKernel : public Kernel<T> {
 public:
  ChooseKernel(Device& d, const NodeView& node) : size_(node.outputs[0]->size), condition_(d, node, 0), x_(d, node, 1), y_(d, node, 2) {
    for (std::size_t k = 1; k < 3; ++k) elements_[k] = node.size(k);
  }

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const T *c = in[0], *x = in[1] ? in[1] : x_.near.data(), *y = in[2] ? in[2] : y_.near.data();
    const std::int32_t *ic = condition_.source.data(), *ix = x_.source.data(), *iy = y_.source.data();
    const std::int64_t size = size_, wc = condition_.width, wx = x_.width, wy = y_.width;
    T* to = out[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t s, std::int64_t e) { to[s * size + e] = c[s * wc + ic[e]] != 0 ? x[s * wx + ix[e]] : y[s * wy + iy[e]]; });
  }
  void vjp(Device& d, const T* const* in, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (!grad_out[0]) return;
    const T *c = in[0], *g = grad_out[0];
    const std::int32_t* ic = condition_.source.data();
    const std::int64_t size = size_, wc = condition_.width;
    for (std::size_t k = 1; k < 3; ++k) {
      if (!grad_in[k]) continue;
      const auto& operand = k == 1 ? x_ : y_;
      const std::int32_t* source = operand.source.data();
      const std::int64_t width = elements_[k];
      const bool shared = operand.width == 0, chosen = k == 1;
      T* to = grad_in[k];
      // One sample per task (broadcasting lets several outputs read one element); weights collect over the batch.
      d.map(shared ? 1 : batch, [=] BL_HD(std::int64_t r) {
        for (std::int64_t s = shared ? 0 : r; s < (shared ? batch : r + 1); ++s)
          for (std::int64_t e = 0; e < size; ++e)
            if ((c[s * wc + ic[e]] != 0) == chosen) to[r * width + source[e]] += g[s * size + e];
      });
    }
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings&) const override {
    const T *cl = in[0].lower, *cu = in[0].upper;
    const T *xl = in[1].lower ? in[1].lower : x_.low.data(), *xu = in[1].lower ? in[1].upper : x_.high.data();
    const T *yl = in[2].lower ? in[2].lower : y_.low.data(), *yu = in[2].lower ? in[2].upper : y_.high.data();
    const std::int32_t *ic = condition_.source.data(), *ix = x_.source.data(), *iy = y_.source.data();
    const std::int64_t size = size_, wc = condition_.width, wx = x_.width, wy = y_.width;
    T *lo = lower[0], *hi = upper[0];
    d.map_rows(batch, size, [=] BL_HD(std::int64_t s, std::int64_t e) {
      const std::int64_t c = s * wc + ic[e], i = s * wx + ix[e], j = s * wy + iy[e];
      const Interval x(static_cast<double>(xl[i]), static_cast<double>(xu[i])), y(static_cast<double>(yl[j]), static_cast<double>(yu[j]));
      const Interval z = cl[c] > 0 ? x : cu[c] <= 0 ? y : hull(x, y);  // a lost condition leaves both open
      lo[s * size + e] = round_down_to<T>(z.lo);
      hi[s * size + e] = round_up_to<T>(z.hi);
    });
  }
  bool linear() const override { return false; }

 private:
  std::int64_t size_, elements_[3] = {};
  StepOperand<T> condition_, x_, y_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0)) return make_move<T, moves::where>(d, node);
  return std::unique_ptr<Kernel<T>>(std::make_unique<ChooseKernel<T>>(d, node));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Where, make)
