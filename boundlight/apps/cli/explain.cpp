// boundlight explain MODEL --input X --eps E: an EVA map with a certified interval for every cell.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/explain/picture.hpp"
#include "boundlight/explain/report.hpp"

namespace boundlight::cli {
namespace {

struct Options {
  InputArguments input;
  RegionArguments region;
  std::string cells = "12x12", segments, tier = "refined", overlap = "margin", estimate = "attained", method = "crown", half, out, json, device = "cpu";
  std::int64_t label = -1, target = -1;
  double tau = 0, timeout = 0;
  std::uint64_t seed = 1;
};

const std::map<std::string, EvaTier> kTiers = {{"shared", EvaTier::shared}, {"refined", EvaTier::refined}, {"full", EvaTier::full}, {"alpha", EvaTier::alpha}};
const std::map<std::string, Estimate> kEstimates = {{"attained", Estimate::attained}, {"verified", Estimate::verified}, {"midpoint", Estimate::midpoint}};
const std::map<std::string, Method> kMethods = {{"interval", Method::interval}, {"forward", Method::forward}, {"crown", Method::crown}, {"combined", Method::combined}, {"alpha", Method::alpha}};

Error bad(const std::string& option, const std::string& what) { return {ErrorKind::bad_input, "option --" + option, what}; }

// "pixels", "12x12" or "slic:40".
Result<Cells> cells_of(const Options& o, const PreparedInput& sample, const std::vector<double>& in_order) {
  const auto& form = sample.map.form;
  if (!o.segments.empty()) {
    BL_TRY(labels, load_array(o.segments));
    return segment_cells(labels.to_int64s(), form.height, form.width);
  }
  if (o.cells == "pixels") return pixel_cells(form.height, form.width);
  std::int64_t a = 0, b = 0;
  char end = 0;
  long long x = 0, y = 0;
  if (std::sscanf(o.cells.c_str(), "slic:%lld%c", &x, &end) == 1) return slic_cells(in_order, form.height, form.width, form.channels, x);
  if (std::sscanf(o.cells.c_str(), "%lldx%lld%c", &x, &y, &end) != 2) return bad("cells", "'" + o.cells + "' is not pixels, ROWSxCOLS or slic:COUNT");
  a = x, b = y;
  return grid_cells(form.height, form.width, a, b);
}

Result<EvaQuestion> question_of(const Options& o, const PreparedInput& sample, const Cells& cells, double eps) {
  if (o.region.norm != "linf") return bad("norm", "explain takes linf balls; " + o.region.norm + " balls are for the command bounds");
  BL_TRY(ball, ball_of(sample, o.region, eps));
  BL_TRY(region, pixel_region(ball));
  EvaQuestion q;
  q.x = region.x;
  q.lower = region.lower;
  q.upper = region.upper;
  q.inner_lower = region.inner_lower;
  q.inner_upper = region.inner_upper;
  if (o.half == "plus") q.lower = q.inner_lower = q.x;
  if (o.half == "minus") q.upper = q.inner_upper = q.x;
  q.cells = cells.count;
  q.label = o.label;
  q.target = o.target;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(q.x.size()); ++i) {
    const auto p = sample.map.form.place(i);
    q.cell.push_back(cells.label[static_cast<std::size_t>(p.row * cells.width + p.column)]);
  }
  return q;
}

ReportInput report_input(const Options& o, const Network& network, const PreparedInput& sample, const LoadedInputs& inputs, const std::string& eps) {
  ReportInput r;
  r.model = network.source;
  r.sha256 = network.sha256;
  r.input = o.input.inputs[0];
  r.version = BOUNDLIGHT_VERSION;
  r.device = o.device;
  r.labels = inputs.labels;
  r.settings = {{"eps", eps}, {"norm", "linf"}, {"clip", o.region.clip.empty() ? "natural range" : o.region.clip}, {"cells", o.segments.empty() ? o.cells : o.segments},
                {"tier", o.tier}, {"overlap", o.overlap}, {"method", o.method}, {"estimate", o.estimate}, {"half", o.half.empty() ? "both" : o.half},
                {"seed", std::to_string(o.seed)}, {"semantics", "real"}};
  for (const auto& line : sample.applied) r.settings.emplace_back("input", line);
  const auto& form = sample.map.form;
  const auto order = in_image_order(form, sample.pixels);
  const double high = sample.range && sample.range->hi > 0 ? sample.range->hi : 1;
  for (std::int64_t p = 0; p < form.height * form.width; ++p) {
    double sum = 0;
    for (std::int64_t c = 0; c < form.channels; ++c) sum += order[static_cast<std::size_t>(p * form.channels + c)];
    r.grey.push_back(sum / static_cast<double>(form.channels) / high);
  }
  if (form.image && (form.channels == 1 || form.channels == 3 || form.channels == 4)) r.image = picture_of(form, sample.pixels, high);
  else r.image = Picture{form.height, form.width, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(form.height * form.width), 128)};
  return r;
}

