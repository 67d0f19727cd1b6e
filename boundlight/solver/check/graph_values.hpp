// Names, constants and attributes of an ONNX graph, and the adding of operations: what model.cpp is written in.
#pragma once

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
#include <memory>
#include <numeric>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/model.hpp"

namespace boundlight::check {

using Dims = std::vector<std::int64_t>;
using Numbers = std::vector<double>;

// What a value name stands for: a tensor of the graph seen in some shape, or a constant (integers as doubles).
struct Value {
  Dims dims;
  int tensor = -1;
  std::shared_ptr<const Numbers> data;
};

// sum_k position_k strides_k, where position is element `flat` of a tensor of shape dims.
inline std::int64_t dot_position(std::int64_t flat, const Dims& dims, const Dims& strides) {
  std::int64_t sum = 0;
  for (std::size_t k = dims.size(); k-- > 0; flat /= dims[k]) sum += flat % dims[k] * strides[k];
  return sum;
}

class GraphValues {
 public:
  Model model;

 protected:
  void need(bool holds, const char* otherwise) const { if (!holds) throw Refusal(place_, otherwise); }
  // Small files can describe large graphs: all elements and coefficients come out of one budget.
  template <class... N> void spend(N... factors) {
    budget_ -= (1.0 * ... * static_cast<double>(factors));
    need(budget_ >= 0, "the model's tensors and matrices are too large together");
  }

  // ---- values ----
  std::int64_t size_of(const Dims& dims) const {
    std::int64_t n = 1;
    for (const std::int64_t d : dims) {
      need(d > 0 && d <= max_elements_ && n <= max_elements_ / d, "a tensor is empty or has too many elements");
      n *= d;
    }
    return n;
  }
  void define(const std::string& name, const Value& v) {
    need(!name.empty() && values_.emplace(name, v).second, "a value is defined twice, or has no name");
    if (v.tensor >= 0) model.tensor_of[name] = v.tensor;
  }
  int tensor(const std::string& name, std::int64_t size) {
    spend(size);
    model.tensors.push_back({name, static_cast<std::size_t>(size)});
    return static_cast<int>(model.tensors.size() - 1);
  }
  template <class T, class List> Numbers numbers(const onnx::TensorProto& t, const List& list, std::size_t n) const {
    std::vector<T> data(list.begin(), list.end());
    if (t.has_raw_data()) {
      need(t.raw_data().size() == n * sizeof(T), "the data has the wrong length");
      data.resize(n);
      if (n) std::memcpy(data.data(), t.raw_data().data(), n * sizeof(T));
    }
    need(data.size() == n, "the data has the wrong length");
    return {data.begin(), data.end()};
  }
  Value constant_of(const onnx::TensorProto& t) const {
    const Dims dims(t.dims().begin(), t.dims().end());
    const std::size_t n = dims == Dims{0} ? 0 : static_cast<std::size_t>(size_of(dims));  // a list of axes may be empty
    need(t.data_location() != onnx::TensorProto::EXTERNAL, "external data is not covered by the model's hash");
    Numbers v;
    switch (t.data_type()) {
      case onnx::TensorProto::FLOAT: v = numbers<float>(t, t.float_data(), n); break;
      case onnx::TensorProto::DOUBLE: v = numbers<double>(t, t.double_data(), n); break;
      case onnx::TensorProto::INT64: v = numbers<std::int64_t>(t, t.int64_data(), n); break;
      case onnx::TensorProto::INT32: v = numbers<std::int32_t>(t, t.int32_data(), n); break;
      default: need(false, "the checker reads float, double, int32 and int64 tensors");
    }
    for (const double x : v) need(std::isfinite(x), "holds an infinite or NaN number");
    return {dims, -1, std::make_shared<const Numbers>(std::move(v))};
  }
  static Dims declared(const onnx::ValueInfoProto& v) {
    Dims dims;
    for (const auto& d : v.type().tensor_type().shape().dim()) {
      const std::int64_t given = d.has_dim_value() ? d.dim_value() : 0;
      dims.push_back(given <= 0 && dims.empty() ? 1 : given);  // a free batch
    }
    return dims;
  }

