// boundlight verify MODEL PROPERTY: does any input violate it? A verdict with evidence.
#include "boundlight/solver/bab/verify.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

#include "boundlight/apps/cli/properties.hpp"
#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/solver/evidence/write.hpp"

namespace boundlight::cli {
namespace {

struct VerifyArguments {
  InputArguments input;
  RegionArguments region;
  std::string property, label, target, certificate, counterexample, saved, state, vnncomp, json, semantics = "real", splits = "auto", exact = "auto", device = "cpu";
  double timeout = 0, save = 60;
  std::uint64_t memory = 0, seed = 1;
  std::int64_t domains = 0;
  int threads = 0;
  bool no_attack = false, no_clip = false;
};

const std::map<std::string, Splits> kSplits = {{"auto", Splits::automatic}, {"inputs", Splits::inputs}, {"relus", Splits::relus}, {"none", Splits::none}};
const std::map<std::string, Exact> kExact = {{"auto", Exact::automatic}, {"off", Exact::off}, {"only", Exact::only}};


// The question, and how it is told.
struct Question {
  Property property;
  std::string title;
  bool inlined = false;  // no VNN-LIB file: the statement goes into the certificate
};

Result<Question> question_of(const VerifyArguments& o, const std::shared_ptr<const Network>& network, const InputOptions& options, const Output& output) {
  Question q;
  if (!o.property.empty()) {
    for (const auto& [name, given] : {std::pair("--input", !o.input.inputs.empty()), {"--eps", !o.region.eps.empty()}, {"--label", !o.label.empty()}, {"--target", !o.target.empty()}})
      if (given) return bad_option(name, "is for images and says the same as the property file; give one of the two");
    BL_TRY(property, load_property(o.property, *network, options));
    q.property = std::move(property);
    q.title = o.property;
    q.inlined = o.property.size() > 5 && o.property.compare(o.property.size() - 5, 5, ".json") == 0;
    return q;
  }
  if (o.input.inputs.empty()) return bad_option("--input", "give a property file, or an image with --input X --eps E");
  if (o.region.eps.empty()) return bad_option("--eps", "give the radius of the region in pixel units, e.g. --eps 2/255");
  BL_TRY(eps, parse_radius("--eps", o.region.eps));
  BL_TRY(loaded, load_all_inputs(*network, o.input, output));
  if (loaded.samples.size() != 1)
    return bad_option("--input", loaded.samples.empty() ? std::string("a model with several inputs needs a property file") : "names " + std::to_string(loaded.samples.size()) + " samples; pick one, e.g. images.npy[3], or use boundlight audit");
  const PreparedInput& sample = loaded.samples[0];
  const std::int64_t classes = network->values[static_cast<std::size_t>(network->outputs[0])].size;
  std::int64_t label = -1, target = -1;
  if (o.label.empty()) {
    BL_TRY(engine, make_engine(network, o.device));
    BL_TRY(predicted, predicted_class(*engine, sample.values));
    label = predicted;
  } else {
    BL_TRY(given, parse_class("--label", o.label, loaded.labels, classes));
    label = given;
  }
  if (!o.target.empty()) {
    BL_TRY(given, parse_class("--target", o.target, loaded.labels, classes));
    target = given;
  }
  q.title = o.input.inputs[0] + " keeps class " + class_name(loaded.labels, label) + (o.label.empty() ? ", the predicted one," : "") + (target >= 0 ? " against class " + class_name(loaded.labels, target) : "") +
            " within eps " + o.region.eps + (o.region.clip == "none" ? ", not clipped" : o.region.clip.empty() ? ", valid pixels only" : ", pixels in [" + o.region.clip + "]");
  BL_TRY(property, ball_property(sample, o.region, eps, label, target, classes, q.title));
  q.property = std::move(property);
  q.inlined = true;
  return q;
}

VerifyOptions options_of(const VerifyArguments& o, const Question& q, StopToken stop) {
  VerifyOptions v;
  v.semantics = o.semantics == "real" ? Semantics::real : Semantics::float32_any_order;
  v.timeout = o.timeout;
  v.stop = stop;
  v.memory = o.memory << 20;
  v.threads = o.threads;
  v.seed = o.seed;
  v.device = o.device;
  v.attack = !o.no_attack;
  v.splits = kSplits.at(o.splits);
  v.clip = !o.no_clip;
  v.exact = kExact.at(o.exact);
  v.most_domains = o.domains;
  v.state = o.state;
  v.save_seconds = o.save;
  v.certificate = !o.certificate.empty();
  v.inlined = q.inlined;
  return v;
}

// One line that is written over, on a terminal only; gone at the end.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : on_(wanted && isatty(STDERR_FILENO)) {}
  ~ProgressLine() { if (shown_) std::fprintf(stderr, "\r\033[K"); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ProgressSink sink() {
    if (!on_) return {};
    return [this](std::string_view what, double, double) {
      const auto now = std::chrono::steady_clock::now();
      if (shown_ && now - last_ < std::chrono::milliseconds(200)) return;
      last_ = now;
      shown_ = true;
      std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(std::min<std::size_t>(what.size(), 120)), what.data());
      std::fflush(stderr);
    };
  }

