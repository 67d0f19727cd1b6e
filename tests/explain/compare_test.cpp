// The comparison: what each row is made of, what is not applicable, stopping, and the files it leaves.
#include <catch2/catch.hpp>
#include <atomic>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "boundlight/core/files.hpp"
#include "boundlight/explain/compare_page.hpp"
#include "boundlight/explain/compare_report.hpp"
#include "boundlight/explain/lettering.hpp"
#include "boundlight/explain/statistics.hpp"
#include "boundlight/models/array.hpp"
#include "sampling_case.hpp"
#include "support/answers_apart.hpp"
#include "support/errors.hpp"
#include "support/folders.hpp"

using namespace boundlight;

namespace {

// Dense or with one convolution, 6 x 6 grey images, three classes.
std::shared_ptr<const Network> small_net(bool convolution) {
  test::GraphBuilder g(DataType::float32);
  test::Draws draws(5);
  ValueId at = g.input({1, 1, 6, 6});
  std::int64_t width = 36;
  if (convolution) {
    at = g.node("Relu", {g.node("Conv", {at, g.constant({3, 1, 3, 3}, draws.reals(27, -1, 1))})});
    width = 48;
  }
  at = g.node("Flatten", {at}, {{"axis", std::int64_t{1}}});
  at = g.node("Relu", {g.node("MatMul", {at, g.constant({width, 8}, draws.reals(width * 8, -0.5, 0.5))})});
  return g.network({g.node("MatMul", {at, g.constant({8, 3}, draws.reals(24, -1, 1))})});
}

std::vector<CompareImage> small_images(std::size_t count, double eps = 0.05) {
  test::Draws draws(6);
  std::vector<CompareImage> images;
  for (std::size_t i = 0; i < count; ++i) {
    CompareImage image;
    image.name = "image " + std::to_string(i);
    image.cells = *grid_cells(6, 6, 3, 3);
    image.question.x = draws.reals(36, 0.2, 0.8);
    for (auto& v : image.question.x) v = static_cast<double>(static_cast<float>(v));
    for (std::size_t p = 0; p < 36; ++p) {
      image.question.lower.push_back(image.question.x[p] - eps);
      image.question.upper.push_back(image.question.x[p] + eps);
      image.question.cell.push_back(image.cells.label[p]);
      image.frame.pixel.push_back(static_cast<std::int32_t>(p));
      image.picture.samples.push_back(static_cast<std::uint8_t>(255 * image.question.x[p]));
    }
    image.question.inner_lower = image.question.lower;
    image.question.inner_upper = image.question.upper;
    image.question.cells = 9;
    image.frame.height = image.frame.width = image.picture.height = image.picture.width = 6;
    image.picture.channels = 1;
    image.frame.channel.assign(36, 0);
    image.frame.mean.assign(36, 0.0);
    image.frame.deviation.assign(36, 1.0);
    images.push_back(std::move(image));
  }
  return images;
}

CompareOptions everything() {
  CompareOptions o;
  for (const auto& m : compare_methods()) o.methods.push_back(&m);
  for (const auto& m : metrics()) o.metrics.push_back(&m);
  o.baselines = {Baseline::random, Baseline::zero};
  o.sampling.budget = 300;
  o.eva.starts = 6, o.eva.steps = 8, o.eva.cell_steps = 4;
  o.metric.attack_steps = 10;
  return o;
}

std::size_t row(const Comparison& c, const std::string& name) {
  for (std::size_t m = 0; m < c.methods.size(); ++m)
    if (c.methods[m]->name == name) return m;
  FAIL("no row " << name);
  return 0;
}

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> all(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    else if (c == ',' && !quoted) all.emplace_back();
    else all.back() += c;
  }
  return all;
}

}  // namespace

