// boundlight compare MODEL IMAGES: explanation methods side by side, held against certified intervals.
#include <algorithm>
#include <cstdio>

#include "boundlight/apps/cli/image_questions.hpp"
#include "boundlight/apps/cli/images.hpp"
#include "boundlight/apps/cli/progress.hpp"
#include "boundlight/apps/cli/properties.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/compare_page.hpp"
#include "boundlight/explain/compare_report.hpp"

namespace boundlight::cli {
namespace {

struct CompareArguments {
  InputArguments input;
  std::vector<std::string> images, methods = {"all"}, metrics = {"all"}, baselines = {"random"};
  RegionArguments region;
  std::string cells = "12x12", segments, planted, tier = "auto", removed = "zero", score = "probability", out, json, device = "cpu";
  std::int64_t label = -1, evaluations = 4000, top = 3;
  std::uint64_t seed = 1;
  double timeout = 0, budget = 0;
};


std::vector<std::string> names_of_methods() {
  std::vector<std::string> names = {"all"};
  for (const auto& m : compare_methods()) names.push_back(m.name);
  return names;
}
std::vector<std::string> names_of_metrics() {
  std::vector<std::string> names = {"all", "none"};
  for (const auto& m : metrics()) names.push_back(m.name);
  return names;
}

// As help and completion show the words of an option; the checking is the library's, which lists them in its error.
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "{" : ",") + name;
  return text + "}";
}

Result<std::vector<CompareImage>> questions(const CompareArguments& o, const std::vector<NamedImage>& samples, double eps) {
  std::vector<CompareImage> images;
  for (const auto& [name, folder, sample] : samples) {
    CompareImage image;
    image.name = name;
    BL_TRY(cells, cells_of(o.cells, o.segments, sample));
    BL_TRY(question, question_of(o.region, sample, cells, eps));
    image.question = std::move(question);
    image.question.label = o.label;
    image.cells = std::move(cells);
    image.frame = frame_of(sample);
    image.picture = shown(sample);
    images.push_back(std::move(image));
  }
  return images;
}

// Masks of the pixels where the evidence was planted, one per image: a cell counts when at least half of its pixels do.
Result<void> plant(const std::string& address, std::vector<CompareImage>& images) {
  BL_TRY(masks, load_array(address));
  const auto values = masks.to_doubles();
  const std::size_t pixels = static_cast<std::size_t>(images[0].cells.height * images[0].cells.width);
  if (values.size() != images.size() * pixels)
    return bad_option("--planted", "the masks have " + std::to_string(values.size()) + " pixels, " + std::to_string(images.size()) + " images of " + std::to_string(images[0].cells.height) + "x" +
                              std::to_string(images[0].cells.width) + " need " + std::to_string(images.size() * pixels));
  for (std::size_t i = 0; i < images.size(); ++i) {
    auto& image = images[i];
    std::vector<std::int64_t> inside(static_cast<std::size_t>(image.cells.count), 0), all(inside);
    for (std::size_t p = 0; p < pixels; ++p) {
      const auto cell = static_cast<std::size_t>(image.cells.label[p]);
      ++all[cell];
      inside[cell] += values[i * pixels + p] != 0;
    }
    for (std::size_t u = 0; u < all.size(); ++u) image.planted.push_back(2 * inside[u] >= all[u]);
    if (std::find(image.planted.begin(), image.planted.end(), 1) == image.planted.end())
      return bad_option("--planted", "no cell of " + image.name + " is covered to one half by its mask; use finer --cells");
  }
  return {};
}

