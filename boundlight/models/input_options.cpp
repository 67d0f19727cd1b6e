#include "boundlight/models/input_options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"

namespace boundlight {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMostJsonBytes = std::uint64_t{1} << 24;
constexpr std::int64_t kMostSide = 1 << 20;

std::optional<double> plain_number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Ratio> ratio_of(std::string_view text) {
  const auto slash = text.find('/');
  const auto over = plain_number(text.substr(0, slash));
  const auto under = slash == std::string_view::npos ? std::optional(1.0) : plain_number(text.substr(slash + 1));
  if (!over || !under || !(*over > 0) || !(*under > 0)) return std::nullopt;
  return Ratio{*over, *under};
}

std::optional<std::vector<double>> numbers_of(std::string_view text) {
  std::vector<double> values;
  for (;;) {
    const auto comma = text.find(',');
    const auto value = plain_number(text.substr(0, comma));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

// "28x28" or, where three are allowed, "32x32x3".
std::optional<ImageSize> size_of_text(std::string_view text, bool with_channels) {
  std::vector<std::int64_t> sides;
  for (;;) {
    const auto cross = text.find('x');
    const auto part = text.substr(0, cross);
    std::int64_t side = 0;
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), side);
    if (part.empty() || problem != std::errc() || end != part.data() + part.size() || side < 1 || side > kMostSide) return std::nullopt;
    sides.push_back(side);
    if (cross == std::string_view::npos) break;
    text.remove_prefix(cross + 1);
  }
  if (sides.size() == 2) return ImageSize{sides[0], sides[1], 0};
  if (sides.size() == 3 && with_channels) return ImageSize{sides[0], sides[1], sides[2]};
  return std::nullopt;
}

std::optional<Layout> layout_of(std::string_view text) {
  if (text == "auto") return Layout::automatic;
  if (text == "nchw") return Layout::nchw;
  if (text == "nhwc") return Layout::nhwc;
  if (text == "flat") return Layout::flat;
  return std::nullopt;
}

bool all_positive(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return x > 0; });
}

// Puts `value` into `slot`; false when there is none.
template <class T>
bool keep(std::optional<T>& slot, const std::optional<T>& value) {
  if (value) slot = value;
  return value.has_value();
}

bool set_from_text(InputOptions& options, std::string_view name, std::string_view text) {
  if (name == "scale") return keep(options.scale, ratio_of(text));
  if (name == "layout") return keep(options.layout, layout_of(text));
  if (name == "image") return keep(options.image, size_of_text(text, true));
  if (name == "resize") return keep(options.resize, text == "auto" ? std::optional(ImageSize{}) : size_of_text(text, false));
  if (name == "channels") {
    if (text != "rgb" && text != "bgr") return false;
    options.channels = text == "rgb" ? ChannelOrder::rgb : ChannelOrder::bgr;
    return true;
  }
  demand(name == "mean" || name == "std", "set_input_option: no option " + std::string(name));
  auto values = numbers_of(text);
  if (!values || (name == "std" && !all_positive(*values))) return false;
  (name == "std" ? options.std : options.mean) = std::move(*values);
  return true;
}

std::string expectation(std::string_view name) {
  if (name == "scale") return "a positive number or a fraction such as 1/255";
  if (name == "layout") return "auto, nchw, nhwc or flat";
  if (name == "image") return "a size such as 28x28 or 32x32x3";
  if (name == "resize") return "auto or a size such as 224x224";
  if (name == "channels") return "rgb or bgr";
  if (name == "std") return "one positive number, or one per channel";
  if (name == "mean") return "one number, or one per channel";
  return "a list of texts";
}

bool is_text_list(const Json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
}

