// boundlight audit MODEL DATA: a verdict for every sample of a data set or every property of a folder; shares of volumes.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <thread>

#include "boundlight/apps/cli/audit_report.hpp"
#include "boundlight/apps/cli/images.hpp"
#include "boundlight/apps/cli/properties.hpp"
#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/picture.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/solver/audit/coverage.hpp"
#include "boundlight/solver/audit/radius.hpp"
#include "boundlight/solver/evidence/write.hpp"

namespace boundlight::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct AuditArguments {
  InputArguments input;
  RegionArguments region;
  std::vector<std::string> data;
  std::string property = "robust", specs, truth, out, json, semantics = "real", device = "cpu";
  double budget = 10, timeout = 0, confidence = 0.95;
  std::uint64_t seed = 1;
  int jobs = 0;
  bool resume = false, radius = false, coverage = false, population = false, certificates = false, no_attack = false;
};


// One thing to judge: a sample of the data, or a property file.
struct Item {
  std::string name;                        // "12", or the file's name (of a folder's images: letters that a file name takes)
  const PreparedInput* sample = nullptr;   // data
  std::string file;                        // specs
  std::int64_t label = -1, predicted = -1;
};

std::string file_name(const Item& item) {
  std::string name = item.name;
  if (item.sample && name.find_first_not_of("0123456789") == std::string::npos) name = std::string(name.size() < 6 ? 6 - name.size() : 0, '0') + name;
  return name;
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Audit {
 public:
  Audit(const AuditArguments& o, std::shared_ptr<const Network> network, InputOptions input, const Output& output, StopToken stop)
      : o_(o), network_(std::move(network)), input_(std::move(input)), output_(output), flag_(stop), stop_(o.timeout > 0 ? stop.with_deadline(o.timeout) : stop) {}

  Result<int> run();

 private:
  Result<void> read_data();
  Result<void> read_specs();
  Result<void> read_labels();
  Result<void> prepare_folder();
  Result<std::string> content() const;
  void work(std::atomic<std::size_t>& next, int threads);
  Json judge(const Item& item, int threads);
  Result<void> judge_into(const Item& item, int threads, Json& record);
  Result<void> cover_into(const Property& property, StopToken stop, Json& record);
  Result<void> radius_into(const Item& item, int threads, StopToken stop, Json& record);
  Result<Property> property_of(const Item& item, const Rational& eps) const;
  Result<void> keep(const Item& item, const VerifyResult& r, Json& record);
  Result<void> keep_picture(const Item& item, const Counterexample& c, Json& record);
  VerifyOptions verify_options(const Item& item, int threads, double seconds) const;
  void finish(std::size_t index, Json record);
  std::string line(const Json& record) const;
  std::filesystem::path record_path(const Item& item) const { return std::filesystem::path(o_.out) / "samples" / (file_name(item) + ".json"); }

  const AuditArguments& o_;
  std::shared_ptr<const Network> network_;
  const InputOptions input_;
  const Output& output_;
  StopToken flag_, stop_;
  LoadedInputs loaded_;
  std::vector<Item> items_;
  Rational eps_ = 0;
  std::size_t jobs_ = 1;
  AuditSettings settings_;
  std::mutex mutex_;
  std::vector<Json> records_;      // by item; null: not there
  std::optional<Error> failure_;   // a file that cannot be written ends the audit
};

Result<void> Audit::read_data() {
  std::vector<std::string> names;
  std::error_code error;
  const bool files = network_->inputs.size() == 1 && (o_.input.inputs.size() > 1 || std::filesystem::is_directory(o_.input.inputs[0], error));
  if (files) {
    BL_TRY(images, load_images(*network_, o_.input, output_));
    loaded_.labels = input_.labels;
    for (NamedImage& image : images) {
      loaded_.samples.push_back(std::move(image.input));
      names.push_back(std::move(image.folder));
    }
  } else {
    BL_TRY(loaded, load_all_inputs(*network_, o_.input, output_));
    loaded_ = std::move(loaded);
  }
  if (loaded_.samples.empty()) return Error{ErrorKind::unsupported, "DATA", "a model with several inputs is audited by a folder of properties, --specs FOLDER"};
  if (o_.region.norm != "linf") return bad_option("--norm", "verdicts are about linf balls; " + o_.region.norm + " balls are for the command bounds");
  if (o_.region.eps.empty() && !o_.radius) return bad_option("--eps", "give the radius of the region in pixel units, e.g. --eps 2/255, or --radius to search for it");
  if (!o_.region.eps.empty()) {
    BL_TRY(eps, parse_radius("--eps", o_.region.eps));
    eps_ = eps;
  }
  for (std::size_t i = 0; i < loaded_.samples.size(); ++i) {
    Item& item = items_.emplace_back();
    item.name = files ? names[i] : std::to_string(i);
    item.sample = &loaded_.samples[i];
  }
  return read_labels();
}

// Labels: of --truth, else what the model predicts.
Result<void> Audit::read_labels() {
  const std::int64_t classes = network_->values[static_cast<std::size_t>(network_->outputs[0])].size;
  BL_TRY(engine, make_engine(network_, o_.device));
  for (Item& item : items_) {
    BL_TRY(predicted, predicted_class(*engine, item.sample->values));
    item.label = item.predicted = predicted;
  }
  if (o_.truth.empty()) return {};
  BL_TRY(array, load_array(o_.truth));
  const auto labels = array.to_doubles();
  if (labels.size() != items_.size()) return bad_option("--truth", o_.truth + " has " + std::to_string(labels.size()) + " labels, the data " + std::to_string(items_.size()) + " samples");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!(labels[i] >= 0 && labels[i] < static_cast<double>(classes) && labels[i] == std::floor(labels[i])))
      return bad_option("--truth", "label " + std::to_string(i) + " of " + o_.truth + " is not among the model's " + std::to_string(classes) + " classes, 0 to " + std::to_string(classes - 1));
    items_[i].label = static_cast<std::int64_t>(labels[i]);
  }
  return {};
}