TEST_CASE("every method and metric on every image, and the means over them") {
  const auto engine = test::engine_of(small_net(true));
  const auto images = small_images(3);
  const auto c = compare(*engine, images, everything());
  if (!c.ok()) FAIL(c.error().text());
  CHECK(c->complete);
  REQUIRE(c->images.size() == 3);
  CHECK(c->methods.size() == 17);
  CHECK(c->columns.size() == 7);  // three metrics by two baselines, and robustness
  const std::size_t eva = row(*c, "eva"), sampled = row(*c, "sampled-eva"), chance = row(*c, "random"), occlusion = row(*c, "occlusion");
  for (const auto& image : c->images) {
    for (std::size_t m = 0; m < c->methods.size(); ++m) {
      CAPTURE(image.name, c->methods[m]->name);
      const auto& run = image.methods[m];
      CHECK(run.reason.empty());
      CHECK(run.map.size() == 9);
      CHECK(run.scores.size() == 7);
      CHECK(run.agreement == Approx(rank_correlation(run.map, image.estimate)));
    }
    CHECK(image.methods[eva].map == image.estimate);
    CHECK(image.methods[eva].agreement == 1);
    // Outside of the certified interval, counted again.
    const auto& run = image.methods[sampled];
    REQUIRE(run.overlap);
    std::int64_t below = 0, above = 0;
    double sum = 0;
    for (std::size_t u = 0; u < 9; ++u) {
      below += run.map[u] < image.lower[u], above += run.map[u] > image.upper[u];
      sum += std::max({0.0, image.lower[u] - run.map[u], run.map[u] - image.upper[u]});
    }
    CHECK(run.outside.below == below);
    CHECK(run.outside.above == above);
    CHECK(run.outside.sum == Approx(sum).margin(1e-12));
    CHECK(image.methods[occlusion].outside.below + image.methods[occlusion].outside.above == 0);
  }
  const MethodSummary s = summarise(*c, chance);
  double mean = 0, square = 0;
  for (const auto& image : c->images) mean += image.methods[chance].scores[0] / 3;
  for (const auto& image : c->images) square += std::pow(image.methods[chance].scores[0] - mean, 2);
  CHECK(s.scores[0].first == Approx(mean));
  CHECK(s.scores[0].second == Approx(4.303 * std::sqrt(square / 2 / 3)).epsilon(1e-3));  // Student's t, 2 degrees of freedom
  const auto difference = paired_difference(*c, 0, chance, eva);
  REQUIRE(difference);
  CHECK(difference->first == Approx(s.scores[0].first - summarise(*c, eva).scores[0].first));
  // The same seed, the same table.
  if (test::answers_apart() > 0) return;
  const auto again = compare(*engine, images, everything());
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t m = 0; m < c->methods.size(); ++m) {
      CHECK(again->images[i].methods[m].map == c->images[i].methods[m].map);
      CHECK(again->images[i].methods[m].scores == c->images[i].methods[m].scores);
    }
}

TEST_CASE("a sampled estimate outside of a certified interval is found, counted and measured") {
  // A comparison by hand: two cells, one estimate 0.3 above its interval, one 0.1 below.
  Comparison c;
  c.methods = {find_compare_method("sampled-eva").value()};
  ImageComparison image;
  image.attained_base = 0.5;
  image.lower = {0.1, 0.4, 0};
  image.upper = {0.2, 0.6, 1};
  MethodOnImage run;
  run.map = {0.5, 0.3, 0.5};
  run.overlap = 0.45;
  run.outside = {1, 1, 0.3, 0.4};
  image.methods = {run};
  c.images = {image, image};
  c.asked = 2;
  const MethodSummary s = summarise(c, 0);
  CHECK(s.below == Approx(1.0 / 3));
  CHECK(s.above == Approx(1.0 / 3));
  CHECK(s.mean_distance == Approx(0.2));
  CHECK(s.largest_distance == Approx(0.3));
  CHECK(s.blind == 2);
  const auto words = compare_words(c);
  REQUIRE(words.size() == 1);
  CHECK(words[0].find("66.7 % of all cells") != std::string::npos);
  CHECK(words[0].find("2 of 2 images") != std::string::npos);
  const auto json = nlohmann::json::parse(compare_json(c, {}));
  CHECK(json["per_image"][0]["methods"]["sampled-eva"]["cells_outside"] == nlohmann::json::array({0, 1}));
}

