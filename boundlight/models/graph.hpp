// The typed graph that a model file becomes: values, nodes in topological order, attributes, constant bytes.
// It knows ONNX spelling and versions and computes nothing; what an operator means lives in bounds/ops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight {

enum class DataType : std::uint8_t {
  float32, float64, float16, bfloat16,
  int8, int16, int32, int64, uint8, uint16, uint32, uint64,
  boolean,
};

// Bytes of one element (boolean: 1), and the lower-case name ("float32", "bool").
std::size_t size_of(DataType type);
std::string_view name_of(DataType type);
inline bool is_floating(DataType t) { return t <= DataType::bfloat16; }
inline bool is_integer(DataType t) { return t >= DataType::int8 && t <= DataType::uint64; }

// Dimensions in row order. In a Graph a free dimension (batch size left open) is -1; in a Network none is.
using Shape = std::vector<std::int64_t>;

// The number of elements, or nothing when a dimension is negative or the product passes 2^40.
std::optional<std::int64_t> element_count(const Shape& shape);
std::string to_string(const Shape& shape);  // "1x3x32x32", "scalar"

// A constant: type, shape and its bytes in row order, little endian. Copies share the bytes.
class Tensor {
 public:
  Tensor() = default;
  // Precondition: bytes.size() == element_count(shape) * size_of(type).
  Tensor(DataType type, Shape shape, std::string bytes);
  // Zero filled.
  Tensor(DataType type, Shape shape);

  [[nodiscard]] DataType type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::string_view bytes() const { return bytes_ ? std::string_view(*bytes_) : std::string_view(); }

  // Elements in place. Precondition: sizeof(T) == size_of(type()). mutable_data() unshares first.
  template <class T> const T* data() const { check_width(sizeof(T)); return reinterpret_cast<const T*>(bytes().data()); }
  template <class T> T* mutable_data() { check_width(sizeof(T)); unshare(); return reinterpret_cast<T*>(bytes_->data()); }

  // Every element as double (exact for all types but 64-bit integers beyond 2^53) or as int64 (floats
  // truncated and saturated, NaN is 0; uint64 wraps).
  [[nodiscard]] std::vector<double> to_doubles() const;
  [[nodiscard]] std::vector<std::int64_t> to_int64s() const;
  // Floating types: rounded once, to nearest-even. Integers: truncated toward zero and wrapped modulo 2^bits (NaN and
  // infinities give 0). boolean: nonzero is true.
  static Tensor from_doubles(DataType type, Shape shape, const std::vector<double>& values);
  static Tensor from_int64s(DataType type, Shape shape, const std::vector<std::int64_t>& values);
  // Same bytes, other shape. Precondition: equal element counts.
  [[nodiscard]] Tensor reshaped(Shape shape) const;

 private:
  void check_width(std::size_t bytes) const;
  void unshare();

  DataType type_ = DataType::float32;
  Shape shape_;
  std::int64_t size_ = 0;
  std::shared_ptr<std::string> bytes_;
};

// IEEE binary16 and bfloat16 <-> float, round to nearest even.
float half_to_float(std::uint16_t bits);
std::uint16_t float_to_half(float x);
float bfloat16_to_float(std::uint16_t bits);
std::uint16_t float_to_bfloat16(float x);

using ValueId = std::int32_t;  // index into Graph::values; kAbsent marks an omitted optional input
inline constexpr ValueId kAbsent = -1;

struct Value {
  std::string name;
  std::optional<DataType> type;   // nothing: the file does not say (found by inference)
  std::optional<Shape> shape;     // likewise; -1 inside: free
  std::optional<Tensor> constant; // initialisers
};

using Attribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>, Tensor>;

struct Node {
  std::string name;    // the file's, or "<op>_<index>" when it has none
  std::string op;      // "Conv"
  std::string domain;  // "" for the standard operators
  std::int64_t version = 0;  // opset of the domain that the file imports
  std::vector<ValueId> inputs;   // kAbsent where an optional one is left out
  std::vector<ValueId> outputs;  // likewise
  std::map<std::string, Attribute, std::less<>> attributes;
};

struct Graph {
  std::string name;
  std::string source;      // path as the user wrote it; for messages
  std::string sha256;      // of the model file's bytes
  std::string producer;
  std::int64_t ir_version = 0;
  std::int64_t opset = 0;
  std::vector<Value> values;
  std::vector<Node> nodes;       // topological order, checked on load
  std::vector<ValueId> inputs;   // without initialisers
  std::vector<ValueId> outputs;
  std::vector<std::string> notes;  // warnings of the loader: newer opset, ignored training info ...
  std::map<std::string, std::string> metadata;

  // "model.onnx: node conv_3 (Conv)".
  [[nodiscard]] std::string place(const Node& node) const;
};

}  // namespace boundlight