Result<CompareOptions> settings_of(const CompareArguments& o, StopToken stop) {
  CompareOptions c;
  for (const auto& name : o.methods) {
    if (name == "all") {
      for (const auto& m : compare_methods()) c.methods.push_back(&m);
      continue;
    }
    BL_TRY(method, find_compare_method(name));
    c.methods.push_back(method);
  }
  for (const auto& name : o.metrics) {
    if (name == "none") continue;
    if (name == "all") {
      for (const auto& m : metrics()) c.metrics.push_back(&m);
      continue;
    }
    BL_TRY(metric, find_metric(name));
    c.metrics.push_back(metric);
  }
  c.baselines.clear();
  for (const auto& name : o.baselines) {
    BL_TRY(baseline, find_baseline(name));
    c.baselines.push_back(baseline);
  }
  const auto once = [](auto& list) {
    for (std::size_t i = 0; i < list.size(); ++i) list.erase(std::remove(list.begin() + static_cast<std::ptrdiff_t>(i) + 1, list.end(), list[i]), list.end());
  };
  once(c.methods), once(c.metrics), once(c.baselines);
  BL_TRY(removed, find_baseline(o.removed));
  c.removed = removed;
  c.top = o.top;
  c.sampling.budget = o.evaluations;
  c.sampling.seed = c.metric.seed = c.eva.seed = o.seed;
  c.metric.probability = o.score == "probability";
  c.stop = stop;
  return c;
}

template <class T, class Name>
std::string joined(const std::vector<T>& list, Name name) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ", ") + std::string(name(one));
  return text;
}

CompareReport report_of(const CompareArguments& o, const Network& network, const CompareOptions& c, const std::vector<NamedImage>& samples, const std::vector<std::string>& labels) {
  CompareReport r;
  r.model = network.source;
  r.sha256 = network.sha256;
  r.input = joined(o.images, [](const std::string& s) { return s; });
  r.version = BOUNDLIGHT_VERSION;
  r.device = o.device;
  r.labels = labels;
  r.settings = {{"eps", o.region.eps}, {"norm", "linf"}, {"clip", o.region.clip.empty() ? "natural range" : o.region.clip}, {"cells", o.segments.empty() ? o.cells : o.segments},
                {"class", o.label < 0 ? "predicted" : std::to_string(o.label)}, {"tier", name_of(c.eva.tier) + (o.budget > 0 ? ", and " + std::to_string(o.budget) + " seconds of splits" : c.eva.most_parts > 0 ? ", and " + std::to_string(c.eva.most_parts) + " parts" : std::string())},
                {"methods", joined(c.methods, [](const CompareMethod* m) { return m->name; })}, {"metrics", joined(c.metrics, [](const Metric* m) { return m->name; })},
                {"metric baselines", joined(c.baselines, [](Baseline b) { return name_of(b); })}, {"metric score", o.score},
                {"removed cells become", o.removed}, {"evaluations", std::to_string(o.evaluations) + " of the model at most per method and image, a gradient counts as two"},
                {"seed", std::to_string(o.seed) + " for the first image, counting up"}};
  if (!o.planted.empty()) r.settings.emplace_back("planted evidence", o.planted + ", among the " + std::to_string(o.top) + " most important cells");
  if (!samples.empty())
    for (const auto& line : samples[0].input.applied) r.settings.emplace_back("input", line);
  return r;
}

// The folder is tried before the work, not after it.
Result<void> try_folder(const std::string& out) {
  if (out.empty()) return {};
  const std::filesystem::path folder = out, probe = folder / "table.json.partial";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder)) return Error{ErrorKind::io, out, "cannot make the output folder: " + (error ? error.message() : std::string("a file of that name exists"))};
  BL_CHECK(write_file(probe, ""));
  std::filesystem::remove(probe, error);
  return {};
}

Result<int> run_compare(const CompareArguments& o, StopToken stop) {
  const Output output(o.json);
  BL_TRY(settings, settings_of(o, o.timeout > 0 ? stop.with_deadline(o.timeout) : stop));
  if (o.region.eps.empty()) return bad_option("--eps", "the radius of the region is missing; give it in pixel units, such as --eps 2/255");
  BL_TRY(eps, parse_number("--eps", o.region.eps));
  if (!(eps > 0)) return bad_option("--eps", "'" + o.region.eps + "' leaves no region to explain; give a positive radius in pixel units");
  BL_TRY(network, load_network(o.input.model, output));
  if (o.images.empty()) return Error{ErrorKind::bad_input, "compare", "no images were given; name a file, a folder or an array such as data.npz:images[0:20] after the model"};
  InputArguments input = o.input;
  input.inputs = o.images;
  BL_TRY(samples, load_images(*network, input, output));
  choose_tier(o.tier, o.budget, *network, settings.eva);
  BL_TRY(images, questions(o, samples, eps));
  if (!o.planted.empty()) BL_CHECK(plant(o.planted, images));
  BL_CHECK(try_folder(o.out));
  BL_TRY(engine, make_engine(network, o.device));
  BL_TRY(options, input_options(o.input));
  BL_TRY(result, [&] {
    ProgressLine line;
    settings.progress = line.sink();
    return compare(*engine, images, settings);
  }());
  const CompareReport report = report_of(o, *network, settings, samples, options.labels);
  if (output.text()) {
    std::printf("%s", compare_text(result).c_str());
    for (const auto& line : compare_words(result)) std::printf("%s\n", line.c_str());
  }
  if (!o.out.empty()) {
    BL_CHECK(write_comparison(o.out, result, images, report));
    output.say("written     " + (std::filesystem::path(o.out) / "report.html").string());
  }
  if (!o.json.empty()) BL_CHECK(output.finish(Json::parse(compare_json(result, report))));
  if (result.complete) return kDone;
  return stop.cancelled() ? kInterrupted : kTimeout;
}

}  // namespace