// The command-line text that says the same as a field's JSON value; nothing for other types.
std::optional<std::string> as_text(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (name == "resize" && value.is_boolean() && value.get<bool>()) return "auto";
  const bool sizes = name == "image" || name == "resize";
  if (!sizes && name != "scale" && name != "mean" && name != "std") return std::nullopt;
  if (value.is_number() && !sizes) return value.dump();
  if (!value.is_array() || value.empty() || name == "scale") return std::nullopt;
  std::string text;
  for (const auto& element : value) {
    if (!element.is_number()) return std::nullopt;
    if (!text.empty()) text += sizes ? 'x' : ',';
    text += element.dump();
  }
  return text;
}

// "4:12" of a byte offset.
std::string line_and_column(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset == 0 ? 0 : offset - 1, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto start = before.rfind('\n');
  const auto column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return std::to_string(line) + ":" + std::to_string(column);
}

Result<Json> parse_json(std::string_view text, const std::string& source) {
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& e) {
    return bad_input(source + ":" + line_and_column(text, e.byte), "is no valid JSON from here on; correct the file");
  } catch (const Json::exception&) {
    return bad_input(source, "holds a number that is too large; correct the file");
  }
}

}  // namespace

Result<void> set_input_option(InputOptions& options, std::string_view name, std::string_view text) {
  if (set_from_text(options, name, text)) return {};
  return bad_input("option --" + std::string(name), "the text \"" + std::string(text) + "\" is not understood; give " + expectation(name));
}

InputOptions merged(const InputOptions& weaker, const InputOptions& stronger) {
  InputOptions result = stronger;
  if (!result.scale) result.scale = weaker.scale;
  if (result.mean.empty()) result.mean = weaker.mean;
  if (result.std.empty()) result.std = weaker.std;
  if (!result.layout) result.layout = weaker.layout;
  if (!result.image) result.image = weaker.image;
  if (!result.resize) result.resize = weaker.resize;
  if (!result.channels) result.channels = weaker.channels;
  if (result.labels.empty()) result.labels = weaker.labels;
  return result;
}

std::filesystem::path side_file_of(const std::filesystem::path& model) {
  return model.parent_path() / (model.stem().string() + ".boundlight.json");
}

Result<InputOptions> load_side_file(const std::filesystem::path& model) {
  const auto path = side_file_of(model);
  std::error_code problem;
  if (!std::filesystem::exists(path, problem)) return InputOptions{};
  BL_TRY(text, read_file(path, kMostJsonBytes));
  return parse_side_file(text, path.string());
}

Result<InputOptions> parse_side_file(std::string_view text, const std::string& source) {
  BL_TRY(json, parse_json(text, source));
  if (!json.is_object()) return bad_input(source, "must be a JSON object with fields such as \"mean\" and \"std\"; see docs/inputs.md");
  static constexpr std::string_view kNames[] = {"scale", "mean", "std", "layout", "image", "resize", "channels", "labels"};
  InputOptions options;
  for (const auto& [name, value] : json.items()) {
    const std::string where = source + ": " + name;
    if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames)) {
      return bad_input(where, "is no field that is known; there are scale, mean, std, layout, image, resize, channels and labels");
    }
    if (name == "labels") {
      if (!is_text_list(value)) return bad_input(where, "is not understood; give " + expectation(name));
      options.labels = value.get<std::vector<std::string>>();
      continue;
    }
    const auto words = as_text(name, value);
    if (!words || !set_from_text(options, name, *words)) return bad_input(where, "is not understood; give " + expectation(name));
  }
  return options;
}

Result<std::vector<std::string>> load_labels(const std::filesystem::path& path) {
  BL_TRY(text, read_file(path, kMostJsonBytes));
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return bad_input(path.string(), "holds no labels; give one name per line or a JSON list");
  if (!is_utf8(text)) return bad_input(path.string(), "is not UTF-8 text; save it as UTF-8");
  if (text[first] == '[') {
    BL_TRY(json, parse_json(text, path.string()));
    if (!is_text_list(json)) return bad_input(path.string(), "is not understood; give one name per line or a JSON list of texts");
    return json.get<std::vector<std::string>>();
  }
  std::vector<std::string> labels;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    labels.emplace_back(line);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  return labels;
}

}  // namespace boundlight
