#include "boundlight/solver/check/model.hpp"

#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "boundlight/core/rounding.hpp"

namespace boundlight::check {
namespace {

using Dims = std::vector<std::int64_t>;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 28;

struct Constant {
  Dims dims;
  std::vector<double> real;        // of float and double tensors
  std::vector<std::int64_t> whole; // of integer tensors
};

// What a value name stands for: a tensor of the graph seen in some shape, or a constant.
struct Value {
  Dims dims;
  int tensor = -1;
  std::shared_ptr<const Constant> constant;
};

std::int64_t count(const Dims& dims, const std::string& place) {
  std::int64_t n = 1;
  for (const std::int64_t d : dims) {
    if (d <= 0 || d > kMaxElements || n > kMaxElements / d) throw Refusal(place, "a tensor is empty or has more than 2^28 elements");
    n *= d;
  }
  return n;
}

// Row-order strides; stride 0 where `dims` is broadcast to `to` (aligned at the last dimension).
Dims broadcast_strides(const Dims& dims, const Dims& to, const std::string& place) {
  if (dims.size() > to.size()) throw Refusal(place, "shapes do not broadcast");
  Dims strides(to.size(), 0);
  std::int64_t step = 1;
  for (std::size_t back = 1; back <= dims.size(); ++back) {
    const std::int64_t d = dims[dims.size() - back];
    if (d != 1 && d != to[to.size() - back]) throw Refusal(place, "shapes do not broadcast");
    strides[to.size() - back] = d == 1 ? 0 : step;
    step *= d;
  }
  return strides;
}

// sum_k position_k strides_k, where position is element `flat` of a tensor of shape dims.
std::int64_t dot_position(std::int64_t flat, const Dims& dims, const Dims& strides) {
  std::int64_t sum = 0;
  for (std::size_t k = dims.size(); k-- > 0; flat /= dims[k]) sum += flat % dims[k] * strides[k];
  return sum;
}

// a * b rounded; `relative` becomes 2^-52 unless the product is exact.
double product(double a, double b, double& relative) {
  const double p = a * b;
  if (std::fma(a, b, -p) != 0 || (p == 0 && a != 0 && b != 0) || std::fabs(p) < 1e-280) relative = std::max(relative, p == 0 && (a == 0 || b == 0) ? 0.0 : 0x1p-52);
  return p;
}

// Windows of Conv and of the pools over the spatial dimensions of [1, channels, spatial...].
struct Windows {
  Dims in, kernel, stride, dilation, begin, out;
  std::int64_t positions = 1, taps = 1;  // products of out, of kernel

  // The flat spatial index of the input under tap k of position o, or -1 in the padding.
  [[nodiscard]] std::int64_t tap(std::int64_t o, std::int64_t k) const {
    std::int64_t flat = 0, step = 1;
    for (std::size_t d = in.size(); d-- > 0; o /= out[d], k /= kernel[d]) {
      const std::int64_t at = o % out[d] * stride[d] - begin[d] + k % kernel[d] * dilation[d];
      if (at < 0 || at >= in[d]) return -1;
      flat += at * step;
      step *= in[d];
    }
    return flat;
  }
};

class Reader {
 public:
  Model model;

  void read(const onnx::GraphProto& graph, std::int64_t opset) {
    opset_ = opset;
    for (const auto& t : graph.initializer()) define(t.name(), constant_value(t, "initializer " + t.name()), "initializer " + t.name());
    for (const auto& v : graph.input())
      if (!values_.count(v.name())) read_input(v);
    for (const auto& v : graph.value_info()) declared_[v.name()] = &v;
    for (const auto& v : graph.output()) declared_[v.name()] = &v;
    if (inputs_ != 1) throw Refusal("graph", "the checker reads models with exactly one input, this one has " + std::to_string(inputs_));
    for (const auto& n : graph.node()) {
      node_ = &n;
      place_ = "node " + (n.name().empty() ? n.output_size() ? n.output(0) : "" : n.name()) + " (" + n.op_type() + ")";
      read_node();
    }
    if (graph.output_size() != 1) throw Refusal("graph", "the checker reads models with exactly one output");
    place_ = "graph output";
    const auto out = values_.find(graph.output(0).name());
    if (out == values_.end() || out->second.tensor < 0) throw Refusal(place_, "is not computed by the graph");
    model.output = out->second.tensor;
  }

 private:
  // ---- values ----
  void define(const std::string& name, Value v, const std::string& place) {
    if (name.empty() || !values_.emplace(name, v).second) throw Refusal(place, "the value '" + name + "' is defined twice or has no name");
    if (v.tensor >= 0) model.tensor_of[name] = v.tensor;
  }
  int tensor(const std::string& name, std::size_t size) {
    model.tensors.push_back({name, size});
    return static_cast<int>(model.tensors.size() - 1);
  }

