// The JSON form and the builder for "this image keeps its class".
#include <catch2/catch.hpp>

#include "boundlight/solver/spec/robustness.hpp"

using namespace boundlight;

namespace {

Result<Property> from_json(const std::string& text, const ImageReader& reader = {}) {
  const auto r = parse_robustness_json(text, "image.json", reader);
  if (!r.ok()) return r.error();
  return robustness_property(r.value(), "image.json");
}

const std::string kGood = R"({"property": "robustness", "image": [[0, 51], [102, 255]], "scale": "1/255", "eps": 0.1,
  "mean": [0.5, 0.25], "std": [0.5, 2], "label": 1, "classes": 3)";

}  // namespace

TEST_CASE("scale, eps, clip, mean and std are applied exactly, per channel") {
  const Property p = from_json(kGood + "}").value();
  REQUIRE(p.inputs == 4);
  const InputBox& b = p.boxes[0];
  CHECK(b.lower == std::vector<Rational>{(0 - Rational(1, 2)) / Rational(1, 2), (Rational(1, 10) - Rational(1, 2)) / Rational(1, 2),
                                         (Rational(3, 10) - Rational(1, 4)) / 2, (Rational(9, 10) - Rational(1, 4)) / 2});
  CHECK(b.upper == std::vector<Rational>{(Rational(1, 10) - Rational(1, 2)) / Rational(1, 2), (Rational(3, 10) - Rational(1, 2)) / Rational(1, 2),
                                         (Rational(5, 10) - Rational(1, 4)) / 2, (1 - Rational(1, 4)) / Rational(2)});
  REQUIRE(p.disjuncts.size() == 2);
  const Property last = from_json(kGood + R"(, "channels": "last"})").value();
  CHECK(last.boxes[0].lower[1] == (Rational(1, 10) - Rational(1, 4)) / 2);
}

TEST_CASE("a tie violates unless allowed, and the margin moves the threshold") {
  const std::vector<Rational> x = {-1, -1, 0, 0};
  const auto violated = [&](const Property& p, const Rational& y0) {
    std::vector<Rational> at;
    for (const Rational& q : p.boxes[0].lower) at.push_back(q);
    return violated_disjunct(p, at, {y0, 1, -5});
  };
  const Property p = from_json(kGood + "}").value();
  CHECK(violated(p, 1) == std::size_t{0});
  CHECK(!violated(p, Rational(999, 1000)));
  const Property ties = from_json(kGood + R"(, "tie": "allowed"})").value();
  CHECK(!violated(ties, 1));
  CHECK(violated(ties, Rational(1001, 1000)));
  const Property margin = from_json(kGood + R"(, "margin": -0.5, "targets": [0]})").value();
  CHECK(margin.disjuncts.size() == 1);
  CHECK(violated(margin, Rational(1, 2)));
  CHECK(!violated(margin, Rational(49, 100)));
}

TEST_CASE("no clip, and an image from a reader") {
  const Property p = from_json(R"({"property": "robustness", "image": "cat.png", "eps": "2/255", "clip": null, "label": 0, "classes": 2})",
                               [](const std::string& path) -> Result<std::vector<double>> {
                                 CHECK(path == "cat.png");
                                 return std::vector<double>{0, 1};
                               }).value();
  CHECK(p.boxes[0].lower[0] == Rational(-2, 255));
  CHECK(p.boxes[0].upper[1] == 1 + Rational(2, 255));
}

TEST_CASE("each mistake in the JSON is named") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{", "JSON"},
      {"[]", "object"},
      {kGood + R"(, "epss": 1})", "epss"},
      {kGood + R"(, "eps": 1})", "twice"},
      {R"({"property": "robustness", "image": [0], "label": 0, "classes": 2})", "eps"},
      {R"({"property": "robustness", "image": [0, "x"], "eps": 1, "label": 0, "classes": 2})", "image"},
      {R"({"property": "robustness", "image": "a.png", "eps": 1, "label": 0, "classes": 2})", "reader"},
      {R"({"property": "robustness", "image": [], "eps": 1, "label": 0, "classes": 2})", "no pixels"},
      {R"({"property": "robustness", "image": [0], "eps": -1, "label": 0, "classes": 2})", "negative"},
      {R"({"property": "robustness", "image": [0], "eps": 1, "label": 2, "classes": 2})", "label"},
      {R"({"property": "robustness", "image": [0], "eps": 1, "label": 0.5, "classes": 2})", "label"},
      {R"({"property": "robustness", "image": [255], "eps": 1, "label": 0, "classes": 2})", "clip"},
      {R"({"property": "robustness", "image": [0, 0, 0], "mean": [0, 0], "std": [1, 1], "eps": 1, "label": 0, "classes": 2})", "channels"},
      {kGood + R"(, "targets": [1]})", "target 1"},
      {kGood + R"(, "tie": "maybe"})", "tie"},
      {kGood + R"(, "clip": [1, 0]})", "clip"},
      {R"({"property": "robustness", "image": [[[[[[[[[[0]]]]]]]]]], "eps": 1, "label": 0, "classes": 2})", "deeper"},
  };
  for (const auto& [text, word] : cases) {
    INFO(text);
    const auto r = from_json(text);
    REQUIRE(!r.ok());
    INFO(r.error().text());
    CHECK(r.error().text().find(word) != std::string::npos);
  }
}
