#include "boundlight/explain/compare_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/explain/compare_page.hpp"
#include "boundlight/models/array.hpp"

namespace boundlight {
namespace {

using Json = nlohmann::ordered_json;

Json interval(const std::pair<double, double>& m) { return {{"mean", json_number<Json>(m.first)}, {"half_width", json_number<Json>(m.second)}}; }

Json outside_json(const MethodSummary& s) {
  return {{"share_of_cells", s.below + s.above}, {"share_below", s.below}, {"share_above", s.above}, {"mean_distance", s.mean_distance},
          {"largest_distance", s.largest_distance}, {"images_with_danger_unseen", s.blind}};
}

Json method_json(const Comparison& c, std::size_t m) {
  const CompareMethod& method = *c.methods[m];
  const MethodSummary s = summarise(c, m);
  Json j = {{"name", method.name}, {"title", method.title}, {"source", method.source}, {"applicable", s.images > 0}};
  if (s.images == 0) {
    j["reason"] = s.reason;
    return j;
  }
  j["images"] = s.images;
  j["seconds"] = s.seconds;
  j["evaluations"] = s.evaluations;
  for (std::size_t k = 0; k < c.columns.size(); ++k) {
    Json score = interval(s.scores[k]);
    if (c.columns[k].metric->run == robustness) score["sets_without_change"] = s.missing[k];
    for (std::size_t e = 0; e < c.methods.size(); ++e)
      if (c.methods[e]->name == "eva" && e != m)
        if (const auto difference = paired_difference(c, k, m, e)) score["minus_eva"] = interval(*difference);
    j["metrics"][c.columns[k].name] = std::move(score);
  }
  j["rank_correlation"] = interval(s.agreement);
  j["rank_correlation_of_size"] = interval(s.agreement_size);
  if (s.planted > 0) j["planted_found"] = {{"images", s.planted}, {"top", c.top}, {"found", s.found}, {"found_by_size", s.found_size}};
  j["outside_certified"] = method.drop ? outside_json(s) : Json("not applicable: the method estimates another quantity");
  return j;
}

Json image_json(const Comparison& c, const ImageComparison& image) {
  Json j = {{"name", image.name}, {"class", image.label}, {"overlap", {{"attained", json_number<Json>(image.attained_base)}, {"verified", json_number<Json>(image.verified_base)}}},
            {"vacuous", image.vacuous}, {"estimate", json_numbers<Json>(image.estimate)}, {"lower", json_numbers<Json>(image.lower, printable_down)}, {"upper", json_numbers<Json>(image.upper, printable_up)}};
  for (std::size_t m = 0; m < c.methods.size(); ++m) {
    const auto& run = image.methods[m];
    Json one;
    if (!run.reason.empty()) {
      one["reason"] = run.reason;
    } else {
      one = {{"seconds", run.seconds}, {"evaluations", run.evaluations}, {"rank_correlation", run.agreement}, {"map", json_numbers<Json>(run.map)}};
      for (std::size_t k = 0; k < c.columns.size(); ++k) {
        one["metrics"][c.columns[k].name] = json_number<Json>(run.scores[k]);
        if (!run.curves[k].empty()) one["curves"][c.columns[k].name] = json_numbers<Json>(run.curves[k]);
      }
      if (run.overlap) one["overlap"] = *run.overlap;
      if (run.found) one["planted_found"] = *run.found;
      if (c.methods[m]->drop) {
        Json outside = Json::array();
        for (std::size_t u = 0; u < run.map.size(); ++u)
          if (run.map[u] < image.lower[u] || run.map[u] > image.upper[u]) outside.push_back(u);
        one["cells_outside"] = outside;
      }
    }
    j["methods"][c.methods[m]->name] = std::move(one);
  }
  return j;
}

std::string csv_number(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.9g", x);
  return buffer;
}

Result<std::string> arrays_of(const Comparison& c, const std::vector<CompareImage>& images) {
  std::size_t most = 0;
  for (const auto& image : c.images) most = std::max(most, image.estimate.size());
  const auto count = static_cast<std::int64_t>(c.images.size()), height = images[0].cells.height, width = images[0].cells.width;
  const auto stack = [&](const std::function<const std::vector<double>&(const ImageComparison&)>& of) {
    std::vector<double> all;
    for (const auto& image : c.images) {
      const auto& v = of(image);
      all.insert(all.end(), v.begin(), v.end());
      all.resize(all.size() + most - v.size(), std::numeric_limits<double>::quiet_NaN());
    }
    return Tensor::from_doubles(DataType::float64, {count, static_cast<std::int64_t>(most)}, all);
  };
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (std::size_t m = 0; m < c.methods.size(); ++m)
    arrays.emplace_back(c.methods[m]->name, stack([m](const ImageComparison& i) -> const std::vector<double>& { return i.methods[m].map; }));
  arrays.emplace_back("certified_lower", stack([](const ImageComparison& i) -> const std::vector<double>& { return i.lower; }));
  arrays.emplace_back("certified_estimate", stack([](const ImageComparison& i) -> const std::vector<double>& { return i.estimate; }));
  arrays.emplace_back("certified_upper", stack([](const ImageComparison& i) -> const std::vector<double>& { return i.upper; }));
  std::vector<std::int64_t> labels, classes;
  for (std::size_t i = 0; i < c.images.size(); ++i) {
    labels.insert(labels.end(), images[i].cells.label.begin(), images[i].cells.label.end());
    classes.push_back(c.images[i].label);
  }
  arrays.emplace_back("cells", Tensor::from_int64s(DataType::int32, {count, height, width}, labels));
  arrays.emplace_back("class", Tensor::from_int64s(DataType::int64, {count}, classes));
  return encode_npz(arrays);
}

}  // namespace

std::string compare_json(const Comparison& c, const CompareReport& report) {
  Json j;
  j["model"] = report.model;
  j["sha256"] = report.sha256;
  j["input"] = report.input;
  j["version"] = report.version;
  j["device"] = report.device;
  for (const auto& [name, value] : report.settings) j["settings"][name] = value;
  j["complete"] = c.complete;
  j["images"] = {{"asked", c.asked}, {"done", c.images.size()}};
  j["confidence"] = "95 %, Student's t over the images";
  j["methods"] = Json::array();
  for (std::size_t m = 0; m < c.methods.size(); ++m) j["methods"].push_back(method_json(c, m));
  j["per_image"] = Json::array();
  for (const auto& image : c.images) j["per_image"].push_back(image_json(c, image));
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string compare_csv(const Comparison& c) {
  std::vector<std::string> head = {"method", "title", "applicable", "images", "seconds", "evaluations"};
  for (const auto& column : c.columns) {
    head.push_back(column.name);
    head.push_back(column.name + " half width");
  }
  for (const char* name : {"rank correlation", "rank correlation half width", "rank correlation of size", "planted images", "planted found", "planted found by size", "share of cells outside",
                           "share below", "share above", "mean distance outside", "largest distance outside", "danger unseen"})
    head.emplace_back(name);
  std::string csv;
  const auto add = [&](std::vector<std::string> row) {
    row.resize(head.size());
    for (std::size_t k = 0; k < row.size(); ++k) csv.append(k > 0 ? "," : "").append(row[k]);
    csv += '\n';
  };
  add(head);
  for (std::size_t m = 0; m < c.methods.size(); ++m) {
    const MethodSummary s = summarise(c, m);
    std::string title = "\"";
    title.append(c.methods[m]->title).append("\"");
    std::vector<std::string> row = {c.methods[m]->name, title, s.images > 0 ? "yes" : "no", std::to_string(s.images)};
    if (s.images > 0) {
      row.insert(row.end(), {csv_number(s.seconds), csv_number(s.evaluations)});
      for (const auto& [mean, half] : s.scores) row.insert(row.end(), {csv_number(mean), csv_number(half)});
      row.insert(row.end(), {csv_number(s.agreement.first), csv_number(s.agreement.second), csv_number(s.agreement_size.first)});
      if (s.planted > 0) row.insert(row.end(), {std::to_string(s.planted), std::to_string(s.found), std::to_string(s.found_size)});
      else row.insert(row.end(), 3, "");
      if (c.methods[m]->drop)
        row.insert(row.end(), {csv_number(s.below + s.above), csv_number(s.below), csv_number(s.above), csv_number(s.mean_distance), csv_number(s.largest_distance), std::to_string(s.blind)});
    }
    add(std::move(row));
  }
  return csv;
}

Result<void> write_comparison(const std::filesystem::path& folder, const Comparison& c, const std::vector<CompareImage>& images, const CompareReport& report) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder)) return Error{ErrorKind::io, folder.string(), "cannot make the output folder: " + (error ? error.message() : std::string("a file of that name exists"))};
  const std::string png = encode_png(compare_picture(c, images));
  BL_TRY(arrays, arrays_of(c, images));
  BL_CHECK(write_file(folder / "maps.png", png));
  BL_CHECK(write_file(folder / "maps.npz", arrays));
  BL_CHECK(write_file(folder / "table.csv", compare_csv(c)));
  BL_CHECK(write_file(folder / "table.json", compare_json(c, report)));
  return write_file(folder / "report.html", compare_page(c, report, png));
}

}  // namespace boundlight