 private:
  bool on_ = false, shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

int code_of(Answer a) {
  switch (a) {
    case Answer::unsat: return kDone;
    case Answer::sat: return kViolated;
    case Answer::unknown: return kUnknown;
    case Answer::timeout: return kTimeout;
    case Answer::memory: return kNoMemory;
    case Answer::interrupted: return kInterrupted;
  }
  return kUnknown;
}

std::string headline(const VerifyResult& r) {
  const std::string word(text(r.answer));
  if (r.answer == Answer::unsat) return word + (r.vacuous ? ": vacuous, the property describes no input at all" : ": proved, no input violates the property");
  if (r.answer == Answer::sat) return word + ": an input violates the property (disjunct " + std::to_string(r.counterexample->disjunct) + ")";
  return word + ": " + r.reason;
}

bool is_float32(const std::vector<double>& x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return static_cast<double>(static_cast<float>(v)) == v; });
}

std::string shown(double x) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", x);
  return buffer;
}

void say_counterexample(const Output& output, const Counterexample& c, const char* what) {
  output.say(std::string(what) + (is_float32(c.input) ? "all coordinates are float32 numbers" : "a point of doubles: the region holds no float32 point that does"));
  std::string y, replay;
  const std::size_t shown_outputs = std::min<std::size_t>(c.output.size(), 10);
  for (std::size_t j = 0; j < shown_outputs; ++j) {
    y += (j ? " " : "") + shown(c.output[j].lo) + (shown(c.output[j].lo) == shown(c.output[j].hi) ? "" : ".." + shown(c.output[j].hi));
    replay += (j ? " " : "") + shown(c.replay[j]);
  }
  output.say("outputs       " + y + (shown_outputs < c.output.size() ? " ..." : "") + "  (proved enclosures)");
  output.say("in float32    " + replay + (shown_outputs < c.output.size() ? " ..." : ""));
}

void say(const Output& output, const VerifyArguments& o, const Question& q, const VerifyResult& r) {
  output.say(headline(r));
  output.say("property      " + q.title + ": " + std::to_string(r.disjuncts) + (r.disjuncts == 1 ? " disjunct, " : " disjuncts, ") + std::to_string(q.property.inputs) + " inputs, " +
             std::to_string(q.property.outputs) + " outputs");
  output.say("semantics     " + o.semantics);
  if (!r.strategy.empty()) output.say("strategy      " + r.strategy);
  if (r.answer != Answer::sat && r.answer != Answer::unsat) output.say("best bound    " + shown(r.best_bound) + " (above 0 proves); " + std::to_string(r.disjuncts_closed) + " of " + std::to_string(r.disjuncts) + " disjuncts proved");
  output.say("search        " + std::to_string(r.domains) + " regions bounded, " + std::to_string(r.splits) + " splits, " + std::to_string(r.leaves) + " leaves, " + std::to_string(r.open) + " open, depth " + std::to_string(r.deepest));
  if (r.counterexample) say_counterexample(output, *r.counterexample, "input         ");
  else if (r.near_miss) say_counterexample(output, *r.near_miss, "near miss     violates within rounding only, which proves nothing; ");
  std::string stages;
  for (const auto& s : r.stages) stages += (stages.empty() ? "" : ", ") + s.name + " " + shown(s.seconds);
  output.say("time          " + shown(r.seconds) + " s" + (stages.empty() ? "" : " (" + stages + ")"));
  for (const auto& note : r.notes) output.say("note: " + note);
}

Json json_of(const Counterexample& c) {
  Json y = Json::array(), replay = Json::array();
  for (const Interval& v : c.output) y.push_back({json_number<Json>(printable_down(v.lo)), json_number<Json>(printable_up(v.hi))});
  for (const double v : c.replay) replay.push_back(json_number<Json>(v));
  return {{"disjunct", c.disjunct}, {"input", c.input}, {"float32", is_float32(c.input)}, {"output", y}, {"replay", replay}};
}