  template <class T> static void raw(const onnx::TensorProto& t, std::size_t n, const std::string& place, auto& into) {
    if (t.raw_data().size() != n * sizeof(T)) throw Refusal(place, "the data has the wrong length");
    std::vector<T> data(n);
    if (n) std::memcpy(data.data(), t.raw_data().data(), n * sizeof(T));
    into.assign(data.begin(), data.end());
  }
  template <class List> static void listed(const List& list, std::size_t n, const std::string& place, auto& into) {
    if (static_cast<std::size_t>(list.size()) != n) throw Refusal(place, "the data has the wrong length");
    into.assign(list.begin(), list.end());
  }
  static Value constant_value(const onnx::TensorProto& t, const std::string& place) {
    auto c = std::make_shared<Constant>();
    c->dims.assign(t.dims().begin(), t.dims().end());
    std::size_t n = 1;  // shape vectors may be empty
    if (std::find(c->dims.begin(), c->dims.end(), 0) != c->dims.end()) n = 0;
    else n = static_cast<std::size_t>(count(c->dims, place));
    if (t.data_location() == onnx::TensorProto::EXTERNAL) throw Refusal(place, "external data is not covered by the model's hash");
    const bool packed = t.has_raw_data();
    switch (t.data_type()) {
      case onnx::TensorProto::FLOAT: packed ? raw<float>(t, n, place, c->real) : listed(t.float_data(), n, place, c->real); break;
      case onnx::TensorProto::DOUBLE: packed ? raw<double>(t, n, place, c->real) : listed(t.double_data(), n, place, c->real); break;
      case onnx::TensorProto::INT64: packed ? raw<std::int64_t>(t, n, place, c->whole) : listed(t.int64_data(), n, place, c->whole); break;
      case onnx::TensorProto::INT32: packed ? raw<std::int32_t>(t, n, place, c->whole) : listed(t.int32_data(), n, place, c->whole); break;
      default: throw Refusal(place, "the checker reads float, double, int32 and int64 tensors, not type " + std::to_string(t.data_type()));
    }
    for (const double x : c->real)
      if (!std::isfinite(x)) throw Refusal(place, "holds an infinite or NaN number");
    return {c->dims, -1, c};
  }
  static Dims declared_dims(const onnx::ValueInfoProto& v) {
    Dims dims;
    const auto& shape = v.type().tensor_type().shape();
    for (int i = 0; i < shape.dim_size(); ++i) {
      const std::int64_t d = shape.dim(i).has_dim_value() ? shape.dim(i).dim_value() : 0;
      dims.push_back(d <= 0 && i == 0 ? 1 : d);  // a free batch
    }
    return dims;
  }
  void read_input(const onnx::ValueInfoProto& v) {
    if (++inputs_ > 1) return;
    const Dims dims = declared_dims(v);
    model.input = tensor(v.name(), static_cast<std::size_t>(count(dims, "input " + v.name())));
    define(v.name(), {dims, model.input, nullptr}, "input " + v.name());
  }

  // ---- the node being read ----
  bool has_input(int i) const { return i < node_->input_size() && !node_->input(i).empty(); }
  const Value& input(int i) const {
    const auto found = has_input(i) ? values_.find(node_->input(i)) : values_.end();
    if (found == values_.end()) throw Refusal(place_, "input " + std::to_string(i) + " is missing or not defined before its use");
    return found->second;
  }
  const Constant& constant(int i) const {
    if (!input(i).constant) throw Refusal(place_, "input " + std::to_string(i) + " must be a constant");
    return *input(i).constant;
  }
  const std::vector<double>& reals(int i) const {
    if (constant(i).real.empty()) throw Refusal(place_, "input " + std::to_string(i) + " must be a float or double constant");
    return constant(i).real;
  }
  const onnx::AttributeProto* attribute(const char* name, onnx::AttributeProto::AttributeType type) const {
    for (const auto& a : node_->attribute())
      if (a.name() == name) {
        if (a.type() != type && a.type() != onnx::AttributeProto::UNDEFINED) throw Refusal(place_, std::string("the attribute ") + name + " has the wrong type");
        return &a;
      }
    return nullptr;
  }
  std::int64_t whole(const char* name, std::int64_t otherwise) const {
    const auto* a = attribute(name, onnx::AttributeProto::INT);
    return a ? a->i() : otherwise;
  }
  double real(const char* name, double otherwise) const {
    const auto* a = attribute(name, onnx::AttributeProto::FLOAT);
    const double x = a ? static_cast<double>(a->f()) : otherwise;
    if (!std::isfinite(x)) throw Refusal(place_, std::string("the attribute ") + name + " is infinite or NaN");
    return x;
  }
  std::string text(const char* name, const char* otherwise) const {
    const auto* a = attribute(name, onnx::AttributeProto::STRING);
    return a ? a->s() : otherwise;
  }
  Dims list(const char* name, const Dims& otherwise = {}) const {
    const auto* a = attribute(name, onnx::AttributeProto::INTS);
    return a ? Dims(a->ints().begin(), a->ints().end()) : otherwise;
  }
  void only_first_output() const {
    for (int i = 1; i < node_->output_size(); ++i)
      if (!node_->output(i).empty()) throw Refusal(place_, "only the first output is supported");
  }