Result<void> Audit::read_specs() {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(o_.specs, error)) {
    for (const auto& entry : std::filesystem::directory_iterator(o_.specs, error))
      if (entry.path().extension() == ".vnnlib" || entry.path().extension() == ".json") files.push_back(entry.path());
  } else if (std::filesystem::exists(o_.specs, error)) {
    files.emplace_back(o_.specs);
  }
  if (files.empty()) return bad_option("--specs", o_.specs + " holds no .vnnlib or .json file");
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    Item& item = items_.emplace_back();
    item.name = file.filename().string();
    item.file = file.string();
  }
  return {};
}

// SHA-256 of what is judged: numbers, their preparation and labels, or the property files. A name says nothing about what is in a file.
Result<std::string> Audit::content() const {
  std::string bytes;
  const auto add = [&](const std::vector<double>& numbers) {
    bytes += std::to_string(numbers.size()) + ":";
    bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  };
  for (const Item& item : items_) {
    if (!item.sample) {
      BL_TRY(text, read_file(item.file));
      bytes += sha256_hex(text);
      continue;
    }
    for (const auto* numbers : {&item.sample->pixels, &item.sample->values, &item.sample->map.mean, &item.sample->map.std}) add(*numbers);
    const auto range = item.sample->range.value_or(Interval::anything());
    add({range.lo, range.hi, static_cast<double>(item.label)});
    bytes = sha256_hex(bytes);
  }
  return sha256_hex(bytes);
}

