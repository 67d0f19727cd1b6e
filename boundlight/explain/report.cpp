#include "boundlight/explain/report.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/html.hpp"
#include "boundlight/explain/picture.hpp"
#include "boundlight/models/array.hpp"

namespace boundlight {
namespace {

using Json = nlohmann::ordered_json;

std::string name_of_class(const ReportInput& input, std::int64_t k) {
  return k >= 0 && k < static_cast<std::int64_t>(input.labels.size()) ? input.labels[static_cast<std::size_t>(k)] + " (" + std::to_string(k) + ")" : std::to_string(k);
}

double top_of(const std::vector<double>& v) {
  double top = 0;
  for (const double x : v)
    if (std::isfinite(x)) top = std::max(top, std::fabs(x));
  return top;
}

std::string html_of(const EvaMap& map, const Cells& cells, const ReportInput& input, const std::string& map_png, const std::string& overlay_png, const std::string& interval_png) {
  std::string h = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>boundlight: " + escaped_html(input.input) +
                  "</title>\n<style>body{font:16px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}figure{margin:1rem 0}"
                  "img{max-width:100%;image-rendering:pixelated}figcaption{color:#555}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;"
                  "border-bottom:1px solid #ddd;vertical-align:top}@media print{body{margin:0}figure{break-inside:avoid}}</style>\n<h1>What this decision rests on</h1>\n<p><b>" +
                  escaped_html(input.model) + "</b> on <b>" + escaped_html(input.input) + "</b></p>\n";
  for (const auto& line : in_words(map, input)) h += "<p>" + escaped_html(line) + "</p>\n";
  h += "<figure><img alt=\"the image\" style=\"width:12rem\" src=\"data:image/png;base64," + base64(encode_png(input.image)) + "\"><figcaption>The image</figcaption></figure>\n";
  h += png_figure(overlay_png, "The image under the map") + png_figure(map_png, "Estimated importance of every cell: how much of the overlap needs this cell to move") +
       png_figure(interval_png, "Certified: lower end, estimate, upper end of every cell's importance, one scale");
  std::vector<std::size_t> order(map.estimate.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return map.estimate[a] > map.estimate[b]; });
  h += "<h2>The ten most important cells</h2>\n<table><tr><th>cell</th><th>row, column</th><th>estimate</th><th>certified interval</th></tr>\n";
  for (std::size_t i = 0; i < std::min<std::size_t>(10, order.size()); ++i) {
    const std::size_t u = order[i];
    const std::string place = cells.cols > 0 ? std::to_string(u / static_cast<std::size_t>(cells.cols)) + ", " + std::to_string(u % static_cast<std::size_t>(cells.cols)) : "segment";
    h += "<tr><td>" + std::to_string(u) + "</td><td>" + place + "</td><td>" + short_number(map.estimate[u]) + "</td><td>[" + short_number(map.lower[u]) + ", " + short_number(map.upper[u]) + "]</td></tr>\n";
  }
  h += "</table>\n<h2>Settings</h2>\n<table>\n";
  for (const auto& [name, value] : input.settings) h += "<tr><td>" + escaped_html(name) + "</td><td>" + escaped_html(value) + "</td></tr>\n";
  h += "<tr><td>model sha256</td><td>" + input.sha256 + "</td></tr>\n<tr><td>boundlight</td><td>" + escaped_html(input.version) + ", " + escaped_html(input.device) + "</td></tr>\n";
  if (!input.certificate.empty())
    h += "<tr><td>certificate</td><td>" + escaped_html(input.certificate) + ", " + std::to_string(input.certificate_bytes) + " bytes; replay it: boundlight check " + escaped_html(input.certificate) + " " + escaped_html(input.model) + "</td></tr>\n";
  for (const auto& [stage, seconds] : map.seconds) h += "<tr><td>seconds: " + escaped_html(stage) + "</td><td>" + short_number(seconds) + "</td></tr>\n";
  for (const auto& note : map.notes) h += "<tr><td>note</td><td>" + escaped_html(note) + "</td></tr>\n";
  return h + "</table>\n</html>\n";
}

}  // namespace