  // ---- adding operations ----
  Op affine_op() const {
    Op op;
    op.place = place_;
    return op;
  }
  int add(Op op, const std::string& name, std::size_t size) {
    op.output = tensor(name, size);
    op.name = name;
    if (op.form == Form::affine) {
      op.bias.resize(size, 0);
      op.bias_error.resize(size, 0);
      for (Part& p : op.parts) transpose(p, size);
    } else if (op.form != Form::opaque) {
      model.op_of[name] = static_cast<int>(model.ops.size());
    }
    model.ops.push_back(std::move(op));
    return model.ops.back().output;
  }
  void emit(Op op, const Dims& dims) {
    const std::string name = node_->output_size() ? node_->output(0) : "";
    const auto size = static_cast<std::size_t>(count(dims, place_));
    define(name, {dims, add(std::move(op), name, size), nullptr}, place_);
  }
  void transpose(Part& p, std::size_t outputs) const {
    if (p.by_output.rows() != outputs) throw Refusal(place_, "internal: a matrix has the wrong number of rows");
    const std::size_t n = model.tensors[p.input].size;
    std::vector<std::uint32_t>& start = p.by_input.start;
    start.assign(n + 1, 0);
    for (const std::uint32_t j : p.by_output.index) ++start[j + 1];
    for (std::size_t j = 0; j < n; ++j) p.longest_column = std::max(p.longest_column, start[j + 1]);
    std::partial_sum(start.begin(), start.end(), start.begin());
    p.by_input.index.resize(p.by_output.index.size());
    p.by_input.value.resize(p.by_output.index.size());
    std::vector<std::uint32_t> next(start.begin(), start.end() - 1);
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::uint32_t k = p.by_output.start[o]; k < p.by_output.start[o + 1]; ++k) {
        const std::uint32_t at = next[p.by_output.index[k]]++;
        p.by_input.index[at] = static_cast<std::uint32_t>(o);
        p.by_input.value[at] = p.by_output.value[k];
      }
  }
  // z[o] = factor * y[source(o)] (+ 0 where the source is -1)
  Part moved(int from, std::int64_t size, const auto& source, double factor = 1) const {
    Part p;
    p.input = from;
    for (std::int64_t o = 0; o < size; ++o) {
      const std::int64_t i = source(o);
      if (i >= 0) p.by_output.add(static_cast<std::size_t>(i), factor);
      p.by_output.end_row();
    }
    return p;
  }
  void same_data(const Dims& dims) {
    Value v = input(0);
    if (count(dims, place_) != count(v.dims, place_)) throw Refusal(place_, "a reshape changes the number of elements");
    v.dims = dims;
    if (v.constant) {
      auto c = std::make_shared<Constant>(*v.constant);
      c->dims = dims;
      v.constant = c;
    }
    define(node_->output(0), v, place_);
  }

  // ---- operators ----
  void read_node();
  void reshape();
  void squeeze(bool removes);
  void transpose_node();
  void pad();
  void matmul();
  void gemm();
  void elementwise(char op);
  void conv();
  void average_pool(bool global);
  void max_pool();
  void batch_normalization();
  void activation(Form form, bool tanh);
  void leaky_relu();
  void unknown();
  Windows windows(const Dims& dims, const Dims& kernel) const;
  Dims axes(int rank) const;

  const onnx::NodeProto* node_ = nullptr;
  std::string place_;
  std::int64_t opset_ = 0;
  int inputs_ = 0;
  std::map<std::string, Value> values_;
  std::map<std::string, const onnx::ValueInfoProto*> declared_;
};

void Reader::read_node() {
  const std::string& op = node_->op_type();
  if (!node_->domain().empty() && node_->domain() != "ai.onnx") return unknown();
  if (node_->output_size() < 1) throw Refusal(place_, "has no output");
  only_first_output();
  if (op == "Constant") {
    const auto* a = attribute("value", onnx::AttributeProto::TENSOR);
    if (!a) throw Refusal(place_, "the checker reads constants given as a tensor");
    return define(node_->output(0), constant_value(a->t(), place_), place_);
  }
  if (op == "Identity") return same_data(input(0).dims);
  if (op == "Dropout") {
    if (has_input(2)) throw Refusal(place_, "a training mode is not supported");
    return same_data(input(0).dims);
  }
  if (op == "Flatten") {
    const Dims& d = input(0).dims;
    std::int64_t axis = whole("axis", 1), head = 1, rank = static_cast<std::int64_t>(d.size());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) throw Refusal(place_, "the axis is out of range");
    for (std::int64_t i = 0; i < axis; ++i) head *= d[i];
    return same_data({head, count(d, place_) / head});
  }
  if (op == "Reshape") return reshape();
  if (op == "Squeeze" || op == "Unsqueeze") return squeeze(op == "Squeeze");
  if (op == "Transpose") return transpose_node();
  if (op == "Pad") return pad();
  if (op == "MatMul") return matmul();
  if (op == "Gemm") return gemm();
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div") return elementwise(op[0] == 'M' ? '*' : op[0] == 'D' ? '/' : op[0] == 'A' ? '+' : '-');
  if (op == "Conv") return conv();
  if (op == "AveragePool" || op == "GlobalAveragePool") return average_pool(op[0] == 'G');
  if (op == "MaxPool") return max_pool();
  if (op == "BatchNormalization") return batch_normalization();
  if (op == "Relu") return activation(Form::relu, false);
  if (op == "Sigmoid" || op == "Tanh") return activation(Form::sigmoid, op == "Tanh");
  if (op == "LeakyRelu") return leaky_relu();
  unknown();
}

