// Gemm: y = alpha op(A) op(B) + beta C. With a variable A as it is and constant B and C one kernel does it all, M rows per
// sample; every other combination is a product (products.hpp, bilinear.hpp), then alpha times it plus beta C (chain_kernel.hpp).
#include "boundlight/bounds/ops/bilinear.hpp"
#include "boundlight/bounds/ops/chain_kernel.hpp"
#include "boundlight/bounds/ops/constants.hpp"
#include "boundlight/bounds/ops/lane_forward.hpp"
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/products.hpp"
#include "boundlight/bounds/ops/sparse.hpp"
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
const OpInfo Gemm_op = {"Gemm", "alpha:f beta:f transA:i transB:i", infer, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact; planes when A and B vary", "alpha times a dot product in any order, plus beta C", 2, 3};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

// The gradient of a constant C: beta times what the outputs that it was broadcast to send back.
template <class T>
class BiasGradient {
 public:
  BiasGradient() = default;
  BiasGradient(Device& d, const NodeView& node) : beta_(static_cast<T>(node.real("beta", 1))) {
    const auto readers = readers_of(typed::broadcast_index(node.shape(2), node.outputs[0]->shape), node.size(2));
    at_ = uploaded(d, readers.at);
    readers_ = uploaded(d, readers.list);
  }
  void add(Device& d, const T* g, std::int64_t size, T* to, std::int64_t batch) const {
    const std::int32_t *at = at_.data(), *readers = readers_.data();
    const T beta = beta_;
    d.map(at_.size() - 1, [=] BL_HD(std::int64_t i) {
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int32_t p = at[i]; p < at[i + 1]; ++p) to[i] += beta * g[b * size + readers[p]];
    });
  }

 private:
  T beta_ = 1;
  Buffer<std::int32_t> at_, readers_;
};