Json json_of(const VerifyArguments& o, const Network& network, const Question& q, const VerifyResult& r) {
  Json j = {{"verdict", text(r.answer)}, {"reason", r.reason}, {"vacuous", r.vacuous}, {"model", network.source}, {"sha256", network.sha256},
            {"property", {{"source", q.title}, {"sha256", q.property.sha256}, {"inputs", q.property.inputs}, {"outputs", q.property.outputs}, {"disjuncts", r.disjuncts}}},
            {"semantics", o.semantics}, {"strategy", r.strategy}, {"best_bound", json_number<Json>(printable_down(r.best_bound))}};
  Json bounds = Json::array(), stages = Json::array();
  for (const double b : r.disjunct_bound) bounds.push_back(json_number<Json>(printable_down(b)));
  for (const auto& s : r.stages) stages.push_back({{"name", s.name}, {"seconds", s.seconds}});
  j["disjunct_bound"] = bounds;
  j["disjuncts_closed"] = r.disjuncts_closed;
  j["domains"] = r.domains, j["splits"] = r.splits, j["leaves"] = r.leaves, j["open"] = r.open, j["clips"] = r.clips, j["deepest"] = r.deepest;
  j["seed"] = o.seed, j["threads"] = o.threads, j["timeout"] = o.timeout;
  j["seconds"] = r.seconds, j["stages"] = stages, j["notes"] = r.notes;
  j["counterexample"] = r.counterexample ? json_of(*r.counterexample) : Json(nullptr);
  j["near_miss"] = r.near_miss ? json_of(*r.near_miss) : Json(nullptr);
  return j;
}

std::string counterexample_text(const Counterexample& c) {
  Violation v;
  v.input = c.input;
  v.replay = c.replay;
  return to_counterexample(v);
}

// The competition's result file: one word, and the counterexample behind `sat`.
std::string vnncomp_text(const VerifyResult& r) {
  switch (r.answer) {
    case Answer::unsat: return "unsat\n";
    case Answer::sat: return "sat\n" + counterexample_text(*r.counterexample);
    case Answer::timeout: return "timeout\n";
    case Answer::unknown: case Answer::memory: case Answer::interrupted: break;
  }
  return "unknown\n";
}

Result<void> write_evidence(const VerifyArguments& o, const Network& network, const InputOptions& input, const Question& q, VerifyResult& r, const Output& output, Json& json) {
  if (!o.vnncomp.empty()) BL_CHECK(write_file(o.vnncomp, vnncomp_text(r)));
  if (r.counterexample && !o.counterexample.empty()) {
    BL_CHECK(write_file(o.counterexample, counterexample_text(*r.counterexample)));
    output.say("written       " + o.counterexample);
  }
  if (r.counterexample && !o.saved.empty()) {
    BL_CHECK(save_input(o.saved, network, input, r.counterexample->input));
    output.say("written       " + o.saved);
  }
  json["certificate"] = nullptr;
  if (r.answer != Answer::unsat || o.certificate.empty()) return {};
  if (!r.certificate) {
    output.say("certificate   none: " + r.certificate_reason);
    json["certificate_reason"] = r.certificate_reason;
    return {};
  }
  if (q.inlined)
    for (auto& statement : r.certificate->statements)
      if (statement.title.empty()) statement.title = q.title;
  const std::string bytes = check::serialize(*r.certificate);
  BL_CHECK(write_file(o.certificate, bytes));
  output.say("certificate   " + o.certificate + ", " + std::to_string(bytes.size()) + " bytes; replay it: boundlight check " + o.certificate + " " + o.input.model + (q.inlined ? "" : " " + o.property));
  json["certificate"] = {{"file", o.certificate}, {"bytes", bytes.size()}, {"inlined", q.inlined}};
  return {};
}

