// The .npy format (numpy.lib.format): magic, version, header length, a Python dictionary literal, the elements.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/npy_header.hpp"

namespace boundlight {
namespace {

// Reads just the dictionaries that NumPy writes: strings, True/False and tuples of whole numbers.
class Dictionary {
 public:
  explicit Dictionary(std::string_view text) : text_(text) {}

  struct Fields {
    std::optional<std::string> descr;  // "(" when it is no plain string: a structured type
    std::optional<bool> fortran;
    std::optional<Shape> shape;
  };

  std::optional<Fields> read() {
    Fields fields;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const auto key = string();
      if (!key || !take(':')) return std::nullopt;
      if (*key == "descr") {
        skip();
        if (!text_.empty() && text_[0] == '[') { fields.descr = "["; return fields; }
        if (!(fields.descr = string())) return std::nullopt;
      } else if (*key == "fortran_order") {
        if (!(fields.fortran = boolean())) return std::nullopt;
      } else if (*key == "shape") {
        if (!(fields.shape = tuple())) return std::nullopt;
      } else {
        return std::nullopt;
      }
      if (!take(',')) {
        if (!take('}')) return std::nullopt;
        break;
      }
    }
    skip();
    return text_.empty() ? std::optional(fields) : std::nullopt;
  }

 private:
  void skip() { while (!text_.empty() && std::isspace(static_cast<unsigned char>(text_[0]))) text_.remove_prefix(1); }

  bool take(char c) {
    skip();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<std::string> string() {
    skip();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return std::nullopt;
    const auto end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }

  std::optional<bool> boolean() {
    skip();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.starts_with(word)) {
        text_.remove_prefix(word.size());
        return value;
      }
    }
    return std::nullopt;
  }

  std::optional<Shape> tuple() {
    Shape shape;
    if (!take('(')) return std::nullopt;
    while (!take(')')) {
      skip();
      std::int64_t value = 0;
      const auto [end, problem] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (problem != std::errc()) return std::nullopt;
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      if (!text_.empty() && text_[0] == 'L') text_.remove_prefix(1);  // Python 2
      shape.push_back(value);
      if (!take(',')) {
        if (!take(')')) return std::nullopt;
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
};

std::optional<DataType> type_of(std::string_view code) {
  static constexpr std::pair<std::string_view, DataType> kCodes[] = {
      {"f2", DataType::float16}, {"f4", DataType::float32}, {"f8", DataType::float64}, {"b1", DataType::boolean},
      {"i1", DataType::int8},    {"i2", DataType::int16},   {"i4", DataType::int32},   {"i8", DataType::int64},
      {"u1", DataType::uint8},   {"u2", DataType::uint16},  {"u4", DataType::uint32},  {"u8", DataType::uint64},
  };
  for (const auto& [name, type] : kCodes) if (name == code) return type;
  return std::nullopt;
}

std::string code_of(DataType type) {
  const char kind = type == DataType::boolean ? 'b' : is_floating(type) ? 'f' : type >= DataType::uint8 ? 'u' : 'i';
  const std::size_t size = size_of(type);
  return std::string(size == 1 ? "|" : "<") + kind + std::to_string(size);
}

// Fills header.type and header.swapped from a type code such as "<f4".
Result<void> settle_npy_type(const std::string& descr, NpyHeader& header, const std::string& source) {
  if (descr == "[") return unsupported(source, "holds records, which is not supported; save its columns as plain arrays");
  if (descr.find('O') != std::string::npos) return unsupported(source, "holds Python objects, which are not read; save it as a plain array of numbers");
  const std::string_view order("<>|=");
  const bool prefixed = !descr.empty() && order.find(descr[0]) != std::string_view::npos;
  const auto type = type_of(std::string_view(descr).substr(prefixed ? 1 : 0));
  if (!type) return unsupported(source, "holds elements of type \"" + descr + "\", which is not supported; save it as float32, float64 or uint8");
  header.type = *type;
  header.swapped = prefixed && descr[0] == '>' && size_of(*type) > 1;
  return {};
}

void swap_bytes(std::string& data, std::size_t width) {
  for (std::size_t i = 0; i + width <= data.size(); i += width) std::reverse(data.begin() + static_cast<std::ptrdiff_t>(i), data.begin() + static_cast<std::ptrdiff_t>(i + width));
}

// Column order (first axis fastest) to row order.
std::string row_ordered(const std::string& data, const Shape& shape, std::size_t width) {
  std::string out(data.size(), '\0');
  const std::size_t rank = shape.size();
  std::vector<std::size_t> stride(rank, width);  // in bytes, of the column order
  for (std::size_t a = 1; a < rank; ++a) stride[a] = stride[a - 1] * static_cast<std::size_t>(shape[a - 1]);
  Shape at(rank, 0);
  std::size_t from = 0;
  for (std::size_t to = 0; to < out.size(); to += width) {
    std::memcpy(out.data() + to, data.data() + from, width);
    for (std::size_t a = rank; a-- > 0;) {  // the next index in row order
      from += stride[a];
      if (++at[a] < shape[a]) break;
      from -= stride[a] * static_cast<std::size_t>(shape[a]);
      at[a] = 0;
    }
  }
  return out;
}

}  // namespace

Result<NpyHeader> read_npy_header(std::string_view bytes, const std::string& source) {
  const auto damaged = [&](const char* what) { return bad_input(source, std::string("is a damaged .npy file (") + what + "); save it again"); };
  if (bytes.empty()) return bad_input(source, "is empty; save the array again");
  if (!bytes.starts_with("\x93NUMPY")) return bad_input(source, "is not an .npy file; save the array with numpy.save");
  if (bytes.size() < 10) return damaged("cut short");
  const auto byte = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])); };
  const auto version = byte(6);
  if (version < 1 || version > 3) return unsupported(source, "has .npy format version " + std::to_string(version) + ", 1 to 3 are known; save it with another NumPy");
  const std::size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) return damaged("cut short");
  const std::uint64_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > kMostNpyHeader) return damaged("its header is too long");
  if (length > bytes.size() - start) return damaged("cut short");
  const auto fields = Dictionary(bytes.substr(start, length)).read();
  if (!fields || !fields->descr) return damaged("its header cannot be read");
  NpyHeader header;
  BL_CHECK(settle_npy_type(*fields->descr, header, source));
  if (!fields->fortran || !fields->shape) return damaged("its header is incomplete");
  header.fortran = *fields->fortran;
  header.shape = *fields->shape;
  for (const auto d : header.shape) if (d < 0) return damaged("it has a negative dimension");
  const auto count = element_count(header.shape);
  if (!count) return damaged("its shape has more elements than any file can hold");
  if (header.shape.size() > 64) return damaged("it has more than 64 axes");
  header.data_offset = start + length;
  header.data_bytes = static_cast<std::uint64_t>(*count) * size_of(header.type);
  return header;
}

