// L(u): how much the overlap can change when cell u alone moves, from anywhere in B back to x.
//
//   D(u) = AO(B) - AO(B_u) <= max over z in B, rivals k of  g_k(z) - g_k(z with u at x) =: L(u),   g_k = f_k - f_c,
//
// because z with u at x lies in B_u. Both points run through the network together as their difference: a linear operator maps a
// difference without its constant terms; an elementwise operator phi multiplies it by a factor s between the smallest and the
// largest slope of phi on the neuron's box over B (s = 1 where a ReLU is always on, 0 where it is always off). So the difference
// obeys a network of its own - the same linear operators, products with factors instead of activations - whose inputs are the
// difference of the inputs (0 outside of u) and the factors. Certified bounds of that network are bounds of L.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"

namespace boundlight::eva_parts {
namespace {

constexpr double kOpenEnd = std::numeric_limits<double>::infinity();
constexpr std::int64_t kCellsAtOnce = 64;

// Linear in input 0 with further inputs that only say how; without constant terms.
const std::set<std::string, std::less<>> kMoves = {"AveragePool", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalAveragePool", "Identity", "Neg", "ReduceMean", "ReduceSum",
                                                   "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"};

double attribute_of(const Node& node, const char* name, double fallback) {
  const auto found = node.attributes.find(name);
  const auto* value = found == node.attributes.end() ? nullptr : std::get_if<double>(&found->second);
  return value ? *value : fallback;
}

// The smallest and largest slope of an elementwise operator on [lower, upper]; false: not known here.
bool slopes_of(const Node& node, double lower, double upper, double& least, double& most) {
  if (node.op == "Sigmoid") least = 0, most = 0.25;
  else if (node.op == "Tanh") least = 0, most = 1;
  else if (node.op == "Relu" || node.op == "LeakyRelu" || node.op == "Abs") {
    const double below = node.op == "Relu" ? 0 : node.op == "Abs" ? -1 : static_cast<double>(static_cast<float>(attribute_of(node, "alpha", 0.01)));
    least = lower >= 0 ? 1 : upper <= 0 ? below : std::min(1.0, below);
    most = lower >= 0 ? 1 : upper <= 0 ? below : std::max(1.0, below);
  } else {
    return false;
  }
  return true;
}

class DifferenceNetwork {
 public:
  DifferenceNetwork(const Network& from, const ValueBoxes& boxes) : from_(from), boxes_(boxes) {}

  // Errors: an operator whose differences are not known, named.
  Result<std::shared_ptr<const Network>> make() {
    graph_.name = graph_.source = from_.source + " (differences)";
    graph_.opset = from_.opset;
    graph_.ir_version = from_.ir_version;
    for (const NetworkValue& v : from_.values) graph_.values.push_back({v.name, v.type, v.shape, v.constant});
    moving_.resize(from_.values.size());
    for (const ValueId in : from_.inputs) moving_[static_cast<std::size_t>(in)] = true;
    graph_.inputs = from_.inputs;
    const int last = from_.values[static_cast<std::size_t>(from_.logits)].producer;  // nodes behind it do not matter
    for (int i = 0; i <= last; ++i) BL_CHECK(add(from_.nodes[static_cast<std::size_t>(i)].node));
    graph_.inputs.insert(graph_.inputs.end(), factors_.begin(), factors_.end());
    graph_.outputs = {from_.logits};
    return prepare(graph_);
  }

  std::vector<double> least, most;  // of the factors: the last inputs of the network

 private:
  bool moves(ValueId v) const { return v != kAbsent && moving_[static_cast<std::size_t>(v)]; }

  Result<void> add(const Node& node) {
    const auto moving = std::count_if(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return moves(v); });
    if (moving == 0) {  // of constants
      graph_.nodes.push_back(node);
      return {};
    }
    for (const ValueId out : node.outputs)
      if (out != kAbsent) moving_[static_cast<std::size_t>(out)] = true;
    const bool first = moving == 1 && moves(node.inputs[0]);
    const std::string& op = node.op;
    Node made = node;
    if (op == "Add" || op == "Sub" || op == "Sum" || op == "Concat") {
      for (ValueId& in : made.inputs)
        if (in != kAbsent && !moves(in)) in = zero_like(in);
    } else if ((op == "Gemm" || op == "Conv" || op == "ConvTranspose") && first) {
      if (made.inputs.size() > 2 && made.inputs[2] != kAbsent) made.inputs[2] = zero_like(made.inputs[2]);
    } else if (op == "BatchNormalization" && first) {
      made.inputs[2] = zero_like(made.inputs[2]);
      made.inputs[3] = zero_like(made.inputs[3]);
    } else if (!(((op == "MatMul" || op == "Mul") && moving == 1) || ((op == "Div" || kMoves.count(op) != 0) && first))) {
      return factor(node);
    }
    graph_.nodes.push_back(std::move(made));
    return {};
  }

