#include "boundlight/explain/compare_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "boundlight/explain/html.hpp"

namespace boundlight {
namespace {

std::vector<MethodSummary> rows_of(const Comparison& c) {
  std::vector<MethodSummary> rows;
  for (std::size_t m = 0; m < c.methods.size(); ++m) rows.push_back(summarise(c, m));
  return rows;
}

std::string fixed(double x, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, x);
  return buffer;
}

std::string with_interval(const std::pair<double, double>& m) { return fixed(m.first, 3) + " &plusmn; " + fixed(m.second, 3); }

bool with_planted(const std::vector<MethodSummary>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const MethodSummary& s) { return s.planted > 0; });
}

std::string found_of(const MethodSummary& s) { return std::to_string(s.found) + " of " + std::to_string(s.planted); }

std::string table(const Comparison& c, const std::vector<MethodSummary>& rows) {
  const bool planted = with_planted(rows);
  std::string h = "<div class=\"wide\"><table><tr><th>method</th>";
  for (const auto& column : c.columns)
    h += "<th>" + escaped_html(column.metric->title) + (column.metric->by_baseline ? "<br>" + std::string(name_of(column.baseline)) : "") + (column.metric->higher_better ? " &uarr;" : " &darr;") + "</th>";
  h += "<th>rank correlation with the certified map</th><th>seconds per image</th><th>model evaluations</th><th>cells outside of the certified interval</th>" +
       (planted ? "<th>planted evidence in the top " + std::to_string(c.top) + "</th>" : std::string()) + "</tr>\n";
  for (std::size_t m = 0; m < c.methods.size(); ++m) {
    const auto& s = rows[m];
    h += "<tr><td title=\"" + escaped_html(c.methods[m]->source) + "\">" + escaped_html(c.methods[m]->title) + "</td>";
    if (s.images == 0) {
      h += "<td colspan=\"" + std::to_string(c.columns.size() + (planted ? 5 : 4)) + "\">not applicable: " + escaped_html(s.reason) + "</td></tr>\n";
      continue;
    }
    for (std::size_t k = 0; k < c.columns.size(); ++k) {
      const bool best = best_in(c, rows, k) == m;
      h += std::string("<td>") + (best ? "<b>" : "") + with_interval(s.scores[k]) + (best ? "</b>" : "") + "</td>";
    }
    h += "<td>" + with_interval(s.agreement) + "</td><td>" + short_number(s.seconds) + "</td><td>" + fixed(s.evaluations, 0) + "</td><td>" +
         (c.methods[m]->drop ? fixed(100 * (s.below + s.above), 1) + " % (by " + short_number(s.mean_distance) + " in the mean, " + short_number(s.largest_distance) + " at most)"
                             : std::string("not applicable")) +
         "</td>" + (planted ? "<td>" + found_of(s) + "</td>" : std::string()) + "</tr>\n";
  }
  return h + "</table></div>\n";
}

// The mean curve of every method over the checkpoints.
std::string drawn_curves(const Comparison& c, const std::vector<MethodSummary>& rows, std::size_t column) {
  constexpr double kWidth = 560, kHeight = 260;
  std::vector<std::pair<std::size_t, std::vector<double>>> lines;
  double top = 0;
  for (std::size_t m = 0; m < c.methods.size(); ++m) {
    std::vector<double> mean;
    for (const auto& image : c.images) {
      const auto& run = image.methods[m];
      if (!run.reason.empty() || run.curves[column].empty()) continue;
      mean.resize(run.curves[column].size(), 0.0);
      for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += run.curves[column][j] / static_cast<double>(rows[m].images);
    }
    for (const double v : mean) top = std::max(top, v);
    if (mean.size() > 1) lines.emplace_back(m, std::move(mean));
  }
  if (lines.empty() || !(top > 0)) return "";
  std::string h = "<figure><svg viewBox=\"0 0 820 300\" role=\"img\" aria-label=\"" + escaped_html(c.columns[column].name) + "\"><path d=\"M40 10V270H600\" fill=\"none\" stroke=\"#888\"/>"
                  "<text x=\"36\" y=\"20\" text-anchor=\"end\">" + short_number(top) + "</text><text x=\"36\" y=\"272\" text-anchor=\"end\">0</text>";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string colour = "hsl(";
    colour.append(std::to_string(360 * i / lines.size())).append(i % 2 ? ",70%,55%)" : ",70%,38%)");
    std::string path;
    const auto& mean = lines[i].second;
    for (std::size_t j = 0; j < mean.size(); ++j)
      path.append(j == 0 ? "M" : "L").append(fixed(40 + kWidth * static_cast<double>(j) / static_cast<double>(mean.size() - 1), 1)).append(" ").append(fixed(270 - kHeight * mean[j] / top, 1));
    const bool eva = c.methods[lines[i].first]->name == "eva";
    h.append("<path d=\"").append(path).append("\" fill=\"none\" stroke=\"").append(colour).append("\" stroke-width=\"").append(eva ? "4" : "1.5");
    h.append("\"/><text x=\"610\" y=\"").append(std::to_string(20 + 15 * i)).append("\" fill=\"").append(colour).append("\">");
    h.append(escaped_html(c.methods[lines[i].first]->title)).append("</text>");
  }
  const bool sets = c.columns[column].metric->run == robustness;
  return h + "</svg><figcaption>" + escaped_html(c.columns[column].name) + ": mean over the images, " +
         (sets ? "smallest change of class (L2, pixel units) by the share of cells that may change" : "score by the share of cells replaced or brought back") + "</figcaption></figure>\n";
}

}  // namespace

