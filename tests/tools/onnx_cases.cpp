#include "onnx_cases.hpp"

#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace conformance {
namespace {

using boundlight::DataType;
using boundlight::Tensor;

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return text.str();
}

template <class Message>
Message parsed(const std::filesystem::path& path) {
  Message m;
  if (!m.ParseFromString(bytes_of(path))) throw std::runtime_error("cannot parse " + path.string());
  return m;
}

std::optional<DataType> type_of(int number) {
  static const std::vector<std::pair<int, DataType>> known = {
      {1, DataType::float32}, {2, DataType::uint8}, {3, DataType::int8}, {4, DataType::uint16}, {5, DataType::int16}, {6, DataType::int32}, {7, DataType::int64},
      {9, DataType::boolean}, {10, DataType::float16}, {11, DataType::float64}, {12, DataType::uint32}, {13, DataType::uint64}, {16, DataType::bfloat16}};
  for (const auto& [n, t] : known)
    if (n == number) return t;
  return std::nullopt;
}

// What our element types leave out, by its reason.
std::string why_not(int number) {
  if (number == 8) return "text tensors";
  if (number == 14 || number == 15) return "complex tensors";
  if (number >= 17 && number <= 20) return "8-bit floats (quantised)";
  if (number == 21 || number == 22) return "4-bit integers (quantised)";
  return "element type " + std::to_string(number);
}

template <class To, class From>
void append(std::string& bytes, const From& values) {
  for (const auto v : values) {
    const auto x = static_cast<To>(v);
    bytes.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
}

Tensor tensor_of(const onnx::TensorProto& t) {
  const auto type = type_of(t.data_type());
  if (!type) throw std::runtime_error("a tensor of " + why_not(t.data_type()));
  const boundlight::Shape shape(t.dims().begin(), t.dims().end());
  std::string bytes = t.raw_data();
  if (bytes.empty()) {
    switch (*type) {
      case DataType::float32: append<float>(bytes, t.float_data()); break;
      case DataType::float64: append<double>(bytes, t.double_data()); break;
      case DataType::int64: append<std::int64_t>(bytes, t.int64_data()); break;
      case DataType::uint32: append<std::uint32_t>(bytes, t.uint64_data()); break;
      case DataType::uint64: append<std::uint64_t>(bytes, t.uint64_data()); break;
      case DataType::int32: append<std::int32_t>(bytes, t.int32_data()); break;
      case DataType::float16: case DataType::bfloat16: case DataType::uint16: append<std::uint16_t>(bytes, t.int32_data()); break;
      case DataType::int16: append<std::int16_t>(bytes, t.int32_data()); break;
      case DataType::int8: case DataType::uint8: case DataType::boolean: append<std::int8_t>(bytes, t.int32_data()); break;
    }
  }
  return Tensor(*type, shape, std::move(bytes));
}

std::optional<std::string> why_not(const onnx::TypeProto& type) {
  switch (type.value_case()) {
    case onnx::TypeProto::kTensorType: {
      const int element = type.tensor_type().elem_type();
      return type_of(element) ? std::nullopt : std::optional(why_not(element));
    }
    case onnx::TypeProto::kSequenceType: return "sequences";
    case onnx::TypeProto::kOptionalType: return "optional values";
    case onnx::TypeProto::VALUE_NOT_SET: return std::nullopt;
    default: return "values that are not tensors";
  }
}

std::optional<std::string> why_not(const onnx::GraphProto& graph) {
  for (const auto* list : {&graph.input(), &graph.output(), &graph.value_info()})
    for (const auto& info : *list)
      if (auto reason = why_not(info.type())) return reason;
  for (const auto& node : graph.node())
    for (const auto& a : node.attribute()) {
      if (a.name() == "training_mode" && a.i() != 0) return "training mode";
      if (a.has_t() && !type_of(a.t().data_type())) return why_not(a.t().data_type());
      if (node.op_type() == "Cast" && a.name() == "to" && !type_of(static_cast<int>(a.i()))) return why_not(static_cast<int>(a.i()));
    }
  return std::nullopt;
}

// The generator writes bfloat16 tensors as uint16 (numpy has no such type); the model's declaration says what they are.
void restore_types(const onnx::GraphProto& graph, DataSet& set) {
  const auto restore = [](const auto& declared, std::vector<Tensor>& tensors) {
    for (int i = 0; i < declared.size() && i < static_cast<int>(tensors.size()); ++i) {
      Tensor& t = tensors[static_cast<std::size_t>(i)];
      if (declared.Get(i).type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16 && t.type() == DataType::uint16)
        t = Tensor(DataType::bfloat16, t.shape(), std::string(t.bytes()));
    }
  };
  restore(graph.input(), set.inputs);
  restore(graph.output(), set.outputs);
}

// Dropout drops at random when its third input is true and its ratio is not 0; those outputs belong to one random generator.
bool trains(const onnx::GraphProto& graph, const DataSet& set) {
  const auto input = [&](const std::string& name) -> const Tensor* {
    for (int i = 0; i < graph.input_size(); ++i)
      if (graph.input(i).name() == name) return &set.inputs[static_cast<std::size_t>(i)];
    return nullptr;
  };
  return std::any_of(graph.node().begin(), graph.node().end(), [&](const onnx::NodeProto& node) {
    if (node.op_type() != "Dropout" || node.input_size() < 3) return false;
    const Tensor *ratio = input(node.input(1)), *training = input(node.input(2));
    return training && training->to_doubles()[0] != 0 && !(ratio && ratio->to_doubles()[0] == 0);
  });
}

DataSet read_set(const std::filesystem::path& folder) {
  DataSet set;
  for (auto [kind, to] : {std::pair{"input_", &set.inputs}, std::pair{"output_", &set.outputs}})
    for (int i = 0;; ++i) {
      const auto path = folder / (kind + std::to_string(i) + ".pb");
      if (!std::filesystem::exists(path)) break;
      to->push_back(tensor_of(parsed<onnx::TensorProto>(path)));
    }
  return set;
}

}  // namespace

std::vector<std::filesystem::path> case_folders(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_directory() && std::filesystem::exists(entry.path() / "model.onnx")) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

Case read_case(const std::filesystem::path& folder) {
  Case c;
  c.name = folder.filename().string();
  c.model = folder / "model.onnx";
  try {
    const auto model = parsed<onnx::ModelProto>(c.model);
    for (const auto& node : model.graph().node()) {
      const std::string op = node.domain().empty() || node.domain() == "ai.onnx" ? node.op_type() : node.domain() + "." + node.op_type();
      if (std::find(c.operators.begin(), c.operators.end(), op) == c.operators.end()) c.operators.push_back(op);
    }
    c.out_of_reach = why_not(model.graph());
    for (int k = 0; !c.out_of_reach; ++k) {
      const auto path = folder / ("test_data_set_" + std::to_string(k));
      if (!std::filesystem::exists(path)) break;
      c.sets.push_back(read_set(path));
      restore_types(model.graph(), c.sets.back());
      if (trains(model.graph(), c.sets.back())) c.out_of_reach = "training mode";
    }
    if (!c.out_of_reach && c.sets.empty()) c.out_of_reach = "unreadable: it has no data";
  } catch (const std::exception& error) {
    c.out_of_reach = std::string("unreadable: ") + error.what();
  }
  return c;
}

}  // namespace conformance
