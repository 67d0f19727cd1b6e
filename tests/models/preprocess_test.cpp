// From files to the model's input and back: forms, options, the map to values, and what is refused.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/models/preprocess.hpp"
#include "support/errors.hpp"
#include "support/folders.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

using Doubles = std::vector<double>;

InputOptions options(std::initializer_list<std::pair<const char*, const char*>> texts) {
  InputOptions o;
  for (const auto& [name, text] : texts) {
    const auto set = set_input_option(o, name, text);
    INFO((set.ok() ? "" : set.error().text()));
    REQUIRE(set.ok());
  }
  return o;
}

InputForm form_of(const Shape& shape, const InputOptions& o = {}, std::optional<ImageSize> picture = {}) {
  const auto form = infer_form(shape, o, "m.onnx", picture);
  INFO((form.ok() ? "" : form.error().text()));
  REQUIRE(form.ok());
  return *form;
}

void check_image(const InputForm& f, std::int64_t h, std::int64_t w, std::int64_t c, bool interleaved) {
  CHECK(f.image);
  CHECK(f.height == h);
  CHECK(f.width == w);
  CHECK(f.channels == c);
  CHECK(f.interleaved == interleaved);
}

Image image(std::int64_t h, std::int64_t w, std::int64_t c, std::vector<std::uint16_t> samples = {}) {
  if (samples.empty()) {
    samples.resize(static_cast<std::size_t>(h * w * c));
    std::iota(samples.begin(), samples.end(), std::uint16_t{0});
  }
  return {h, w, c, 255, samples};
}

Tensor floats(Shape shape, const Doubles& values) { return Tensor::from_doubles(DataType::float32, std::move(shape), values); }
Tensor counting(DataType type, Shape shape) {
  Doubles values(static_cast<std::size_t>(*element_count(shape)));
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::from_doubles(type, shape, values);
}

std::vector<PreparedInput> prepared(const Tensor& array, const Shape& shape, const InputOptions& o = {}) {
  auto samples = prepare_inputs(array, shape, o, "a.npy");
  INFO((samples.ok() ? "" : samples.error().text()));
  REQUIRE(samples.ok());
  return *samples;
}
PreparedInput prepared(const Image& picture, const Shape& shape, const InputOptions& o = {}) {
  auto sample = prepare_input(picture, shape, o, "i.png");
  INFO((sample.ok() ? "" : sample.error().text()));
  REQUIRE(sample.ok());
  return *sample;
}

std::string applied(const PreparedInput& sample) {
  std::string text;
  for (const auto& line : sample.applied) text += line + "; ";
  return text;
}

}  // namespace

