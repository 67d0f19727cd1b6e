#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/graph.hpp"

static_assert(std::endian::native == std::endian::little, "Tensor bytes are little endian and are used in place");

namespace boundlight {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

// Calls f with a default-constructed element of the type whose bits `type` stores; 16-bit floats come as tags.
struct Half { std::uint16_t bits; };
struct Brain { std::uint16_t bits; };
struct Bool { std::uint8_t bits; };

template <class F>
void visit_type(DataType type, F f) {
  switch (type) {
    case DataType::float32: return f(float{});
    case DataType::float64: return f(double{});
    case DataType::float16: return f(Half{});
    case DataType::bfloat16: return f(Brain{});
    case DataType::int8: return f(std::int8_t{});
    case DataType::int16: return f(std::int16_t{});
    case DataType::int32: return f(std::int32_t{});
    case DataType::int64: return f(std::int64_t{});
    case DataType::uint8: return f(std::uint8_t{});
    case DataType::uint16: return f(std::uint16_t{});
    case DataType::uint32: return f(std::uint32_t{});
    case DataType::uint64: return f(std::uint64_t{});
    case DataType::boolean: return f(Bool{});
  }
  throw ContractViolation("no such DataType: " + std::to_string(static_cast<int>(type)));
}

double widen(Half x) { return half_to_float(x.bits); }
double widen(Brain x) { return bfloat16_to_float(x.bits); }
double widen(Bool x) { return x.bits != 0 ? 1.0 : 0.0; }
template <class T>
double widen(T x) { return static_cast<double>(x); }

// Round to odd keeps what a second rounding to a format of at least two bits fewer needs to know, so
// double -> float (odd) -> half (nearest even) is the correctly rounded double -> half.
float to_float_odd(double x) {
  const float nearest = static_cast<float>(x);
  if (std::isnan(x) || static_cast<double>(nearest) == x) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(x)) --bits;  // now truncated toward zero
  return std::bit_cast<float>(bits | 1U);
}

// Truncates toward zero; the value modulo 2^64 when it does not fit, 0 for NaN and infinities.
std::uint64_t wrap(double x) {
  if (!std::isfinite(x)) return 0;
  x = std::trunc(x);
  if (std::fabs(x) < 0x1p63) return static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
  double r = std::fmod(x, 0x1p64);  // exact
  const bool negative = r < 0;
  r = std::fabs(r);
  const auto magnitude = static_cast<std::uint64_t>(r);
  return negative ? std::uint64_t{0} - magnitude : magnitude;
}

std::int64_t saturate(double x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p63) return std::numeric_limits<std::int64_t>::max();
  if (x < -0x1p63) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(x);
}

void narrow(double x, float& out) { out = static_cast<float>(x); }
void narrow(double x, double& out) { out = x; }
void narrow(double x, Half& out) { out.bits = float_to_half(to_float_odd(x)); }
void narrow(double x, Brain& out) { out.bits = float_to_bfloat16(to_float_odd(x)); }
void narrow(double x, Bool& out) { out.bits = x != 0 ? 1 : 0; }
template <class T>
void narrow(double x, T& out) { out = static_cast<T>(wrap(x)); }

std::size_t demanded_bytes(DataType type, const Shape& shape) {
  const auto count = element_count(shape);
  demand(count.has_value(), "Tensor: the shape has a negative or huge dimension: " + to_string(shape));
  return static_cast<std::size_t>(*count) * size_of(type);
}

}  // namespace

std::size_t size_of(DataType type) {
  std::size_t size = 0;
  visit_type(type, [&](auto element) { size = sizeof(element); });
  return size;
}

std::string_view name_of(DataType type) {
  switch (type) {
    case DataType::float32: return "float32";
    case DataType::float64: return "float64";
    case DataType::float16: return "float16";
    case DataType::bfloat16: return "bfloat16";
    case DataType::int8: return "int8";
    case DataType::int16: return "int16";
    case DataType::int32: return "int32";
    case DataType::int64: return "int64";
    case DataType::uint8: return "uint8";
    case DataType::uint16: return "uint16";
    case DataType::uint32: return "uint32";
    case DataType::uint64: return "uint64";
    case DataType::boolean: return "bool";
  }
  throw ContractViolation("no such DataType: " + std::to_string(static_cast<int>(type)));
}

std::optional<std::int64_t> element_count(const Shape& shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (const auto d : shape) {
    if (d < 0) return std::nullopt;
    if (d == 0) { empty = true; continue; }  // the other dimensions must still be possible ones
    if (d > kMaxElements / count) return std::nullopt;
    count *= d;
  }
  return empty ? 0 : count;
}

