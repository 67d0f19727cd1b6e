#include "boundlight/bounds/rewrites.hpp"

#include <algorithm>
#include <numeric>

#include "boundlight/bounds/ops/conv_geometry.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight {

Result<ConvGeometry> conv_geometry(const NodeView& node);
Result<ConvGeometry> conv_transpose_geometry(const NodeView& node);

namespace {

constexpr std::int64_t kMostGathered = std::int64_t{1} << 24;

Tensor numbers(const std::vector<std::int64_t>& values) {
  return Tensor::from_int64s(DataType::int64, {static_cast<std::int64_t>(values.size())}, values);
}

// A convolution as columns: for every group, the positions in x (flat) of each term of each output element.
struct Columns {
  std::int64_t samples = 1, groups = 1, terms = 1, rows = 1, positions = 1;  // rows: output channels of a group
  std::vector<std::int64_t> at;  // [samples][groups][terms][positions]; -1: nothing
};

Columns columns_of(const ConvGeometry& g) {
  Columns c{g.samples, g.groups, g.group_in() * g.at.kernel_size(), g.group_out(), g.at.out_size(), {}};
  for (std::int64_t n = 0; n < g.samples; ++n)
    for (std::int64_t channel = 0; channel < g.in_channels; ++channel)
      for (std::int64_t k = 0; k < g.at.kernel_size(); ++k)
        for (std::int64_t q = 0; q < g.at.out_size(); ++q) {
          const std::int64_t p = g.at.input_of(q, k);
          c.at.push_back(p < 0 ? -1 : (n * g.in_channels + channel) * g.at.in_size() + p);
        }
  return c;
}

// The geometry is that of the convolution that is transposed: x lies on its output.
Columns transposed_columns_of(const ConvGeometry& g) {
  Columns c{g.samples, g.groups, g.group_out() * g.at.kernel_size(), g.group_in(), g.at.in_size(), {}};
  for (std::int64_t n = 0; n < g.samples; ++n)
    for (std::int64_t channel = 0; channel < g.out_channels; ++channel)
      for (std::int64_t k = 0; k < g.at.kernel_size(); ++k)
        for (std::int64_t i = 0; i < g.at.in_size(); ++i) {
          const std::int64_t p = g.at.output_of(i, k);
          c.at.push_back(p < 0 ? -1 : (n * g.out_channels + channel) * g.at.out_size() + p);
        }
  return c;
}

Result<ValueId> convolution(const NodeView& node, const std::vector<ValueId>& inputs, const Rewriting& to) {
  const bool transposed = node.node->op == "ConvTranspose", biased = node.has(2);
  BL_TRY(g, transposed ? conv_transpose_geometry(node) : conv_geometry(node));
  const std::int64_t kernel = g.at.kernel_size(), size = node.size(0);
  const DataType type = node.inputs[0]->type;
  Shape out{g.samples, transposed ? g.in_channels : g.out_channels};
  for (std::size_t axis = 5 - node.shape(0).size(); axis < 3; ++axis) out.push_back(transposed ? g.at.in[axis] : g.at.out[axis]);
  const std::int64_t channels = transposed ? g.out_channels : g.in_channels, cells = transposed ? g.at.in_size() : g.at.out_size();
  if (channels * kernel > kMostGathered / std::max<std::int64_t>(1, cells * g.samples))
    return refuse("has variable weights and more than " + std::to_string(kMostGathered) + " products; make the weights constant");
  Columns c = transposed ? transposed_columns_of(g) : columns_of(g);

  // x, then a 0 and a 1.
  BL_TRY(flat, to.node("Reshape", {inputs[0], to.constant(numbers({-1}))}, {}));
  BL_TRY(source, to.node("Concat", {flat, to.constant(Tensor::from_doubles(type, {2}, {0, 1}))}, {{"axis", std::int64_t{0}}}));
  const std::int64_t depth = c.terms + (biased ? 1 : 0);
  std::vector<std::int64_t> index;
  for (std::int64_t block = 0; block < c.samples * c.groups; ++block) {
    const auto from = c.at.begin() + block * c.terms * c.positions;
    std::transform(from, from + c.terms * c.positions, std::back_inserter(index), [&](std::int64_t i) { return i < 0 ? size : i; });
    if (biased) index.insert(index.end(), static_cast<std::size_t>(c.positions), size + 1);
  }
  BL_TRY(columns, to.node("Gather", {source, to.constant(Tensor::from_int64s(DataType::int64, {c.samples, c.groups, depth, c.positions}, index))}, {{"axis", std::int64_t{0}}}));

  ValueId weights = inputs[1];
  if (transposed) {
    BL_TRY(split, to.node("Reshape", {weights, to.constant(numbers({c.groups, g.group_out(), c.rows, kernel}))}, {}));
    BL_TRY(turned, to.node("Transpose", {split}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}}));
    weights = turned;
  }
  BL_TRY(matrix, to.node("Reshape", {weights, to.constant(numbers({c.groups, c.rows, c.terms}))}, {}));
  if (biased) {
    BL_TRY(column, to.node("Reshape", {inputs[2], to.constant(numbers({c.groups, c.rows, 1}))}, {}));
    BL_TRY(wider, to.node("Concat", {matrix, column}, {{"axis", std::int64_t{2}}}));
    matrix = wider;
  }
  BL_TRY(product, to.node("MatMul", {matrix, columns}, {}));
  return to.node("Reshape", {product, to.constant(numbers(out))}, {});
}