// x [M][K] -> x W + w with W stored transposed, [N][K]: a selected row is a copy, and columns of rows that are zero leave out
// whole lines of it.
template <class T>
class GemmKernel : public LinearKernel<T>, public LaneForward<T> {
 public:
  GemmKernel(Device& d, const NodeView& node, std::int64_t m, std::int64_t n, std::int64_t k, const std::vector<double>& w, const std::vector<double>& c, double relative)
      : LinearKernel<T>(sizes(m * k, node.inputs.size()), {m * n}), m_(m), n_(n), k_(k), tb_(node.integer("transB", 0) != 0), w_(weights_of<T>(d, w)), c_(weights_of<T>(d, c)),
        alpha_(static_cast<T>(node.real("alpha", 1))) {
    relative_ = (w_.relative > c_.relative ? w_.relative : c_.relative) + relative;
    if (node.has(2)) bias_ = BiasGradient<T>(d, node);
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
  bool lanes() const override { return m_ == 1; }
  void forward_lanes(Device& d, const T* const* in, T* out, bool rectify) const override {
    const T* w = w_.data.data();
    const std::int64_t k = k_;
    multiply_lanes(d, lane_weights_, n_, k_, [=](std::int64_t c, std::int64_t t) { return w[c * k + t]; }, offset(0), in[0], out, rectify);
  }
  void back_lanes(Device& d, const T*, const T* g, T* const* parts) const override {
    const T* w = w_.data.data();
    const std::int64_t k = k_;
    multiply_lanes(d, back_weights_, k_, n_, [=](std::int64_t c, std::int64_t t) { return w[t * k + c]; }, static_cast<const T*>(nullptr), g, parts[0], false);
  }
  void transpose(Device& d, int, const T* rows, std::int64_t count, T* const* in) const override {
    if (in[0]) gemm_live(d, count * m_, k_, n_, rows, n_, w_.data.data(), k_, in[0], k_);
  }
  // B's gradient is alpha x^T g in B's own layout.
  void weight_vjp(Device& d, const T* const* in, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (this->in_sizes().size() > 2 && grad_in[2]) bias_.add(d, grad_out[0], m_ * n_, grad_in[2], batch);
    T* to = grad_in[1];
    if (!to) return;
    const T *x = in[0], *g = grad_out[0];
    auto sum = d.template buffer<T>(n_ * k_);
    if (tb_) d.gemm(true, false, n_, k_, batch * m_, g, n_, x, k_, T(0), sum.data(), k_);
    else d.gemm(true, false, k_, n_, batch * m_, x, k_, g, n_, T(0), sum.data(), n_);
    const T* from = sum.data();
    const T alpha = alpha_;
    d.map(n_ * k_, [=] BL_HD(std::int64_t i) { to[i] += alpha * from[i]; });
  }
  bool select_rows(Device& d, int, std::int64_t rows, const std::int32_t* element, const T* sign, RowBlock<T>* out) const override {
    out[0].rows = rows;
    out[0].width = m_ * k_;
    out[0].a = d.template buffer<T>(rows * m_ * k_);
    T* to = out[0].a.data();
    const T* w = w_.data.data();
    const std::int64_t n = n_, k = k_, m = m_;
    d.map_rows(rows * m, k, [=] BL_HD(std::int64_t i, std::int64_t j) {
      const std::int64_t e = element[i / m];
      to[i * k + j] = i % m == e / n ? sign[i / m] * w[e % n * k + j] : T(0);
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
  bool tb_;
  Weights<T> w_, c_;
  T alpha_;
  double relative_;
  BiasGradient<T> bias_;
  LaneWeights<T> lane_weights_, back_weights_;
};

// alpha p + beta C.
template <class T>
class GemmTail : public SparseKernel<T> {
 public:
  GemmTail(Device& d, const NodeView& node, std::vector<std::int64_t> in, const SparseTerms& terms, const std::vector<Interval>& offset)
      : SparseKernel<T>(d, std::move(in), terms, offset) {
    if (node.has(2) && !node.variable(2)) bias_ = BiasGradient<T>(d, node);
  }
  void weight_vjp(Device& d, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    if (this->in_sizes().size() > 1 && this->in_sizes()[1] == 0 && grad_in[1]) bias_.add(d, grad_out[0], this->out_sizes()[0], grad_in[1], batch);
  }

 private:
  BiasGradient<T> bias_;
};

// A product of two constants below a variable C.
template <class T>
class ConstantProduct : public ConstantsKernel<T> {
 public:
  ConstantProduct(Device& d, const NodeView& node, const ProductShape& p)
      : ConstantsKernel<T>(d, values_of(node, p)), p_(p), a_(weights_of<T>(d, *node.inputs[0]->constant)), b_(weights_of<T>(d, *node.inputs[1]->constant)) {}

  // d A = G B^T and d B = A^T G, summed over the batch.
  void vjp(Device& d, const T* const*, const T* const*, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const T *g = grad_out[0], *a = a_.data.data(), *b = b_.data.data();
    const std::int64_t m = p_.m, k = p_.k, n = p_.n;
    const bool ta = p_.ta, tb = p_.tb;
    if (T* to = grad_in[0])
      d.map(m * k, [=] BL_HD(std::int64_t i) {
        const std::int64_t row = ta ? i % m : i / k, inner = ta ? i / m : i % k;
        T sum = 0;
        for (std::int64_t s = 0; s < batch; ++s)
          for (std::int64_t j = 0; j < n; ++j) sum += g[(s * m + row) * n + j] * b[tb ? j * k + inner : inner * n + j];
        to[i] += sum;
      });
    if (T* to = grad_in[1])
      d.map(k * n, [=] BL_HD(std::int64_t i) {
        const std::int64_t inner = tb ? i % k : i / n, column = tb ? i / k : i % n;
        T sum = 0;
        for (std::int64_t s = 0; s < batch; ++s)
          for (std::int64_t r = 0; r < m; ++r) sum += a[ta ? inner * m + r : r * k + inner] * g[(s * m + r) * n + column];
        to[i] += sum;
      });
  }

 private:
  // Deployed: sums of k products in any order.
  static ConstantValues values_of(const NodeView& node, const ProductShape& p) {
    const auto a = node.inputs[0]->constant->to_doubles(), b = node.inputs[1]->constant->to_doubles();
    const double gamma = gamma_up<float>(p.k + 1) * 1.0000001, tiny = static_cast<double>(smallest_normal<float>) * static_cast<double>(p.k + 1);
    ConstantValues values;
    for (std::int64_t r = 0; r < p.m; ++r)
      for (std::int64_t c = 0; c < p.n; ++c) {
        double near = 0, sizes = 0;
        Interval real(0);
        for (std::int64_t i = 0; i < p.k; ++i) {
          const double x = a[static_cast<std::size_t>(p.ta ? i * p.m + r : r * p.k + i)], y = b[static_cast<std::size_t>(p.tb ? c * p.k + i : i * p.n + c)];
          near += x * y;
          sizes += std::fabs(x * y);
          real = real + Interval(x) * Interval(y);
        }
        const double error = next_up(gamma * sizes * 1.0000001 + tiny);
        values.value.push_back(near);
        values.real.push_back(real);
        values.deployed.emplace_back(sub_down(real.lo, error), add_up(real.hi, error));
      }
    return values;
  }

  ProductShape p_;
  Weights<T> a_, b_;
};

template <class T>
std::unique_ptr<Kernel<T>> make_tail(Device& d, const NodeView& node, std::int64_t size) {
  const double alpha = node.real("alpha", 1), beta = node.real("beta", 1);
  const bool varies = node.variable(2);
  std::vector<std::int64_t> in{size}, index;
  std::vector<Interval> offset;
  if (node.has(2)) {
    in.push_back(varies ? node.size(2) : 0);
    index = typed::broadcast_index(node.shape(2), node.outputs[0]->shape);
  }
  SparseTerms terms;
  for (std::int64_t e = 0; e < size; ++e) {
    terms.add(0, e, Interval(alpha));
    if (varies) terms.add(1, index[static_cast<std::size_t>(e)], Interval(beta));
    terms.end_output();
  }
  if (node.has(2) && !varies) {
    const auto c = node.inputs[2]->constant->to_doubles();
    for (const auto i : index) {
      const double v = c[static_cast<std::size_t>(i)], product = beta * v;
      offset.push_back(std::fma(beta, v, -product) == 0 ? Interval(product) : Interval(beta) * Interval(v));
    }
  }
  return std::make_unique<GemmTail<T>>(d, node, in, terms, offset);
}

// Any sides variable.
template <class T>
Result<std::unique_ptr<Kernel<T>>> make_general(Device& d, const NodeView& node) {
  ProductShape p;
  p.ta = node.integer("transA", 0) != 0;
  p.tb = node.integer("transB", 0) != 0;
  p.m = node.shape(0)[p.ta ? 1 : 0];
  p.k = node.shape(0)[p.ta ? 0 : 1];
  p.n = node.shape(1)[p.tb ? 0 : 1];
  const std::int64_t size = p.m * p.n;
  std::unique_ptr<Kernel<T>> product;
  if (node.variable(0) && node.variable(1)) {
    product = std::make_unique<BilinearKernel<T>>(d, p, node.size(0), node.size(1));
  } else if (!node.variable(0) && !node.variable(1)) {
    product = std::make_unique<ConstantProduct<T>>(d, node, p);
  } else {
    const int side = node.variable(0) ? 0 : 1;
    std::vector<std::int64_t> in(2, 0);
    in[static_cast<std::size_t>(side)] = node.size(static_cast<std::size_t>(side));
    product = std::make_unique<ProductKernel<T>>(d, in, size, side, p, weights_of<T>(d, *node.inputs[static_cast<std::size_t>(1 - side)]->constant));
  }
  if (!node.has(2) && node.real("alpha", 1) == 1) return product;
  Chain<T> chain{std::move(product), make_tail<T>(d, node, size), 2, node.inputs.size(), size};
  return std::unique_ptr<Kernel<T>>(std::make_unique<ChainKernel<T>>(std::move(chain)));
}

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  if (!node.variable(0) || node.variable(1) || node.variable(2) || node.integer("transA", 0) != 0) return make_general<T>(d, node);
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
  return std::unique_ptr<Kernel<T>>(std::make_unique<GemmKernel<T>>(d, node, m, n, k, w, c, exact ? 0.0 : 3e-16));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(Gemm, make)