TEST_CASE("planted evidence is found when one of its cells is among the most important") {
  const auto engine = test::engine_of(small_net(false));
  auto images = small_images(2);
  CompareOptions o = everything();
  o.metrics.clear();
  o.methods = {find_compare_method("occlusion").value(), find_compare_method("eva").value()};
  const auto first = compare(*engine, images, o);
  REQUIRE(first.ok());
  // Image 0: the second cell by importance; image 1: the last one by value.
  const auto& map0 = first->images[0].methods[0].map;
  const auto order = by_importance(map0), order1 = by_importance(first->images[1].methods[0].map);
  for (auto& image : images) image.planted.assign(9, 0);
  images[0].planted[order[1]] = 1;
  images[1].planted[order1[8]] = 1;
  o.top = 2;
  const auto c = compare(*engine, images, o);
  REQUIRE(c.ok());
  CHECK(c->images[0].methods[0].found == true);
  CHECK(c->images[1].methods[0].found == false);
  // By size the last one is found when it is the most negative.
  std::vector<double> size = first->images[1].methods[0].map;
  for (auto& v : size) v = std::fabs(v);
  const auto by_size = by_importance(size);
  CHECK(c->images[1].methods[0].found_size == (by_size[0] == order1[8] || by_size[1] == order1[8]));
  const MethodSummary s = summarise(*c, 0);
  CHECK((s.planted == 2 && s.found == 1));
  CHECK(compare_text(*c).find("planted in top 2") != std::string::npos);
  CHECK(compare_words(*c).back().find("Occlusion 1 of 2") != std::string::npos);
  CHECK(!first->images[0].methods[0].found);
}

TEST_CASE("methods that need a convolution are reported as not applicable, in every file") {
  const auto engine = test::engine_of(small_net(false));
  const auto images = small_images(2);
  const auto c = compare(*engine, images, everything());
  if (!c.ok()) FAIL(c.error().text());
  const std::size_t cam = row(*c, "gradcam");
  CHECK(summarise(*c, cam).images == 0);
  CHECK(c->images[0].methods[cam].reason.find("no convolution") != std::string::npos);
  CHECK(summarise(*c, row(*c, "rise")).images == 2);

  const test::ScratchFolder folder;
  CompareReport report;
  report.model = "net <b>.onnx";
  report.settings = {{"eps", "0.05"}};
  const auto written = write_comparison(folder / "out", *c, images, report);
  if (!written.ok()) FAIL(written.error().text());
  std::istringstream csv(*read_file(folder / "out/table.csv"));
  std::string line;
  std::getline(csv, line);
  const auto head = fields(line);
  std::size_t lines = 0;
  while (std::getline(csv, line)) {
    const auto row = fields(line);
    CHECK(row.size() == head.size());
    CHECK(row[2] == (row[0].rfind("gradcam", 0) == 0 ? "no" : "yes"));
    ++lines;
  }
  CHECK(lines == 17);
  const auto json = nlohmann::json::parse(*read_file(folder / "out/table.json"));
  CHECK(json["complete"] == true);
  for (const auto& m : json["methods"]) {
    const bool conv = m["name"].get<std::string>().rfind("gradcam", 0) == 0;
    CHECK(m["applicable"] == !conv);
    CHECK(m.contains("reason") == conv);
    if (!conv) CHECK(m["metrics"].contains("deletion (random)"));
    if (!conv && m["name"] != "eva") CHECK(m["metrics"]["robustness"].contains("minus_eva"));
    if (m["name"] == "sampled-eva") CHECK(m["outside_certified"].contains("share_of_cells"));
  }
  const std::string page = *read_file(folder / "out/report.html");
  CHECK(page.find("not applicable: the model has no convolution") != std::string::npos);
  CHECK(page.find("net &lt;b&gt;.onnx") != std::string::npos);
  CHECK(page.find("data:image/png;base64,") != std::string::npos);
  CHECK(page.find("http") == std::string::npos);  // nothing is fetched
  const auto picture = load_image(folder / "out/maps.png");
  REQUIRE(picture.ok());
  CHECK(picture->width > 18 * 84);
  const auto arrays = read_file(folder / "out/maps.npz");
  const auto maps = decode_npz(*arrays, "rise", "maps.npz"), none = decode_npz(*arrays, "gradcam", "maps.npz"), cells = decode_npz(*arrays, "cells", "maps.npz");
  REQUIRE(maps.ok());
  CHECK(maps->shape() == Shape{2, 9});
  CHECK(maps->to_doubles()[9] == c->images[1].methods[row(*c, "rise")].map[0]);
  CHECK(std::isnan(none->to_doubles()[0]));
  CHECK(cells->shape() == Shape{2, 6, 6});
  const std::string text = compare_text(*c);
  CHECK(text.find("Grad-CAM++") != std::string::npos);
  CHECK(text.find("not applicable") != std::string::npos);
  test::check_refused(write_comparison(folder / "out/table.csv", *c, images, report), "table.csv", "cannot make the output folder", ErrorKind::io);
}

