#include "boundlight/apps/cli/audit_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "boundlight/core/files.hpp"
#include "boundlight/explain/html.hpp"
#include "boundlight/solver/audit/population.hpp"

namespace boundlight::cli {
namespace {

std::string percent(double x, bool up) {
  const double scaled = x * 10000, error = std::fma(x, 10000.0, -scaled);  // scaled + error is exact
  double whole = up ? std::ceil(scaled) : std::floor(scaled);
  if (whole == scaled && up && error > 0) ++whole;
  if (whole == scaled && !up && error < 0) --whole;
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f %%", (whole > 0 ? std::min(whole, 10000.0) : 0.0) / 100);  // never -0
  return buffer;
}

std::int64_t count(const std::vector<Json>& records, const char* verdict) {
  return std::count_if(records.begin(), records.end(), [&](const Json& r) { return r.at("verdict") == verdict; });
}

// A cell of the table: text, numbers, or nothing.
std::string cell(const Json& record, const char* field) {
  const auto found = record.find(field);
  if (found == record.end() || found->is_null()) return "<td></td>";
  if (found->is_number_float()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.4g", found->get<double>());
    return std::string("<td>") + buffer + "</td>";
  }
  return "<td>" + escaped_html(found->is_string() ? found->get<std::string>() : found->dump()) + "</td>";
}

constexpr std::size_t kMostPictures = 200;  // inside of the page; all are in the folder

std::string html_of(const std::filesystem::path& folder, const std::vector<Json>& records, const Json& summary, const AuditSettings& settings) {
  std::string h = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>boundlight audit</title><style>"
                  "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.3rem .7rem;text-align:left}"
                  ".verified{color:#06642f}.falsified{color:#9b1c1c}.undecided{color:#7a5b00}img{image-rendering:pixelated;height:6rem}</style></head><body>\n<h1>Audit</h1>\n";
  for (const auto& line : in_words(summary)) h += "<p>" + escaped_html(line) + "</p>\n";
  h += "<h2>Samples</h2>\n<table><tr><th>sample</th><th>verdict</th><th>label</th><th>predicted</th><th>certified radius</th><th>falsified radius</th><th>safe</th><th>unsafe</th><th>seconds</th><th>why</th><th></th></tr>\n";
  std::size_t pictures = 0;
  for (const Json& r : records) {
    const std::string verdict = r.at("verdict").get<std::string>();
    h += "<tr class=\"" + escaped_html(verdict) + "\">";
    for (const char* field : {"name", "verdict", "label", "predicted", "certified_radius", "falsified_radius", "safe_percent", "unsafe_percent", "seconds", "reason"}) h += cell(r, field);
    h += "<td>";
    if (r.contains("picture") && pictures < kMostPictures) {
      const auto png = read_file(folder / r.at("picture").get<std::string>(), 1 << 24);
      if (png.ok()) h += "<img alt=\"the sample, the counterexample and their difference\" src=\"data:image/png;base64," + base64(*png) + "\">", ++pictures;
    }
    h += "</td></tr>\n";
  }
  h += "</table>\n<p>A picture shows the sample, the counterexample and their difference, stretched.</p>\n<h2>Settings</h2>\n<table>\n";
  for (const auto& [key, value] : settings.question.items())
    if (key != "samples") h += "<tr><th>" + escaped_html(key) + "</th><td>" + escaped_html(value.is_string() ? value.get<std::string>() : value.dump()) + "</td></tr>\n";
  return h + "</table></body></html>\n";
}

Json radii_of(const std::vector<Json>& records) {
  std::vector<double> radii;
  for (const Json& r : records)
    if (r.contains("certified_radius")) radii.push_back(r.at("certified_radius").get<double>());
  if (radii.empty()) return nullptr;
  std::sort(radii.begin(), radii.end());
  double sum = 0;
  for (const double r : radii) sum += r;
  return {{"least", radii.front()}, {"median", radii[(radii.size() - 1) / 2]}, {"largest", radii.back()}, {"mean", sum / static_cast<double>(radii.size())}};
}

}  // namespace

std::string percent_down(double x) { return percent(x, false); }
std::string percent_up(double x) { return percent(x, true); }

Json summary_of(const std::vector<Json>& records, std::int64_t total, const AuditSettings& settings) {
  const std::int64_t verified = count(records, "verified"), falsified = count(records, "falsified"), undecided = count(records, "undecided"), errors = count(records, "error");
  const auto done = static_cast<std::int64_t>(records.size());
  Json s = {{"samples", total}, {"done", done}, {"complete", done == total && std::none_of(records.begin(), records.end(), [](const Json& r) { return r.value("cut_short", false); })}, {"verified", verified}, {"falsified", falsified}, {"undecided", undecided}, {"errors", errors}};
  const std::int64_t wrong = std::count_if(records.begin(), records.end(), [](const Json& r) { return r.value("misclassified", false); });
  s["misclassified"] = wrong;
  s["radius"] = radii_of(records);
  s["population"] = nullptr;
  const std::int64_t judged = done - errors;
  if (settings.population && judged > 0) {
    const ShareBounds robust = clopper_pearson(verified, judged, settings.confidence), not_falsified = clopper_pearson(judged - falsified, judged, settings.confidence);
    s["population"] = {{"confidence", settings.confidence}, {"drawn", judged}, {"lower", robust.lower}, {"upper", not_falsified.upper}};
  }
  return s;
}

std::vector<std::string> in_words(const Json& s) {
  const auto n = [&](const char* field) { return std::to_string(s.at(field).get<std::int64_t>()); };
  std::vector<std::string> lines;
  const auto judged = s.at("done").get<double>() - s.at("errors").get<double>();
  if (judged > 0) {
    const auto share = [&](const char* field) { return percent_down(s.at(field).get<double>() / judged); };
    lines.push_back(n("verified") + " verified (" + share("verified") + "), " + n("falsified") + " falsified, " + n("undecided") + " undecided, of " + n("done") + " samples");
  } else {
    lines.push_back("no sample was judged");
  }
  if (s.at("misclassified").get<std::int64_t>() > 0) lines.push_back(n("misclassified") + " of the falsified ones are misclassified already where they stand");
  if (s.at("errors").get<std::int64_t>() > 0) lines.push_back(n("errors") + " could not be asked; their records say why");
  if (!s.at("complete").get<bool>()) lines.push_back("stopped early, " + n("done") + " of " + n("samples") + " samples have a record; --resume goes on");
  char buffer[200];
  if (const Json& r = s.at("radius"); !r.is_null()) {
    std::snprintf(buffer, sizeof buffer, "certified radius: least %.6g, median %.6g, largest %.6g", r.at("least").get<double>(), r.at("median").get<double>(), r.at("largest").get<double>());
    lines.emplace_back(buffer);
  }
  if (const Json& p = s.at("population"); !p.is_null()) {
    std::snprintf(buffer, sizeof buffer, "if the samples were drawn at random: with confidence %g the share of the population that is robust lies between ", p.at("confidence").get<double>());
    lines.push_back(buffer + percent_down(p.at("lower").get<double>()) + " (from the verified) and " + percent_up(p.at("upper").get<double>()) + " (from the falsified)");
  }
  return lines;
}

Result<void> write_audit_report(const std::filesystem::path& folder, const std::vector<Json>& records, const Json& summary, const AuditSettings& settings) {
  const Json all = {{"settings", settings.question}, {"summary", summary}, {"samples", records}};
  BL_CHECK(write_file(folder / "report.json", all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"));
  return write_file(folder / "report.html", html_of(folder, records, summary, settings));
}

}  // namespace boundlight::cli
