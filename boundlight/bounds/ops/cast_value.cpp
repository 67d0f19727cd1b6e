#include "boundlight/bounds/ops/cast_value.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

namespace boundlight::typed {
namespace {

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<To> || !std::is_floating_point_v<From>) {
    return static_cast<To>(x);
  } else {
    constexpr double kEnd = 9223372036854775808.0;
    const auto t = std::trunc(static_cast<double>(x));
    if (t != t) return To(0);
    if constexpr (std::is_same_v<To, std::uint64_t>)
      if (t >= kEnd) return t >= 2 * kEnd ? std::numeric_limits<To>::max() : static_cast<To>(t);
    return static_cast<To>(t >= kEnd ? INT64_MAX : t < -kEnd ? INT64_MIN : static_cast<std::int64_t>(t));
  }
}

// Significant bits and the exponent range of a type's numbers: integers are exact up to 2^bits.
struct Format {
  int bits, exponent;
  bool sign;
};
Format format_of(DataType t) {
  switch (t) {
    case DataType::float64: return {53, 1023, true};
    case DataType::float32: return {24, 127, true};
    case DataType::bfloat16: return {8, 127, true};
    case DataType::float16: return {11, 15, true};
    case DataType::boolean: return {1, 0, false};
    default: break;
  }
  const int bits = static_cast<int>(size_of(t)) * 8;
  const bool sign = t <= DataType::int64;
  return {sign ? bits - 1 : bits, 0, sign};
}

}  // namespace

Tensor cast(const Tensor& x, DataType to) {
  if (x.type() == to) return x;
  // Narrow floats are made from doubles directly: through float they would round twice.
  if (to == DataType::float16 || to == DataType::bfloat16) return Tensor::from_doubles(to, x.shape(), x.to_doubles());
  return with_type(x.type(), [&]<class From>() {
    const auto v = elements<From>(x);
    return with_type(to, [&]<class To>() {
      std::vector<To> y(v.size());
      for (std::size_t i = 0; i < v.size(); ++i) y[i] = converted<To>(static_cast<From>(v[i]));
      return tensor_of<To>(to, x.shape(), y);
    });
  });
}

bool holds_all(DataType to, DataType from) {
  const Format t = format_of(to), f = format_of(from);
  if (is_floating(from)) return is_floating(to) && t.bits >= f.bits && t.exponent >= f.exponent;
  return t.bits >= f.bits && (t.sign || !f.sign);
}

}  // namespace boundlight::typed
