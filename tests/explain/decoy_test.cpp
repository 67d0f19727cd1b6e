// A network that was taught to read a corner patch (decoy_mnist_cnn of the shared data): maps must point at it.
#include <catch2/catch.hpp>

#include <algorithm>

#include "shared_case.hpp"

using namespace boundlight;

TEST_CASE("the corner patch of the decoy network is among the three most important cells", "[long]") {
  if (!test::shared_data()) {
    WARN("skipped: no shared data folder");
    return;
  }
  constexpr int kImages = 20;
  const auto images = load_array((*test::shared_data() / "images/decoy_mnist.npz").string() + ":test_images[0:" + std::to_string(kImages) + "]");
  REQUIRE(images.ok());
  const auto pixels = images->to_doubles();
  const auto cells = grid_cells(28, 28, 7, 7);
  int found = 0;
  auto c = test::shared_case("decoy_mnist_cnn", "mnist_1000.npz", 0, 0.2, *cells);
  for (int i = 0; i < kImages; ++i) {
    PixelBall ball;
    ball.eps = 0.2;
    ball.clip = {0, 1};
    for (std::size_t p = 0; p < 784; ++p) ball.pixel.push_back(pixels[static_cast<std::size_t>(i) * 784 + p] / 255);
    const auto region = pixel_region(ball);
    REQUIRE(region.ok());
    EvaQuestion q = c.question;
    q.x = region->x, q.lower = region->lower, q.upper = region->upper, q.inner_lower = region->inner_lower, q.inner_upper = region->inner_upper;
    // The patch is the brightest corner.
    std::size_t corner = 0;
    double brightest = -1;
    for (const std::size_t r : {0, 24})
      for (const std::size_t k : {0, 24}) {
        double sum = 0;
        for (std::size_t y = 0; y < 4; ++y)
          for (std::size_t x = 0; x < 4; ++x) sum += ball.pixel[(r + y) * 28 + k + x];
        if (sum > brightest) brightest = sum, corner = r / 4 * 7 + k / 4;
      }
    EvaOptions o;
    o.starts = 8, o.steps = 10, o.cell_steps = 0;
    const auto map = eva(*c.engine, q, o);
    REQUIRE(map.ok());
    CHECK(map->drawn == Estimate::verified);  // on so large a region
    const auto above = std::count_if(map->estimate.begin(), map->estimate.end(), [&](double s) { return s >= map->estimate[corner]; }) - 1;
    found += above < 3;
  }
  CHECK(found >= kImages * 95 / 100);
}
