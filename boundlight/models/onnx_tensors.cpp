#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/models/onnx_messages.hpp"

namespace boundlight::onnx_reader {
namespace {

using onnx::AttributeProto;
using onnx::TensorProto;


constexpr const char* kExportAgain = "; the file is damaged or its exporter is wrong: export the model again";

// Appends the field's values as T; nothing when one does not fit (only int32_data and uint64_data can hold too much).
template <class T, class Field>
std::optional<std::string> pack(const Field& field) {
  std::string bytes(static_cast<std::size_t>(field.size()) * sizeof(T), '\0');
  char* to = bytes.data();
  for (const auto x : field) {
    const T narrow = static_cast<T>(x);
    if constexpr (std::is_integral_v<T>) {
      if (static_cast<decltype(x + 0)>(narrow) != x) return std::nullopt;
    }
    std::memcpy(to, &narrow, sizeof(T));
    to += sizeof(T);
  }
  return bytes;
}

// The one typed field that may hold elements of `type`, as bytes.
std::optional<std::string> pack_typed(const TensorProto& tensor, DataType type) {
  switch (type) {
    case DataType::float32: return pack<float>(tensor.float_data());
    case DataType::float64: return pack<double>(tensor.double_data());
    case DataType::int8: return pack<std::int8_t>(tensor.int32_data());
    case DataType::int16: return pack<std::int16_t>(tensor.int32_data());
    case DataType::int32: return pack<std::int32_t>(tensor.int32_data());
    case DataType::int64: return pack<std::int64_t>(tensor.int64_data());
    case DataType::uint8:
    case DataType::boolean: return pack<std::uint8_t>(tensor.int32_data());
    case DataType::uint16:
    case DataType::float16:
    case DataType::bfloat16: return pack<std::uint16_t>(tensor.int32_data());
    case DataType::uint32: return pack<std::uint32_t>(tensor.uint64_data());
    case DataType::uint64: return pack<std::uint64_t>(tensor.uint64_data());
  }
  return std::nullopt;
}

struct FieldUse {
  const char* name;
  int size;
  bool fits;  // may hold elements of the tensor's type
};

std::vector<FieldUse> used_fields(const TensorProto& tensor, DataType type) {
  const bool in_int32 = type == DataType::int32 || type == DataType::int16 || type == DataType::int8 || type == DataType::uint16 ||
                        type == DataType::uint8 || type == DataType::boolean || type == DataType::float16 || type == DataType::bfloat16;
  const FieldUse all[] = {
      {"float_data", tensor.float_data_size(), type == DataType::float32},
      {"int32_data", tensor.int32_data_size(), in_int32},
      {"int64_data", tensor.int64_data_size(), type == DataType::int64},
      {"double_data", tensor.double_data_size(), type == DataType::float64},
      {"uint64_data", tensor.uint64_data_size(), type == DataType::uint32 || type == DataType::uint64},
      {"string_data", tensor.string_data_size(), false},
  };
  std::vector<FieldUse> used;
  for (const auto& field : all) if (field.size > 0) used.push_back(field);
  return used;
}

Result<std::string> read_bytes(TensorProto& tensor, DataType type, std::int64_t count, const Shape& shape,
                               ExternalFiles& external, const std::string& place) {
  const std::string wanted = to_string(shape) + " of " + std::string(name_of(type));
  const std::uint64_t needed = static_cast<std::uint64_t>(count) * size_of(type);
  const auto used = used_fields(tensor, type);
  const bool is_external = tensor.data_location() == TensorProto::EXTERNAL;
  const int sources = static_cast<int>(used.size()) + (tensor.raw_data().empty() ? 0 : 1) + (is_external ? 1 : 0);
  if (sources > 1) return bad_input(place, std::string("its values are given more than once") + kExportAgain);
  if (is_external) return external.read(tensor, needed, place);
  if (used.empty()) {
    if (tensor.raw_data().size() != needed) {
      return bad_input(place, "has " + std::to_string(tensor.raw_data().size()) + " bytes of data, " + wanted + " needs " + std::to_string(needed) + kExportAgain);
    }
    return std::move(*tensor.mutable_raw_data());
  }
  if (!used[0].fits) return bad_input(place, std::string("keeps its values in ") + used[0].name + ", where " + std::string(name_of(type)) + " cannot be" + kExportAgain);
  if (used[0].size != count) {
    return bad_input(place, "has " + std::to_string(used[0].size) + " values, " + wanted + " needs " + std::to_string(count) + kExportAgain);
  }
  auto bytes = pack_typed(tensor, type);
  if (!bytes) return bad_input(place, "has a value that does not fit " + std::string(name_of(type)) + kExportAgain);
  return std::move(*bytes);
}

// The first NaN's index.
std::optional<std::int64_t> find_nan(const Tensor& tensor) {
  const std::int64_t n = tensor.size();
  const auto search = [n](auto is_nan) -> std::optional<std::int64_t> {
    for (std::int64_t i = 0; i < n; ++i) if (is_nan(i)) return i;
    return std::nullopt;
  };
  switch (tensor.type()) {
    case DataType::float32: { const auto* x = tensor.data<float>(); return search([x](std::int64_t i) { return std::isnan(x[i]); }); }
    case DataType::float64: { const auto* x = tensor.data<double>(); return search([x](std::int64_t i) { return std::isnan(x[i]); }); }
    case DataType::float16: { const auto* x = tensor.data<std::uint16_t>(); return search([x](std::int64_t i) { return (x[i] & 0x7FFFU) > 0x7C00U; }); }
    case DataType::bfloat16: { const auto* x = tensor.data<std::uint16_t>(); return search([x](std::int64_t i) { return (x[i] & 0x7FFFU) > 0x7F80U; }); }
    default: return std::nullopt;
  }
}

std::string name_of_attribute_type(int type) {
  return AttributeProto::AttributeType_IsValid(type) ? AttributeProto::AttributeType_Name(static_cast<AttributeProto::AttributeType>(type))
                                                     : std::to_string(type);
}

// The types whose fields hold something, in ONNX's numbering.
std::vector<AttributeProto::AttributeType> populated(const AttributeProto& a) {
  std::vector<AttributeProto::AttributeType> types;
  const auto note = [&](bool there, AttributeProto::AttributeType type) { if (there) types.push_back(type); };
  note(a.has_f(), AttributeProto::FLOAT);
  note(a.has_i(), AttributeProto::INT);
  note(a.has_s(), AttributeProto::STRING);
  note(a.has_t(), AttributeProto::TENSOR);
  note(a.has_g(), AttributeProto::GRAPH);
  note(a.has_sparse_tensor(), AttributeProto::SPARSE_TENSOR);
  note(a.has_tp(), AttributeProto::TYPE_PROTO);
  note(a.floats_size() > 0, AttributeProto::FLOATS);
  note(a.ints_size() > 0, AttributeProto::INTS);
  note(a.strings_size() > 0, AttributeProto::STRINGS);
  note(a.tensors_size() > 0, AttributeProto::TENSORS);
  note(a.graphs_size() > 0, AttributeProto::GRAPHS);
  note(a.sparse_tensors_size() > 0, AttributeProto::SPARSE_TENSORS);
  note(a.type_protos_size() > 0, AttributeProto::TYPE_PROTOS);
  return types;
}

// The type to read the attribute as. Files of IR version 1 say none, proto3 writers leave zeros out.
Result<AttributeProto::AttributeType> settle_type(const AttributeProto& attribute, const std::string& place) {
  const auto held = populated(attribute);
  for (int i = 0; i < attribute.unknown_fields().field_count(); ++i) {
    const auto& field = attribute.unknown_fields().field(i);
    if (field.number() == AttributeProto::kTypeFieldNumber && field.type() == google::protobuf::UnknownField::TYPE_VARINT) {
      return bad_input(place, "has the unknown type " + std::to_string(field.varint()) + kExportAgain);
    }
  }
  if (!attribute.has_type() || attribute.type() == AttributeProto::UNDEFINED) {
    if (held.size() != 1) return bad_input(place, std::string("has no type that could be told from its value") + kExportAgain);
    return held[0];
  }
  for (const auto type : held) {
    if (type != attribute.type()) {
      return bad_input(place, "says " + name_of_attribute_type(attribute.type()) + " but holds " + name_of_attribute_type(type) + kExportAgain);
    }
  }
  return attribute.type();
}

Result<std::vector<double>> read_floats(const AttributeProto& attribute, const std::string& place) {
  std::vector<double> values(attribute.floats().begin(), attribute.floats().end());
  for (const double x : values) if (std::isnan(x)) return bad_input(place, "holds NaN, which no bound can be computed from; repair the model");
  return values;
}

std::string name_of_kind(const onnx::TypeProto& type) {
  switch (type.value_case()) {
    case onnx::TypeProto::kSequenceType: return "a sequence";
    case onnx::TypeProto::kMapType: return "a map";
    case onnx::TypeProto::kOptionalType: return "an optional";
    case onnx::TypeProto::kSparseTensorType: return "a sparse tensor";
    default: return "an opaque type";
  }
}

}  // namespace

std::optional<DataType> data_type_of(int onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT: return DataType::float32;
    case TensorProto::DOUBLE: return DataType::float64;
    case TensorProto::FLOAT16: return DataType::float16;
    case TensorProto::BFLOAT16: return DataType::bfloat16;
    case TensorProto::INT8: return DataType::int8;
    case TensorProto::INT16: return DataType::int16;
    case TensorProto::INT32: return DataType::int32;
    case TensorProto::INT64: return DataType::int64;
    case TensorProto::UINT8: return DataType::uint8;
    case TensorProto::UINT16: return DataType::uint16;
    case TensorProto::UINT32: return DataType::uint32;
    case TensorProto::UINT64: return DataType::uint64;
    case TensorProto::BOOL: return DataType::boolean;
    default: return std::nullopt;
  }
}

