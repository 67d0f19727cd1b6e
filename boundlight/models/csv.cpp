// Comma-separated numbers: one row per line, fields separated by commas, semicolons, tabs or blanks. Blank lines and lines
// that begin with # are skipped, and so is a first line without any number (column names).
#include <charconv>

#include "boundlight/models/array.hpp"
#include "boundlight/models/errors.hpp"

namespace boundlight {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The fields of a line. Commas or semicolons separate when there are any, otherwise runs of blanks do.
std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  const char mark = line.find(',') != std::string_view::npos ? ',' : line.find(';') != std::string_view::npos ? ';' : ' ';
  if (mark == ' ') {
    while (!(line = trimmed(line)).empty()) {
      std::size_t n = 0;
      while (n < line.size() && !is_blank(line[n])) ++n;
      fields.push_back(line.substr(0, n));
      line.remove_prefix(n);
    }
    return fields;
  }
  for (;;) {
    const auto n = line.find(mark);
    fields.push_back(trimmed(line.substr(0, n)));
    if (n == std::string_view::npos) return fields;
    line.remove_prefix(n + 1);
  }
}

std::optional<double> number_of(std::string_view field) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
  double value = 0;
  const auto [end, problem] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (problem != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<Tensor> decode_csv(std::string_view bytes, const std::string& source) {
  std::vector<double> values;
  std::int64_t rows = 0, columns = 0, number = 0;
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  bool first = true;
  while (!bytes.empty()) {
    const auto n = bytes.find('\n');
    const auto line = trimmed(bytes.substr(0, n));
    bytes.remove_prefix(n == std::string_view::npos ? bytes.size() : n + 1);
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::string where = source + ":" + std::to_string(number);
    const auto fields = fields_of(line);
    std::vector<std::optional<double>> row;
    std::size_t numbers = 0;
    for (const auto field : fields) {
      row.push_back(number_of(field));
      if (row.back()) ++numbers;
    }
    const bool names = first && numbers == 0;
    first = false;
    if (names) continue;
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (!row[c]) return bad_input(where, "column " + std::to_string(c + 1) + " holds \"" + std::string(fields[c].substr(0, 40)) + "\", which is no number of double precision; correct the file");
      values.push_back(*row[c]);
    }
    if (rows > 0 && static_cast<std::int64_t>(row.size()) != columns) {
      return bad_input(where, "has " + std::to_string(row.size()) + " numbers, the rows above have " + std::to_string(columns) + "; correct the file");
    }
    columns = static_cast<std::int64_t>(row.size());
    ++rows;
  }
  if (rows == 0) return bad_input(source, "holds no numbers; give one row of numbers per line");
  return Tensor::from_doubles(DataType::float64, {rows, columns}, values);
}

}  // namespace boundlight