Tensor npy_tensor(const NpyHeader& header, Shape shape, std::string data) {
  const std::size_t width = size_of(header.type);
  if (header.swapped) swap_bytes(data, width);
  if (header.fortran && shape.size() > 1) data = row_ordered(data, shape, width);
  if (header.type == DataType::boolean) for (char& b : data) b = b != 0 ? 1 : 0;
  return Tensor(header.type, std::move(shape), std::move(data));
}

Result<Tensor> decode_npy(std::string_view bytes, const std::string& source, const ArrayOptions& options) {
  BL_TRY(header, read_npy_header(bytes, source));
  const std::uint64_t there = bytes.size() - header.data_offset;
  if (there != header.data_bytes) {
    return bad_input(source, "has " + std::to_string(there) + " bytes of data, " + to_string(header.shape) + " of " + std::string(name_of(header.type)) + " needs " + std::to_string(header.data_bytes) + "; save it again");
  }
  if (there > options.max_bytes) return too_big(source, "the array has " + std::to_string(there) + " bytes, more than the cap of " + std::to_string(options.max_bytes));
  return npy_tensor(header, header.shape, std::string(bytes.substr(header.data_offset)));
}

std::string encode_npy(const Tensor& array) {
  if (array.type() == DataType::bfloat16) return encode_npy(Tensor::from_doubles(DataType::float32, array.shape(), array.to_doubles()));
  std::string shape;
  for (const auto d : array.shape()) shape += std::to_string(d) + (array.shape().size() == 1 ? "," : ", ");
  if (array.shape().size() > 1) shape.resize(shape.size() - 2);
  std::string header = "{'descr': '" + code_of(array.type()) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  const std::size_t unpadded = 10 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');  // the data begins at a multiple of 64 bytes
  header += '\n';
  demand(header.size() < kMostNpyHeader, "encode_npy: too many axes");
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255U);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes += array.bytes();
  return bytes;
}

}  // namespace boundlight