std::string name_of_onnx_type(int onnx_type) {
  // Types newer than the message classes of the build.
  static constexpr const char* kNewer[] = {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1"};
  if (onnx_type >= 17 && onnx_type < 24) return kNewer[onnx_type - 17];
  if (const auto known = data_type_of(onnx_type)) return std::string(name_of(*known));
  if (onnx_type == TensorProto::STRING) return "string";
  if (onnx_type == TensorProto::COMPLEX64) return "complex64";
  if (onnx_type == TensorProto::COMPLEX128) return "complex128";
  return "number " + std::to_string(onnx_type);
}

Result<Tensor> read_tensor(TensorProto& tensor, ExternalFiles& external, const std::string& place) {
  const auto type = data_type_of(tensor.data_type());
  if (!type) return unsupported(place, "its element type " + name_of_onnx_type(tensor.data_type()) + " is not supported; use a model of floating, integer or boolean tensors");
  if (tensor.has_segment()) return unsupported(place, "is split into segments, which is not supported; export the model again");
  const Shape shape(tensor.dims().begin(), tensor.dims().end());
  for (const auto d : shape) if (d < 0) return bad_input(place, "has the negative dimension " + std::to_string(d) + kExportAgain);
  const auto count = element_count(shape);
  if (!count) return bad_input(place, "its shape " + to_string(shape) + " has more elements than any file can hold" + kExportAgain);
  BL_TRY(bytes, read_bytes(tensor, *type, *count, shape, external, place));
  if (*type == DataType::boolean) for (char& b : bytes) b = b != 0 ? 1 : 0;
  Tensor result(*type, shape, std::move(bytes));
  if (const auto at = find_nan(result)) {
    return bad_input(place, "element " + std::to_string(*at) + " is NaN, which no bound can be computed from; repair or retrain the model");
  }
  return result;
}

Result<Attribute> read_attribute(AttributeProto& attribute, ExternalFiles& external, const std::string& node_place) {
  const std::string place = node_place + ": attribute " + attribute.name();
  if (!attribute.ref_attr_name().empty()) return bad_input(place, "refers to a function's attribute, but the node is in no function; export the model again");
  BL_TRY(type, settle_type(attribute, place));
  switch (type) {
    case AttributeProto::INT: return Attribute(static_cast<std::int64_t>(attribute.i()));
    case AttributeProto::FLOAT:
      if (std::isnan(attribute.f())) return bad_input(place, "is NaN, which no bound can be computed from; repair the model");
      return Attribute(static_cast<double>(attribute.f()));
    case AttributeProto::STRING: return Attribute(attribute.s());
    case AttributeProto::INTS: return Attribute(std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end()));
    case AttributeProto::FLOATS: {
      BL_TRY(values, read_floats(attribute, place));
      return Attribute(std::move(values));
    }
    case AttributeProto::STRINGS: return Attribute(std::vector<std::string>(attribute.strings().begin(), attribute.strings().end()));
    case AttributeProto::TENSOR: {
      BL_TRY(tensor, read_tensor(*attribute.mutable_t(), external, place));
      return Attribute(std::move(tensor));
    }
    case AttributeProto::GRAPH:
    case AttributeProto::GRAPHS:
      return unsupported(place, "is a graph inside of the node (If, Loop, Scan and the like), which is not supported; export the model without control flow");
    default: return unsupported(place, "has the type " + name_of_attribute_type(type) + ", which is not supported; export the model with plain attributes");
  }
}