TEST_CASE("forms are inferred from shapes") {
  check_image(form_of({1, 1, 28, 28}), 28, 28, 1, false);
  check_image(form_of({-1, 3, 32, 32}), 32, 32, 3, false);
  check_image(form_of({-1, 32, 32, 3}), 32, 32, 3, true);
  check_image(form_of({3, 32, 32}), 32, 32, 3, false);
  check_image(form_of({32, 32, 3}), 32, 32, 3, true);
  check_image(form_of({1, 28, 28}), 28, 28, 1, false);
  check_image(form_of({28, 28}), 28, 28, 1, false);
  check_image(form_of({1, 28, 28, 1}), 28, 28, 1, true);
  check_image(form_of({1, 16, 9, 7}), 9, 7, 16, false);
  CHECK(form_of({-1, 3, 32, 32}).shape == Shape{1, 3, 32, 32});
  for (const Shape& line : {Shape{1, 784, 1}, Shape{1, 784}, Shape{784}, Shape{-1, 784}, Shape{1, 1, 1, 784}, Shape{1, 784, 1, 1}}) {
    check_image(form_of(line), 28, 28, 1, false);
    CHECK(form_of(line).reading.find("28x28") != std::string::npos);
    CHECK_FALSE(form_of(line, options({{"layout", "flat"}})).image);
  }
  for (const Shape& vector : {Shape{1, 1, 1, 5}, Shape{5}, Shape{1, 16}, Shape{}, Shape{1, 3072}, Shape{1, 785}, Shape{8, 3, 4, 4}, Shape{28, 1, 28}, Shape{1, 2, 3, 4, 5}}) {
    const auto f = form_of(vector);
    CHECK_FALSE(f.image);
    CHECK(f.size() == *element_count(f.shape));
  }
  check_image(form_of({1, 3072}, options({{"layout", "nchw"}})), 32, 32, 3, false);
  check_image(form_of({1, 3072}, options({{"layout", "nhwc"}})), 32, 32, 3, true);
  check_image(form_of({1, 12}, options({{"image", "3x4"}})), 3, 4, 1, false);
  check_image(form_of({1, 12}, options({{"image", "2x2"}})), 2, 2, 3, false);
  check_image(form_of({1, 12}, options({{"image", "2x2x3"}, {"layout", "nhwc"}})), 2, 2, 3, true);
  check_image(form_of({1, 4, 5, 3}, options({{"image", "4x5x3"}})), 4, 5, 3, true);
  check_image(form_of({1, 3, 9, 3}), 9, 3, 3, false);
  CHECK(form_of({1, 3, 9, 3}).reading.find("--layout nhwc") != std::string::npos);
  check_image(form_of({1, 3, 9, 3}, options({{"layout", "nhwc"}})), 3, 9, 3, true);
  check_image(form_of({-1, 3, -1, -1}, {}, ImageSize{20, 30, 3}), 20, 30, 3, false);
  CHECK(form_of({-1, 3, -1, -1}, {}, ImageSize{20, 30, 3}).shape == Shape{1, 3, 20, 30});
  check_image(form_of({-1, -1, -1, 3}, options({{"image", "6x7"}})), 6, 7, 3, true);

  check_refused(infer_form({-1, 3, -1, -1}, {}, "m.onnx"), "m.onnx", "open");
  check_refused(infer_form({-1, -1}, {}, "m.onnx"), "m.onnx", "open");
  check_refused(infer_form({1, 3, 0, 9}, {}, "m.onnx"), "m.onnx", "holds no numbers");
  check_refused(infer_form({1, 12}, options({{"image", "5x5"}}), "m.onnx"), "option --image", "does not fit");
  check_refused(infer_form({1, 12}, options({{"image", "2x2x2"}}), "m.onnx"), "option --image", "does not fit");
  check_refused(infer_form({1, 1, 28, 28}, options({{"channels", "bgr"}}), "m.onnx"), "option --channels", "three channels");
  check_refused(infer_form({1, std::int64_t{1} << 40, 1 << 20}, {}, "m.onnx"), "m.onnx", "too large");
}

TEST_CASE("elements and pixels are each other's inverse") {
  for (const Shape& shape : {Shape{1, 3, 4, 5}, Shape{1, 4, 5, 3}, Shape{1, 4, 4, 5}, Shape{1, 1, 4, 5}}) {
    for (const bool bgr : {false, true}) {
      if (bgr && shape[1] == 1) continue;
      const auto f = form_of(shape, bgr ? options({{"channels", "bgr"}}) : InputOptions{});
      std::vector<bool> seen(static_cast<std::size_t>(f.size()), false);
      for (std::int64_t r = 0; r < f.height; ++r) for (std::int64_t q = 0; q < f.width; ++q) for (std::int64_t c = 0; c < f.channels; ++c) {
        const auto e = f.element({r, q, c});
        REQUIRE(e >= 0);
        REQUIRE(e < f.size());
        CHECK_FALSE(seen[static_cast<std::size_t>(e)]);
        seen[static_cast<std::size_t>(e)] = true;
        const auto p = f.place(e);
        CHECK((p.row == r && p.column == q && p.channel == c));
      }
    }
  }
  const auto planes = form_of({1, 3, 4, 5});
  CHECK(planes.element({1, 2, 2}) == 2 * 20 + 1 * 5 + 2);
  CHECK(form_of({1, 4, 5, 3}).element({1, 2, 2}) == (1 * 5 + 2) * 3 + 2);
  CHECK(form_of({1, 3, 4, 5}, options({{"channels", "bgr"}})).element({0, 0, 0}) == 40);
}