  // ---- the node being read ----
  bool has(int i) const { return i < node_->input_size() && !node_->input(i).empty(); }
  const Value& input(int i) const {
    const auto found = has(i) ? values_.find(node_->input(i)) : values_.end();
    need(found != values_.end(), "an input is missing or not defined before its use");
    return found->second;
  }
  const Value& computed(int i = 0) const {
    need(input(i).tensor >= 0, "the input must be a computed value");
    return input(i);
  }
  const Numbers& constant(int i) const {
    need(input(i).data != nullptr, "an input must be a constant");
    return *input(i).data;
  }
  Dims whole(int i) const {
    for (const double x : constant(i)) need(std::fabs(x) <= static_cast<double>(max_elements_) && x == std::floor(x), "a size or an axis is out of range");
    return {constant(i).begin(), constant(i).end()};
  }
  using Attribute = onnx::AttributeProto;
  const Attribute* attribute(const char* name, Attribute::AttributeType type) const {
    for (const Attribute& a : node_->attribute())
      if (a.name() == name) return need(a.type() == type || a.type() == Attribute::UNDEFINED, "an attribute has the wrong type"), &a;
    return nullptr;
  }
  std::int64_t whole(const char* name, std::int64_t otherwise) const {
    const Attribute* a = attribute(name, Attribute::INT);
    return a ? a->i() : otherwise;
  }
  double real(const char* name, float otherwise) const {
    const Attribute* a = attribute(name, Attribute::FLOAT);
    need(!a || std::isfinite(a->f()), "an attribute is infinite or NaN");
    return a ? a->f() : otherwise;
  }
  std::string text(const char* name) const {
    const Attribute* a = attribute(name, Attribute::STRING);
    return a ? a->s() : "";
  }
  Dims list(const char* name, const Dims& otherwise = {}) const {
    const Attribute* a = attribute(name, Attribute::INTS);
    return a ? Dims(a->ints().begin(), a->ints().end()) : otherwise;
  }

  // ---- adding operations ----
  Op op_of(Form form, int from = -1, std::size_t slopes = 0) const { return {.form = form, .input = from, .place = place_, .numbers = slopes}; }
  int add(Op op, const std::string& name, std::int64_t size) {
    op.output = tensor(name, size);
    if (op.numbers > 0) model.op_of[node_->output(0)] = static_cast<int>(model.ops.size());
    op.bias.resize(static_cast<std::size_t>(size), 0);
    op.bias_error.resize(op.bias.size(), 0);
    for (Part& p : op.parts) {
      p.by_input = transposed(p.by_output, model.tensors[p.input].size);
      for (std::size_t j = 0; j + 1 < p.by_input.start.size(); ++j) p.longest_column = std::max(p.longest_column, p.by_input.start[j + 1] - p.by_input.start[j]);
    }
    model.ops.push_back(std::move(op));
    return model.ops.back().output;
  }
  // z[o] = sum of the terms that fill(o, row) adds; at most `terms` of them.
  Part rows(int from, std::int64_t size, std::int64_t terms, const auto& fill) {
    spend(size, terms);
    Part p{from, {}, {}, 0};
    for (std::int64_t o = 0; o < size; ++o, p.by_output.end_row()) fill(o, p.by_output);
    return p;
  }
  // z[o] = factor * y[source(o)], or 0 where the source is -1
  Part moved(int from, std::int64_t size, const auto& source, double factor = 1) {
    return rows(from, size, 1, [&](std::int64_t o, Sparse& row) {
      if (const std::int64_t i = source(o); i >= 0) row.add(i, factor);
    });
  }
  static std::int64_t itself(std::int64_t o) { return o; }
  void same_data(const Dims& dims) {
    Value v = input(0);
    need(size_of(dims) == size_of(v.dims), "a reshape changes the number of elements");
    v.dims = dims;
    define(node_->output(0), v);
  }
  // Row-order strides; 0 where `dims` is broadcast to `to` (aligned at the last dimension).
  Dims broadcast(const Dims& dims, const Dims& to) const {
    need(dims.size() <= to.size(), "shapes do not broadcast");
    Dims strides(to.size(), 0);
    std::int64_t step = 1;
    for (std::size_t back = 1; back <= dims.size(); ++back) {
      const std::int64_t d = dims[dims.size() - back];
      need(d == 1 || d == to[to.size() - back], "shapes do not broadcast");
      strides[to.size() - back] = d == 1 ? 0 : step;
      step *= d;
    }
    return strides;
  }
  // a b; `relative` becomes 2^-52 unless that is exact.
  double rounded_product(double a, double b, double& relative) const {
    const double p = a * b;
    need(a == 0 || b == 0 || std::fabs(p) > 1e-280, "a product of weights is out of range");
    if (std::fma(a, b, -p) != 0) relative = 0x1p-52;
    return p;
  }
  double reciprocal(double d, double& relative) const {
    const double r = 1 / d;
    need(std::isfinite(r) && std::fabs(r) >= smallest_normal<double>, "divides by zero, or by a number out of range");
    if (std::fma(r, d, -1) != 0) relative = 0x1p-52;
    return r;
  }

  const onnx::NodeProto* node_ = nullptr;
  std::string place_;
  std::int64_t opset_ = 0, max_elements_ = 0;
  double budget_ = 0;
  std::map<std::string, Value> values_;
  std::map<std::string, const onnx::ValueInfoProto*> infos_;
};

}  // namespace boundlight::check