// Makes the folder, and reads the records of an earlier run of the same audit.
Result<void> Audit::prepare_folder() {
  Json names = Json::array();
  for (const Item& item : items_) names.push_back(item.name);
  BL_TRY(hash, content());
  settings_.question = {{"model", network_->source}, {"sha256", network_->sha256}, {"data", o_.specs.empty() ? Json(o_.input.inputs) : Json(o_.specs)}, {"property", o_.specs.empty() ? o_.property : "files"},
                        {"eps", o_.region.eps}, {"norm", o_.region.norm}, {"clip", o_.region.clip.empty() ? "natural range" : o_.region.clip}, {"truth", o_.truth}, {"radius", o_.radius},
                        {"coverage", o_.coverage}, {"semantics", o_.semantics}, {"budget", o_.budget}, {"attack", !o_.no_attack}, {"seed", o_.seed}, {"version", BOUNDLIGHT_VERSION}, {"samples", names}, {"content", hash}};
  settings_.population = o_.population;
  settings_.confidence = o_.confidence;
  records_.assign(items_.size(), nullptr);
  if (o_.out.empty()) return {};
  const std::filesystem::path folder = o_.out;
  std::error_code error;
  const bool there = std::filesystem::exists(folder / "audit.json", error);
  if (there && !o_.resume) return bad_option("--out", o_.out + " holds an audit already; --resume goes on with it, or name another folder");
  for (const char* sub : {"samples", "pictures", "certificates"}) {
    std::filesystem::create_directories(folder / sub, error);
    if (error) return Error{ErrorKind::io, "option --out", "cannot make the folder " + (folder / sub).string() + ": " + error.message()};
  }
  if (!there) return write_file(folder / "audit.json", settings_.question.dump(1) + "\n");
  BL_TRY(text, read_file(folder / "audit.json", 1 << 26));
  const Json before = Json::parse(text, nullptr, false);
  if (before != settings_.question) {
    std::string differs;
    for (const auto& [key, value] : settings_.question.items())
      if (!before.is_object() || !before.contains(key) || before.at(key) != value) differs += (differs.empty() ? "" : ", ") + key;
    return bad_option("--resume", "the audit in " + o_.out + " asked something else (" + (differs.empty() ? "audit.json" : differs) + "); use its options, or another folder");
  }
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (!std::filesystem::exists(record_path(items_[i]), error)) continue;
    BL_TRY(record, read_file(record_path(items_[i]), 1 << 26));
    Json parsed = Json::parse(record, nullptr, false);
    // A damaged one is judged again, and one that ended in an error.
    if (parsed.is_object() && parsed.contains("verdict") && parsed.at("verdict").is_string() && parsed.at("verdict") != "error") records_[i] = std::move(parsed);
  }
  return {};
}

VerifyOptions Audit::verify_options(const Item& item, int threads, double seconds) const {
  VerifyOptions v;
  v.semantics = o_.semantics == "real" ? Semantics::real : Semantics::float32_any_order;
  v.timeout = seconds;
  v.stop = stop_;
  v.threads = threads;
  v.seed = o_.seed;
  v.device = o_.device;
  v.attack = !o_.no_attack;
  v.memory = physical_memory() / 4 / jobs_;
  v.certificate = o_.certificates && !o_.radius;
  v.inlined = item.sample || std::filesystem::path(item.file).extension() == ".json";
  return v;
}

Result<Property> Audit::property_of(const Item& item, const Rational& eps) const {
  if (!item.sample) return load_property(item.file, *network_, input_);
  const std::int64_t classes = network_->values[static_cast<std::size_t>(network_->outputs[0])].size;
  return ball_property(*item.sample, o_.region, eps, item.label, -1, classes, "sample " + item.name + " keeps class " + class_name(loaded_.labels, item.label));
}

Result<void> Audit::keep_picture(const Item& item, const Counterexample& c, Json& record) {
  if (o_.out.empty() || !item.sample || !item.sample->map.form.image) return {};
  const auto before = picture_of_input(*network_, input_, item.sample->values), after = picture_of_input(*network_, input_, c.input);
  if (!before.ok() || !after.ok()) return {};
  Picture difference = *after;
  int most = 1;
  for (std::size_t i = 0; i < difference.samples.size(); ++i) most = std::max(most, std::abs(int(after->samples[i]) - int(before->samples[i])));
  for (std::size_t i = 0; i < difference.samples.size(); ++i) difference.samples[i] = static_cast<std::uint8_t>(127 + 127 * (int(after->samples[i]) - int(before->samples[i])) / most);
  const std::string name = "pictures/" + file_name(item) + ".png";
  BL_CHECK(write_file(std::filesystem::path(o_.out) / name, encode_png(beside({*before, *after, difference}))));
  record["picture"] = name;
  return {};
}

Result<void> Audit::keep(const Item& item, const VerifyResult& r, Json& record) {
  if (r.counterexample) {
    record["counterexample"] = r.counterexample->input;
    BL_CHECK(keep_picture(item, *r.counterexample, record));
  }
  if (!r.certificate || o_.out.empty()) return {};
  check::Certificate certificate = *r.certificate;
  for (auto& statement : certificate.statements)
    if (statement.title.empty() && item.sample) statement.title = "sample " + item.name + " keeps class " + class_name(loaded_.labels, item.label) + " within eps " + o_.region.eps;
  const std::string name = "certificates/" + file_name(item) + ".blcert";
  BL_CHECK(write_file(std::filesystem::path(o_.out) / name, check::serialize(certificate)));
  record["certificate"] = name;
  return {};
}

std::string fraction(const Rational& q) { return q.str(); }

