// Questions about the models and images of the shared data folder.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/pixel_region.hpp"
#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/models/onnx.hpp"
#include "support/folders.hpp"
#include "support/test_device.hpp"

namespace boundlight::test {

struct SharedCase {
  std::shared_ptr<const Network> network;
  std::unique_ptr<Engine> engine;
  EvaQuestion question;
  PixelBall ball;
  std::vector<double> exact_x;  // the image in double, where `question.x` has the nearest float32 numbers
};

// Model by file stem; images in channel-first order, [0, 1], normalised per channel when mean is given.
inline SharedCase shared_case(const std::string& model, const std::string& images, std::int64_t index, double eps, const Cells& cells,
                              const std::vector<double>& mean = {}, const std::vector<double>& deviation = {}, const std::string& device = test_device()) {
  const auto data = *shared_data();
  SharedCase c;
  auto graph = load_onnx(data / "models" / (model + ".onnx"));
  REQUIRE(graph.ok());
  auto network = prepare(*graph);
  if (!network.ok()) FAIL(network.error().text());
  c.network = *network;
  auto engine = make_engine(c.network, device);
  if (!engine.ok()) FAIL(engine.error().text());
  c.engine = std::move(engine.value());
  auto image = load_array((data / "images" / images).string() + ":images[" + std::to_string(index) + "]");
  if (!image.ok()) FAIL(image.error().text());
  const auto bytes = image->to_doubles();
  const std::int64_t pixels = cells.height * cells.width, channels = static_cast<std::int64_t>(bytes.size()) / pixels;
  PixelBall& ball = c.ball;
  ball.eps = eps;
  ball.clip = {0, 1};
  for (std::int64_t ch = 0; ch < channels; ++ch)
    for (std::int64_t p = 0; p < pixels; ++p) {
      ball.pixel.push_back(bytes[static_cast<std::size_t>(p * channels + ch)] / 255);
      if (!mean.empty()) ball.mean.push_back(mean[static_cast<std::size_t>(ch)]), ball.deviation.push_back(deviation[static_cast<std::size_t>(ch)]);
      c.question.cell.push_back(cells.label[static_cast<std::size_t>(p)]);
    }
  for (std::size_t i = 0; i < ball.pixel.size(); ++i) c.exact_x.push_back(mean.empty() ? ball.pixel[i] : (ball.pixel[i] - ball.mean[i]) / ball.deviation[i]);
  auto region = pixel_region(ball);
  REQUIRE(region.ok());
  c.question.x = region->x;
  c.question.lower = region->lower;
  c.question.upper = region->upper;
  c.question.inner_lower = region->inner_lower;
  c.question.inner_upper = region->inner_upper;
  c.question.cells = cells.count;
  return c;
}

}  // namespace boundlight::test