Result<Declared> read_declaration(const onnx::ValueInfoProto& info, const std::string& place) {
  Declared declared;
  if (!info.has_type() || info.type().value_case() == onnx::TypeProto::VALUE_NOT_SET) return declared;
  if (info.type().value_case() != onnx::TypeProto::kTensorType) {
    return unsupported(place, "is " + name_of_kind(info.type()) + ", not a tensor, which is not supported; use a model of tensors only");
  }
  const auto& tensor = info.type().tensor_type();
  if (tensor.elem_type() != TensorProto::UNDEFINED) {
    declared.type = data_type_of(tensor.elem_type());
    if (!declared.type) return unsupported(place, "its element type " + name_of_onnx_type(tensor.elem_type()) + " is not supported; use a model of floating, integer or boolean tensors");
  }
  if (!tensor.has_shape()) return declared;
  Shape shape;
  std::int64_t count = 1;
  for (const auto& d : tensor.shape().dim()) {
    shape.push_back(d.has_dim_value() ? d.dim_value() : -1);
    if (!d.has_dim_value()) continue;
    if (d.dim_value() < 0) return bad_input(place, "has the negative dimension " + std::to_string(d.dim_value()) + "; give a free dimension a name instead");
    const auto next = element_count({count, std::max<std::int64_t>(d.dim_value(), 1)});
    if (!next) return bad_input(place, "its shape has more elements than any machine can hold" + std::string(kExportAgain));
    count = *next;
  }
  declared.shape = std::move(shape);
  return declared;
}

}  // namespace boundlight::onnx_reader

namespace boundlight {

std::optional<DataType> onnx_element_type(std::int64_t number) { return number < 0 || number > 1000 ? std::nullopt : onnx_reader::data_type_of(static_cast<int>(number)); }
std::string onnx_element_type_name(std::int64_t number) { return number < 0 || number > 1000 ? "number " + std::to_string(number) : onnx_reader::name_of_onnx_type(static_cast<int>(number)); }

}  // namespace boundlight