Result<void> Audit::cover_into(const Property& property, StopToken stop, Json& record) {
  Json boxes = Json::array();
  bool complete = true;
  Rational safe = 0, unsafe = 0;
  std::int64_t regions = 0;
  std::string reason;
  for (std::size_t b = 0; b < property.boxes.size(); ++b) {
    if (property.boxes[b].empty) continue;
    CoverageOptions c;
    c.semantics = o_.semantics == "real" ? Semantics::real : Semantics::float32_any_order;
    c.stop = stop;
    c.device = o_.device;
    BL_TRY(found, cover(network_, property, b, c));
    const Rational undecided = 1 - found.safe - found.unsafe;
    boxes.push_back({{"box", b}, {"safe", fraction(found.safe)}, {"unsafe", fraction(found.unsafe)}, {"undecided", fraction(undecided)}, {"bounded", found.boxes}, {"open", found.open_boxes},
                     {"deepest", found.deepest}, {"inputs", found.dimensions}, {"complete", found.complete}});
    complete = complete && found.complete;
    if (!found.reason.empty()) reason = found.reason;
    safe += found.safe, unsafe += found.unsafe;
    ++regions;
  }
  if (regions == 0) return Error{ErrorKind::bad_input, property.source, "every box is empty: there is no volume to share"};
  record["verdict"] = safe == regions ? "verified" : unsafe > 0 ? "falsified" : "undecided";
  record["reason"] = reason;
  // Of several boxes: the mean of their shares.
  record["safe_percent"] = percent_down(round_down(Rational(safe / regions)));
  record["unsafe_percent"] = percent_down(round_down(Rational(unsafe / regions)));
  record["undecided_percent"] = percent_up(round_up(Rational(1 - (safe + unsafe) / regions)));
  record["complete"] = complete;
  record["boxes"] = boxes;
  return {};
}

Result<void> Audit::radius_into(const Item& item, int threads, StopToken stop, Json& record) {
  RadiusOptions r;
  const double scale = item.sample->range ? item.sample->range->hi - item.sample->range->lo : 1;
  r.start = eps_ > 0 ? round_up(eps_) : scale / 256;
  r.largest = std::max(scale, r.start);
  r.smallest = 1e-6 * scale;
  r.stop = stop;
  BL_TRY(found, certified_radius(
                    [&](double radius) -> Result<VerifyResult> {
                      BL_TRY(property, property_of(item, exact(radius)));
                      // A hard radius may take a third of what is left, so that others are asked too.
                      return verify(network_, property, verify_options(item, threads, std::max(0.01, stop.remaining().value_or(o_.budget) / 3)));
                    },
                    r));
  record["certified_radius"] = printable_down(found.certified);
  record["falsified_radius"] = json_number<Json>(printable_up(found.falsified));
  record["queries"] = found.queries;
  record["complete"] = found.complete;
  // Of eps itself, which need not be a double.
  const bool falsified = std::isfinite(found.falsified) && exact(found.falsified) <= eps_;
  record["verdict"] = eps_ > 0 && exact(found.certified) >= eps_ ? "verified" : eps_ > 0 && falsified ? "falsified" : eps_ > 0 ? "undecided" : found.certified > 0 ? "verified" : std::isfinite(found.falsified) ? "falsified" : "undecided";
  if (found.counterexample) {
    record["counterexample"] = found.counterexample->input;
    BL_CHECK(keep_picture(item, *found.counterexample, record));
  }
  return {};
}

Result<void> Audit::judge_into(const Item& item, int threads, Json& record) {
  const StopToken budget = o_.budget > 0 ? stop_.with_deadline(o_.budget) : stop_;
  if (item.sample) {
    record["label"] = item.label, record["predicted"] = item.predicted;
    record["misclassified"] = item.label != item.predicted;
  }
  if (o_.radius) return radius_into(item, threads, budget, record);
  BL_TRY(property, property_of(item, eps_));
  if (o_.coverage) return cover_into(property, budget, record);
  BL_TRY(r, verify(network_, property, verify_options(item, threads, o_.budget)));
  record["verdict"] = r.answer == Answer::unsat ? "verified" : r.answer == Answer::sat ? "falsified" : "undecided";
  record["reason"] = r.reason;
  record["vacuous"] = r.vacuous;
  record["best_bound"] = json_number<Json>(printable_down(r.best_bound));
  record["regions"] = r.domains;
  return keep(item, r, record);
}