TEST_CASE("an image reaches every layout, normalised") {
  const auto o = options({{"mean", "0.5,0.25,0"}, {"std", "0.5,0.25,2"}});
  const auto picture = image(8, 8, 3);
  for (const Shape& shape : {Shape{1, 3, 8, 8}, Shape{-1, 8, 8, 3}}) {
    for (const bool bgr : {false, true}) {
      auto own = o;
      if (bgr) own.channels = ChannelOrder::bgr;
      const auto x = prepared(picture, shape, own);
      REQUIRE(x.pixels.size() == 192);
      for (std::int64_t i = 0; i < 192; ++i) {
        const auto p = x.map.form.place(i);
        const double pixel = picture.at(p.row, p.column, p.channel) / 255.0;
        const auto k = static_cast<std::size_t>(bgr ? 2 - p.channel : p.channel);  // mean and std are in the model's order
        CHECK(x.pixels[static_cast<std::size_t>(i)] == pixel);
        CHECK(x.values[static_cast<std::size_t>(i)] == (pixel - o.mean[k]) / o.std[k]);
      }
      CHECK(x.range->lo == 0);
      CHECK(x.range->hi == 1);
      CHECK(applied(x).find("1/255") != std::string::npos);
      CHECK(applied(x).find("mean 0.5, 0.25, 0") != std::string::npos);
      CHECK(picture_of(x.map.form, x.pixels).samples == std::vector<std::uint8_t>(picture.samples.begin(), picture.samples.end()));
    }
  }
}

TEST_CASE("grey and colour, alpha, 16 bits, scale") {
  const auto grey = prepared(image(8, 8, 1), {1, 3, 8, 8});
  CHECK(applied(grey).find("grey repeated") != std::string::npos);
  CHECK(grey.pixels[5] == grey.pixels[64 + 5]);
  const auto same = prepared(image(8, 8, 3, std::vector<std::uint16_t>(192, 7)), {1, 784 - 720});
  CHECK(applied(same).find("three equal channels") != std::string::npos);
  CHECK(same.pixels[0] == 7 / 255.0);
  const auto colour = prepared(image(8, 8, 3), {1, 1, 8, 8});
  CHECK(applied(colour).find("0.299 R") != std::string::npos);
  CHECK(colour.pixels[1] == Approx((0.299 * 3 + 0.587 * 4 + 0.114 * 5) / 255).epsilon(1e-14));
  const auto clear = prepared(image(1, 2, 4, {100, 200, 50, 255, 100, 200, 50, 51}), {1, 3, 1, 2});
  CHECK(applied(clear).find("blended with black") != std::string::npos);
  CHECK(clear.pixels == Doubles{100 / 255.0, 20 / 255.0, 200 / 255.0, 40 / 255.0, 50 / 255.0, 10 / 255.0});
  const auto kept = prepared(image(1, 2, 4, {100, 200, 50, 255, 100, 200, 50, 51}), {1, 4, 1, 2});
  CHECK(kept.pixels[7] == 51 / 255.0);
  Image wide{8, 8, 1, 65535, std::vector<std::uint16_t>(64, 32768)};
  CHECK(prepared(wide, {64}).pixels[0] == 32768 / 65535.0);
  const auto bytes = prepared(image(8, 8, 1), {64}, options({{"scale", "1"}}));
  CHECK(bytes.pixels[9] == 9);
  CHECK(bytes.range->hi == 255);
}