// No rule. The output's box may come from the certificate, as a trusted step; that needs a declared shape.
void Reader::unknown() {
  for (int i = 0; i < node_->output_size(); ++i) {
    if (node_->output(i).empty()) continue;
    const auto declared = declared_.find(node_->output(i));
    if (declared == declared_.end()) throw Refusal(place_, "the checker has no rule for this operator, and the model does not declare its output's shape");
    Op op;
    op.form = Form::opaque;
    op.place = place_;
    op.has_float_rule = false;
    const Dims dims = declared_dims(*declared->second);
    define(node_->output(i), {dims, add(std::move(op), node_->output(i), static_cast<std::size_t>(count(dims, place_))), nullptr}, place_);
  }
}

void Reader::reshape() {
  if (whole("allowzero", 0) != 0) throw Refusal(place_, "allowzero is not supported");
  const Dims& from = input(0).dims;
  Dims to = constant(1).whole;
  std::int64_t known = 1, open = -1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && i < from.size()) to[i] = from[i];
    if (to[i] == -1 && open < 0) open = static_cast<std::int64_t>(i);
    else if (to[i] <= 0 || to[i] > kMaxElements || known > kMaxElements / to[i]) throw Refusal(place_, "the new shape is not possible");
    else known *= to[i];
  }
  if (open >= 0) to[open] = count(from, place_) / known;
  same_data(to);
}

Dims Reader::axes(int rank) const {
  Dims a = list("axes");
  if (opset_ >= 13 && has_input(1)) a = constant(1).whole;
  for (std::int64_t& x : a) {
    if (x < 0) x += rank;
    if (x < 0 || x >= rank) throw Refusal(place_, "an axis is out of range");
  }
  return a;
}

void Reader::squeeze(bool removes) {
  const Dims from = input(0).dims;
  const auto given = opset_ >= 13 && has_input(1) ? constant(1).whole.size() : list("axes").size();
  const Dims a = axes(static_cast<int>(from.size() + (removes ? 0 : given)));
  const auto among = [&](std::int64_t i) { return std::find(a.begin(), a.end(), i) != a.end(); };
  Dims to;
  if (removes) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (among(static_cast<std::int64_t>(i)) && from[i] != 1) throw Refusal(place_, "removes an axis that is not 1 long");
      if (given == 0 ? from[i] != 1 : !among(static_cast<std::int64_t>(i))) to.push_back(from[i]);
    }
  } else {
    std::size_t next = 0;
    for (std::size_t i = 0; i < from.size() + given; ++i) {
      if (!among(static_cast<std::int64_t>(i)) && next >= from.size()) throw Refusal(place_, "an axis is named twice");
      to.push_back(among(static_cast<std::int64_t>(i)) ? 1 : from[next++]);
    }
  }
  same_data(to);
}

void Reader::transpose_node() {
  const Value& v = input(0);
  const std::size_t rank = v.dims.size();
  Dims order(rank);
  for (std::size_t i = 0; i < rank; ++i) order[i] = static_cast<std::int64_t>(rank - 1 - i);
  order = list("perm", order);
  Dims sorted = order, to(rank), strides(rank), moved_strides(rank);
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (order.size() != rank || sorted[i] != static_cast<std::int64_t>(i)) throw Refusal(place_, "perm is not a permutation");
  std::int64_t step = 1;
  for (std::size_t i = rank; i-- > 0; step *= v.dims[i]) strides[i] = step;
  for (std::size_t i = 0; i < rank; ++i) {
    to[i] = v.dims[order[i]];
    moved_strides[i] = strides[order[i]];
  }
  const auto source = [&](std::int64_t o) { return dot_position(o, to, moved_strides); };
  const std::int64_t n = count(to, place_);
  if (v.constant) {
    auto c = std::make_shared<Constant>();
    c->dims = to;
    for (std::int64_t o = 0; o < n; ++o) {
      if (!v.constant->real.empty()) c->real.push_back(v.constant->real[source(o)]);
      else c->whole.push_back(v.constant->whole[source(o)]);
    }
    return define(node_->output(0), {to, -1, c}, place_);
  }
  Op op = affine_op();
  op.float_extra = -1;
  op.parts.push_back(moved(v.tensor, n, source));
  emit(std::move(op), to);
}

