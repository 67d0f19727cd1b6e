// boundlight explain MODEL --input X --eps E: an EVA map with a certified interval for every cell.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

#include "boundlight/apps/cli/image_questions.hpp"
#include "boundlight/apps/cli/images.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/eva_certificate.hpp"
#include "boundlight/explain/picture.hpp"
#include "boundlight/explain/summary.hpp"
#include "boundlight/solver/evidence/write.hpp"

namespace boundlight::cli {
namespace {

struct ExplainArguments {
  InputArguments input;
  RegionArguments region;
  std::string cells = "12x12", segments, tier = "auto", overlap = "margin", estimate = "auto", method = "crown", half, out, json, device = "cpu", hybrid, certificate;
  std::int64_t label = -1, target = -1, samples = 256;
  double tau = 0, timeout = 0, budget = 0;
  std::uint64_t seed = 1;
};

const std::map<std::string, Estimate> kEstimates = {{"auto", Estimate::automatic}, {"attained", Estimate::attained}, {"verified", Estimate::verified}, {"midpoint", Estimate::midpoint}};

std::string estimate_name(Estimate estimate) {
  for (const auto& [name, value] : kEstimates)
    if (value == estimate) return name;
  return {};
}


Result<EvaQuestion> asked(const ExplainArguments& o, const PreparedInput& sample, const Cells& cells, double eps) {
  BL_TRY(q, question_of(o.region, sample, cells, eps));
  if (o.half == "plus") q.lower = q.inner_lower = q.x;
  if (o.half == "minus") q.upper = q.inner_upper = q.x;
  q.label = o.label;
  q.target = o.target;
  return q;
}

ReportInput report_input(const ExplainArguments& o, const EvaOptions& used, const EvaMap& map, const Network& network, const NamedImage& image, const std::vector<std::string>& labels, const std::string& eps) {
  const PreparedInput& sample = image.input;
  ReportInput r;
  r.model = network.source;
  r.sha256 = network.sha256;
  r.input = image.name;
  r.version = BOUNDLIGHT_VERSION;
  r.device = o.device;
  r.labels = labels;
  r.settings = {{"eps", eps}, {"norm", "linf"}, {"clip", o.region.clip.empty() ? "natural range" : o.region.clip}, {"cells", o.segments.empty() ? o.cells : o.segments},
                {"tier", name_of(used.tier)}, {"overlap", o.overlap}, {"method", o.method}, {"estimate", estimate_name(map.drawn) + (o.estimate == "auto" ? " (auto)" : "")}, {"half", o.half.empty() ? "both" : o.half},
                {"class", o.label < 0 ? "predicted" : std::to_string(o.label)}, {"rivals", o.target < 0 ? "all" : std::to_string(o.target)}, {"seed", std::to_string(o.seed)},
                {"budget", o.budget > 0 ? std::to_string(o.budget) + " s" : "none"}, {"parts", std::to_string(used.most_parts)}, {"semantics", "real"}};
  if (!o.hybrid.empty()) r.settings.emplace_back("hybrid (not verified)", o.hybrid + ", " + std::to_string(o.samples) + " samples");
  for (const auto& line : sample.applied) r.settings.emplace_back("input", line);
  const auto& form = sample.map.form;
  const auto order = in_image_order(form, sample.pixels);
  const double high = sample.range && sample.range->hi > 0 ? sample.range->hi : 1;
  for (std::int64_t p = 0; p < form.height * form.width; ++p) {
    double sum = 0;
    for (std::int64_t c = 0; c < form.channels; ++c) sum += order[static_cast<std::size_t>(p * form.channels + c)];
    r.grey.push_back(sum / static_cast<double>(form.channels) / high);
  }
  r.image = shown(sample);
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
Result<double> certified_radius(Engine& engine, const ExplainArguments& o, const PreparedInput& sample, const Cells& one, std::int64_t* steps) {
  double low = 0, high = 1.0 / 1024;
  EvaOptions options;
  options.tier = EvaTier::shared;
  options.starts = 1, options.steps = 0, options.cell_steps = 0;
  for (*steps = 0; *steps < 24 && (low == 0 || high > 1.05 * low); ++*steps) {
    const double eps = low == 0 ? high : high <= 2 * low ? (low + high) / 2 : high;
    BL_TRY(question, asked(o, sample, one, eps));
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

Result<EvaOptions> eva_options(const ExplainArguments& o, const Network& network, const StopToken& stop, const Output& output) {
  EvaOptions options;
  options.overlap = o.overlap == "separate" ? Overlap::separate : Overlap::margin;
  options.estimate = kEstimates.at(o.estimate);
  options.bounds.method = method_names().at(o.method);
  options.bounds.stop = o.timeout > 0 ? stop.with_deadline(o.timeout) : stop;
  options.tau = o.tau;
  options.seed = o.seed;
  options.samples = o.samples;
  options.evidence = !o.certificate.empty();
  choose_tier(o.tier, o.budget, network, options);
  if (!o.hybrid.empty()) {
    BL_TRY(value, find_value(network, o.hybrid, false));
    options.hybrid = value;
    options.most_parts = 0, options.budget = 0;
  }
  if (output.text() && isatty(STDERR_FILENO))
    options.bounds.progress = [](std::string_view what, double done, double total) {
      std::fprintf(stderr, "\r%.*s %3.0f %%\033[K%s", static_cast<int>(what.size()), what.data(), total > 0 ? 100 * std::min(1.0, done / total) : 0.0, total > 0 && done >= total ? "\n" : "");
    };
  return options;
}

// Numbers that no option check of the parser catches (NaN passes them all).
Result<void> check_numbers(const ExplainArguments& o) {
  for (const auto& [name, value] : {std::pair<const char*, double>{"tau", o.tau}, {"timeout", o.timeout}, {"budget", o.budget}})
    if (!(value >= 0) || std::isinf(value)) return bad_option("--" + std::string(name), "must be a finite number that is not negative");
  if (o.samples < 1) return bad_option("--samples", "at least one sample per region is needed");
  if (!o.certificate.empty() && !o.hybrid.empty()) return bad_option("--certificate", "a map of --hybrid rests on samples; nothing in it can be certified");
  if (!o.certificate.empty() && o.overlap != "margin") return bad_option("--certificate", "certificates are for --overlap margin");
  return {};
}

struct Explained {
  EvaMap map;
  Cells cells;
  ReportInput input;
  std::string certificate;  // its bytes
};

// The map's certificate, and the map as it shows it; or why there is none.
Result<void> add_certificate(const ExplainArguments& o, Engine& engine, const PreparedInput& sample, const EvaQuestion& question, const EvaOptions& options, double eps, Explained& e, const std::string& title,
                             std::string& reason) {
  BL_TRY(ball, ball_of(sample, o.region, eps));
  const auto start = std::chrono::steady_clock::now();
  const auto made = certify(engine, question, {ball, o.half == "plus" ? 1 : o.half == "minus" ? -1 : 0, title}, options, e.map);
  e.map.seconds.emplace_back("certificate", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (made.ok()) e.certificate = check::serialize(*made);
  else if (made.error().kind != ErrorKind::unsupported) return made.error();
  else reason = made.error().message;
  return {};
}

Result<Explained> explain_one(const ExplainArguments& o, Engine& engine, const NamedImage& image, const std::vector<std::string>& labels, const EvaOptions& options, const Output& output) {
  const PreparedInput& sample = image.input;
  BL_TRY(cells, cells_of(o.cells, o.segments, sample));
  double eps = 0;
  std::string eps_text = o.region.eps;
  if (o.region.eps.empty()) {
    BL_TRY(one, grid_cells(cells.height, cells.width, 1, 1));
    std::int64_t steps = 0;
    BL_TRY(radius, certified_radius(engine, o, sample, one, &steps));
    if (radius <= 0) return bad_option("--eps", "no radius could be certified around this image; give --eps");
    eps = 2 * radius;
    eps_text = std::to_string(eps) + " (twice the certified radius " + std::to_string(radius) + ", found in " + std::to_string(steps) + " steps)";
    output.say("eps         " + eps_text);
  } else {
    BL_TRY(given, parse_number("--eps", o.region.eps));
    eps = given;
    if (eps == 0) return bad_option("--eps", "a radius of 0 leaves nothing to explain; give a positive one");
  }
  BL_TRY(question, asked(o, sample, cells, eps));
  BL_TRY(map, eva(engine, question, options));
  Explained e{std::move(map), std::move(cells), {}, ""};
  std::string reason;
  if (!o.certificate.empty()) BL_CHECK(add_certificate(o, engine, sample, question, options, eps, e, image.name, reason));
  e.input = report_input(o, options, e.map, engine.network(), image, labels, eps_text);
  e.input.certificate_reason = reason;
  return e;
}

void print(const Explained& e) {
  for (const auto& line : in_words(e.map, e.input)) std::printf("%s\n", line.c_str());
  print_map(e.cells, e.map.estimate);
  for (const auto& note : e.map.notes) std::printf("note: %s\n", note.c_str());
}

// Before any work: a folder that cannot be written is found out at once.
Result<void> make_folder(const std::string& out) {
  if (out.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error || !std::filesystem::is_directory(out))
    return Error{ErrorKind::io, "option --out", "cannot make the folder " + out + ": " + (error ? error.message() : std::string("a file of that name exists"))};
  if (access(out.c_str(), W_OK) != 0) return Error{ErrorKind::io, "option --out", "the folder " + out + " cannot be written"};
  return {};
}

// One image: the file named. Several: a file of that name in every image's folder.
Result<void> write_certificate(const ExplainArguments& o, const std::string& image_folder, Explained& e, const Output& output) {
  if (!e.input.certificate_reason.empty()) {
    output.say("certificate none: " + e.input.certificate_reason);
    return {};
  }
  std::filesystem::path file = o.certificate;
  if (!image_folder.empty()) {
    file = std::filesystem::path(o.out) / image_folder / file.filename();
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);
  }
  BL_CHECK(write_file(file, e.certificate));
  e.input.certificate = file.string();
  e.input.certificate_bytes = e.certificate.size();
  output.say("certificate " + file.string() + ", " + std::to_string(e.certificate.size()) + " bytes; replay it: boundlight check " + file.string() + " " + o.input.model);
  return {};
}

Result<int> run_explain(const ExplainArguments& o, StopToken stop) {
  const Output output(o.json);
  BL_CHECK(check_numbers(o));
  BL_CHECK(make_folder(o.out));
  BL_CHECK(can_write("--certificate", o.certificate));
  BL_TRY(network, load_network(o.input.model, output));
  BL_TRY(images, load_images(*network, o.input, output));
  BL_TRY(input_settings, input_options(o.input));
  BL_TRY(engine, make_engine(network, o.device));
  BL_TRY(options, eva_options(o, *network, stop, output));
  const bool several = images.size() > 1;
  if (several && !o.certificate.empty() && o.out.empty()) return bad_option("--certificate", "certificates of several images go into their folders; give --out");
  Json all = Json::array();
  std::vector<SummaryLine> lines;
  bool complete = true;
  const auto seconds = [start = std::chrono::steady_clock::now()] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (const NamedImage& image : images) {
    if (several && options.bounds.stop.stop_requested()) {
      complete = false;
      break;
    }
    const double before = seconds();
    BL_TRY(found, explain_one(o, *engine, image, input_settings.labels, options, output));
    if (several) output.say("image       " + image.name);
    if (output.text()) print(found);
    if (!o.certificate.empty()) BL_CHECK(write_certificate(o, several ? image.folder : "", found, output));
    const std::filesystem::path folder = several ? std::filesystem::path(o.out) / image.folder : std::filesystem::path(o.out);
    if (!o.out.empty()) {
      BL_CHECK(write_report(folder, found.map, found.cells, found.input));
      output.say("written     " + (folder / "report.html").string());
    }
    if (!o.json.empty()) all.push_back(Json::parse(report_json(found.map, found.cells, found.input)));
    lines.push_back(summary_line(found.map, found.input, image.folder, seconds() - before));
    complete = complete && found.map.complete;
  }
  const auto left = static_cast<std::int64_t>(images.size() - lines.size());
  if (several) {
    char text[96];
    std::snprintf(text, sizeof text, "images      %zu maps in %.2f s, %.2f per second", lines.size(), seconds(), static_cast<double>(lines.size()) / seconds());
    output.say(text);
    if (!o.out.empty()) BL_CHECK(write_summary(o.out, lines, seconds(), left));
  }
  BL_CHECK(output.finish(several ? all : all.empty() ? Json() : all[0]));
  return complete ? kDone : stop.cancelled() ? kInterrupted : kTimeout;
}

}  // namespace

void add_explain(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("explain", "Certified importance map of an image (EVA)");
  auto o = std::make_shared<ExplainArguments>();
  add_input_options(*command, o->input, true);
  add_region_options(*command, o->region);
  command->add_option("--cells", o->cells, "pixels, ROWSxCOLS or slic:COUNT")->capture_default_str()->group("Map");
  command->add_option("--segments", o->segments, "Label array: equal numbers, one cell; or masks, COUNTxHEIGHTxWIDTH")->type_name("FILE")->group("Map");
  command->add_option("--class", o->label, "Class to explain (default: the predicted one)")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--target", o->target, "Only this rival class")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--half", o->half, "plus: only brighter pixels, minus: only darker ones")->check(CLI::IsMember({"plus", "minus"}))->group("Map");
  command->add_option("--tier", o->tier, "auto, shared, refined, full or alpha (auto: alpha for small networks or with a budget, else refined)")->check(CLI::IsMember({"auto", "shared", "refined", "full", "alpha"}))->capture_default_str()->group("Map");
  command->add_option("--method", o->method, "Bound method: interval, forward, crown, combined or alpha")->check(CLI::IsMember({"interval", "forward", "crown", "combined", "alpha"}))->capture_default_str()->group("Map");
  command->add_option("--overlap", o->overlap, "margin, or separate as in the paper")->check(CLI::IsMember({"margin", "separate"}))->capture_default_str()->group("Map");
  command->add_option("--estimate", o->estimate, "What is drawn: auto (attained, or verified where the region is too large for it), attained, verified or midpoint")->check(CLI::IsMember({"auto", "attained", "verified", "midpoint"}))->capture_default_str()->group("Map");
  command->add_option("--tau", o->tau, "Cells and pairs within tau count as equal (default: 1 % of the largest upper end)")->group("Map");
  command->add_option("--budget", o->budget, "Seconds for tighter intervals: the region is split into parts that serve every cell")->group("Map");
  command->add_option("--hybrid", o->hybrid, "For networks too large to bound: boxes of this value come from samples; NOT verified")->type_name("VALUE")->group("Map");
  command->add_option("--samples", o->samples, "Samples per region of --hybrid")->capture_default_str()->group("Map");
  command->add_option("--seed", o->seed, "Seed of the attack")->capture_default_str();
  command->add_option("--timeout", o->timeout, "Seconds; the best sound map so far is written, exit code 12");
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  command->add_option("--out", o->out, "Folder for map.png, overlay.png, interval.png, map.npz, report.json, report.html")->type_name("DIR");
  command->add_option("--certificate", o->certificate, "Write a proof of every interval, for boundlight check; the map shows what it proves")->type_name("FILE");
  add_json_option(*command, o->json);
  command->footer("Example: boundlight explain examples/cheat.onnx --input examples/images.npz:images[0] --eps 2/255 --out out\n"
                  "Without --eps twice the certified radius is used, and printed.");
  command->callback([&session, o] { session.run = [o, &session] { return run_explain(*o, session.stop); }; });
}

}  // namespace boundlight::cli