TEST_CASE("arrays: the model's own order, images, batches") {
  SECTION("own order, any ones") {
    for (const Shape& shape : {Shape{784}, Shape{1, 784}, Shape{1, 784, 1}, Shape{28, 28}, Shape{1, 28, 28}, Shape{28, 28, 1}, Shape{1, 1, 28, 28}}) {
      for (const Shape& model : {Shape{1, 784, 1}, Shape{-1, 1, 28, 28}, Shape{1, 28, 28, 1}}) {
        const auto x = prepared(counting(DataType::float32, shape), model);
        REQUIRE(x.size() == 1);
        CHECK(x[0].pixels[100] == 100);
        CHECK(x[0].pixels.size() == 784);
        CHECK(x[0].map.form.image);
        CHECK_FALSE(x[0].range);
      }
    }
  }
  SECTION("rows x columns x channels for a model with channels first, and back") {
    const auto x = prepared(counting(DataType::float32, {8, 9, 3}), {1, 3, 8, 9});
    CHECK(x[0].pixels[static_cast<std::size_t>(x[0].map.form.element({2, 5, 1}))] == (2 * 9 + 5) * 3 + 1);
    const auto y = prepared(counting(DataType::float32, {3, 8, 9}), {1, 8, 9, 3});
    CHECK(y[0].pixels[static_cast<std::size_t>(y[0].map.form.element({2, 5, 1}))] == 72 + 2 * 9 + 5);
    const auto z = prepared(counting(DataType::float32, {3, 8, 9}), {1, 3, 8, 9}, options({{"channels", "bgr"}}));
    CHECK(z[0].pixels[0] == 144);
  }
  SECTION("bytes, 16 bits, other integers") {
    const auto x = prepared(counting(DataType::uint8, {8, 8}), {1, 64});
    CHECK(x[0].pixels[63] == 63 / 255.0);
    CHECK(x[0].range->hi == 1);
    CHECK(prepared(counting(DataType::uint16, {8, 8}), {1, 64})[0].pixels[63] == 63 / 65535.0);
    const auto ints = prepared(counting(DataType::int32, {8, 8}), {1, 64});
    CHECK(ints[0].pixels[63] == 63);
    CHECK(applied(ints[0]).find("outside of [0, 1]") != std::string::npos);
    CHECK(prepared(counting(DataType::int32, {8, 8}), {1, 64}, options({{"scale", "1/255"}}))[0].pixels[63] == 63 / 255.0);
    CHECK(prepared(floats({2}, {0.25, 1}), {1, 2})[0].applied.empty());
  }
  SECTION("batches") {
    const auto x = prepared(counting(DataType::float32, {5, 8, 8}), {-1, 1, 8, 8});
    REQUIRE(x.size() == 5);
    CHECK(x[3].pixels[2] == 3 * 64 + 2);
    CHECK(prepared(counting(DataType::float32, {5, 8, 9, 3}), {-1, 3, 8, 9}).size() == 5);
    CHECK(prepared(counting(DataType::float32, {7, 5}), {1, 1, 1, 5}).size() == 7);
    CHECK(prepared(counting(DataType::float32, {1, 5}), {1, 1, 1, 5}).size() == 1);
    CHECK(prepared(counting(DataType::float32, {2, 3, 10, 12}), {-1, 3, -1, -1}).size() == 2);
    CHECK(prepared(counting(DataType::float32, {2, 3, 10, 12}), {-1, 3, -1, -1})[1].map.form.shape == Shape{1, 3, 10, 12});
    CHECK(prepared(counting(DataType::float32, {1, 3, 10, 12}), {-1, 3, -1, -1}).size() == 1);
    CHECK(prepared(counting(DataType::float32, {4, 12, 12}), {-1, 1, 8, 8}, options({{"resize", "auto"}, {"layout", "nchw"}})).size() == 4);
    CHECK(prepared(counting(DataType::float32, {5, 12, 12}), {-1, 1, 8, 8}, options({{"resize", "auto"}})).size() == 5);
  }
  SECTION("vectors keep per-element means and have no range") {
    const auto x = prepared(floats({1, 3}, {0.5, -1, 2}), {1, 1, 1, 3}, options({{"mean", "1,2,3"}, {"std", "2"}}));
    CHECK(x[0].values == Doubles{-0.25, -1.5, -0.5});
    CHECK_FALSE(x[0].range);
  }
}