// A small heat map in colour, two rows of cells per line of text; only on a terminal.
void print_map(const Cells& cells, const std::vector<double>& per_cell) {
  if (!isatty(STDOUT_FILENO)) return;
  const double top = std::max(1e-300, *std::max_element(per_cell.begin(), per_cell.end()));
  const std::int64_t step = std::max<std::int64_t>(1, std::max(cells.height, cells.width) / 32);
  for (std::int64_t r = 0; r < cells.height; r += 2 * step) {
    for (std::int64_t q = 0; q < cells.width; q += step) {
      const auto colour = [&](std::int64_t row) {
        return diverging(per_cell[static_cast<std::size_t>(cells.label[static_cast<std::size_t>(std::min(row, cells.height - 1) * cells.width + q)])] / top);
      };
      const Colour up = colour(r), down = colour(r + step);
      std::printf("\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\u2580", up.r, up.g, up.b, down.r, down.g, down.b);
    }
    std::printf("\033[0m\n");
  }
}

// The largest eps (within 5 %) at which crown bounds prove the decision, by bisection; 0 when none was found.
Result<double> certified_radius(Engine& engine, const Options& o, const PreparedInput& sample, const Cells& one, std::int64_t* steps) {
  double low = 0, high = 1.0 / 1024;
  EvaOptions options;
  options.tier = EvaTier::shared;
  options.starts = 1, options.steps = 0, options.cell_steps = 0;
  for (*steps = 0; *steps < 24 && (low == 0 || high > 1.05 * low); ++*steps) {
    const double eps = low == 0 ? high : high <= 2 * low ? (low + high) / 2 : high;
    BL_TRY(question, question_of(o, sample, one, eps));
    BL_TRY(map, eva(engine, question, options));
    if (map.verified_base < 0) {
      low = eps;
      if (high <= low) high = 2 * low;
    } else {
      if (low == 0 && eps < 1e-6) return 0.0;
      high = eps;
      if (low == 0) high = eps / 2;
    }
    if (low > 1) break;
  }
  return low;
}

Result<int> explain_one(const Options& o, Engine& engine, const LoadedInputs& inputs, std::size_t index, StopToken stop, const Output& output, Json& all) {
  const PreparedInput& sample = inputs.samples[index];
  const auto order = in_image_order(sample.map.form, sample.pixels);
  BL_TRY(cells, cells_of(o, sample, order));
  double eps = 0;
  std::string eps_text = o.region.eps;
  if (o.region.eps.empty()) {
    BL_TRY(one, grid_cells(cells.height, cells.width, 1, 1));
    std::int64_t steps = 0;
    BL_TRY(radius, certified_radius(engine, o, sample, one, &steps));
    if (radius <= 0) return bad("eps", "no radius could be certified around this image; give --eps");
    eps = 2 * radius;
    eps_text = std::to_string(eps) + " (twice the certified radius " + std::to_string(radius) + ", found in " + std::to_string(steps) + " steps)";
    output.say("eps         " + eps_text);
  } else {
    BL_TRY(given, parse_number("--eps", o.region.eps));
    eps = given;
    if (eps == 0) return bad("eps", "a radius of 0 leaves nothing to explain; give a positive one");
  }
  BL_TRY(question, question_of(o, sample, cells, eps));
  EvaOptions options;
  options.tier = kTiers.at(o.tier);
  options.overlap = o.overlap == "separate" ? Overlap::separate : Overlap::margin;
  options.estimate = kEstimates.at(o.estimate);
  options.bounds.method = kMethods.at(o.method);
  options.bounds.stop = o.timeout > 0 ? stop.with_deadline(o.timeout) : stop;
  options.tau = o.tau;
  options.seed = o.seed;
  BL_TRY(map, eva(engine, question, options));
  const ReportInput input = report_input(o, engine.network(), sample, inputs, eps_text);
  if (output.text()) {
    for (const auto& line : in_words(map, input)) std::printf("%s\n", line.c_str());
    print_map(cells, map.estimate);
    for (const auto& note : map.notes) std::printf("note: %s\n", note.c_str());
  }
  if (!o.out.empty()) {
    const std::filesystem::path folder = inputs.samples.size() > 1 ? std::filesystem::path(o.out) / std::to_string(index) : std::filesystem::path(o.out);
    BL_CHECK(write_report(folder, map, cells, input));
    output.say("written     " + (folder / "report.html").string());
  }
  if (!output.text() || !o.json.empty()) all.push_back(Json::parse(report_json(map, cells, input)));
  return map.complete ? kDone : stop.cancelled() ? kInterrupted : kDone;
}

