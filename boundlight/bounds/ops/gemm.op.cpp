// Gemm: y = alpha op(A) op(B) + beta C with a constant B (and C), A variable and not transposed. M rows per sample.
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/typed.hpp"
#include "boundlight/bounds/ops/weights.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

struct GemmShape {
  std::int64_t m, n, k;
  bool ta, tb;
};

Result<GemmShape> shape_of(const NodeView& node) {
  if (node.shape(0).size() != 2 || node.shape(1).size() != 2)
    return refuse("needs matrices, got shapes " + to_string(node.shape(0)) + " and " + to_string(node.shape(1)));
  GemmShape g{};
  g.ta = node.integer("transA", 0) != 0;
  g.tb = node.integer("transB", 0) != 0;
  g.m = node.shape(0)[g.ta ? 1 : 0];
  g.k = node.shape(0)[g.ta ? 0 : 1];
  g.n = node.shape(1)[g.tb ? 0 : 1];
  if (node.shape(1)[g.tb ? 1 : 0] != g.k)
    return refuse("inner dimensions differ: " + to_string(node.shape(0)) + " and " + to_string(node.shape(1)));
  return g;
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(g, shape_of(node));
  const Shape out{g.m, g.n};
  if (node.has(2) && typed::broadcast(node.shape(2), out) != out)
    return refuse("C of shape " + to_string(node.shape(2)) + " does not broadcast to " + to_string(out));
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  BL_TRY(g, shape_of(node));
  const Shape shape{g.m, g.n};
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto a = typed::elements<S>(*in[0]), b = typed::elements<S>(*in[1]);
    const auto alpha = static_cast<S>(node.real("alpha", 1)), beta = static_cast<S>(node.real("beta", 1));
    std::vector<S> y(static_cast<std::size_t>(g.m * g.n));
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    for (std::int64_t r = 0; r < g.m; ++r)
      for (std::int64_t c = 0; c < g.n; ++c) {
        S sum{};
        for (std::int64_t i = 0; i < g.k; ++i)
          sum = static_cast<S>(sum + a[at(g.ta ? i * g.m + r : r * g.k + i)] * b[at(g.tb ? c * g.k + i : i * g.n + c)]);
        y[at(r * g.n + c)] = static_cast<S>(alpha * sum);
      }
    if (node.has(2)) {
      const auto c = typed::elements<S>(*in[2]);
      const auto index = typed::broadcast_index(in[2]->shape(), shape);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = static_cast<S>(y[i] + beta * c[at(index[i])]);
    }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), shape, y)};
  });
}

}  // namespace

extern const OpInfo Gemm_op;
const OpInfo Gemm_op = {"Gemm", "alpha:f beta:f transA:i transB:i", infer, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact", "dot products in any order", 2, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// x [M][K] -> x W + w with W stored transposed, [N][K]: a selected row is a copy, and columns of rows that are zero leave out
// whole lines of it.
template <class T>
class GemmKernel : public LinearKernel<T> {
 public:
  GemmKernel(Device& d, std::int64_t m, std::int64_t n, std::int64_t k, const std::vector<double>& w, const std::vector<double>& c, double relative, std::size_t inputs)
      : LinearKernel<T>(sizes(m * k, inputs), {m * n}), m_(m), n_(n), k_(k), w_(weights_of<T>(d, w)), c_(weights_of<T>(d, c)) {
    relative_ = (w_.relative > c_.relative ? w_.relative : c_.relative) + relative;
  }

  void apply(Device& d, LinearMode mode, const T* const* x, T* const* y, std::int64_t batch) const override {
    const T* w = mode == LinearMode::absolute ? w_.absolute.data() : w_.data.data();
    d.gemm(false, true, batch * m_, n_, k_, x[0], k_, w, k_, T(0), y[0], n_);
    if (mode != LinearMode::affine || c_.data.size() == 0) return;
    const T* c = c_.data.data();
    T* to = y[0];
    const std::int64_t size = m_ * n_;
    d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t i) { to[b * size + i] += c[i]; });
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    if (in[0]) gemm_live(d, count * m_, k_, n_, rows, n_, w_.data.data(), k_, in[0], k_);
  }
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    // In the layout [K][N] of a B that is not transposed, with alpha folded in.
    if (grad_in[1]) d.gemm(true, false, k_, n_, batch * m_, in[0], k_, grad_out[0], n_, T(1), grad_in[1], n_);
  }
  bool select_rows(Device& d, int, std::int64_t rows, const std::int32_t* element, const T* sign, RowBlock<T>* out) const override {
    out[0].rows = rows;
    out[0].width = m_ * k_;
    out[0].a = d.template buffer<T>(rows * m_ * k_);
    T* to = out[0].a.data();
    const T* w = w_.data.data();
    const std::int64_t n = n_, k = k_, width = m_ * k_;
    d.map_rows(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i) {
      to[r * width + i] = i / k == element[r] / n ? sign[r] * w[element[r] % n * k + i % k] : T(0);
    });
    return true;
  }
  const T* offset(int) const override { return c_.data.size() ? c_.data.data() : nullptr; }
  std::int64_t terms_ahead() const override { return k_; }
  std::int64_t terms_back() const override { return n_; }
  double relative_error() const override { return relative_; }

 private:
  static std::vector<std::int64_t> sizes(std::int64_t first, std::size_t inputs) {
    std::vector<std::int64_t> s(inputs, 0);
    s[0] = first;
    return s;
  }
  std::int64_t m_, n_, k_;
  Weights<T> w_, c_;
  double relative_;
};

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0) || node.variable(1) || node.variable(2) || node.integer("transA", 0) != 0)
    return refuse("only A may be variable, and not transposed");
  const bool tb = node.integer("transB", 0) != 0;
  const std::int64_t m = node.shape(0)[0], k = node.shape(0)[1], n = node.shape(1)[tb ? 0 : 1];
  const auto b = node.inputs[1]->constant->to_doubles();
  // A scale that is not a power of two rounds every weight once.
  const double alpha = node.real("alpha", 1), beta = node.real("beta", 1);
  int exponent;
  const bool exact = std::fabs(std::frexp(alpha, &exponent)) == 0.5 && std::fabs(std::frexp(beta, &exponent)) == 0.5;
  std::vector<double> w(static_cast<std::size_t>(k * n)), c;
  for (std::int64_t j = 0; j < n; ++j)
    for (std::int64_t i = 0; i < k; ++i)
      w[static_cast<std::size_t>(j * k + i)] = alpha * b[static_cast<std::size_t>(tb ? j * k + i : i * n + j)];
  if (node.has(2)) {
    const auto from = node.inputs[2]->constant->to_doubles();
    for (const std::int64_t i : typed::broadcast_index(node.shape(2), {m, n})) c.push_back(beta * from[static_cast<std::size_t>(i)]);
  }
  return std::unique_ptr<Kernel<T>>(std::make_unique<GemmKernel<T>>(d, m, n, k, w, c, exact ? 0.0 : 3e-16, node.inputs.size()));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Gemm, make)