  // phi(a) - phi(b) = s (a - b).
  Result<void> factor(const Node& node) {
    const auto v = static_cast<std::size_t>(node.inputs[0]);
    double low = 0, high = 0;
    if (node.inputs.size() != 1 || !slopes_of(node, -1, 1, low, high))
      return Error{ErrorKind::unsupported, "explain", "the difference of two values of " + node.op + " is not bounded"};
    const auto& lower = boxes_.lower[v];
    const auto& upper = boxes_.upper[v];
    for (std::size_t i = 0; i < static_cast<std::size_t>(from_.values[v].size); ++i) {
      const bool known = i < lower.size() && i < upper.size() && lower[i] <= upper[i];
      slopes_of(node, known ? lower[i] : -kOpenEnd, known ? upper[i] : kOpenEnd, low, high);
      least.push_back(low);
      most.push_back(high);
    }
    const auto s = static_cast<ValueId>(graph_.values.size());
    graph_.values.push_back({"slope of " + node.name, from_.values[v].type, from_.values[v].shape, std::nullopt});
    factors_.push_back(s);
    Node product;
    product.name = node.name;
    product.op = "Mul";
    product.version = node.version;
    product.inputs = {node.inputs[0], s};
    product.outputs = node.outputs;
    graph_.nodes.push_back(std::move(product));
    return {};
  }

  ValueId zero_like(ValueId v) {
    const NetworkValue& value = from_.values[static_cast<std::size_t>(v)];
    graph_.values.push_back({"zero " + std::to_string(graph_.values.size()), value.type, value.shape, Tensor(value.type, value.shape)});
    return static_cast<ValueId>(graph_.values.size() - 1);
  }

  const Network& from_;
  const ValueBoxes& boxes_;
  Graph graph_;
  std::vector<bool> moving_;  // by value of `from_`: depends on the inputs
  std::vector<ValueId> factors_;
};

}  // namespace

Result<void> differences(Engine& engine, const EvaQuestion& q, const Rivals& rivals, const EvaOptions& o, EvaMap& map) {
  if (o.bounds.semantics != Semantics::real) return {};
  Regions base;
  base.batch = 1;
  base.lower = q.lower;
  base.upper = q.upper;
  BL_TRY(boxes, engine.boxes(base, o.bounds, nullptr));
  DifferenceNetwork difference(engine.network(), boxes);
  auto network = difference.make();
  if (!network.ok()) {
    map.notes.push_back("no bound of what a single cell can change: " + network.error().message);
    return {};
  }
  BL_TRY(made, make_engine(*network, engine.device()));
  const Forms forms = forms_of(**network, rivals, Overlap::margin);
  std::vector<double> bound(static_cast<std::size_t>(q.cells), kOpenEnd);
  std::vector<Method> methods = {Method::interval};
  if (o.differences) methods.push_back(Method::crown);  // a pass of rows per cell: many times the time of everything else
  for (std::int64_t from = 0; from < q.cells && !o.bounds.stop.stop_requested(); from += kCellsAtOnce) {
    Regions cells;
    cells.batch = std::min(q.cells - from, kCellsAtOnce);
    for (std::int64_t u = from; u < from + cells.batch; ++u) {
      for (std::size_t j = 0; j < q.x.size(); ++j) {
        cells.lower.push_back(q.cell[j] == u ? sub_down(q.lower[j], q.x[j]) : 0.0);
        cells.upper.push_back(q.cell[j] == u ? sub_up(q.upper[j], q.x[j]) : 0.0);
      }
      cells.lower.insert(cells.lower.end(), difference.least.begin(), difference.least.end());
      cells.upper.insert(cells.upper.end(), difference.most.begin(), difference.most.end());
    }
    for (const Method method : methods) {
      BoundOptions options = o.bounds;
      options.method = method;
      options.progress = nullptr;
      BL_TRY(found, made->bound(cells, forms, options));
      for (std::int64_t u = 0; u < cells.batch; ++u) {
        double top = 0;  // z may be x on u
        for (std::int64_t k = 0; k < found.rows; ++k) {
          const double side = found.upper[static_cast<std::size_t>(u * found.rows + k)];
          top = side >= 0 || side < 0 ? std::max(top, side) : kOpenEnd;
        }
        double& best = bound[static_cast<std::size_t>(from + u)];
        best = std::min(best, top);
      }
    }
  }
  map.difference = std::move(bound);
  return {};
}

}  // namespace boundlight::eva_parts