// y alone; scale and bias may vary.
Result<ValueId> normalization(const NodeView& node, const std::vector<ValueId>& inputs, const Rewriting& to) {
  const auto& attributes = node.node->attributes;
  const DataType type = node.inputs[0]->type;
  if (!node.variable(1) && !node.variable(2)) return to.node("LayerNormalization", inputs, attributes);
  BL_TRY(plain, to.node("LayerNormalization", {inputs[0], to.constant(Tensor::from_doubles(type, {1}, {1}))}, attributes));
  BL_TRY(scaled, to.node("Mul", {plain, inputs[1]}, {}));
  if (!node.has(2)) return scaled;
  return to.node("Add", {scaled, inputs[2]}, {});
}

bool has_output(const NodeView& node, std::size_t slot) { return slot < node.node->outputs.size() && node.node->outputs[slot] != kAbsent; }

// y, the mean and the inverse deviation, as far as they are asked for.
Result<std::vector<ValueId>> normalizations(const NodeView& node, const std::vector<ValueId>& inputs, const Rewriting& to) {
  std::vector<ValueId> out(node.node->outputs.size(), kAbsent);
  const DataType type = node.inputs[0]->type;
  const auto rank = static_cast<std::int64_t>(node.shape(0).size()), axis = node.integer("axis", -1);
  std::vector<std::int64_t> axes(static_cast<std::size_t>(axis < 0 ? -axis : rank - axis));
  std::iota(axes.begin(), axes.end(), rank - static_cast<std::int64_t>(axes.size()));
  if (has_output(node, 0)) {
    BL_TRY(y, normalization(node, inputs, to));
    out[0] = y;
  }
  if (!has_output(node, 1) && !has_output(node, 2)) return out;
  const ValueId reduced = to.constant(numbers(axes));
  BL_TRY(mean, to.node("ReduceMean", {inputs[0], reduced}, {}));
  if (has_output(node, 1)) out[1] = mean;
  if (!has_output(node, 2)) return out;
  BL_TRY(centred, to.node("Sub", {inputs[0], mean}, {}));
  BL_TRY(squares, to.node("Pow", {centred, to.constant(Tensor::from_doubles(type, {}, {2}))}, {}));
  BL_TRY(variance, to.node("ReduceMean", {squares, reduced}, {}));
  BL_TRY(shifted, to.node("Add", {variance, to.constant(Tensor::from_doubles(type, {}, {node.real("epsilon", static_cast<double>(1e-5F))}))}, {}));
  BL_TRY(deviation, to.node("Sqrt", {shifted}, {}));
  BL_TRY(inverse, to.node("Reciprocal", {deviation}, {}));
  out[2] = inverse;
  return out;
}

}  // namespace

bool needs_rewriting(const NodeView& node) {
  const std::string& op = node.node->op;
  if (op == "LayerNormalization" && (has_output(node, 1) || has_output(node, 2))) return node.variable(0) || node.variable(1) || node.variable(2);
  return (op == "Conv" || op == "ConvTranspose" || op == "LayerNormalization") && (node.variable(1) || node.variable(2));
}

Result<std::vector<ValueId>> rewritten(const NodeView& node, const std::vector<ValueId>& inputs, const Rewriting& to) {
  if (node.node->op == "LayerNormalization") return normalizations(node, inputs, to);
  BL_TRY(y, convolution(node, inputs, to));
  return std::vector<ValueId>{y};
}

}  // namespace boundlight