TEST_CASE("what does not fit is refused, and says how to go on") {
  const auto image_refused = [](const Image& i, const Shape& shape, const InputOptions& o, const std::string& place, const std::string& words) {
    check_refused(prepare_input(i, shape, o, "i.png"), place, words);
  };
  image_refused(image(8, 9, 1), {1, 1, 8, 8}, {}, "i.png", "is 8x9 pixels, the model takes 8x8; scale the image or give --resize");
  image_refused(image(8, 8, 1), {1, 1, 1, 5}, {}, "i.png", "give --image");
  image_refused(image(8, 8, 1), {1, 7, 8, 8}, {}, "i.png", "has 1 channels, the model takes 7");
  image_refused(image(8, 9, 1), {1, 1, 8, 8}, options({{"resize", "9x9"}}), "option --resize", "asks for 9x9");
  image_refused(image(8, 8, 3), {1, 3, 8, 8}, options({{"mean", "1,2"}}), "option --mean", "has 2 numbers");
  image_refused(image(8, 8, 3), {1, 3, 8, 8}, options({{"std", "1,2,3,4"}}), "option --std", "3 channels");
  image_refused(image(8, 8, 3), {1, 3, 8, 8}, options({{"mean", "-1e308"}, {"std", "1e-300"}}), "option --std", "too large");
  const auto array_refused = [](const Tensor& t, const Shape& shape, const std::string& words) {
    check_refused(prepare_inputs(t, shape, {}, "a.npy"), "a.npy", words);
  };
  array_refused(counting(DataType::float32, {7, 112}), {1, 784}, "is 7x112 pixels, the model takes 28x28");
  array_refused(counting(DataType::float32, {6}), {1, 5}, "is 6, the model takes 1x5");
  array_refused(counting(DataType::float32, {0, 5}), {1, 5}, "no numbers");
  array_refused(floats({2}, {0, std::nan("")}), {2}, "number 1 is NaN");
  array_refused(floats({2}, {INFINITY, 1}), {2}, "number 0 is infinite");
  array_refused(counting(DataType::float32, {4, 6, 2}), {1, 5}, "holds 4 samples of 6x2, the model takes 1x5; give an array of that shape");
}

TEST_CASE("resizing: constant stays, twice as large is bilinear, half is the mean of what is covered") {
  const Doubles flat(5 * 7 * 3, 0.3);
  for (const auto& [h, w] : {std::pair{10, 3}, {1, 1}, {5, 7}, {4, 20}}) {
    for (const double x : resample(flat, {5, 7, 3}, h, w)) CHECK(x == Approx(0.3).epsilon(1e-14));
  }
  const auto twice = resample({0, 1}, {1, 2, 1}, 1, 4);
  CHECK(twice[0] == Approx(0));
  CHECK(twice[1] == Approx(0.25));
  CHECK(twice[2] == Approx(0.75));
  CHECK(twice[3] == Approx(1));
  // Four to two: centres 0.5 and 2.5, reach 2, weights 3/4 3/4 1/4 over in-range pixels 0, 1, 2 of 0, 1, 2, 3.
  const auto half = resample({0, 1, 2, 3}, {1, 4, 1}, 1, 2);
  CHECK(half[0] == Approx((0.75 * 0 + 0.75 * 1 + 0.25 * 2) / 1.75));
  CHECK(half[1] == Approx((0.25 * 1 + 0.75 * 2 + 0.75 * 3) / 1.75));
  const auto x = prepared(image(16, 16, 1, std::vector<std::uint16_t>(256, 51)), {1, 1, 8, 8}, options({{"resize", "auto"}}));
  CHECK(x.pixels[0] == Approx(0.2));
  CHECK(applied(x).find("scaled from 16x16 to 8x8") != std::string::npos);
}