void Reader::pad() {
  const Value& v = input(0);
  if (text("mode", "constant") != "constant" || v.tensor < 0) throw Refusal(place_, "only constant padding of computed values is supported");
  const Dims pads = opset_ >= 11 ? constant(1).whole : list("pads");
  double filling = opset_ >= 11 ? (has_input(2) ? reals(2).at(0) : 0) : real("value", 0);
  const std::size_t rank = v.dims.size();
  if (pads.size() != 2 * rank || has_input(3)) throw Refusal(place_, "pads must give two numbers per dimension");
  Dims to(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    if (pads[i] < 0 || pads[rank + i] < 0 || pads[i] > kMaxElements || pads[rank + i] > kMaxElements) throw Refusal(place_, "negative or huge pads are not supported");
    to[i] = v.dims[i] + pads[i] + pads[rank + i];
  }
  const std::int64_t n = count(to, place_);
  Op op = affine_op();
  op.float_extra = -1;
  op.parts.push_back(moved(v.tensor, n, [&](std::int64_t o) {
    std::int64_t flat = 0, step = 1;
    for (std::size_t i = rank; i-- > 0; o /= to[i]) {
      const std::int64_t at = o % to[i] - pads[i];
      if (at < 0 || at >= v.dims[i]) return std::int64_t{-1};
      flat += at * step;
      step *= v.dims[i];
    }
    return flat;
  }));
  for (std::int64_t o = 0; o < n; ++o) op.bias.push_back(op.parts[0].by_output.start[o + 1] == op.parts[0].by_output.start[o] ? filling : 0);
  emit(std::move(op), to);
}

void Reader::matmul() {
  const Value &a = input(0), &b = input(1);
  const bool right = b.constant != nullptr;  // x W; otherwise W x
  const Value& x = right ? a : b;
  const std::vector<double>& w = reals(right ? 1 : 0);
  const Dims& wd = right ? b.dims : a.dims;
  if (x.tensor < 0 || wd.size() != 2 || x.dims.empty() || (!right && x.dims.size() > 2)) throw Refusal(place_, "the checker multiplies a value by a constant matrix");
  const std::int64_t m = right ? wd[0] : wd[1], n = right ? wd[1] : wd[0];  // sums over m, gives n
  const bool vector = x.dims.size() == 1;
  if ((right || vector ? x.dims.back() : x.dims[0]) != m) throw Refusal(place_, "the dimensions of the product do not fit");
  const std::int64_t others = count(x.dims, place_) / m;
  Op op = affine_op();
  Part p;
  p.input = x.tensor;
  const auto row = [&](std::int64_t o, std::int64_t other) {  // output o of the vector number `other`
    for (std::int64_t i = 0; i < m; ++i) p.by_output.add(right ? other * m + i : i * others + other, right ? w[i * n + o] : w[o * m + i]);
    p.by_output.end_row();
  };
  if (others * n > kMaxElements / m) throw Refusal(place_, "the matrix is too large");
  Dims to = x.dims;
  if (right) {
    for (std::int64_t other = 0; other < others; ++other)
      for (std::int64_t o = 0; o < n; ++o) row(o, other);
    to.back() = n;
  } else {
    for (std::int64_t o = 0; o < n; ++o)
      for (std::int64_t other = 0; other < others; ++other) row(o, other);
    to[0] = n;
  }
  op.parts.push_back(std::move(p));
  emit(std::move(op), to);
}

void Reader::gemm() {
  const Value& x = input(0);
  const std::vector<double>& w = reals(1);
  const Dims& wd = input(1).dims;
  const bool transposed_x = whole("transA", 0) != 0, transposed = whole("transB", 0) != 0;
  if (x.tensor < 0 || x.dims.size() != 2 || wd.size() != 2) throw Refusal(place_, "the checker multiplies a value by a constant matrix");
  const std::int64_t rows = x.dims[transposed_x ? 1 : 0], m = x.dims[transposed_x ? 0 : 1], n = wd[transposed ? 0 : 1];
  if (wd[transposed ? 1 : 0] != m) throw Refusal(place_, "the dimensions of the product do not fit");
  if (rows * n > kMaxElements / m) throw Refusal(place_, "the matrix is too large");
  const double alpha = real("alpha", 1), beta = real("beta", 1);
  Op op = affine_op();
  Part p;
  p.input = x.tensor;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t o = 0; o < n; ++o) {
      for (std::int64_t i = 0; i < m; ++i)
        p.by_output.add(transposed_x ? i * rows + r : r * m + i, product(alpha, w[transposed ? o * m + i : i * n + o], op.relative));
      p.by_output.end_row();
    }
  op.parts.push_back(std::move(p));
  const Dims to = {rows, n};
  if (has_input(2)) {
    const Dims strides = broadcast_strides(input(2).dims, to, place_);
    for (std::int64_t o = 0; o < rows * n; ++o) {
      double inexact = 0;
      op.bias.push_back(product(beta, reals(2)[dot_position(o, to, strides)], inexact));
      op.bias_error.push_back(inexact * std::fabs(op.bias.back()) + (inexact > 0 ? smallest_normal<double> : 0));
    }
  }
  op.float_extra = alpha == 1 && beta == 1 ? 1 : 4;
  emit(std::move(op), to);
}