Result<int> run_verify(const VerifyArguments& o, StopToken stop) {
  const auto start = std::chrono::steady_clock::now();
  const Output output(o.json);
  for (const auto& [option, path] : {std::pair("--certificate", o.certificate), {"--counterexample", o.counterexample}, {"--save-input", o.saved}, {"--vnncomp", o.vnncomp}, {"--state", o.state}, {"--json", o.json}})
    BL_CHECK(can_write(option, path));
  if (!o.saved.empty()) {  // before any work: a wrong name would be noticed at the end only
    const auto end = std::filesystem::path(o.saved).extension();
    if (end != ".npy" && end != ".png") return bad_option("--save-input", "'" + o.saved + "' must end in .npy (exact) or .png (rounded to 8 bits)");
  }
  BL_TRY(network, load_network(o.input.model, output));
  BL_TRY(input, input_options(o.input));
  BL_TRY(question, question_of(o, network, input, output));
  VerifyOptions options = options_of(o, question, stop);
  if (o.timeout > 0) options.timeout = std::max(1e-3, o.timeout - std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  auto result = [&] {
    ProgressLine line(output.text());
    options.progress = line.sink();
    return verify(network, question.property, options);
  }();
  if (!result.ok()) return result.error();
  VerifyResult& r = *result;
  say(output, o, question, r);
  Json json = json_of(o, *network, question, r);
  BL_CHECK(write_evidence(o, *network, input, question, r, output, json));
  if (!o.state.empty() && std::filesystem::exists(o.state)) output.say("state         " + o.state + "; the same command goes on from it");
  BL_CHECK(output.finish(json));
  return code_of(r.answer);
}

void add_search_options(CLI::App& command, VerifyArguments& o) {
  command.add_option("--timeout", o.timeout, "Seconds for everything, loading included; then the verdict is timeout, exit code 12")->check(seconds());
  command.add_option("--semantics", o.semantics, "real, or float32-any-order: also every float32 evaluation")->check(CLI::IsMember({"real", "float32-any-order"}))->capture_default_str();
  command.add_option("--seed", o.seed, "Seed of the attack; a proof does not depend on it")->capture_default_str();
  command.add_option("--threads", o.threads, "0: all; the verdict does not depend on it")->check(CLI::NonNegativeNumber)->capture_default_str();
  command.add_option("--memory", o.memory, "Cap for open regions and the proof so far, MiB (default: a quarter of the machine's memory)");
  command.add_option("--state", o.state, "Open regions are written here when the search stops early, and read when the file exists")->type_name("FILE");
  command.add_option("--save-every", o.save, "Seconds between two writings of --state while the search goes on")->check(seconds())->capture_default_str();
  command.add_option("--splits", o.splits, "auto, inputs, relus or none")->check(CLI::IsMember({"auto", "inputs", "relus", "none"}))->capture_default_str()->group("Search");
  command.add_option("--max-domains", o.domains, "End as unknown after so many regions; 0: no limit")->check(CLI::NonNegativeNumber)->group("Search");
  command.add_option("--exact", o.exact, "Search without rounding, for thresholds that are touched: auto (small piecewise-linear networks, where bounds end undecided), off, or only")
      ->check(CLI::IsMember({"auto", "off", "only"}))->capture_default_str()->group("Search");
  command.add_flag("--no-attack", o.no_attack, "Only prove; never look for a counterexample")->group("Search");
  command.add_flag("--no-clip", o.no_clip, "Do not cut boxes by the property's own plane")->group("Search");
  command.add_option("--device", o.device, "cpu, cuda or emulated")->capture_default_str();
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("verify", "Verdict on a property, with evidence: proved (unsat), or violated by an input (sat)");
  auto o = std::make_shared<VerifyArguments>();
  add_input_options(*command, o->input, false);
  command->add_option("property", o->property, "VNN-LIB file, or the JSON form (docs/specs.md); or give --input, --eps and --label")->type_name("PROPERTY");
  add_region_options(*command, o->region);
  command->add_option("--label", o->label, "Class that has to stay (default: the predicted one)")->type_name("CLASS")->group("Region");
  command->add_option("--target", o->target, "Only this rival class")->type_name("CLASS")->group("Region");
  add_search_options(*command, *o);
  command->add_option("--certificate", o->certificate, "Write the proof of an unsat, for boundlight check")->type_name("FILE")->group("Evidence");
  command->add_option("--counterexample", o->counterexample, "Write the input of a sat as ((X_0 v) ... (Y_0 w))")->type_name("FILE")->group("Evidence");
  command->add_option("--save-input", o->saved, "Write the input of a sat as .npy (exact) or .png (rounded to 8 bits)")->type_name("FILE")->group("Evidence");
  command->add_option("--vnncomp", o->vnncomp, "Write the competition's result file: unsat, sat and the counterexample, unknown or timeout")->type_name("FILE")->group("Evidence");
  add_json_option(*command, o->json);
  command->footer("Exit codes: 0 unsat, 10 sat, 11 unknown, 12 timeout, 4 memory cap, 130 interrupted, 2 bad input.\n"
                  "Example: boundlight verify examples/honest.onnx --input examples/images.npz:images[0] --eps 2/255 --certificate proof.blcert");
  command->callback([&session, o] { session.run = [o, &session] { return run_verify(*o, session.stop); }; });
}

}  // namespace boundlight::cli
