// The snippets of docs/tutorial.md, compiled and run; a line of the page that is not here fails the test.
#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "boundlight/bounds/pixel_region.hpp"
#include "boundlight/explain/report.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/models/preprocess.hpp"
#include "support/folders.hpp"

using namespace boundlight;

TEST_CASE("the tutorial does what it says") {
  const std::string model = BL_SOURCE_DIR "/examples/cheat.onnx", address = BL_SOURCE_DIR "/examples/images.npz:leaky[0]";
  const test::ScratchFolder scratch;
  const std::filesystem::path folder = scratch / "report";

  auto graph = load_onnx(model);
  auto network = prepare(*graph);                    // shapes settled, constants folded, unknown operators refused
  auto engine = make_engine(*network);               // kernels on the cpu
  auto image = load_input(address, (*network)->values[(*network)->inputs[0]].shape, {});
  auto logits = (*engine)->evaluate(image->values, 1, {(*network)->logits}, Precision::single);
  REQUIRE(logits.ok());
  REQUIRE((*logits)[0].size() == 4);

  PixelBall ball;
  ball.pixel = image->pixels;
  ball.eps = 1.0 / 255;
  ball.clip = {0, 1};
  auto region = pixel_region(ball);                  // enclosed outward for proofs, inward for witnesses

  Regions box;
  box.batch = 1;
  box.lower = region->lower;
  box.upper = region->upper;
  Forms margin;                                      // class 0 minus class 1
  margin.value = (*network)->logits;
  margin.rows = 1;
  margin.coefficient = {1, -1, 0, 0};
  BoundOptions options;
  options.method = Method::alpha;
  auto bounds = (*engine)->bound(box, margin, options);
  // bounds->lower[0] <= logit 0 - logit 1 <= bounds->upper[0] for every image of the region, in exact arithmetic
  REQUIRE(bounds.ok());
  const double at_image = (*logits)[0][0] - (*logits)[0][1];
  CHECK(bounds->lower[0] <= at_image + 1e-4);
  CHECK(bounds->upper[0] >= at_image - 1e-4);

  EvaQuestion question;
  question.x = region->x;
  question.lower = region->lower;
  question.upper = region->upper;
  question.inner_lower = region->inner_lower;
  question.inner_upper = region->inner_upper;
  auto cells = grid_cells(32, 32, 8, 8);
  question.cells = cells->count;
  question.cell = cells->label;                      // one channel: elements are pixels

  EvaOptions how;
  how.tier = EvaTier::alpha;
  how.most_parts = 256;                              // or how.budget = 10 (seconds)
  auto map = eva(**engine, question, how);
  REQUIRE(map.ok());
  // The network cheats: the mark in the last cell decides (examples/README.md).
  CHECK(std::max_element(map->estimate.begin(), map->estimate.end()) - map->estimate.begin() == 63);
  CHECK(map->ordered > 0);

  ReportInput about;
  about.model = model;
  about.input = address;
  about.grey.assign(32 * 32, 0.5);
  about.image = {32, 32, 1, std::vector<std::uint8_t>(32 * 32, 128)};
  auto written = write_report(folder, *map, *cells, about);
  CHECK(written.ok());
  CHECK(std::filesystem::exists(folder / "report.html"));
}

TEST_CASE("the tutorial's snippets are those of its test") {
  const auto text = [](const std::string& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string test = text(BL_SOURCE_DIR "/tests/explain/tutorial_test.cpp"), page = text(BL_SOURCE_DIR "/docs/tutorial.md");
  std::istringstream lines(page);
  int snippets = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("    ", 0) != 0) continue;
    ++snippets;
    CAPTURE(line);
    CHECK(test.find("\n  " + line.substr(4) + "\n") != std::string::npos);
  }
  CHECK(snippets > 30);
}