void Reader::elementwise(char kind) {
  const Value &a = input(0), &b = input(1);
  Dims to(std::max(a.dims.size(), b.dims.size()), 1);
  for (const Dims* d : {&a.dims, &b.dims})
    for (std::size_t back = 1; back <= d->size(); ++back) to[to.size() - back] = std::max(to[to.size() - back], (*d)[d->size() - back]);
  const std::int64_t n = count(to, place_);
  const Dims sa = broadcast_strides(a.dims, to, place_), sb = broadcast_strides(b.dims, to, place_);
  const auto ia = [&](std::int64_t o) { return dot_position(o, to, sa); };
  const auto ib = [&](std::int64_t o) { return dot_position(o, to, sb); };
  if (a.constant && b.constant) throw Refusal(place_, "arithmetic on constants is not folded");
  Op op = affine_op();
  if (kind == '+' || kind == '-') {
    const double sign = kind == '+' ? 1 : -1;
    if (a.tensor >= 0) op.parts.push_back(moved(a.tensor, n, ia));
    if (b.tensor >= 0) op.parts.push_back(moved(b.tensor, n, ib, sign));
    for (std::int64_t o = 0; o < n; ++o) {
      if (a.constant) op.bias.push_back(reals(0)[ia(o)]);
      if (b.constant) op.bias.push_back(sign * reals(1)[ib(o)]);
    }
    return emit(std::move(op), to);
  }
  if (!b.constant && (kind == '/' || !a.constant)) throw Refusal(place_, "one factor, or the divisor, must be a constant");
  const bool first = a.tensor >= 0;
  Part p;
  p.input = first ? a.tensor : b.tensor;
  for (std::int64_t o = 0; o < n; ++o) {
    double c = first ? reals(1)[ib(o)] : reals(0)[ia(o)];
    if (kind == '/') {
      const double d = c;
      c = 1 / d;
      if (d == 0 || !std::isfinite(c) || std::fabs(c) < smallest_normal<double>) throw Refusal(place_, "divides by zero, or by a number out of range");
      if (std::fma(c, d, -1) != 0) op.relative = 0x1p-52;
    }
    p.by_output.add(static_cast<std::size_t>(first ? ia(o) : ib(o)), c);
    p.by_output.end_row();
  }
  op.parts.push_back(std::move(p));
  emit(std::move(op), to);
}

Windows Reader::windows(const Dims& dims, const Dims& kernel) const {
  Windows w;
  if (dims.size() < 3 || dims[0] != 1) throw Refusal(place_, "the input must have batch 1, channels and spatial dimensions");
  w.in.assign(dims.begin() + 2, dims.end());
  const std::size_t rank = w.in.size();
  w.kernel = kernel;
  w.stride = list("strides", Dims(rank, 1));
  w.dilation = list("dilations", Dims(rank, 1));
  Dims pads = list("pads", Dims(2 * rank, 0));
  const std::string automatic = text("auto_pad", "NOTSET");
  if (whole("ceil_mode", 0) != 0) throw Refusal(place_, "ceil_mode is not supported");
  if (kernel.size() != rank || w.stride.size() != rank || w.dilation.size() != rank || pads.size() != 2 * rank) throw Refusal(place_, "kernel, strides, dilations or pads have the wrong length");
  for (std::size_t i = 0; i < rank; ++i) {
    for (const std::int64_t x : {kernel[i], w.stride[i], w.dilation[i]})
      if (x < 1 || x > 65536) throw Refusal(place_, "kernel, strides and dilations must lie between 1 and 65536");
    const std::int64_t reach = w.dilation[i] * (kernel[i] - 1) + 1;
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t all = std::max<std::int64_t>(0, ((w.in[i] + w.stride[i] - 1) / w.stride[i] - 1) * w.stride[i] + reach - w.in[i]);
      pads[i] = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      pads[rank + i] = all - pads[i];
    } else if (automatic == "VALID") {
      pads[i] = pads[rank + i] = 0;
    } else if (automatic != "NOTSET") {
      throw Refusal(place_, "an unknown auto_pad");
    }
    if (pads[i] < 0 || pads[rank + i] < 0 || pads[i] > 65536 || pads[rank + i] > 65536) throw Refusal(place_, "negative or huge pads are not supported");
    const std::int64_t room = w.in[i] + pads[i] + pads[rank + i] - reach;
    if (room < 0) throw Refusal(place_, "the kernel is larger than its input");
    w.begin.push_back(pads[i]);
    w.out.push_back(room / w.stride[i] + 1);
  }
  w.positions = count(w.out, place_);
  w.taps = count(w.kernel, place_);
  return w;
}