TEST_CASE("a stop keeps the images that are done, and says so") {
  const auto engine = test::engine_of(small_net(false));
  const auto images = small_images(4);
  auto o = everything();
  std::atomic<bool> flag = false;
  o.stop = StopToken::on(&flag);
  double last = -1;
  bool forward = true;
  o.progress = [&](std::string_view what, double done, double total) {
    CHECK(total == 4);
    forward = forward && done >= last;
    last = done;
    if (what.find("image 2 rise") != std::string_view::npos) flag = true;
  };
  const auto c = compare(*engine, images, o);
  if (!c.ok()) FAIL(c.error().text());
  CHECK(forward);
  CHECK(!c->complete);
  CHECK(c->images.size() == 2);
  CHECK(c->asked == 4);
  CHECK(compare_words(*c)[0].find("INTERRUPTED: 2 of 4 images") == 0);
  CHECK(nlohmann::json::parse(compare_json(*c, {}))["complete"] == false);
  CHECK(nlohmann::json::parse(compare_json(*c, {}))["images"]["done"] == 2);
  // Before the first image there is nothing to keep.
  const auto nothing = compare(*engine, images, o);
  REQUIRE(!nothing.ok());
  CHECK(nothing.error().kind == ErrorKind::cancelled);
}

TEST_CASE("unknown names list the known ones; nothing to do is an error") {
  test::check_refused(find_compare_method("shap"), "method 'shap'", "eva, eva-verified, saliency");
  const auto engine = test::engine_of(small_net(false));
  test::check_refused(compare(*engine, {}, everything()), "compare", "no images");
  test::check_refused(compare(*engine, small_images(1), {}), "compare", "no method");
}

TEST_CASE("titles wrap at blanks and hyphens, and draw their letters") {
  CHECK(wrapped("Gradient x Input", 84) == std::vector<std::string>{"Gradient x", "Input"});
  CHECK(wrapped("Sobol total indices", 84) == std::vector<std::string>{"Sobol total", "indices"});
  CHECK(wrapped("RISE", 84) == std::vector<std::string>{"RISE"});
  CHECK(wrapped("abcdefghijklmnopqrs", 30) == std::vector<std::string>{"abcde", "fghij", "klmno", "pqrs"});
  Picture p;
  p.height = 9, p.width = 8, p.channels = 3;
  p.samples.assign(9 * 8 * 3, 255);
  draw_text(p, 1, 1, "l", {0, 0, 0});
  std::string rows;
  for (std::size_t r = 0; r < 9; ++r) {
    for (std::size_t q = 0; q < 8; ++q) rows += p.samples[(r * 8 + q) * 3] == 0 ? '#' : '.';
    rows += '\n';
  }
  CHECK(rows == "........\n.#......\n.#......\n.#......\n.#......\n.#......\n.#......\n.#####..\n........\n");
  CHECK(text_width("l") == 5);
}