std::optional<std::size_t> best_in(const Comparison& c, const std::vector<MethodSummary>& rows, std::size_t column) {
  std::optional<std::size_t> best;
  const double sign = c.columns[column].metric->higher_better ? 1 : -1;
  for (std::size_t m = 0; m < rows.size(); ++m) {
    if (rows[m].images == 0 || c.methods[m]->name == "random") continue;
    if (!best || sign * rows[m].scores[column].first > sign * rows[*best].scores[column].first) best = m;
  }
  return best;
}

std::vector<std::string> compare_words(const Comparison& c) {
  const auto rows = rows_of(c);
  std::vector<std::string> words;
  const std::string count = std::to_string(c.images.size());
  if (!c.complete) words.push_back("INTERRUPTED: " + count + " of " + std::to_string(c.asked) + " images were done; everything below is about these.");
  for (std::size_t k = 0; k < c.columns.size(); ++k) {
    const auto best = best_in(c, rows, k);
    if (!best) continue;
    const auto [mean, half] = rows[*best].scores[k];
    std::string close;
    for (std::size_t m = 0; m < rows.size(); ++m) {
      if (m == *best || c.methods[m]->name == "random") continue;
      const auto difference = paired_difference(c, k, m, *best);
      if (difference && (c.images.size() < 2 || std::fabs(difference->first) <= difference->second)) close += (close.empty() ? "" : ", ") + c.methods[m]->title;
    }
    words.push_back("Best " + c.columns[k].name + ": " + c.methods[*best]->title + " (" + fixed(mean, 3) + " +- " + fixed(half, 3) + ")" +
                    (close.empty() ? std::string("; it differs from every other method, image by image.") : "; image by image not told apart from: " + close + "."));
  }
  for (std::size_t m = 0; m < rows.size(); ++m) {
    const auto& s = rows[m];
    if (!c.methods[m]->drop || s.images == 0) continue;
    words.push_back(c.methods[m]->title + ": " + fixed(100 * (s.below + s.above), 1) + " % of all cells have an estimate outside of their certified interval (" + fixed(100 * s.below, 1) + " % below, " +
                    fixed(100 * s.above, 1) + " % above), by " + short_number(s.mean_distance) + " in the mean and " + short_number(s.largest_distance) + " at most; for " + std::to_string(s.blind) + " of " +
                    std::to_string(s.images) + " images it puts the largest overlap below one that is attained.");
  }
  std::int64_t vacuous = 0;
  for (const auto& image : c.images) vacuous += image.vacuous;
  if (vacuous > 0) words.push_back("For " + std::to_string(vacuous) + " of " + count + " images the certified map is vacuous (no pair of cells is ordered by proof); rank correlations with it are then with its estimate only.");
  if (with_planted(rows)) {
    std::string list;
    for (std::size_t m = 0; m < rows.size(); ++m)
      if (rows[m].planted > 0) list += (list.empty() ? "" : ", ") + c.methods[m]->title + " " + found_of(rows[m]);
    words.push_back("A planted cell is among the " + std::to_string(c.top) + " most important: " + list + ".");
  }
  for (std::size_t m = 0; m < rows.size(); ++m)
    if (rows[m].images == 0) words.push_back(c.methods[m]->title + " is not applicable: " + rows[m].reason + ".");
  return words;
}

