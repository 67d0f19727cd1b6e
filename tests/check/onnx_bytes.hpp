// Writes small ONNX files byte by byte (protobuf wire format), so that tests need neither a library nor files.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace onnx_bytes {

inline std::string varint(std::uint64_t v) {
  std::string s;
  for (; v >= 128; v >>= 7) s += static_cast<char>(v | 128);
  return s + static_cast<char>(v);
}
inline std::string number(int field, std::int64_t v) { return varint(field << 3) + varint(static_cast<std::uint64_t>(v)); }
inline std::string bytes(int field, const std::string& s) { return varint(field << 3 | 2) + varint(s.size()) + s; }
inline std::string real(int field, float x) {
  std::string s = varint(field << 3 | 5) + std::string(4, '\0');
  std::memcpy(s.data() + s.size() - 4, &x, 4);
  return s;
}

using Dims = std::vector<std::int64_t>;

template <class T> std::string tensor(const std::string& name, const Dims& dims, const std::vector<T>& data) {
  constexpr int type = std::is_same_v<T, float> ? 1 : std::is_same_v<T, double> ? 11 : 7;
  std::string s;
  for (const std::int64_t d : dims) s += number(1, d);
  s += number(2, type) + bytes(8, name);
  std::string raw(data.size() * sizeof(T), '\0');
  if (!data.empty()) std::memcpy(raw.data(), data.data(), raw.size());
  return s + bytes(9, raw);
}

inline std::string attribute(const std::string& name, std::int64_t i) { return bytes(5, bytes(1, name) + number(3, i) + number(20, 2)); }
inline std::string attribute(const std::string& name, float f) { return bytes(5, bytes(1, name) + real(2, f) + number(20, 1)); }
inline std::string attribute(const std::string& name, const std::string& s) { return bytes(5, bytes(1, name) + bytes(4, s) + number(20, 3)); }
inline std::string attribute(const std::string& name, const Dims& ints) {
  std::string s = bytes(1, name);
  for (const std::int64_t i : ints) s += number(8, i);
  return bytes(5, s + number(20, 7));
}
inline std::string attribute_tensor(const std::string& name, const std::string& t) { return bytes(5, bytes(1, name) + bytes(5, t) + number(20, 4)); }

struct Graph {
  std::string nodes, initializers, infos;
  std::string input, output;
  Dims input_dims, output_dims;
  int opset = 13;
  int input_type = 1;

  template <class T> void constant(const std::string& name, const Dims& dims, const std::vector<T>& data) { initializers += bytes(5, tensor(name, dims, data)); }
  void node(const std::string& op, const std::vector<std::string>& in, const std::vector<std::string>& out, const std::string& attributes = "", const std::string& domain = "") {
    std::string s;
    for (const auto& i : in) s += bytes(1, i);
    for (const auto& o : out) s += bytes(2, o);
    nodes += bytes(1, s + bytes(3, op + "_" + out[0]) + bytes(4, op) + attributes + (domain.empty() ? "" : bytes(7, domain)));
  }
  static std::string info(int field, const std::string& name, const Dims& dims, int type = 1) {
    std::string shape;
    for (const std::int64_t d : dims) shape += bytes(1, d < 0 ? bytes(2, "free") : number(1, d));
    return bytes(field, bytes(1, name) + bytes(2, bytes(1, number(1, type) + bytes(2, shape))));
  }
  [[nodiscard]] std::string model() const {
    const std::string graph = nodes + bytes(2, "g") + initializers + info(11, input, input_dims, input_type) + info(12, output, output_dims, input_type) + infos;
    return number(1, 7) + bytes(7, graph) + bytes(8, bytes(1, "") + number(2, opset));
  }
};

}  // namespace onnx_bytes