void Reader::conv() {
  const Value& x = input(0);
  const std::vector<double>& weights = reals(1);
  const Dims wd = input(1).dims;
  if (x.tensor < 0 || x.dims.size() < 3 || wd.size() != x.dims.size()) throw Refusal(place_, "the checker convolves a value with constant weights");
  const Dims kernel(wd.begin() + 2, wd.end());
  if (list("kernel_shape", kernel) != kernel) throw Refusal(place_, "kernel_shape differs from the weights");
  const Windows win = windows(x.dims, kernel);
  const std::int64_t groups = whole("group", 1), outputs = wd[0], channels = wd[1], area = count(win.in, place_);
  if (groups < 1 || outputs % groups != 0 || channels * groups != x.dims[1]) throw Refusal(place_, "the channels do not fit the groups");
  if (outputs * win.positions > kMaxElements / (channels * win.taps)) throw Refusal(place_, "the convolution is too large");
  Op op = affine_op();
  Part p;
  p.input = x.tensor;
  for (std::int64_t f = 0; f < outputs; ++f)
    for (std::int64_t o = 0; o < win.positions; ++o) {
      const std::int64_t first = f / (outputs / groups) * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t k = 0; k < win.taps; ++k) {
          const std::int64_t at = win.tap(o, k);
          if (at >= 0) p.by_output.add((first + c) * area + at, weights[(f * channels + c) * win.taps + k]);
        }
      p.by_output.end_row();
    }
  op.parts.push_back(std::move(p));
  if (has_input(2)) {
    if (static_cast<std::int64_t>(reals(2).size()) != outputs) throw Refusal(place_, "the bias has the wrong length");
    for (std::int64_t i = 0; i < outputs * win.positions; ++i) op.bias.push_back(reals(2)[i / win.positions]);
  }
  Dims to = {1, outputs};
  to.insert(to.end(), win.out.begin(), win.out.end());
  emit(std::move(op), to);
}

void Reader::average_pool(bool global) {
  const Value& x = input(0);
  if (x.tensor < 0 || x.dims.size() < 3) throw Refusal(place_, "the input must have batch, channels and spatial dimensions");
  const Dims spatial(x.dims.begin() + 2, x.dims.end());
  const Windows win = windows(x.dims, global ? spatial : list("kernel_shape"));
  const bool with_pads = !global && whole("count_include_pad", 0) != 0;
  const std::int64_t area = count(win.in, place_);
  Op op = affine_op();
  Part p;
  p.input = x.tensor;
  std::vector<std::int64_t> inside;
  for (std::int64_t i = 0; i < x.dims[1] * win.positions; ++i) {
    inside.clear();
    for (std::int64_t k = 0; k < win.taps; ++k) {
      const std::int64_t at = win.tap(i % win.positions, k);
      if (at >= 0) inside.push_back(i / win.positions * area + at);
    }
    const double n = static_cast<double>(with_pads ? win.taps : static_cast<std::int64_t>(inside.size()));
    if (n == 0) throw Refusal(place_, "a window lies in the padding only");
    if (std::fma(1 / n, n, -1) != 0) op.relative = 0x1p-52;
    for (const std::int64_t at : inside) p.by_output.add(at, 1 / n);
    p.by_output.end_row();
  }
  op.parts.push_back(std::move(p));
  op.float_extra = 3;  // the sum, then a division or a product with a rounded reciprocal
  Dims to = {1, x.dims[1]};
  to.insert(to.end(), win.out.begin(), win.out.end());
  emit(std::move(op), to);
}

void Reader::max_pool() {
  const Value& x = input(0);
  if (x.tensor < 0 || x.dims.size() < 3) throw Refusal(place_, "the input must have batch, channels and spatial dimensions");
  const Windows win = windows(x.dims, list("kernel_shape"));
  const std::int64_t area = count(win.in, place_), n = x.dims[1] * win.positions;
  if (n > kMaxElements / win.taps) throw Refusal(place_, "the pool is too large");
  Op op;
  op.form = Form::max_pool;
  op.place = place_;
  op.input = x.tensor;
  op.window = static_cast<std::size_t>(win.taps);
  for (std::int64_t i = 0; i < n; ++i) {
    bool any = false;
    for (std::int64_t k = 0; k < win.taps; ++k) {
      const std::int64_t at = win.tap(i % win.positions, k);
      any = any || at >= 0;
      op.taps.push_back(at < 0 ? -1 : i / win.positions * area + at);
    }
    if (!any) throw Refusal(place_, "a window lies in the padding only");
  }
  Dims to = {1, x.dims[1]};
  to.insert(to.end(), win.out.begin(), win.out.end());
  emit(std::move(op), to);
}