TEST_CASE("regions map outward") {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int i = 0; i < 2000; ++i) {
    InputMap map;
    map.form = form_of({1, 1, 1, 1});
    map.mean = {unit(random)};
    map.std = {unit(random) + 0.01};
    const double p = unit(random), q = std::min(1.0, p + unit(random) * 1e-3);
    const Interval v = map.value(0, Interval(p, q));
    const auto exact = [&](double x) { return Rational((Rational(x) - Rational(map.mean[0])) / Rational(map.std[0])); };
    CHECK(Rational(v.lo) <= exact(p));
    CHECK(Rational(v.hi) >= exact(q));
    CHECK(v.hi - v.lo <= (q - p) / map.std[0] + 1e-14 / map.std[0]);
    CHECK(map.value(0, Interval(p, p)).contains(map.value(0, p)));
    map.mean = {0};
    map.std = {1};
    CHECK(map.value(0, Interval(p, q)).lo == p);
    CHECK(map.value(0, Interval(p, q)).hi == q);
  }
}

TEST_CASE("options as text and as a side file") {
  const auto refused = [](const char* name, const char* text) {
    InputOptions o;
    check_refused(set_input_option(o, name, text), "option --" + std::string(name), "is not understood; give");
  };
  for (const char* text : {"", "x", "0", "-1", "1/0", "1/2/3", "nan", "1e999"}) refused("scale", text);
  for (const char* text : {"", "1,", "1;2", "inf"}) refused("mean", text);
  for (const char* text : {"0", "1,-1", "1,0"}) refused("std", text);
  for (const char* text : {"", "28", "0x5", "28x28x1x1", "-1x5", "28x", "99999999999x1"}) refused("image", text);
  refused("resize", "1x2x3");
  refused("layout", "chw");
  refused("channels", "RGB");
  CHECK_THROWS_AS(options({{"meen", "1"}}), ContractViolation);

  const auto side = parse_side_file(R"({"scale": "1/255", "mean": [0.5, 0.25], "std": 2, "layout": "nhwc", "image": [28, 28, 1],
                                       "resize": true, "channels": "bgr", "labels": ["cat", "dog"]})", "m.boundlight.json");
  REQUIRE(side.ok());
  CHECK(side->scale->under == 255);
  CHECK(side->mean == Doubles{0.5, 0.25});
  CHECK(side->std == Doubles{2});
  CHECK(side->layout == Layout::nhwc);
  CHECK(side->image->width == 28);
  CHECK(side->resize->height == 0);
  CHECK(side->channels == ChannelOrder::bgr);
  CHECK(side->labels[1] == "dog");
  const auto both = merged(*side, options({{"mean", "9"}, {"layout", "auto"}}));
  CHECK(both.mean == Doubles{9});
  CHECK(both.std == Doubles{2});
  CHECK(both.layout == Layout::automatic);
  CHECK(both.labels.size() == 2);

  const auto bad = [](const std::string& json, const std::string& place, const std::string& words) { check_refused(parse_side_file(json, "m.json"), place, words); };
  bad("", "m.json:1:1", "JSON");
  bad("{\"mean\": 1,\n \"std\" 2}", "m.json:2:8", "JSON");
  bad("[1]", "m.json", "object");
  bad("{\"meen\": 1}", "m.json: meen", "no field");
  bad("{\"mean\": \"x\"}", "m.json: mean", "give one number");
  bad("{\"std\": 0}", "m.json: std", "positive");
  bad("{\"std\": [1, \"2\"]}", "m.json: std", "positive");
  bad("{\"labels\": [1]}", "m.json: labels", "list of texts");
  bad("{\"resize\": false}", "m.json: resize", "auto");
  bad("{\"image\": 28}", "m.json: image", "28x28");
  bad("{\"image\": [28.5, 28]}", "m.json: image", "28x28");
  bad("{\"mean\": 1e999}", "m.json", "correct the file");
  bad("{\"mean\": []}", "m.json: mean", "give one number");
  bad(std::string(100000, '['), "m.json", "JSON");

  ScratchFolder folder;
  CHECK(side_file_of("dir/net.v2.onnx") == "dir/net.v2.boundlight.json");
  const auto none = load_side_file(folder / "net.onnx");
  REQUIRE(none.ok());
  CHECK(none->mean.empty());
  std::ofstream(folder / "net.boundlight.json") << "{\"mean\": 0.5}";
  CHECK(load_side_file(folder / "net.onnx")->mean == Doubles{0.5});
  std::ofstream(folder / "labels.txt") << "cat\r\n\r\nbig dog\n\n";
  CHECK(*load_labels(folder / "labels.txt") == std::vector<std::string>{"cat", "", "big dog"});
  std::ofstream(folder / "labels.json") << " [\"a\", \"b\"]";
  CHECK(load_labels(folder / "labels.json")->size() == 2);
  std::ofstream(folder / "empty.txt") << "\n";
  check_refused(load_labels(folder / "empty.txt"), "empty.txt", "no labels");
}

