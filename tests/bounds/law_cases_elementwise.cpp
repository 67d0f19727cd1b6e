// Law cases of operators with one input whose every element goes alone. Their kernels have laws of their own, to the last bit
// (law_unary_test.cpp); here they pass through engines.
#include "support/law_cases.hpp"

namespace boundlight::test {
namespace {

LawOracle each(std::function<Big(const Big&)> f) {
  return [f](const BigInputs& in) {
    std::vector<Big> y;
    for (const Big& x : in[0]) y.push_back(f(x));
    return y;
  };
}

LawCase curve(std::string op, std::function<Big(const Big&)> f, double low, double high, std::vector<double> kinks, std::map<std::string, Attribute, std::less<>> attributes = {}) {
  LawCase c{std::move(op), "shape=3x2", {variable({3, 2}, low, high)}, std::move(attributes), std::move(kinks), each(std::move(f))};
  c.tighter = true;
  return c;
}

LawCase jumps(std::string op, std::vector<double> kinks) {
  LawCase c{std::move(op), "shape=5", {variable({5})}, {}, std::move(kinks)};
  c.exact = Exact::always;
  c.continuous = false;
  return c;
}

}  // namespace

std::vector<LawCase> law_cases_elementwise() {
  const Big one = 1, pi = 4 * atan(one), root = sqrt(Big(2)), inner = sqrt(2 / pi), cubic("0.044715");
  const auto cut = [](const Big& x) { return x < 0 ? Big(0) : x > 1 ? Big(1) : x; };
  std::vector<LawCase> cases = {
      curve("Abs", [](const Big& x) { return Big(abs(x)); }, -3, 3, {0}),
      curve("Celu", [](const Big& x) { return x < 0 ? Big(2 * expm1(Big(x / 2))) : x; }, -5, 5, {0}, {{"alpha", 2.0}}),
      curve("Cos", [](const Big& x) { return Big(cos(x)); }, -7, 7, {0, 1.5707963, 3.1415926, -3.1415926}),
      curve("Elu", [](const Big& x) { return x < 0 ? Big(expm1(x)) : x; }, -5, 5, {0}),
      curve("Erf", [](const Big& x) { return erf_of(x); }, -4, 4, {0}),
      curve("Exp", [](const Big& x) { return Big(exp(x)); }, -4, 4, {0}),
      curve("Gelu", [=](const Big& x) { return Big(x / 2 * erfc_of(Big(-x / root))); }, -5, 5, {0, -0.7517915, 1.4142135, -1.4142135}),
      curve("Gelu", [=](const Big& x) { return Big(x / (1 + exp(Big(-2 * inner * (x + cubic * x * x * x))))); }, -5, 5, {0, -0.7524614, 1.4185, -1.4185},
            {{"approximate", std::string("tanh")}}),
      curve("HardSigmoid", [=](const Big& x) { return cut(Big(x / 4 + Big(0.5))); }, -5, 5, {-2, 2}, {{"alpha", 0.25}, {"beta", 0.5}}),
      curve("HardSwish", [=](const Big& x) { return Big(x * cut(Big((x + 3) / 6))); }, -6, 6, {-3, -1.5, 0, 3}),
      curve("LeakyRelu", [](const Big& x) { return x < 0 ? Big(x / 4) : x; }, -3, 3, {0}, {{"alpha", 0.25}}),
      curve("LeakyRelu", [](const Big& x) { return x < 0 ? Big(-x / 2) : x; }, -3, 3, {0}, {{"alpha", -0.5}}),
      curve("Log", [](const Big& x) { return Big(log(x)); }, 0.01, 6, {1}),
      curve("Reciprocal", [](const Big& x) { return Big(1 / x); }, 0.05, 6, {1}),
      curve("Relu", [](const Big& x) { return x < 0 ? Big(0) : x; }, -3, 3, {0}),
      curve("Selu", [](const Big& x) { return Big(Big(1.25) * (x < 0 ? Big(Big(1.5) * expm1(x)) : x)); }, -5, 5, {0}, {{"alpha", 1.5}, {"gamma", 1.25}}),
      curve("Sigmoid", [](const Big& x) { return Big(1 / (1 + exp(Big(-x)))); }, -8, 8, {0}),
      curve("Sin", [](const Big& x) { return Big(sin(x)); }, -7, 7, {0, 1.5707963, 3.1415926, -1.5707963}),
      curve("Softplus", [](const Big& x) { return Big(log1p(Big(exp(x)))); }, -8, 8, {0}),
      curve("Softsign", [](const Big& x) { return Big(x / (1 + abs(x))); }, -8, 8, {0}),
      curve("Sqrt", [](const Big& x) { return Big(sqrt(x)); }, 0, 6, {0, 1}),
      curve("Tanh", [](const Big& x) { return Big(tanh(x)); }, -4, 4, {0}),
      jumps("Ceil", {-1, 0, 1}),
      jumps("Floor", {-1, 0, 1}),
      jumps("Round", {-0.5, 0, 0.5, 1.5}),
      jumps("Sign", {0}),
      jumps("ThresholdedRelu", {1}),
  };
  // Windowed rows: a value with channels, height and width.
  cases.push_back({"Relu", "shape=1x2x3x2", {variable({1, 2, 3, 2})}, {}, {0}, each([](const Big& x) { return x < 0 ? Big(0) : x; })});
  cases.push_back({"Clip", "shape=1x2x3x2 relu6", {variable({1, 2, 3, 2}, -4, 9), constants({}, {0}), constants({}, {6})}, {}, {0, 6}});
  cases.push_back({"Clip", "shape=7 max only", {variable({7}), left_out(), constants({}, {0.5})}, {}, {0.5}});
  cases.push_back({"PRelu", "shape=2x3 slopes=3", {variable({2, 3}), weights({3})}, {}, {0}, [](const BigInputs& in) {
                     std::vector<Big> y;
                     for (std::size_t i = 0; i < in[0].size(); ++i) y.push_back(in[0][i] < 0 ? Big(in[0][i] * in[1][i % 3]) : in[0][i]);
                     return y;
                   }});
  for (LawCase& c : cases) {
    if (c.op == "Clip") c.exact = Exact::always;
    c.tighter = c.tighter || c.op == "Clip" || c.op == "PRelu";
  }
  LawCase neg{"Neg", "shape=2x3", {variable({2, 3})}};
  neg.exact = Exact::always;
  neg.linear = true;
  cases.push_back(neg);
  return cases;
}

}  // namespace boundlight::test