// z = (y - mean) scale / sqrt(var + eps) + shift: the coefficient is enclosed, not exact: six roundings.
void Reader::batch_normalization() {
  const Value& x = input(0);
  if (x.tensor < 0 || x.dims.size() < 2 || whole("training_mode", 0) != 0 || whole("spatial", 1) != 1) throw Refusal(place_, "only inference on a computed value is supported");
  const auto &scale = reals(1), &shift = reals(2), &mean = reals(3), &variance = reals(4);
  const std::size_t channels = static_cast<std::size_t>(x.dims[1]);
  for (const auto* v : {&scale, &shift, &mean, &variance})
    if (v->size() != channels) throw Refusal(place_, "a parameter has the wrong length");
  const double eps = real("epsilon", static_cast<double>(1e-5F));
  const std::int64_t n = count(x.dims, place_), inner = count(Dims(x.dims.begin() + 2, x.dims.end()), place_);
  Op op = affine_op();
  op.relative = 0x1p-50;
  op.has_float_rule = false;
  Part p;
  p.input = x.tensor;
  for (std::int64_t o = 0; o < n; ++o) {
    const std::size_t c = static_cast<std::size_t>(o / inner) % channels;
    const double s = std::sqrt(variance[c] + eps), w = scale[c] / s;
    if (!(variance[c] >= 0) || !(eps >= 0) || !(s > 1e-100) || !std::isfinite(w) || (w != 0 && std::fabs(w) < 1e-200)) throw Refusal(place_, "a variance is negative or out of range");
    p.by_output.add(static_cast<std::size_t>(o), w);
    p.by_output.end_row();
    const double moved_mean = mean[c] * w;
    op.bias.push_back(shift[c] - moved_mean);
    op.bias_error.push_back(0x1p-49 * (std::fabs(shift[c]) + std::fabs(moved_mean)) + smallest_normal<double>);
  }
  op.parts.push_back(std::move(p));
  emit(std::move(op), x.dims);
}

// Tanh(y) = 2 sigmoid(2 y) - 1, exactly.
void Reader::activation(Form form, bool tanh) {
  const Value x = input(0);
  if (x.tensor < 0) throw Refusal(place_, "the input must be a computed value");
  const std::int64_t n = count(x.dims, place_);
  const auto same = [](std::int64_t o) { return o; };
  const auto twice = [&](int from, double shift) {
    Op op = affine_op();
    op.parts.push_back(moved(from, n, same, 2));
    op.bias.assign(static_cast<std::size_t>(n), shift);
    op.has_float_rule = false;
    return op;
  };
  Op op;
  op.form = form;
  op.place = place_;
  op.input = tanh ? add(twice(x.tensor, 0), node_->output(0) + "#doubled", static_cast<std::size_t>(n)) : x.tensor;
  op.slope_unit = 0.25;
  op.has_float_rule = form == Form::relu;  // nothing is stated about a deployed exp
  if (!tanh) return emit(std::move(op), x.dims);
  const std::string name = node_->output(0);
  const int inner = add(std::move(op), name + "#sigmoid", static_cast<std::size_t>(n));
  model.op_of[name] = model.op_of[name + "#sigmoid"];
  emit(twice(inner, -1), x.dims);
}

// a y + (1 - a) relu(y)
void Reader::leaky_relu() {
  const Value x = input(0);
  if (x.tensor < 0) throw Refusal(place_, "the input must be a computed value");
  const double a = real("alpha", static_cast<double>(0.01F));
  if (!(a >= 0 && a <= 1)) throw Refusal(place_, "alpha must lie between 0 and 1");
  const std::int64_t n = count(x.dims, place_);
  const auto same = [](std::int64_t o) { return o; };
  Op relu, sum = affine_op();
  relu.form = Form::relu;
  relu.place = place_;
  relu.input = x.tensor;
  const std::string name = node_->output(0);
  const int inner = add(std::move(relu), name + "#relu", static_cast<std::size_t>(n));
  model.op_of[name] = model.op_of[name + "#relu"];
  sum.parts.push_back(moved(x.tensor, n, same, a));
  sum.parts.push_back(moved(inner, n, same, 1 - a));
  sum.relative = 0x1p-52;
  emit(std::move(sum), x.dims);
}

}  // namespace

Model read_model(std::string_view bytes) {
  onnx::ModelProto proto;
  if (bytes.size() > std::numeric_limits<int>::max() || !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Refusal("model", "the file is not an ONNX model");
  std::int64_t opset = 0;
  for (const auto& set : proto.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx") opset = set.version();
  if (opset < 7) throw Refusal("model", "operator set " + std::to_string(opset) + " is too old; 7 or later is read");
  Reader reader;
  reader.read(proto.graph(), opset);
  return std::move(reader.model);
}

}  // namespace boundlight::check