TEST_CASE("files of every kind are loaded") {
  ScratchFolder folder;
  Picture p{8, 8, 1, std::vector<std::uint8_t>(64, 51)};
  REQUIRE(write_file(folder / "i.png", encode_png(p)).ok());
  REQUIRE(write_file(folder / "misnamed.npy", encode_png(p)).ok());
  REQUIRE(write_file(folder / "x.npy", encode_npy(counting(DataType::uint8, {3, 8, 8}))).ok());
  REQUIRE(write_file(folder / "p.csv", "1,2,3\n4,5,6\n").ok());
  REQUIRE(write_file(folder / "broken.png", "no image").ok());
  for (const char* name : {"i.png", "misnamed.npy"}) {
    const auto x = load_input((folder / name).string(), {1, 64}, {});
    REQUIRE(x.ok());
    CHECK(x->pixels[0] == 0.2);
  }
  CHECK(load_inputs((folder / "x.npy").string(), {1, 64}, {})->size() == 3);
  CHECK(load_input((folder / "x.npy[1]").string(), {1, 64}, {})->pixels[0] == 64 / 255.0);
  CHECK(load_input((folder / "p.csv[1]").string(), {1, 3}, {})->values == Doubles{4, 5, 6});
  check_refused(load_input((folder / "x.npy").string(), {1, 64}, {}), "x.npy", "holds 3 samples; pick one");
  check_refused(load_input((folder / "i.png[0]").string(), {1, 64}, {}), "i.png[0]", "part of an image");
  check_refused(load_input((folder / "broken.png").string(), {1, 64}, {}), "broken.png", "neither a PNG nor a JPEG");
  check_refused(load_input((folder / "absent.png").string(), {1, 64}, {}), "absent.png", "cannot open", ErrorKind::io);
  check_refused(load_input((folder / "absent.npy").string(), {1, 64}, {}), "absent.npy", "cannot open", ErrorKind::io);
  check_refused(load_input((folder / "i.png").string(), {1, 3, 9, 9}, {}), "i.png", "9x9");
}

TEST_CASE("shared images fit the shared models") {
  const auto data = shared_data();
  if (!data) {
    WARN("skipped: the shared data folder is absent (set BOUNDLIGHT_SHARED)");
    return;
  }
  const auto bytes = read_file(*data / "expected/peer_bounds.json");
  REQUIRE(bytes.ok());
  for (const auto& row : nlohmann::json::parse(*bytes)) {
    const auto model = load_onnx(*data / "models" / (row["model"].get<std::string>() + ".onnx"));
    REQUIRE(model.ok());
    const auto& shape = *model->values[static_cast<std::size_t>(model->inputs[0])].shape;
    const std::string address = (*data / "images" / (row["image"].get<std::string>() + ".npz")).string() + ":images[" + std::to_string(row["index"].get<int>()) + "]";
    const auto x = load_input(address, shape, {});
    INFO(row["model"] << " " << (x.ok() ? "" : x.error().text()));
    REQUIRE(x.ok());
    CHECK(x->map.form.image);
    CHECK(x->range->hi == 1);
  }
}