Result<int> run(const Options& o, StopToken stop) {
  const Output output(o.json);
  BL_TRY(network, load_network(o.input.model, output));
  if (network->inputs.size() != 1) return Error{ErrorKind::unsupported, network->source, "explain needs a model with one input, this one has " + std::to_string(network->inputs.size())};
  BL_TRY(inputs, load_all_inputs(*network, o.input, output));
  BL_TRY(engine, make_engine(network, o.device));
  Json all = Json::array();
  int code = kDone;
  for (std::size_t i = 0; i < inputs.samples.size() && code == kDone; ++i) {
    if (inputs.samples.size() > 1) output.say("image       " + std::to_string(i));
    BL_TRY(one, explain_one(o, *engine, inputs, i, stop, output, all));
    code = one;
  }
  BL_CHECK(output.finish(all.size() == 1 ? all[0] : all));
  return code;
}

}  // namespace

void add_explain(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("explain", "Certified importance map of an image (EVA)");
  auto o = std::make_shared<Options>();
  add_input_options(*command, o->input, true);
  add_region_options(*command, o->region);
  command->add_option("--cells", o->cells, "pixels, ROWSxCOLS or slic:COUNT")->capture_default_str()->group("Map");
  command->add_option("--segments", o->segments, "Label array: equal numbers, one cell")->type_name("FILE")->group("Map");
  command->add_option("--class", o->label, "Class to explain (default: the predicted one)")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--target", o->target, "Only this rival class")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--half", o->half, "plus: only brighter pixels, minus: only darker ones")->check(CLI::IsMember({"plus", "minus"}))->group("Map");
  command->add_option("--tier", o->tier, "shared, refined, full or alpha")->check(CLI::IsMember({"shared", "refined", "full", "alpha"}))->capture_default_str()->group("Map");
  command->add_option("--method", o->method, "Bound method: interval, forward, crown, combined or alpha")->check(CLI::IsMember({"interval", "forward", "crown", "combined", "alpha"}))->capture_default_str()->group("Map");
  command->add_option("--overlap", o->overlap, "margin, or separate as in the paper")->check(CLI::IsMember({"margin", "separate"}))->capture_default_str()->group("Map");
  command->add_option("--estimate", o->estimate, "What is drawn: attained, verified or midpoint")->check(CLI::IsMember({"attained", "verified", "midpoint"}))->capture_default_str()->group("Map");
  command->add_option("--tau", o->tau, "Cells and pairs within tau count as equal (default: 1 % of the largest upper end)")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--seed", o->seed, "Seed of the attack")->capture_default_str();
  command->add_option("--timeout", o->timeout, "Seconds; the best sound map so far is written");
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  command->add_option("--out", o->out, "Folder for map.png, overlay.png, interval.png, map.npz, report.json, report.html")->type_name("DIR");
  add_json_option(*command, o->json);
  command->footer("Example: boundlight explain examples/cheat.onnx --input examples/images.npz:images[0] --eps 2/255 --out out\n"
                  "Without --eps twice the certified radius is used, and printed.");
  command->callback([&session, o] { session.run = [o, &session] { return run(*o, session.stop); }; });
}

}  // namespace boundlight::cli
