// Every bound of small ReLU networks against the exact range in rationals (T5, T6). 300 networks here;
// BOUNDLIGHT_EXACT_NETS=10000 test_bounds "[exact]" runs ten thousand.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "support/exact_cells.hpp"
#include "support/hard_nets.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

struct Setting {
  Method method;
  Precision precision;
  Semantics semantics;
};

const std::vector<Setting> kSettings = {
    {Method::interval, Precision::single, Semantics::real},          {Method::interval, Precision::dual, Semantics::real},
    {Method::interval, Precision::single, Semantics::float32_any_order}, {Method::crown, Precision::single, Semantics::real},
    {Method::crown, Precision::dual, Semantics::real},               {Method::crown, Precision::automatic, Semantics::real},
    {Method::crown, Precision::automatic, Semantics::float32_any_order}, {Method::forward, Precision::single, Semantics::real},
    {Method::forward, Precision::dual, Semantics::real},             {Method::combined, Precision::single, Semantics::real},
    {Method::combined, Precision::automatic, Semantics::float32_any_order}, {Method::alpha, Precision::single, Semantics::real},
    {Method::alpha, Precision::automatic, Semantics::real},
};

std::string text(const Setting& s) {
  return "method " + std::to_string(static_cast<int>(s.method)) + " precision " + std::to_string(static_cast<int>(s.precision)) + " semantics " +
         std::to_string(static_cast<int>(s.semantics));
}

bool below(double bound, const Rational& exact_value) { return bound == -INFINITY || (std::isfinite(bound) && exact(bound) <= exact_value); }

// Forms of the outputs: every element, and one combination with coefficients that float cannot hold.
Forms forms_of(const Network& network, std::mt19937_64& random) {
  Forms f = elements_of(network, network.values[static_cast<std::size_t>(network.outputs[0])].name);
  const std::int64_t size = f.rows++;
  std::normal_distribution<double> normal;
  for (std::int64_t i = 0; i < size; ++i) f.coefficient.push_back(normal(random));
  f.constant.assign(static_cast<std::size_t>(f.rows), 0.0);
  f.constant.back() = normal(random);
  return f;
}

ExactRange range_of(const Forms& forms, std::int64_t row, const ExactCells& cells) {
  ExactRange range;
  for (const auto& v : cells.vertices()) {
    const auto& y = v.values.back();
    Rational sum = exact(forms.constant[static_cast<std::size_t>(row)]);
    for (std::size_t i = 0; i < y.size(); ++i) sum += exact(forms.coefficient[static_cast<std::size_t>(row) * y.size() + i]) * y[i];
    range.include(sum);
  }
  return range;
}

int nets_to_try() {
  const char* n = std::getenv("BOUNDLIGHT_EXACT_NETS");
  return n ? std::atoi(n) : 300;
}

}  // namespace

TEST_CASE("bounds of small ReLU networks contain the exact range, whatever the method and precision", "[exact]") {
  const int nets = nets_to_try();
  std::size_t violations = 0, finite = 0;
  for (int seed = 0; seed < nets; ++seed) {
    const auto style = static_cast<Style>(seed % static_cast<int>(Style::count));
    const HardCase c = hard_case(style, static_cast<std::uint64_t>(seed));
    const ExactCells cells(c.net, c.lower, c.upper);
    auto engine = engine_of(c.net);
    const Network& network = engine->network();
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 77);
    const Forms forms = forms_of(network, random);
    std::vector<ExactRange> exact_range;
    for (std::int64_t r = 0; r < forms.rows; ++r) exact_range.push_back(range_of(forms, r, cells));
    for (const Setting& s : kSettings) {
      BoundOptions options;
      options.method = s.method;
      options.precision = s.precision;
      options.semantics = s.semantics;
      options.alpha_steps = 5;
      auto found = engine->bound(box_of(c.lower, c.upper), forms, options);
      REQUIRE(found.ok());
      const BoundResult& b = found.value();
      for (std::size_t r = 0; r < exact_range.size(); ++r) {
        const bool good = below(b.lower[r], exact_range[r].lower) && below(-b.upper[r], -exact_range[r].upper);
        finite += std::isfinite(b.lower[r]) && std::isfinite(b.upper[r]);
        if (good) continue;
        ++violations;
        FAIL_CHECK("seed " << seed << ' ' << text(s) << " row " << r << ": [" << b.lower[r] << ", " << b.upper[r] << "] against ["
                           << round_down(exact_range[r].lower) << ", " << round_up(exact_range[r].upper) << "]");
      }
      auto boxes = engine->boxes(box_of(c.lower, c.upper), options);
      REQUIRE(boxes.ok());
      for (std::size_t l = 0; l + 1 < c.net.layers.size(); ++l) {
        const auto v = static_cast<std::size_t>(network.find("y" + std::to_string(l + 1)).value());
        for (std::size_t e = 0; e < cells.ranges[l].size(); ++e) {
          const bool good = below(boxes.value().lower[v][e], cells.ranges[l][e].lower) && below(-boxes.value().upper[v][e], -cells.ranges[l][e].upper);
          if (good) continue;
          ++violations;
          FAIL_CHECK("seed " << seed << ' ' << text(s) << " layer " << l << " neuron " << e);
        }
      }
    }
  }
  CHECK(violations == 0);
  CHECK(finite > 0);
}
