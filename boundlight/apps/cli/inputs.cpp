#include "boundlight/apps/cli/inputs.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace boundlight::cli {
namespace {

// "name=file" when the part before '=' is an input of the model.
std::pair<std::string, std::string> split_name(const Network& network, const std::string& text) {
  const auto equals = text.find('=');
  if (equals != std::string::npos)
    for (const ValueId id : network.inputs)
      if (network.values[static_cast<std::size_t>(id)].name == text.substr(0, equals)) return {text.substr(0, equals), text.substr(equals + 1)};
  return {"", text};
}

Error bad_input(const std::string& place, const std::string& what) { return {ErrorKind::bad_input, place, what}; }

}  // namespace

void add_input_options(CLI::App& app, InputArguments& a, bool required) {
  app.add_option("model", a.model, "ONNX file")->required()->type_name("MODEL");
  auto* input = app.add_option("--input,-i", a.inputs, "Image or array: cat.png, x.npy[3], data.npz:images[0:8], points.csv; NAME=FILE for models with several inputs");
  input->type_name("FILE")->allow_extra_args(false);
  if (required) input->required();
  static constexpr std::pair<const char*, const char*> kOptions[] = {
      {"scale", "Factor from the file's numbers to pixel units, e.g. 1/255"},
      {"mean", "Mean per channel: value = (pixel - mean) / std"},
      {"std", "Standard deviation per channel"},
      {"layout", "auto, nchw, nhwc or flat"},
      {"image", "How a flat input is an image: 28x28, 32x32x3"},
      {"resize", "Scale images: auto or HxW"},
      {"channels", "rgb or bgr"}};
  for (const auto& [name, help] : kOptions)
    app.add_option_function<std::string>(std::string("--") + name, [&a, name = std::string(name)](const std::string& text) { a.given.emplace_back(name, text); }, help)
        ->group("Input");
  app.add_option("--labels", a.labels, "Names of the classes: one per line, or a JSON list")->type_name("FILE")->group("Input");
}

Result<InputOptions> input_options(const InputArguments& a) {
  BL_TRY(side, load_side_file(a.model));
  InputOptions mine;
  for (const auto& [name, text] : a.given) BL_CHECK(set_input_option(mine, name, text));
  InputOptions all = merged(side, mine);
  if (!a.labels.empty()) {
    BL_TRY(labels, load_labels(a.labels));
    all.labels = std::move(labels);
  }
  return all;
}

Result<LoadedInputs> load_all_inputs(const Network& network, const InputArguments& a, const Output& output) {
  BL_TRY(options, input_options(a));
  const std::size_t count = network.inputs.size();
  if (a.inputs.size() != count)
    return bad_input("option --input", "the model has " + std::to_string(count) + " inputs, " + std::to_string(a.inputs.size()) + " were given" +
                                           (count > 1 ? "; give each as --input NAME=FILE" : ""));
  LoadedInputs loaded;
  loaded.labels = options.labels;
  std::vector<std::vector<PreparedInput>> per_input(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto [name, file] = split_name(network, a.inputs[i]);
    std::size_t k = i;
    for (std::size_t j = 0; j < count; ++j)
      if (network.values[static_cast<std::size_t>(network.inputs[j])].name == name) k = j;
    if (!per_input[k].empty()) return bad_input("option --input", "input " + name + " is given twice");
    BL_TRY(samples, load_inputs(file, network.values[static_cast<std::size_t>(network.inputs[k])].shape, options));
    if (output.text() && !samples.empty())
      for (const auto& line : samples[0].applied) std::fprintf(stderr, "input: %s\n", line.c_str());
    per_input[k] = std::move(samples);
  }
  loaded.batch = count == 0 ? 1 : static_cast<std::int64_t>(per_input[0].size());
  for (const auto& samples : per_input)
    if (static_cast<std::int64_t>(samples.size()) != loaded.batch) return bad_input("option --input", "the inputs have different numbers of samples");
  for (std::size_t b = 0; b < static_cast<std::size_t>(loaded.batch); ++b)
    for (const auto& samples : per_input) loaded.values.insert(loaded.values.end(), samples[b].values.begin(), samples[b].values.end());
  if (count == 1) loaded.samples = std::move(per_input[0]);
  return loaded;
}

void add_region_options(CLI::App& app, RegionArguments& a) {
  app.add_option("--eps", a.eps, "Radius in pixel units, may be a fraction: 2/255")->group("Region");
  app.add_option("--norm", a.norm, "linf, l2 or l1")->check(CLI::IsMember({"linf", "l2", "l1"}))->capture_default_str()->group("Region");
  app.add_option("--clip", a.clip, "Range of valid pixels LO,HI, or none (default: the input's natural range)")->group("Region");
}

Result<double> parse_number(const std::string& option, const std::string& text) {
  const auto number = [](std::string_view t) -> std::optional<double> {
    double x = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), x);
    if (error != std::errc() || end != t.data() + t.size()) return std::nullopt;
    return x;
  };
  const auto slash = text.find('/');
  const auto over = number(std::string_view(text).substr(0, slash));
  const auto under = slash == std::string::npos ? std::optional(1.0) : number(std::string_view(text).substr(slash + 1));
  if (!over || !under || *under == 0) return bad_input("option " + option, "'" + text + "' is not a number or a fraction such as 2/255");
  return *over / *under;
}

Result<PixelBall> ball_of(const PreparedInput& sample, const RegionArguments& a, double eps) {
  PixelBall ball;
  ball.pixel = sample.pixels;
  ball.eps = eps;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(sample.pixels.size()); ++i) {
    ball.mean.push_back(sample.map.mean_of(i));
    ball.deviation.push_back(sample.map.std_of(i));
  }
  if (a.clip.empty()) {
    if (sample.range) ball.clip = {sample.range->lo, sample.range->hi};
  } else if (a.clip != "none") {
    const auto comma = a.clip.find(',');
    if (comma == std::string::npos) return bad_input("option --clip", "'" + a.clip + "' is not LO,HI or none");
    BL_TRY(low, parse_number("--clip", a.clip.substr(0, comma)));
    BL_TRY(high, parse_number("--clip", a.clip.substr(comma + 1)));
    if (!(low <= high)) return bad_input("option --clip", "the range " + a.clip + " is empty");
    ball.clip = {low, high};
  }
  return ball;
}

std::string class_name(const std::vector<std::string>& labels, std::int64_t k) {
  if (k < 0 || k >= static_cast<std::int64_t>(labels.size())) return std::to_string(k);
  return labels[static_cast<std::size_t>(k)] + " (" + std::to_string(k) + ")";
}

}  // namespace boundlight::cli