std::vector<std::string> in_words(const EvaMap& m, const ReportInput& input) {
  std::vector<std::string> words;
  const std::string name = name_of_class(input, m.label);
  const auto predicted = std::max_element(m.logits.begin(), m.logits.end()) - m.logits.begin();
  if (!m.logits.empty() && predicted != m.label)
    words.push_back("The image itself is not classified as " + name + " but as " + name_of_class(input, predicted) + ": the overlap is above 0 before anything is changed.");
  if (!m.certified) words.push_back("NOT VERIFIED: the overlaps rest on samples at a layer inside the network; the map is an estimate, and no interval or order is proven.");
  else if (m.verified_base < 0) words.push_back("Proven: no image in the region changes the decision for class " + name + " (verified overlap " + short_number(m.verified_base) + ").");
  else if (m.attained_base > 0) words.push_back("The decision for class " + name + " can be changed inside the region: an image with overlap " + short_number(m.attained_base) + " was found.");
  else words.push_back("Open: no image that changes the decision for class " + name + " was found in the region, and none was excluded (overlap between " +
                       short_number(m.attained_base) + " and " + short_number(m.verified_base) + ").");
  const std::int64_t pairs = m.ordered + m.equal + m.undecided;
  if (!m.certified) {
    words.push_back("Nothing about pairs of cells is certified.");
  } else if (m.vacuous) {
    words.push_back("VACUOUS: the certified intervals are so wide that no two cells are ordered by proof; the map below is only an estimate. A smaller --eps or a larger --budget helps.");
  } else if (pairs > 0) {
    words.push_back("Certified: of " + std::to_string(pairs) + " pairs of cells, " + std::to_string(m.ordered) + " are ordered by proof, " + std::to_string(m.equal) +
                    " are equal within " + short_number(m.tau) + " by proof, " + std::to_string(m.undecided) + " are undecided. " + std::to_string(m.irrelevant) +
                    " of " + std::to_string(m.cells) + " cells are proven irrelevant (at most " + short_number(m.tau) + ").");
  }
  for (const auto& at : m.moments) {
    const double all = static_cast<double>(std::max<std::int64_t>(1, at.ordered + at.equal + at.undecided)) / 100;
    words.push_back("After " + short_number(at.seconds) + " s: " + short_number(static_cast<double>(at.ordered) / all) + " % of the pairs ordered, " + short_number(static_cast<double>(at.equal) / all) +
                    " % equal, " + short_number(static_cast<double>(at.undecided) / all) + " % undecided; overlap of the region at most " + short_number(at.verified_base) + ".");
  }
  words.push_back("Importance of a cell: how much lower the largest overlap (best rival minus class, over all images of the region) becomes when the cell is held at the image's own values. "
                  + std::string(m.certified ? "The interval of every cell contains that number, in exact arithmetic; the drawn estimate inside it is not certified." : "The drawn numbers are estimates."));
  if (m.certified && m.drawn == Estimate::verified)
    words.push_back("Drawn is the verified score of every cell: how much lower the proven bound of the overlap becomes when the cell is held." +
                    std::string(m.verified_base - m.attained_base > std::fabs(m.overlap) ? " (What is open between attained and proven, " + short_number(m.verified_base - m.attained_base) +
                                                                                               ", is more than the margin that decides the image, " + short_number(std::fabs(m.overlap)) +
                                                                                               ": on so large a region attained drops say little about the image.)"
                                                                                         : std::string()));
  if (!m.complete) words.push_back("Stopped early: everything stated holds, but could be tighter.");
  return words;
}