void add_compare(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("compare", "Explanation methods side by side, held against certified intervals");
  auto o = std::make_shared<CompareArguments>();
  add_input_options(*command, o->input, false);
  command->remove_option(command->get_option("--input"));
  command->add_option("images", o->images, "Images: a file, a folder, an array such as data.npz:images[0:20]; several allowed")->type_name("IMAGES");
  add_region_options(*command, o->region);
  command->add_option("--methods", o->methods, "Separated by commas")->delimiter(',')->type_name(listed(names_of_methods()))->allow_extra_args(false)->capture_default_str()->group("Comparison");
  command->add_option("--metrics", o->metrics, "Separated by commas")->delimiter(',')->type_name(listed(names_of_metrics()))->allow_extra_args(false)->capture_default_str()->group("Comparison");
  command->add_option("--baselines", o->baselines, "What metrics put in place of removed cells; separated by commas")->delimiter(',')->type_name("{zero,mean,blur,random}")->allow_extra_args(false)->capture_default_str()->group("Comparison");
  command->add_option("--removed", o->removed, "What methods put in place of removed cells")->check(CLI::IsMember({"zero", "mean", "blur", "random"}))->capture_default_str()->group("Comparison");
  command->add_option("--score", o->score, "What metrics follow: probability or logit")->check(CLI::IsMember({"probability", "logit"}))->capture_default_str()->group("Comparison");
  command->add_option("--evaluations", o->evaluations, "Model evaluations per method and image; a gradient counts as two")->check(CLI::PositiveNumber)->capture_default_str()->group("Comparison");
  command->add_option("--planted", o->planted, "Masks of where the evidence is known to lie, one per image: counts how often a method finds it")->type_name("FILE")->group("Comparison");
  command->add_option("--top", o->top, "It is found when among so many most important cells")->check(CLI::PositiveNumber)->capture_default_str()->group("Comparison");
  command->add_option("--cells", o->cells, "pixels, ROWSxCOLS or slic:COUNT")->capture_default_str()->group("Map");
  command->add_option("--segments", o->segments, "Label array: equal numbers, one cell")->type_name("FILE")->group("Map");
  command->add_option("--class", o->label, "Class to explain (default: the predicted one)")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--tier", o->tier, "Of the certified map: auto (as explain has it), shared, refined, full or alpha")->check(CLI::IsMember({"auto", "shared", "refined", "full", "alpha"}))->capture_default_str()->group("Map");
  command->add_option("--budget", o->budget, "Seconds per image for tightening the certified map by splits of its region")->check(CLI::NonNegativeNumber)->group("Map");
  command->add_option("--seed", o->seed, "Seed of everything random")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--timeout", o->timeout, "Seconds; the images done by then are reported")->check(CLI::PositiveNumber)->check(seconds());
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  command->add_option("--out", o->out, "Folder for table.json, table.csv, report.html, maps.png, maps.npz")->type_name("DIR");
  add_json_option(*command, o->json);
  command->footer("Example: boundlight compare examples/cheat.onnx 'examples/images.npz:leaky[0:8]' --eps 2/255 --cells 8x8 --out out\n"
                  "Methods and metrics: docs/comparison.md.");
  command->callback([&session, o] { session.run = [o, &session] { return run_compare(*o, session.stop); }; });
}

}  // namespace boundlight::cli