std::string compare_page(const Comparison& c, const CompareReport& report, const std::string& maps_png) {
  const auto rows = rows_of(c);
  std::string h = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>boundlight: explanations compared on " + escaped_html(report.input) +
                  "</title>\n<style>body{font:16px/1.5 sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem;color:#222}figure{margin:1rem 0}svg{max-width:52rem;font-size:12px}"
                  "img{max-width:100%;image-rendering:pixelated}figcaption{color:#555}.wide{overflow-x:auto}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;"
                  "border-bottom:1px solid #ddd;vertical-align:top}@media print{body{margin:0}figure{break-inside:avoid}}</style>\n<h1>Explanations compared</h1>\n<p><b>" +
                  escaped_html(report.model) + "</b> on <b>" + escaped_html(report.input) + "</b>, " + std::to_string(c.images.size()) + " of " + std::to_string(c.asked) + " images</p>\n";
  for (const auto& line : compare_words(c)) h += "<p>" + escaped_html(line) + "</p>\n";
  h += "<h2>Table</h2>\n" + table(c, rows) +
       "<p>Mean over the images &plusmn; half-width of its 95 % interval (Student's t). An arrow up: larger is better. Bold: the best mean of the column. Metrics look at a few points and prove nothing; the "
       "certified intervals do. Only a method that estimates EVA's own quantity can be held against them.</p>\n<h2>Maps</h2>\n" +
       png_figure(maps_png, "The first images in rows (number, class), methods in columns; every map on its own scale: red important, blue against the class") + "<h2>Curves</h2>\n";
  for (std::size_t k = 0; k < c.columns.size(); ++k) h += drawn_curves(c, rows, k);
  h += "<h2>Settings</h2>\n<table>\n";
  for (const auto& [name, value] : report.settings) h += "<tr><td>" + escaped_html(name) + "</td><td>" + escaped_html(value) + "</td></tr>\n";
  h += "<tr><td>model sha256</td><td>" + report.sha256 + "</td></tr>\n<tr><td>boundlight</td><td>" + escaped_html(report.version + ", " + report.device) + "</td></tr>\n</table>\n";
  h += "<h2>Methods</h2>\n<table>\n";
  for (const auto* m : c.methods) h += "<tr><td>" + escaped_html(m->title) + "</td><td>" + escaped_html(m->source) + "</td></tr>\n";
  return h + "</table>\n</html>\n";
}

std::string compare_text(const Comparison& c) {
  const auto rows = rows_of(c);
  std::vector<std::vector<std::string>> cells(1, {"method"});
  for (const auto& column : c.columns) cells[0].push_back(column.name);
  for (const char* title : {"rank corr.", "seconds", "evaluations", "outside"}) cells[0].push_back(title);
  const bool planted = with_planted(rows);
  if (planted) cells[0].push_back("planted in top " + std::to_string(c.top));
  for (std::size_t m = 0; m < rows.size(); ++m) {
    const auto& s = rows[m];
    std::vector<std::string> line = {c.methods[m]->title};
    if (s.images > 0) {
      for (std::size_t k = 0; k < c.columns.size(); ++k) line.push_back(fixed(s.scores[k].first, 3) + " +- " + fixed(s.scores[k].second, 3) + (best_in(c, rows, k) == m ? "*" : " "));
      line.push_back(fixed(s.agreement.first, 3));
      line.push_back(short_number(s.seconds));
      line.push_back(fixed(s.evaluations, 0));
      line.push_back(c.methods[m]->drop ? fixed(100 * (s.below + s.above), 1) + " %" : "-");
      if (planted) line.push_back(found_of(s));
    } else {
      line.push_back("not applicable");
    }
    cells.push_back(std::move(line));
  }
  std::vector<std::size_t> width(cells[0].size(), 0);
  for (const auto& line : cells)
    for (std::size_t k = 0; k < line.size(); ++k)
      if (line.size() > 2 || k == 0) width[k] = std::max(width[k], line[k].size());
  std::string text;
  for (const auto& line : cells) {
    std::string row;
    for (std::size_t k = 0; k < line.size(); ++k) row += line[k] + std::string(width[k] > line[k].size() ? width[k] - line[k].size() : 0, ' ') + "  ";
    while (!row.empty() && row.back() == ' ') row.pop_back();
    text += row + "\n";
  }
  return text;
}

}  // namespace boundlight
