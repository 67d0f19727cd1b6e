// Builds ONNX models in memory for tests: message classes only, no checks, so that wrong models can be built as well.
#pragma once

#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace boundlight::test {

inline onnx::AttributeProto attribute(const std::string& name, std::int64_t value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string& name, int value) { return attribute(name, std::int64_t{value}); }
inline onnx::AttributeProto attribute(const std::string& name, float value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string& name, const std::string& value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::STRING);
  a.set_s(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string& name, const char* value) { return attribute(name, std::string(value)); }
inline onnx::AttributeProto attribute(const std::string& name, const std::vector<std::int64_t>& values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INTS);
  for (const auto v : values) a.add_ints(v);
  return a;
}
inline onnx::AttributeProto attribute(const std::string& name, const std::vector<float>& values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOATS);
  for (const auto v : values) a.add_floats(v);
  return a;
}
inline onnx::AttributeProto attribute(const std::string& name, const onnx::TensorProto& value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::TENSOR);
  *a.mutable_t() = value;
  return a;
}

// A tensor by its raw bytes.
inline onnx::TensorProto raw_tensor(const std::string& name, int type, const std::vector<std::int64_t>& dims, const std::string& bytes) {
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(type);
  for (const auto d : dims) t.add_dims(d);
  t.set_raw_data(bytes);
  return t;
}
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
inline onnx::TensorProto tensor(const std::string& name, const std::vector<std::int64_t>& dims, const std::vector<float>& values) {
  return raw_tensor(name, onnx::TensorProto::FLOAT, dims, bytes_of(values));
}
inline onnx::TensorProto tensor(const std::string& name, const std::vector<std::int64_t>& dims, const std::vector<double>& values) {
  return raw_tensor(name, onnx::TensorProto::DOUBLE, dims, bytes_of(values));
}
inline onnx::TensorProto tensor(const std::string& name, const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& values) {
  return raw_tensor(name, onnx::TensorProto::INT64, dims, bytes_of(values));
}

// ModelBuilder m; m.input("x", {1, 4}); m.initializer(tensor("w", {4, 2}, {...})); m.node("MatMul", {"x", "w"}, {"y"});
// m.output("y"); load with parse_onnx(m.bytes(), "m.onnx", {}).
class ModelBuilder {
 public:
  explicit ModelBuilder(std::int64_t opset = 17, std::int64_t ir = 8) {
    model.set_ir_version(ir);
    import_domain("", opset);
    graph().set_name("test");
  }

  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  void import_domain(const std::string& domain, std::int64_t version) {
    auto& opset = *model.add_opset_import();
    opset.set_domain(domain);
    opset.set_version(version);
  }
  // A dimension of -1 is left free (named "N").
  onnx::ValueInfoProto& input(const std::string& name, const std::vector<std::int64_t>& dims, int type = onnx::TensorProto::FLOAT) {
    return declare(*graph().add_input(), name, dims, type);
  }
  onnx::ValueInfoProto& output(const std::string& name, const std::vector<std::int64_t>& dims, int type = onnx::TensorProto::FLOAT) {
    return declare(*graph().add_output(), name, dims, type);
  }
  onnx::ValueInfoProto& value_info(const std::string& name, const std::vector<std::int64_t>& dims, int type = onnx::TensorProto::FLOAT) {
    return declare(*graph().add_value_info(), name, dims, type);
  }
  // An output of undeclared type and shape.
  void output(const std::string& name) { graph().add_output()->set_name(name); }
  void initializer(const onnx::TensorProto& t) { *graph().add_initializer() = t; }
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                        std::initializer_list<onnx::AttributeProto> attributes = {}) {
    auto& n = *graph().add_node();
    n.set_op_type(op);
    for (const auto& i : inputs) n.add_input(i);
    for (const auto& o : outputs) n.add_output(o);
    for (const auto& a : attributes) *n.add_attribute() = a;
    return n;
  }
  std::string bytes() const { return model.SerializeAsString(); }

  onnx::ModelProto model;

 private:
  static onnx::ValueInfoProto& declare(onnx::ValueInfoProto& info, const std::string& name, const std::vector<std::int64_t>& dims, int type) {
    info.set_name(name);
    auto& t = *info.mutable_type()->mutable_tensor_type();
    t.set_elem_type(type);
    t.mutable_shape();
    for (const auto d : dims) {
      auto& dim = *t.mutable_shape()->add_dim();
      if (d == -1) dim.set_dim_param("N");
      else dim.set_dim_value(d);
    }
    return info;
  }
};

}  // namespace boundlight::test
