// MatMul: the matrix product of numpy, leading axes broadcast. Linear when one side is constant, bilinear when both vary.
#include "boundlight/bounds/ops/bilinear.hpp"
#include "boundlight/bounds/ops/products.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight {

// The product and the output's shape.
Result<ProductShape> matmul_shape(const NodeView& node, Shape* out);

}  // namespace boundlight

#ifdef BL_ONCE
namespace boundlight {

Result<ProductShape> matmul_shape(const NodeView& node, Shape* out) {
  Shape a = node.shape(0), b = node.shape(1);
  const std::string shapes = to_string(a) + " and " + to_string(b);
  if (a.empty() || b.empty()) return refuse("needs at least one axis on both sides, got shapes " + shapes);
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  ProductShape p;
  p.m = a[a.size() - 2];
  p.k = a.back();
  p.n = b.back();
  if (b[b.size() - 2] != p.k) return refuse("inner dimensions differ: " + shapes);
  const Shape a_lead(a.begin(), a.end() - 2), b_lead(b.begin(), b.end() - 2);
  const auto lead = typed::broadcast(a_lead, b_lead);
  if (!lead) return refuse("leading axes of shapes " + shapes + " do not broadcast");
  p.ia = typed::broadcast_index(a_lead, *lead);
  p.ib = typed::broadcast_index(b_lead, *lead);
  if (out) {
    *out = *lead;
    if (!row) out->push_back(p.m);
    if (!column) out->push_back(p.n);
  }
  return p;
}

namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  Shape out;
  BL_CHECK(matmul_shape(node, &out));
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

Result<std::vector<Tensor>> evaluate(const NodeView& node, std::span<const Tensor* const> in) {
  Shape out;
  BL_TRY(p, matmul_shape(node, &out));
  return typed::with_type(in[0]->type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto a = typed::elements<S>(*in[0]), b = typed::elements<S>(*in[1]);
    std::vector<S> y;
    for (std::size_t matrix = 0; matrix < p.ia.size(); ++matrix)
      for (std::int64_t r = 0; r < p.m; ++r)
        for (std::int64_t c = 0; c < p.n; ++c) {
          S sum{};
          for (std::int64_t i = 0; i < p.k; ++i) {
            const S x = a[static_cast<std::size_t>((p.ia[matrix] * p.m + r) * p.k + i)], w = b[static_cast<std::size_t>((p.ib[matrix] * p.k + i) * p.n + c)];
            const S product = typed::wrapping(x, w, [](auto v, auto u) { return v * u; });
            sum = typed::wrapping(sum, product, [](auto v, auto u) { return v + u; });
          }
          y.push_back(sum);
        }
    return std::vector<Tensor>{typed::tensor_of<S>(in[0]->type(), out, y)};
  });
}

}  // namespace

extern const OpInfo MatMul_op;
const OpInfo MatMul_op = {"MatMul", "", infer, evaluate, "integers", "yes", "inputs and weights", "enclosure", "exact; planes when both sides vary", "dot products in any order", 2, 2};

}  // namespace boundlight
#endif

namespace boundlight::BL_NS {
namespace {

template <class T>
Result<std::unique_ptr<Kernel<T>>> make(Device& d, const NodeView& node) {
  BL_TRY(p, matmul_shape(node, nullptr));
  if (node.variable(0) && node.variable(1)) return std::unique_ptr<Kernel<T>>(std::make_unique<BilinearKernel<T>>(d, p, node.size(0), node.size(1)));
  const int side = node.variable(0) ? 0 : 1;
  std::vector<std::int64_t> in(2, 0);
  in[static_cast<std::size_t>(side)] = node.size(static_cast<std::size_t>(side));
  return std::unique_ptr<Kernel<T>>(std::make_unique<ProductKernel<T>>(d, in, node.outputs[0]->size, side, p, weights_of<T>(d, *node.inputs[static_cast<std::size_t>(1 - side)]->constant)));
}

}  // namespace
}  // namespace boundlight::BL_NS
BL_REGISTER(MatMul, make)
