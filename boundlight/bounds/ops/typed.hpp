// Typed values on the host: what OpInfo::infer and OpInfo::evaluate are made of. float16 and bfloat16 compute in float and
// round once per operator, as runtimes do.
#pragma once

#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::typed {

// One output like input 0.
Result<std::vector<TypedShape>> same_as_input(const NodeView& node);

// Calls body.template operator()<S>() with S the C++ type of `type`; bool for boolean, float for the 16-bit floats.
template <class Body>
decltype(auto) with_type(DataType type, const Body& body) {
  switch (type) {
    case DataType::float32: case DataType::float16: case DataType::bfloat16: return body.template operator()<float>();
    case DataType::float64: return body.template operator()<double>();
    case DataType::int8: return body.template operator()<std::int8_t>();
    case DataType::int16: return body.template operator()<std::int16_t>();
    case DataType::int32: return body.template operator()<std::int32_t>();
    case DataType::int64: return body.template operator()<std::int64_t>();
    case DataType::uint8: return body.template operator()<std::uint8_t>();
    case DataType::uint16: return body.template operator()<std::uint16_t>();
    case DataType::uint32: return body.template operator()<std::uint32_t>();
    case DataType::uint64: return body.template operator()<std::uint64_t>();
    case DataType::boolean: break;
  }
  return body.template operator()<bool>();
}

// The same for the floating types only; others are refused.
template <class Body>
Result<std::vector<Tensor>> with_floating(DataType type, const Body& body) {
  if (type == DataType::float64) return body.template operator()<double>();
  if (is_floating(type)) return body.template operator()<float>();
  return refuse("elements of type " + std::string(name_of(type)) + " are not possible here");
}

// The elements as S (the 16-bit floats widen to float), and back (they round to nearest even).
template <class S>
std::vector<S> elements(const Tensor& t) {
  std::vector<S> v(static_cast<std::size_t>(t.size()));
  if (t.type() == DataType::float16 || t.type() == DataType::bfloat16) {
    const auto* bits = t.data<std::uint16_t>();
    for (std::size_t i = 0; i < v.size(); ++i)
      v[i] = static_cast<S>(t.type() == DataType::float16 ? half_to_float(bits[i]) : bfloat16_to_float(bits[i]));
  } else {
    const auto* from = t.data<S>();
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = from[i];
  }
  return v;
}
template <class S>
Tensor tensor_of(DataType type, const Shape& shape, const std::vector<S>& v) {
  Tensor t(type, shape);
  if (type == DataType::float16 || type == DataType::bfloat16) {
    auto* bits = t.mutable_data<std::uint16_t>();
    for (std::size_t i = 0; i < v.size(); ++i) {
      const auto x = static_cast<float>(v[i]);
      bits[i] = type == DataType::float16 ? float_to_half(x) : float_to_bfloat16(x);
    }
  } else {
    auto* to = t.mutable_data<S>();
    for (std::size_t i = 0; i < v.size(); ++i) to[i] = v[i];
  }
  return t;
}

// f applied to every element of x in its own type.
template <class F>
Result<std::vector<Tensor>> unary(const NodeView&, const Tensor& x, F f) {
  return with_type(x.type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    auto v = elements<S>(x);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<S>(f(static_cast<S>(v[i])));
    return std::vector<Tensor>{tensor_of<S>(x.type(), x.shape(), v)};
  });
}

// f(a, b) for integers modulo 2^bits (signed overflow is not defined in C++), as it is for other types.
template <class S, class F>
S wrapping(S a, S b, F f) {
  if constexpr (std::is_integral_v<S> && !std::is_same_v<S, bool>) return static_cast<S>(f(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  else return static_cast<S>(f(a, b));
}

// The number above or below all others of a type: what a minimum or maximum of nothing is.
template <class S>
S extreme(bool highest) {
  using Limits = std::numeric_limits<S>;
  if constexpr (Limits::has_infinity) return highest ? Limits::infinity() : -Limits::infinity();
  else return highest ? Limits::max() : Limits::lowest();
}

// Numpy broadcasting; nothing when the shapes do not fit.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);
// For every element of `out`, the index of the element of `in` it reads.
std::vector<std::int64_t> broadcast_index(const Shape& in, const Shape& out);

// f(a, b) with broadcasting; the result has type `to` (from f's return value).
template <class F>
Result<std::vector<Tensor>> binary(const Tensor& a, const Tensor& b, F f) {
  const auto shape = broadcast(a.shape(), b.shape());
  if (!shape) return refuse("shapes " + to_string(a.shape()) + " and " + to_string(b.shape()) + " do not broadcast");
  return with_type(a.type(), [&]<class S>() -> Result<std::vector<Tensor>> {
    const auto x = elements<S>(a), y = elements<S>(b);
    const auto ix = broadcast_index(a.shape(), *shape), iy = broadcast_index(b.shape(), *shape);
    std::vector<S> v(ix.size());
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<S>(f(static_cast<S>(x[static_cast<std::size_t>(ix[i])]), static_cast<S>(y[static_cast<std::size_t>(iy[i])])));
    return std::vector<Tensor>{tensor_of<S>(a.type(), *shape, v)};
  });
}
Result<std::vector<TypedShape>> broadcast_of_inputs(const NodeView& node);

}  // namespace boundlight::typed
