#include "boundlight/solver/spec/robustness.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "boundlight/solver/spec/vnnlib.hpp"

namespace boundlight {
namespace {

// A JSON value whose numbers keep their spelling: the library's own tree would round them to doubles.
struct Value {
  enum Kind { null, boolean, number, text, array, object } kind = null;
  bool yes = false;
  std::string spelled;  // of numbers and texts
  std::vector<Value> items;
  std::vector<std::string> keys;  // of an object: the names of its items
};

class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Value root;
  std::string problem;

  bool null() override { return put({}); }
  bool boolean(bool b) override { Value v; v.kind = Value::boolean; v.yes = b; return put(std::move(v)); }
  bool number_integer(number_integer_t n) override { return number(std::to_string(n)); }
  bool number_unsigned(number_unsigned_t n) override { return number(std::to_string(n)); }
  bool number_float(number_float_t, const string_t& spelled) override { return number(spelled); }
  bool string(string_t& s) override { Value v; v.kind = Value::text; v.spelled = s; return put(std::move(v)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return start(Value::object); }
  bool start_array(std::size_t) override { return start(Value::array); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t& k) override { key_ = k; return true; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {  // whose words quote the text
    problem = "is no valid JSON from byte " + std::to_string(at) + " on; correct the file";
    return false;
  }

 private:
  bool number(std::string spelled) { Value v; v.kind = Value::number; v.spelled = std::move(spelled); return put(std::move(v)); }
  bool put(Value v) {
    if (open_.empty()) root = std::move(v);
    else if (open_.back().second.kind == Value::array) open_.back().second.items.push_back(std::move(v));
    else open_.back().second.keys.push_back(key_), open_.back().second.items.push_back(std::move(v));
    return true;
  }
  bool start(Value::Kind kind) {
    if (open_.size() >= 8) {
      problem = "nested deeper than 8 levels";
      return false;
    }
    Value v;
    v.kind = kind;
    open_.emplace_back(key_, std::move(v));
    return true;
  }
  bool end() {
    auto [name, v] = std::move(open_.back());
    open_.pop_back();
    key_ = name;
    return put(std::move(v));
  }

  std::vector<std::pair<std::string, Value>> open_;
  std::string key_;
};

// 0.02, or "2/255"
std::optional<Rational> rational(const Value& v) {
  if (v.kind == Value::number) return parse_decimal(v.spelled);
  if (v.kind != Value::text) return std::nullopt;
  const std::size_t slash = v.spelled.find('/');
  if (slash == std::string::npos) return parse_decimal(v.spelled);
  const auto top = parse_decimal(v.spelled.substr(0, slash)), bottom = parse_decimal(v.spelled.substr(slash + 1));
  if (!top || !bottom || *bottom == 0) return std::nullopt;
  return *top / *bottom;
}

bool flatten(const Value& v, std::vector<Rational>& into) {
  if (v.kind == Value::array) {
    for (const Value& item : v.items)
      if (!flatten(item, into)) return false;
    return true;
  }
  const auto q = rational(v);
  if (q) into.push_back(*q);
  return q.has_value();
}

std::optional<std::int64_t> integer(const Value& v) {
  const auto q = v.kind == Value::number ? parse_decimal(v.spelled) : std::nullopt;
  if (!q || boost::multiprecision::denominator(*q) != 1 || abs(*q) > 1'000'000'000) return std::nullopt;
  return static_cast<std::int64_t>(boost::multiprecision::numerator(*q));
}

// One field into the struct; a message when it is wrong.
std::string field(const std::string& key, const Value& v, Robustness& r, const ImageReader& read_image, bool& has_image) {
  const auto number_into = [&](Rational& q) {
    const auto parsed = rational(v);
    if (parsed) q = *parsed;
    return parsed ? "" : "must be a number or a fraction such as \"2/255\"";
  };
  const auto list_into = [&](std::vector<Rational>& list) {
    list.clear();
    return flatten(v, list) && !list.empty() ? "" : "must be a number or a list of numbers, one per channel";
  };
  const auto index_into = [&](std::int64_t& i) {
    const auto parsed = integer(v);
    if (parsed) i = *parsed;
    return parsed && i >= 0 ? "" : "must be a whole number, 0 or more";
  };
  if (key == "property") return v.kind == Value::text && v.spelled == "robustness" ? "" : "must be \"robustness\"";
  if (key == "image") {
    has_image = true;
    if (v.kind == Value::array) return flatten(v, r.image) ? "" : "must hold numbers only";
    if (v.kind != Value::text) return "must be a list of numbers or the name of a file";
    if (!read_image) return "names a file, but no reader of images is at hand; give the numbers";
    const auto pixels = read_image(v.spelled);
    if (!pixels.ok()) return "cannot be read: " + pixels.error().text();
    for (const double p : pixels.value()) {
      if (!std::isfinite(p)) return "holds a pixel that is not finite";
      r.image.push_back(exact(p));
    }
    return "";
  }
  if (key == "eps") return number_into(r.eps);
  if (key == "scale") return number_into(r.scale);
  if (key == "margin") return number_into(r.margin);
  if (key == "mean") return list_into(r.mean);
  if (key == "std") return list_into(r.std_deviation);
  if (key == "label") return index_into(r.label);
  if (key == "classes") return index_into(r.classes);
  if (key == "clip") {
    std::vector<Rational> ends;
    if (v.kind == Value::null) { r.clip.reset(); return ""; }
    if (v.kind != Value::array || !flatten(v, ends) || ends.size() != 2 || ends[0] > ends[1]) return "must be [low, high] or null";
    r.clip = {ends[0], ends[1]};
    return "";
  }
  if (key == "targets") {
    for (const Value& item : v.items) r.targets.push_back(integer(item).value_or(-1));
    return v.kind == Value::array && !v.items.empty() ? "" : "must be a list of class numbers";
  }
  if (key == "channels" || key == "tie") {
    const bool channels = key == "channels";
    const std::string off = channels ? "first" : "violates", on = channels ? "last" : "allowed";
    if (v.kind != Value::text || (v.spelled != off && v.spelled != on)) return "must be \"" + off + "\" or \"" + on + "\"";
    (channels ? r.channels_last : r.ties_allowed) = v.spelled == on;
    return "";
  }
  return "is not a known field; known are property, image, scale, eps, clip, mean, std, channels, label, classes, targets, margin, tie";
}

}  // namespace

Result<Property> robustness_property(const Robustness& r, const std::string& source) {
  const auto wrong = [&](const std::string& message) { return Error{ErrorKind::bad_input, source, message}; };
  const std::size_t n = r.image.size();
  if (n == 0) return wrong("the image has no pixels");
  if (r.eps < 0) return wrong("eps is negative");
  if (r.classes < 2) return wrong("classes must be at least 2: the number of outputs of the model");
  if (r.label < 0 || r.label >= r.classes) return wrong("label " + std::to_string(r.label) + " is not among the " + std::to_string(r.classes) + " classes");
  const std::size_t channels = std::max<std::size_t>({1, r.mean.size(), r.std_deviation.size()});
  if (n % channels != 0) return wrong("the image's " + std::to_string(n) + " numbers do not divide into " + std::to_string(channels) + " channels");
  for (const auto* list : {&r.mean, &r.std_deviation})
    if (list->size() > 1 && list->size() != channels) return wrong("mean and std must have one number, or one per channel, both");
  for (const Rational& s : r.std_deviation)
    if (s <= 0) return wrong("std must be positive");
  std::vector<Rational> lower(n), upper(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Rational p = r.image[i] * r.scale;
    lower[i] = p - r.eps;
    upper[i] = p + r.eps;
    if (r.clip) {
      lower[i] = std::max(lower[i], r.clip->first);
      upper[i] = std::min(upper[i], r.clip->second);
    }
    if (lower[i] > upper[i])
      return wrong("pixel " + std::to_string(i) + " lies further than eps outside of the clip range; check scale and clip");
    const std::size_t c = r.channels_last ? i % channels : i / (n / channels);
    for (Rational* end : {&lower[i], &upper[i]}) {
      if (!r.mean.empty()) *end -= r.mean[r.mean.size() == 1 ? 0 : c];
      if (!r.std_deviation.empty()) *end /= r.std_deviation[r.std_deviation.size() == 1 ? 0 : c];
    }
  }
  PropertyBuilder builder(static_cast<std::int64_t>(n), r.classes);
  builder.named(source);
  const std::size_t box = builder.box(std::move(lower), std::move(upper));
  std::vector<std::int64_t> targets = r.targets;
  if (targets.empty())
    for (std::int64_t k = 0; k < r.classes; ++k)
      if (k != r.label) targets.push_back(k);
  for (const std::int64_t k : targets) {
    if (k < 0 || k >= r.classes || k == r.label) return wrong("target " + std::to_string(k) + " is not a class other than the label");
    builder.disjunct(box, {margin_constraint(k, r.label, r.margin, r.ties_allowed)});
  }
  return std::move(builder).build();
}

Result<Robustness> parse_robustness_json(std::string_view text, const std::string& source, const ImageReader& read_image) {
  Reader reader;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader))
    return Error{ErrorKind::bad_input, source, reader.problem.empty() ? "is no valid JSON" : reader.problem};
  if (reader.root.kind != Value::object) return Error{ErrorKind::bad_input, source, "the file must hold one JSON object"};
  Robustness r;
  bool has_image = false;
  std::map<std::string, int> seen;
  for (std::size_t i = 0; i < reader.root.keys.size(); ++i) {
    const std::string& key = reader.root.keys[i];
    const Value& value = reader.root.items[i];
    if (seen[key]++) return Error{ErrorKind::bad_input, source + ": " + key, "is given twice"};
    const std::string problem = field(key, value, r, read_image, has_image);
    if (!problem.empty()) return Error{ErrorKind::bad_input, source + ": " + key, problem};
  }
  for (const char* key : {"property", "image", "eps", "label", "classes"})
    if (!seen.count(key)) return Error{ErrorKind::bad_input, source, std::string("the field \"") + key + "\" is missing"};
  return r;
}

}  // namespace boundlight
