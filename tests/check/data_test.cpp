// The checker on the shared models: its own bounds against a peer's, and certificates for shared properties.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "boundlight/core/files.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/solver/check/bounds.hpp"
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "support/folders.hpp"

using namespace boundlight;
using namespace boundlight::check;

namespace {

std::string model_bytes(const std::filesystem::path& data, const std::string& name) { return read_file(data / "models" / (name + ".onnx")).value(); }

// The input box of an entry of peer_bounds.json: pixels in [0, 1] +- eps, clipped, normalised, in the model's layout.
Box box_of(const nlohmann::json& entry, const boundlight::Tensor& images, bool channels_last) {
  const std::int64_t pixels = images.size() / images.shape()[0], channels = images.shape().size() == 4 ? images.shape()[3] : 1, area = pixels / channels;
  const auto* bytes = images.data<std::uint8_t>() + entry["index"].get<std::int64_t>() * pixels;
  const double eps = entry["eps"];
  Box box;
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::int64_t c = channels_last ? i % channels : i / area, source = channels_last ? i : i % area * channels + c;
    const double p = bytes[source] / 255.0, mean = entry["normalise"].is_null() ? 0.0 : entry["normalise"][0][c].get<double>(), scale = entry["normalise"].is_null() ? 1.0 : entry["normalise"][1][c].get<double>();
    box.lower.push_back((std::max(0.0, p - eps) - mean) / scale);
    box.upper.push_back((std::min(1.0, p + eps) - mean) / scale);
  }
  return box;
}

}  // namespace

TEST_CASE("on the shared models the checker's bounds contain the logits and agree with a peer's") {
  const auto data = test::shared_data();
  if (!data) {
    WARN("skipped: no shared data");
    return;
  }
  const auto entries = nlohmann::json::parse(read_file(*data / "expected" / "peer_bounds.json").value());
  const boundlight::Tensor mnist = load_array((*data / "images" / "mnist_1000.npz").string() + ":images").value(), cifar = load_array((*data / "images" / "cifar10_200.npz").string() + ":images").value();
  int compared = 0;
  for (const auto& entry : entries) {
    const std::string name = entry["model"];
    if (entry["index"] != 1 || name == "resnet_4b") continue;  // one image per model; the largest takes too long for a test
    INFO(name);
    const Model model = read_model(model_bytes(*data, name));
    const Certificate nothing;
    const Propagation propagation(model, nothing);
    const Box box = box_of(entry, entry["image"] == "cifar10_200" ? cifar : mnist, name == "cifar10_small");
    Bounds backward;
    backward.mode = Bounds::Mode::backward;
    const auto interval = propagation.boxes(box, nullptr, {}, nullptr), crown = propagation.boxes(box, nullptr, {}, &backward);
    const Box& out = interval->of[model.output];
    std::vector<Row> rows;
    const std::size_t n = out.lower.size();
    for (const double sign : {1.0, -1.0})
      for (std::uint32_t i = 0; i < n; ++i) rows.emplace_back().terms.push_back({model.output, i, sign, 0});
    const auto forms = propagation.backward(*crown, rows);
    // The peer's slopes for sigmoids come from a coarse table; ReLU and MaxPool rules are the same as ours.
    const bool sigmoid = name == "ffnnSIGMOID__Point_6x200" || name == "mnist_resnet_bn_pool";
    for (std::size_t i = 0; i < n; ++i) {
      const double lower = lowest(forms[i], box), upper = -lowest(forms[n + i], box), logit = entry["logits_onnxruntime"][i];
      CHECK(out.lower[i] == Approx(entry["IBP"]["lower"][i].get<double>()).epsilon(1e-6).margin(1e-6));
      CHECK(out.upper[i] == Approx(entry["IBP"]["upper"][i].get<double>()).epsilon(1e-6).margin(1e-6));
      CHECK(lower >= entry["CROWN"]["lower"][i].get<double>() - (sigmoid ? 2e-3 : 1e-8));
      CHECK(upper <= entry["CROWN"]["upper"][i].get<double>() + (sigmoid ? 2e-3 : 1e-8));
      CHECK(lower <= logit + 1e-4 * (1 + std::fabs(logit)));
      CHECK(upper >= logit - 1e-4 * (1 + std::fabs(logit)));
    }
    ++compared;
  }
  CHECK(compared >= 12);
}

TEST_CASE("every shared model is read, and has a rule for every operator") {
  const auto data = test::shared_data();
  if (!data) {
    WARN("skipped: no shared data");
    return;
  }
  int models = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*data / "models")) {
    if (entry.path().extension() != ".onnx") continue;
    INFO(entry.path().string());
    const Model model = read_model(read_file(entry.path()).value());
    for (const Op& op : model.ops) CHECK(op.has_rule);
    ++models;
  }
  CHECK(models >= 27);
}

TEST_CASE("certificates for shared properties: accepted where plain backward bounds suffice, never on sat rows") {
  const auto data = test::shared_data();
  if (!data) {
    WARN("skipped: no shared data");
    return;
  }
  std::ifstream table(*data / "expected" / "vnncomp2021_verdicts.csv");
  std::string line;
  std::getline(table, line);
  int accepted = 0, sat = 0;
  while (std::getline(table, line)) {
    const std::size_t a = line.find(','), b = line.find(',', a + 1), c = line.find(',', b + 1);
    const std::string model_name = line.substr(0, a), spec_name = line.substr(a + 1, b - a - 1), verdict = line.substr(b + 1, c - b - 1);
    if (model_name.find("resnet") != std::string::npos && sat > 20) continue;  // a few of the slow ones are enough
    const std::string model = read_file(*data / model_name).value(), spec = read_file(*data / spec_name).value();
    const Requirement requirement = read_requirement(spec);
    Certificate certificate;
    certificate.engine = "test";
    certificate.model_sha256 = sha256_hex(model);
    certificate.spec_sha256 = sha256_hex(spec);
    certificate.statements.resize(1);
    certificate.bounds.resize(1);
    certificate.bounds[0].mode = Bounds::Mode::backward;
    for (std::uint32_t d = 0; d < requirement.disjuncts.size(); ++d) {
      check::Node leaf;
      leaf.bounds = 1;
      leaf.lambda.assign(requirement.disjuncts[d].constraints.size(), 0);
      leaf.lambda[0] = 1;
      certificate.proofs.push_back({0, d, 0, {{leaf}}});
    }
    const Verdict v = check_bytes(serialize(certificate), model, spec).value();
    INFO(line << "\n" << text(v));
    if (verdict == "sat") {
      CHECK(v.kind == Verdict::Kind::rejected);
      ++sat;
    }
    accepted += v.kind == Verdict::Kind::accepted;
    if (v.kind == Verdict::Kind::rejected) CHECK(v.place.find("proof ") == 0);
  }
  WARN("plain backward bounds prove " << accepted << " rows");
  CHECK(sat > 10);
  CHECK(accepted > 10);
}