Json Audit::judge(const Item& item, int threads) {
  const auto start = Clock::now();
  Json record = {{"name", item.name}, {"verdict", "error"}, {"reason", ""}};
  const auto done = judge_into(item, threads, record);
  if (!done.ok()) {
    record["verdict"] = "error";
    record["reason"] = done.error().text();
    if (done.error().kind == ErrorKind::io && item.sample) {
      const std::lock_guard lock(mutex_);
      failure_ = done.error();
    }
  }
  record["seconds"] = since(start);
  return record;
}

std::string Audit::line(const Json& r) const {
  char buffer[160];
  std::string text = r.at("name").get<std::string>();
  std::snprintf(buffer, sizeof buffer, "%-24s %-10s %8.3f s", text.c_str(), r.at("verdict").get<std::string>().c_str(), r.at("seconds").get<double>());
  text = buffer;
  if (r.contains("certified_radius")) {
    std::snprintf(buffer, sizeof buffer, "  certified radius %.6g, falsified %s", r.at("certified_radius").get<double>(), r.at("falsified_radius").dump().c_str());
    text += buffer;
  }
  if (r.contains("safe_percent")) text += "  safe " + r.at("safe_percent").get<std::string>() + ", unsafe " + r.at("unsafe_percent").get<std::string>() + ", undecided " + r.at("undecided_percent").get<std::string>();
  if (r.value("misclassified", false)) text += "  misclassified";
  if (const auto reason = r.value("reason", std::string()); !reason.empty()) text += "  " + reason;
  return text;
}

void Audit::finish(std::size_t index, Json record) {
  const std::lock_guard lock(mutex_);
  // What Ctrl-C or the audit's own time cut short is asked again by --resume; shares and radii so far are reported all the same.
  const bool measured = record.contains("complete"), cut = stop_.stop_requested() && (measured ? !record.at("complete").get<bool>() : record.at("verdict") == "undecided");
  if (cut && !measured) return;
  if (cut) record["cut_short"] = true;
  if (!o_.out.empty() && !cut) {
    const auto written = write_file(record_path(items_[index]), record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    if (!written.ok()) failure_ = written.error();
  }
  output_.say(line(record));
  if (output_.text()) std::fflush(stdout);
  records_[index] = std::move(record);
}

void Audit::work(std::atomic<std::size_t>& next, int threads) {
  for (std::size_t i = next++; i < items_.size(); i = next++) {
    if (!records_[i].is_null()) continue;
    {
      const std::lock_guard lock(mutex_);
      if (stop_.stop_requested() || failure_) return;
    }
    finish(i, judge(items_[i], threads));
  }
}

Result<int> Audit::run() {
  if (o_.specs.empty()) BL_CHECK(read_data());
  else BL_CHECK(read_specs());
  BL_CHECK(prepare_folder());
  const auto kept = static_cast<std::size_t>(std::count_if(records_.begin(), records_.end(), [](const Json& r) { return !r.is_null(); }));
  if (kept > 0) output_.say(std::to_string(kept) + " samples are judged already");
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  // Coverage works in large batches that use every core by themselves.
  const std::size_t jobs = o_.coverage ? 1 : std::min(o_.jobs > 0 ? static_cast<std::size_t>(o_.jobs) : cores, std::max<std::size_t>(1, items_.size() - kept));
  jobs_ = jobs;
  const int threads = jobs == 1 ? 0 : static_cast<int>(std::max<std::size_t>(1, cores / jobs));
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> workers;
  for (std::size_t j = 1; j < jobs; ++j) workers.emplace_back([&] { work(next, threads); });
  work(next, threads);
  for (auto& w : workers) w.join();
  if (failure_) return *failure_;

  std::vector<Json> records;
  for (const Json& r : records_)
    if (!r.is_null()) records.push_back(r);
  const Json summary = summary_of(records, static_cast<std::int64_t>(items_.size()), settings_);
  for (const auto& text : in_words(summary)) output_.say(text);
  if (!o_.out.empty()) {
    BL_CHECK(write_audit_report(o_.out, records, summary, settings_));
    output_.say("written     " + (std::filesystem::path(o_.out) / "report.html").string());
  }
  BL_CHECK(output_.finish({{"settings", settings_.question}, {"summary", summary}, {"samples", records}}));
  if (!summary.at("complete").get<bool>()) return flag_.cancelled() ? kInterrupted : kTimeout;
  return summary.at("errors").get<std::int64_t>() > 0 ? kBadInput : kDone;
}

Result<int> run_audit(AuditArguments o, StopToken stop) {
  const Output output(o.json);
  BL_CHECK(can_write("--json", o.json));
  o.input.inputs.insert(o.input.inputs.begin(), o.data.begin(), o.data.end());
  if (o.specs.empty() == o.input.inputs.empty()) return bad_option("--specs", o.specs.empty() ? "give samples (DATA with --eps or --radius), or properties with --specs" : "and DATA are two different audits; give one of them");
  if (!o.specs.empty() && (o.radius || !o.region.eps.empty() || !o.truth.empty())) return bad_option("--specs", "properties say their own regions: --eps, --radius and --truth are for DATA");
  if (o.radius && o.coverage) return bad_option("--coverage", "and --radius are two different audits; give one of them");
  if (o.resume && o.out.empty()) return bad_option("--resume", "needs --out, the folder of the audit to go on with");
  if (!(o.confidence > 0 && o.confidence < 1)) return bad_option("--confidence", "must lie between 0 and 1, such as 0.95");
  BL_TRY(network, load_network(o.input.model, output));
  if (network->outputs.size() != 1) return Error{ErrorKind::unsupported, network->source, "verdicts need a model with one output, this one has " + std::to_string(network->outputs.size())};
  BL_TRY(input, input_options(o.input));
  return Audit(o, network, std::move(input), output, stop).run();
}

}  // namespace

