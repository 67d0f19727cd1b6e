// Bounds of shared models beside a peer's, both in double: interval steps agree up to rounding, rows are not looser than the
// peer's with its rule for slopes by more than our own charge (T21). The peer is a comparison, not the truth.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "boundlight/core/interval.hpp"
#include "support/shared_models.hpp"
#include "support/test_device.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

// For these the peer's planes of operators other than ReLU differ from ours.
bool other_planes(const std::string& model) { return model == "ffnnSIGMOID__Point_6x200" || model == "Convnet_maxpool" || model == "mnist_resnet_bn_pool"; }

}  // namespace

TEST_CASE("bounds of shared models agree with a peer's", "[long]") {
  const auto data = shared_data();
  if (!data) {
    WARN("skipped: no shared data");
    return;
  }
  const auto cases = nlohmann::json::parse(std::ifstream(*data / "expected" / "peer_bounds.json"));
  std::string last;
  std::unique_ptr<Engine> engine;
  for (const auto& c : cases) {
    const std::string model = c["model"];
    if (model != last) {
      auto network = prepare(must(load_onnx(*data / "models" / (model + ".onnx"))));
      if (!network.ok()) {
        WARN("skipped " << model << ": " << network.error().text());
        continue;
      }
      engine = must(make_engine(network.value(), test_device()));
      last = model;
    }
    std::vector<double> mean, std;
    if (!c["normalise"].is_null()) mean = c["normalise"][0].get<std::vector<double>>(), std = c["normalise"][1].get<std::vector<double>>();
    const Regions box = pixel_box(shared_pixels(*data, c["image"], c["index"], engine->network()), c["eps"], mean, std);
    Forms forms;
    forms.value = engine->network().logits;
    forms.rows = engine->network().values[static_cast<std::size_t>(forms.value)].size;
    forms.coefficient.assign(static_cast<std::size_t>(forms.rows * forms.rows), 0.0);
    for (std::int64_t i = 0; i < forms.rows; ++i) forms.coefficient[static_cast<std::size_t>(i * forms.rows + i)] = 1;
    // With boxes met with interval steps, as by default, single rows may be looser, all of them together are not.
    {
      BoundOptions options;
      options.precision = Precision::dual;
      const BoundResult b = must(engine->bound(box, forms, options));
      double ours = 0, theirs = 0;
      for (std::size_t r = 0; r < b.lower.size(); ++r) {
        ours += b.upper[r] - b.lower[r];
        theirs += c["CROWN"]["upper"][r].get<double>() - c["CROWN"]["lower"][r].get<double>();
      }
      INFO(model << " image " << c["index"] << ": widths " << ours << " and the peer's " << theirs);
      // Its planes of MaxPool suit this model better.
      CHECK(ours <= (model == "Convnet_maxpool" ? 1.06 : 1.01) * theirs);
    }
    for (const std::string method : {"IBP", "CROWN"}) {
      BoundOptions options;
      options.precision = Precision::dual;
      options.method = method == "IBP" ? Method::interval : Method::crown;
      options.rows_alone = true;  // what the peer does; a tighter box may choose another slope, and so a looser plane
      const BoundResult b = must(engine->bound(box, forms, options));
      const auto lower = c[method]["lower"].get<std::vector<double>>(), upper = c[method]["upper"].get<std::vector<double>>();
      const auto logits = c["logits_onnxruntime"].get<std::vector<double>>();
      for (std::size_t r = 0; r < lower.size(); ++r) {
        INFO(model << " image " << c["index"] << ' ' << method << " row " << r << " ours [" << b.lower[r] << ", " << b.upper[r] << "] theirs [" << lower[r] << ", " << upper[r] << "]");
        const double slack = 1e-6 * (1 + std::fabs(lower[r]) + std::fabs(upper[r]));
        CHECK(b.lower[r] <= logits[r] + slack);
        CHECK(b.upper[r] >= logits[r] - slack);
        if (method == "IBP") {
          CHECK(std::fabs(b.lower[r] - lower[r]) <= slack);
          CHECK(std::fabs(b.upper[r] - upper[r]) <= slack);
        } else if (!other_planes(model)) {
          CHECK(b.lower[r] >= lower[r] - b.charge[r] - slack);
          CHECK(b.upper[r] <= upper[r] + b.charge[r] + slack);
        }
      }
    }
  }
}
