// On every shared model: `combined` is not looser than any of the engines whose results it meets. Along a change of brightness and
// contrast, where planes carried forward have two coordinates; in a box where the network is small enough to carry all inputs.
#include <catch2/catch.hpp>

#include "support/graph_build.hpp"
#include "support/shared_models.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

// x (1 + p) + q for small p and q.
Regions brightness(const std::vector<double>& x) {
  Regions r;
  r.batch = 1;
  r.directions = 2;
  r.anchor = x;
  r.direction = x;
  r.direction.resize(2 * x.size(), 1.0);
  r.p_lower = {-0.004, -0.002};
  r.p_upper = {0.004, 0.002};
  for (const double v : x) {
    r.lower.push_back(v - 0.004 * std::fabs(v) - 0.0021);
    r.upper.push_back(v + 0.004 * std::fabs(v) + 0.0021);
  }
  return r;
}

void check_combined(Engine& engine, const Regions& region, const std::string& model) {
  const Network& network = engine.network();
  Forms forms;
  forms.value = network.logits;
  forms.rows = network.values[static_cast<std::size_t>(forms.value)].size;
  forms.coefficient.assign(static_cast<std::size_t>(forms.rows * forms.rows), 0.0);
  for (std::int64_t i = 0; i < forms.rows; ++i) forms.coefficient[static_cast<std::size_t>(i * forms.rows + i)] = 1;
  BoundOptions options;
  options.method = Method::combined;
  const BoundResult all = must(engine.bound(region, forms, options));
  for (const Method m : {Method::interval, Method::forward, Method::crown}) {
    options.method = m;
    const BoundResult one = must(engine.bound(region, forms, options));
    for (std::size_t r = 0; r < one.lower.size(); ++r) {
      INFO(model << " method " << static_cast<int>(m) << " row " << r << ": [" << all.lower[r] << ", " << all.upper[r] << "] and [" << one.lower[r] << ", " << one.upper[r] << "]");
      CHECK(std::isfinite(all.lower[r]));
      CHECK(all.lower[r] >= one.lower[r]);
      CHECK(all.upper[r] <= one.upper[r]);
    }
  }
}

}  // namespace

TEST_CASE("combined is not looser than interval, forward and crown on every shared model", "[long]") {
  const auto data = shared_data();
  if (!data) {
    WARN("skipped: no shared data");
    return;
  }
  const std::vector<std::pair<std::string, std::string>> models = {
      {"mnist-net_256x2", "mnist_1000"},  {"mnist-net_256x4", "mnist_1000"},      {"ffnnSIGMOID__Point_6x200", "mnist_1000"}, {"decoy_mnist_cnn", "mnist_1000"},
      {"mnist_cnn_small", "mnist_1000"},  {"mnist_cnn_small_adv", "mnist_1000"},  {"mnist_resnet_bn_pool", "mnist_1000"},     {"Convnet_avgpool", "mnist_1000"},
      {"Convnet_maxpool", "mnist_1000"},  {"cifar10_small", "cifar10_200"},       {"cifar_base_kw", "cifar10_200"},           {"cifar_deep_kw", "cifar10_200"},
      {"resnet_2b", "cifar10_200"},       {"resnet_4b", "cifar10_200"}};
  for (const auto& [model, images] : models) {
    auto engine = must(make_engine(shared_network(*data, model)));
    const auto pixels = shared_pixels(*data, images, 0, engine->network());
    check_combined(*engine, brightness(pixels), model);
    if (engine->network().input_size() < 1000 && engine->network().nodes.size() < 12) check_combined(*engine, pixel_box(pixels, 0.01), model + " in a box");
  }
  auto engine = must(make_engine(shared_network(*data, "acasxu/ACASXU_run2a_1_1_batch_2000")));
  const auto n = static_cast<std::size_t>(engine->network().input_size());
  Regions box;
  box.batch = 1;
  box.lower.assign(n, -0.05);
  box.upper.assign(n, 0.05);
  check_combined(*engine, box, "acasxu 1_1");
}
