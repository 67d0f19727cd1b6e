// Law cases of operators of two inputs, element by element: products, quotients, powers, comparisons, logic.
#include "support/law_cases.hpp"

namespace boundlight::test {
namespace {

// f(a, b) with b broadcast along the leading axes of a (b's elements repeat).
LawOracle pair(std::function<Big(const Big&, const Big&)> f) {
  return [f](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t i = 0; i < in[0].size(); ++i) y.push_back(f(in[0][i], in[1][i % in[1].size()]));
    return y;
  };
}

LawCase product_like(std::string op, std::string label, std::vector<LawInput> inputs, std::function<Big(const Big&, const Big&)> f, bool tighter, bool linear = false) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), {}, {0, 1}, pair(std::move(f))};
  c.tighter = tighter;
  c.linear = linear;
  return c;
}

LawCase compared(std::string op) {
  LawCase c{std::move(op), "shape=2x3 and 3", {variable({2, 3}, -2, 2), variable({3}, -2, 2)}, {}, {0, 0.5}};
  c.exact = Exact::always;
  c.continuous = false;
  return c;
}

LawCase logic(std::string op) {
  LawCase c{std::move(op), "shape=2x2 and 2", {truths({2, 2}), truths({2})}};
  c.exact = Exact::always;
  c.continuous = false;
  return c;
}

}  // namespace

std::vector<LawCase> law_cases_pairs() {
  const auto times = [](const Big& a, const Big& b) { return Big(a * b); };
  const auto over = [](const Big& a, const Big& b) { return Big(a / b); };
  const auto power = [](const Big& a, const Big& b) {
    if (b == 0) return Big(1);
    if (a == 0) return Big(0);
    const Big size = pow(Big(abs(a)), b), half = floor(Big(b / 2));
    return a < 0 && half * 2 != b ? Big(-size) : size;
  };
  std::vector<LawCase> cases = {
      product_like("Mul", "both vary, shape=2x3 and 3", {variable({2, 3}), variable({3})}, times, true),
      product_like("Mul", "by a constant", {variable({2, 3}), weights({3})}, times, false, true),
      product_like("Div", "both vary", {variable({2, 3}), variable({3}, 0.25, 4)}, over, true),
      product_like("Div", "negative divisor", {variable({4}), variable({4}, -4, -0.25)}, over, true),
      product_like("Div", "by a constant", {variable({2, 3}), constants({3}, {0.75, -3, 10})}, over, false, true),
      product_like("Div", "of a constant", {weights({4}), variable({4}, 0.25, 4)}, over, true),
      product_like("Pow", "square, cube, fourth", {variable({2, 3}), constants({3}, {2, 3, 4})}, power, true),
      product_like("Pow", "broken powers", {variable({2, 3}, 0.1, 4), constants({3}, {0.5, 1.5, -1.25})}, power, true),
      product_like("Pow", "negative powers", {variable({3}, 0.25, 4), constants({3}, {-1, -2, -3})}, power, true),
      product_like("Pow", "both vary", {variable({4}, 0.25, 3), variable({4}, -2, 2)}, power, false),
      compared("Equal"), compared("Greater"), compared("GreaterOrEqual"), compared("Less"), compared("LessOrEqual"),
      logic("And"), logic("Or"), logic("Xor"),
  };
  LawCase square{"Mul", "of a value with itself", {variable({4}), variable({4})}, {}, {0}, [](const BigInputs& in) {
                   std::vector<Big> y;
                   for (const Big& x : in[0]) y.push_back(Big(x * x));
                   return y;
                 }};
  square.inputs.pop_back();  // the harness repeats the first input where an operator of two has one
  square.tighter = true;
  cases.push_back(square);
  LawCase negation{"Not", "shape=4", {truths({4})}};
  negation.exact = Exact::always;
  negation.continuous = false;
  cases.push_back(negation);
  return cases;
}

}  // namespace boundlight::test