std::string to_string(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const auto d : shape) {
    if (!text.empty()) text += 'x';
    text += d == -1 ? std::string("?") : std::to_string(d);
  }
  return text;
}

Tensor::Tensor(DataType type, Shape shape, std::string bytes) : type_(type), shape_(std::move(shape)) {
  const std::size_t needed = demanded_bytes(type_, shape_);
  demand(bytes.size() == needed, "Tensor: " + std::to_string(bytes.size()) + " bytes given, " + to_string(shape_) +
                                     " of " + std::string(name_of(type_)) + " needs " + std::to_string(needed));
  size_ = *element_count(shape_);
  bytes_ = std::make_shared<std::string>(std::move(bytes));
}

Tensor::Tensor(DataType type, Shape shape) : type_(type), shape_(std::move(shape)) {
  bytes_ = std::make_shared<std::string>(demanded_bytes(type_, shape_), '\0');
  size_ = *element_count(shape_);
}

std::vector<double> Tensor::to_doubles() const {
  std::vector<double> values(static_cast<std::size_t>(size_));
  visit_type(type_, [&](auto element) {
    const char* from = bytes().data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::memcpy(&element, from + i * sizeof(element), sizeof(element));
      values[i] = widen(element);
    }
  });
  return values;
}

std::vector<std::int64_t> Tensor::to_int64s() const {
  std::vector<std::int64_t> values(static_cast<std::size_t>(size_));
  visit_type(type_, [&](auto element) {
    const char* from = bytes().data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::memcpy(&element, from + i * sizeof(element), sizeof(element));
      if constexpr (std::is_integral_v<decltype(element)>) values[i] = static_cast<std::int64_t>(element);
      else values[i] = saturate(widen(element));
    }
  });
  return values;
}

Tensor Tensor::from_doubles(DataType type, Shape shape, const std::vector<double>& values) {
  Tensor tensor(type, std::move(shape));
  demand(values.size() == static_cast<std::size_t>(tensor.size_),
         "Tensor::from_doubles: " + std::to_string(values.size()) + " values for " + to_string(tensor.shape_));
  visit_type(type, [&](auto element) {
    char* to = tensor.bytes_->data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      narrow(values[i], element);
      std::memcpy(to + i * sizeof(element), &element, sizeof(element));
    }
  });
  return tensor;
}

Tensor Tensor::from_int64s(DataType type, Shape shape, const std::vector<std::int64_t>& values) {
  if (is_floating(type) && type != DataType::float32) {
    return from_doubles(type, std::move(shape), {values.begin(), values.end()});
  }
  Tensor tensor(type, std::move(shape));
  demand(values.size() == static_cast<std::size_t>(tensor.size_),
         "Tensor::from_int64s: " + std::to_string(values.size()) + " values for " + to_string(tensor.shape_));
  visit_type(type, [&](auto element) {
    char* to = tensor.bytes_->data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<decltype(element), Bool>) element.bits = values[i] != 0 ? 1 : 0;
      else if constexpr (std::is_arithmetic_v<decltype(element)>) element = static_cast<decltype(element)>(values[i]);
      std::memcpy(to + i * sizeof(element), &element, sizeof(element));
    }
  });
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  const auto count = element_count(shape);
  demand(count == size_, "Tensor::reshaped: " + to_string(shape_) + " has not as many elements as " +
                             to_string(shape));
  Tensor copy = *this;
  copy.shape_ = std::move(shape);
  return copy;
}

void Tensor::check_width(std::size_t bytes) const {
  demand(bytes == size_of(type_), "Tensor: elements are " + std::string(name_of(type_)) + ", read with a width of " +
                                      std::to_string(bytes) + " bytes");
}

void Tensor::unshare() {
  if (!bytes_) bytes_ = std::make_shared<std::string>();
  else if (bytes_.use_count() > 1) bytes_ = std::make_shared<std::string>(*bytes_);
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;  // exact
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

std::uint16_t float_to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU);  // NaN stays NaN
  if (magnitude >= 0x477FF000U) return sign | 0x7C00U;  // 65520 and above round to infinity
  if (magnitude < 0x38800000U) {                        // below 2^-14: subnormal, a multiple of 2^-24
    // Adding 2^-1 pushes the value's last kept bit (2^-24) to the unit in the last place of the sum: the hardware rounds.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(sum) - 0x3F000000U);
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return sign | static_cast<std::uint16_t>((rounded >> 13) - (112U << 10));
}

float bfloat16_to_float(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t float_to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

std::string Graph::place(const Node& node) const { return printable(source + ": node " + node.name + " (" + node.op + ")"); }

}  // namespace boundlight
