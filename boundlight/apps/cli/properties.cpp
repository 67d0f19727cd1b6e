#include "boundlight/apps/cli/properties.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/spec/robustness.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"

namespace boundlight::cli {
namespace {

Error bad_property(const std::string& place, const std::string& what) { return {ErrorKind::bad_input, place, what}; }

std::string ending(const std::string& path) {
  std::string e = std::filesystem::path(path).extension().string();
  std::transform(e.begin(), e.end(), e.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return e;
}

const NetworkValue& only_input(const Network& network) { return network.values[static_cast<std::size_t>(network.inputs[0])]; }

std::int64_t size_of_output(const Network& network) { return network.values[static_cast<std::size_t>(network.outputs[0])].size; }

// The numbers of a file as they stand there, in the order of the model's input.
ImageReader reader_of(const std::filesystem::path& folder, const Network& network, InputOptions options) {
  options.scale = Ratio{1, 1};
  options.mean = {0};
  options.std = {1};
  const Shape shape = only_input(network).shape;
  return [=](const std::string& name) -> Result<std::vector<double>> {
    const std::filesystem::path path(name);
    BL_TRY(sample, load_input((path.is_absolute() ? path : folder / path).string(), shape, options));
    return std::move(sample.pixels);
  };
}

}  // namespace

Result<Rational> parse_radius(const std::string& option, const std::string& text) {
  const auto slash = text.find('/');
  const auto over = parse_decimal(std::string_view(text).substr(0, slash));
  const auto under = slash == std::string::npos ? std::optional(Rational(1)) : parse_decimal(std::string_view(text).substr(slash + 1));
  if (!over || !under || *under == 0) return bad_property("option " + option, "'" + text + "' is not a number or a fraction such as 2/255");
  const Rational q = *over / *under;
  if (q < 0) return bad_property("option " + option, "'" + text + "' is negative; a radius is 0 or more");
  return q;
}

CLI::Validator seconds() {
  return CLI::Validator(
      [](std::string& text) {
        const auto x = parse_number("", text);
        return x.ok() && std::isfinite(*x) && *x >= 0 ? std::string() : "'" + text + "' is not a number of seconds, 0 or more";
      },
      "SECONDS");
}

Result<Property> load_property(const std::string& path, const Network& network, const InputOptions& options) {
  if (ending(path) != ".json") return read_vnnlib(path);
  if (network.inputs.size() != 1) return bad_property(path, "a property of an image needs a model with one input");
  BL_TRY(text, read_file(path, std::uint64_t{1} << 30));
  BL_TRY(robustness, parse_robustness_json(text, path, reader_of(std::filesystem::path(path).parent_path(), network, options)));
  if (robustness.classes != size_of_output(network))
    return bad_property(path + ": classes", "is " + std::to_string(robustness.classes) + ", the model has " + std::to_string(size_of_output(network)) + " outputs");
  BL_TRY(property, robustness_property(robustness, path));
  property.sha256 = sha256_hex(text);
  return std::move(property);
}

Result<std::int64_t> parse_class(const std::string& option, const std::string& text, const std::vector<std::string>& labels, std::int64_t classes) {
  const auto named = std::find(labels.begin(), labels.end(), text);
  if (named != labels.end()) return named - labels.begin();
  const auto q = parse_decimal(text);
  if (!q || boost::multiprecision::denominator(*q) != 1 || *q < 0)
    return bad_property("option " + option, "'" + text + "' is no class: give its number, from 0, or a name of --labels");
  if (*q >= classes) return bad_property("option " + option, "class " + text + " is not among the model's " + std::to_string(classes) + " classes, 0 to " + std::to_string(classes - 1));
  return static_cast<std::int64_t>(boost::multiprecision::numerator(*q));
}

Result<Property> ball_property(const PreparedInput& sample, const RegionArguments& region, const Rational& eps, std::int64_t label, std::int64_t target,
                               std::int64_t classes, const std::string& title) {
  if (region.norm != "linf") return bad_property("option --norm", "verdicts are about linf balls; " + region.norm + " balls are for the command bounds");
  BL_TRY(ball, ball_of(sample, region, 0));
  const std::size_t n = sample.pixels.size();
  std::vector<Rational> lower(n), upper(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Rational p = exact(sample.pixels[i]), mean = exact(ball.mean[i]), deviation = exact(ball.deviation[i]);
    Rational low = p - eps, high = p + eps;
    if (ball.clip) low = std::max(low, exact(ball.clip->first)), high = std::min(high, exact(ball.clip->second));
    if (low > high) return bad_property("option --clip", "pixel " + std::to_string(i) + " lies further than eps outside of the range; check --clip and --scale");
    lower[i] = (low - mean) / deviation;
    upper[i] = (high - mean) / deviation;
  }
  PropertyBuilder builder(static_cast<std::int64_t>(n), classes);
  builder.named(title);
  const std::size_t box = builder.box(std::move(lower), std::move(upper));
  if (target == label) return bad_property("option --target", "class " + std::to_string(target) + " is the label itself");
  for (std::int64_t k = 0; k < classes; ++k)
    if (k != label && (target < 0 || k == target)) builder.disjunct(box, {margin_constraint(k, label)});
  return std::move(builder).build();
}

Result<std::int64_t> predicted_class(Engine& engine, const std::vector<double>& input) {
  BL_TRY(values, engine.evaluate(input, 1, {engine.network().logits}, Precision::dual));
  return std::max_element(values[0].begin(), values[0].end()) - values[0].begin();
}

Result<Picture> picture_of_input(const Network& network, const InputOptions& options, const std::vector<double>& input) {
  if (network.inputs.size() != 1) return Error{ErrorKind::unsupported, network.source, "a model with several inputs has no picture"};
  BL_TRY(form, infer_form(only_input(network).shape, options, network.source));
  if (!form.image || (form.channels != 1 && form.channels != 3 && form.channels != 4))
    return Error{ErrorKind::unsupported, network.source, "its input is no image of 1, 3 or 4 channels; --image or --layout says how it is one"};
  InputMap map{form, options.mean.empty() ? std::vector<double>{0} : options.mean, options.std.empty() ? std::vector<double>{1} : options.std};
  std::vector<double> pixels(input.size());
  for (std::size_t i = 0; i < input.size(); ++i) pixels[i] = map.pixel(static_cast<std::int64_t>(i), input[i]);
  // A model that takes bytes (scale 1) has pixels up to 255.
  const double high = options.scale && options.scale->over == options.scale->under ? 255 : 1;
  return picture_of(form, pixels, high);
}

Result<void> save_input(const std::string& path, const Network& network, const InputOptions& options, const std::vector<double>& input) {
  const std::string end = ending(path);
  if (end == ".png") {
    BL_TRY(picture, picture_of_input(network, options, input));
    return write_file(path, encode_png(picture));
  }
  if (end != ".npy") return bad_property("option --save-input", "'" + path + "' must end in .npy (exact) or .png (rounded to 8 bits)");
  Shape shape{static_cast<std::int64_t>(input.size())};
  if (network.inputs.size() == 1) shape = only_input(network).shape;
  const bool single = std::all_of(input.begin(), input.end(), [](double x) { return static_cast<double>(static_cast<float>(x)) == x; });
  return write_file(path, encode_npy(Tensor::from_doubles(single ? DataType::float32 : DataType::float64, shape, input)));
}

}  // namespace boundlight::cli