void add_audit(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("audit", "A verdict for every sample of a data set or every property of a folder; certified radii and volumes");
  auto o = std::make_shared<AuditArguments>();
  add_input_options(*command, o->input, false);
  command->add_option("data", o->data, "Samples: images.npy, data.npz:images[0:100], points.csv, cat.png; several files, or a folder of images in order of name")->type_name("DATA");
  add_region_options(*command, o->region);
  command->add_option("--property", o->property, "What every sample has to show; robust: it keeps its class")->check(CLI::IsMember({"robust"}))->capture_default_str()->group("Question");
  command->add_option("--truth", o->truth, "True classes of the samples as an array (default: what the model predicts)")->type_name("ARRAY")->group("Question");
  command->add_option("--specs", o->specs, "Instead of DATA: a folder of .vnnlib and .json properties, or one of them")->type_name("FOLDER")->group("Question");
  command->add_flag("--radius", o->radius, "Certified radius of every sample, by bisection")->group("Question");
  command->add_flag("--coverage", o->coverage, "For few inputs: certified shares of the region's volume, safe, unsafe and undecided")->group("Question");
  command->add_flag("--population", o->population, "The samples were drawn at random: bound the share of their population (Clopper and Pearson)")->group("Question");
  command->add_option("--confidence", o->confidence, "Of --population")->capture_default_str()->group("Question");
  command->add_option("--semantics", o->semantics, "real, or float32-any-order: also every float32 evaluation")->check(CLI::IsMember({"real", "float32-any-order"}))->capture_default_str();
  command->add_option("--budget", o->budget, "Seconds per sample")->check(seconds())->capture_default_str();
  command->add_option("--timeout", o->timeout, "Seconds for the whole audit; what is finished is reported, exit code 12")->check(seconds());
  command->add_option("--jobs", o->jobs, "Samples at once; 0: as many as cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--seed", o->seed, "Seed of the attack")->capture_default_str();
  command->add_flag("--no-attack", o->no_attack, "Only prove; never look for a counterexample");
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  command->add_option("--out", o->out, "Folder for report.json, report.html, samples/, pictures/ and certificates/")->type_name("DIR");
  command->add_flag("--certificates", o->certificates, "Write a certificate for every verified sample into --out");
  command->add_flag("--resume", o->resume, "Go on with the audit in --out");
  add_json_option(*command, o->json);
  command->footer("Exit codes: 0 every sample has its record, 12 --timeout, 130 interrupted, 2 bad input.\n"
                  "Example: boundlight audit examples/honest.onnx 'examples/images.npz:images[0:8]' --eps 1/255 --truth 'examples/images.npz:labels[0:8]' --out audit");
  command->callback([&session, o] { session.run = [o, &session] { return run_audit(*o, session.stop); }; });
}

}  // namespace boundlight::cli
