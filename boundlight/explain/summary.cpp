#include "boundlight/explain/summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/html.hpp"

namespace boundlight {
namespace {

using Json = nlohmann::ordered_json;


std::string percent(std::int64_t part, const SummaryLine& l) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, l.ordered + l.equal + l.undecided)));
  return text;
}

std::string html_of(const std::vector<SummaryLine>& lines, double seconds, std::int64_t left) {
  char head[160];
  std::snprintf(head, sizeof head, "%zu maps in %.2f s (%.2f per second)%s", lines.size(), seconds, static_cast<double>(lines.size()) / std::max(seconds, 1e-9),
                left > 0 ? "; stopped before all images were reached" : "");
  std::string h = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>boundlight: maps</title>\n"
                  "<style>body{font:16px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse}"
                  "td,th{padding:.3rem .8rem .3rem 0;text-align:left;border-bottom:1px solid #ddd}img{width:6rem;image-rendering:pixelated}</style>\n<h1>Maps</h1>\n<p>" +
                  std::string(head) + "</p>\n<table><tr><th></th><th>image</th><th>class</th><th>region</th><th>pairs ordered</th><th>equal</th><th>most important cell</th><th>seconds</th></tr>\n";
  for (const auto& l : lines) {
    char tail[64];
    std::snprintf(tail, sizeof tail, "<td>%lld</td><td>%.3f</td></tr>\n", static_cast<long long>(l.top_cell), l.seconds);
    h += "<tr><td><a href=\"" + escaped_html(l.folder) + "/report.html\"><img alt=\"\" src=\"" + escaped_html(l.folder) + "/overlay.png\"></a></td><td><a href=\"" + escaped_html(l.folder) + "/report.html\">" +
         escaped_html(l.name) + "</a></td><td>" + escaped_html(l.label_name) + "</td><td>" + l.verdict + (l.vacuous ? ", vacuous" : "") + (l.complete ? "" : ", incomplete") + "</td><td>" + percent(l.ordered, l) +
         "</td><td>" + percent(l.equal, l) + "</td>" + tail;
  }
  return h + "</table>\n</html>\n";
}

}  // namespace

SummaryLine summary_line(const EvaMap& m, const ReportInput& input, const std::string& folder, double seconds) {
  SummaryLine l;
  l.name = input.input;
  l.folder = folder;
  l.label = m.label;
  l.label_name = m.label < static_cast<std::int64_t>(input.labels.size()) ? input.labels[static_cast<std::size_t>(m.label)] + " (" + std::to_string(m.label) + ")" : std::to_string(m.label);
  l.verdict = !m.certified ? "not verified" : m.verified_base < 0 ? "verified" : m.attained_base > 0 ? "falsified" : "unknown";
  l.ordered = m.ordered, l.equal = m.equal, l.undecided = m.undecided, l.irrelevant = m.irrelevant;
  l.top_cell = std::max_element(m.estimate.begin(), m.estimate.end()) - m.estimate.begin();
  l.verified_base = m.verified_base, l.attained_base = m.attained_base, l.seconds = seconds;
  l.vacuous = m.vacuous, l.complete = m.complete;
  return l;
}

std::string summary_json(const std::vector<SummaryLine>& lines, double seconds, std::int64_t left) {
  Json images = Json::array();
  for (const auto& l : lines)
    images.push_back({{"input", l.name}, {"folder", l.folder}, {"class", l.label}, {"verdict", l.verdict}, {"overlap", {{"attained", json_number<Json>(l.attained_base)}, {"verified", json_number<Json>(l.verified_base)}}},
                      {"pairs", {{"ordered", l.ordered}, {"equal", l.equal}, {"undecided", l.undecided}}}, {"irrelevant", l.irrelevant}, {"top_cell", l.top_cell}, {"vacuous", l.vacuous},
                      {"complete", l.complete}, {"seconds", l.seconds}});
  const Json j = {{"images", images}, {"count", lines.size()}, {"not_reached", left}, {"seconds", seconds}, {"maps_per_second", static_cast<double>(lines.size()) / std::max(seconds, 1e-9)}};
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> write_summary(const std::filesystem::path& folder, const std::vector<SummaryLine>& lines, double seconds, std::int64_t left) {
  BL_CHECK(write_file(folder / "summary.json", summary_json(lines, seconds, left)));
  return write_file(folder / "index.html", html_of(lines, seconds, left));
}

}  // namespace boundlight