std::string report_json(const EvaMap& m, const Cells& cells, const ReportInput& input) {
  Json j;
  j["model"] = input.model;
  j["sha256"] = input.sha256;
  j["input"] = input.input;
  j["version"] = input.version;
  j["device"] = input.device;
  for (const auto& [name, value] : input.settings) j["settings"][name] = value;
  j["class"] = m.label;
  j["logits"] = json_numbers<Json>(m.logits);
  j["verdict"] = !m.certified ? "not verified" : m.verified_base < 0 ? "verified" : m.attained_base > 0 ? "falsified" : "unknown";
  j["overlap"] = {{"attained", json_number<Json>(printable_down(m.attained_base))}, {"verified", json_number<Json>(printable_up(m.verified_base))}};
  j["cells"] = {{"count", m.cells}, {"rows", cells.rows}, {"cols", cells.cols}, {"estimate", json_numbers<Json>(m.estimate)}, {"lower", json_numbers<Json>(m.lower, printable_down)},
                {"upper", json_numbers<Json>(m.upper, printable_up)}, {"score", json_numbers<Json>(m.score)}, {"verified_overlap", json_numbers<Json>(m.verified, printable_up)}, {"attained_overlap", json_numbers<Json>(m.attained, printable_down)}};
  if (!m.difference.empty()) j["cells"]["difference_bound"] = json_numbers<Json>(m.difference, printable_up);
  j["drawn"] = m.drawn == Estimate::attained ? "attained" : m.drawn == Estimate::verified ? "verified" : "midpoint";
  j["pairs"] = {{"ordered", m.ordered}, {"equal", m.equal}, {"undecided", m.undecided}, {"tau", json_number<Json>(m.tau)}};
  j["irrelevant"] = m.irrelevant;
  j["certified"] = m.certified;
  j["charges"] = {{"base", json_number<Json>(m.charge_base)}, {"cells", json_numbers<Json>(m.charge)}};
  if (!m.moments.empty()) {
    Json moments = Json::array();
    for (const auto& at : m.moments) moments.push_back({{"seconds", at.seconds}, {"ordered", at.ordered}, {"equal", at.equal}, {"undecided", at.undecided}, {"verified_overlap", json_number<Json>(printable_up(at.verified_base))}});
    j["moments"] = moments;
  }
  j["parts"] = m.parts;
  j["vacuous"] = m.vacuous;
  j["complete"] = m.complete;
  if (!input.certificate.empty()) j["certificate"] = {{"file", input.certificate}, {"bytes", input.certificate_bytes}};
  else if (!input.certificate_reason.empty()) j["certificate"] = nullptr, j["certificate_reason"] = input.certificate_reason;
  j["evaluations"] = m.evaluations;
  for (const auto& [stage, seconds] : m.seconds) j["seconds"][stage] = seconds;
  j["counters"] = {{"rows", m.counters.rows}, {"concretised", m.counters.concretised}};
  j["notes"] = m.notes;
  j["words"] = in_words(m, input);
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> write_report(const std::filesystem::path& folder, const EvaMap& map, const Cells& cells, const ReportInput& input) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder)) return Error{ErrorKind::io, folder.string(), "cannot make the output folder: " + (error ? error.message() : std::string("a file of that name exists"))};
  const double top = top_of(map.estimate);
  const double low = *std::min_element(map.estimate.begin(), map.estimate.end()) < 0 ? -top : 0;
  const std::string map_png = encode_png(map_picture(cells, map.estimate, low, top, "overlap"));
  const std::string overlay_png = encode_png(overlay_picture(cells, map.estimate, low, top, input.grey));
  const std::string interval_png = encode_png(interval_picture(cells, map));
  const auto vector = [](const std::vector<double>& v) { return Tensor::from_doubles(DataType::float64, {static_cast<std::int64_t>(v.size())}, v); };
  BL_TRY(arrays, encode_npz({{"estimate", vector(map.estimate)}, {"lower", vector(map.lower)}, {"upper", vector(map.upper)}, {"score", vector(map.score)},
                             {"verified_overlap", vector(map.verified)}, {"attained_overlap", vector(map.attained)},
                             {"base_overlap", vector({map.attained_base, map.verified_base})},
                             {"cells", Tensor::from_int64s(DataType::int32, {cells.height, cells.width}, std::vector<std::int64_t>(cells.label.begin(), cells.label.end()))}}));
  BL_CHECK(write_file(folder / "map.png", map_png));
  BL_CHECK(write_file(folder / "overlay.png", overlay_png));
  BL_CHECK(write_file(folder / "interval.png", interval_png));
  BL_CHECK(write_file(folder / "map.npz", arrays));
  BL_CHECK(write_file(folder / "report.json", report_json(map, cells, input)));
  return write_file(folder / "report.html", html_of(map, cells, input, map_png, overlay_png, interval_png));
}

}  // namespace boundlight
