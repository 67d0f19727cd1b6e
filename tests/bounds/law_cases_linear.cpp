// Law cases of linear operators that compute: sums, products with weights, convolutions, means, interpolation.
#include "support/law_cases.hpp"

namespace boundlight::test {
namespace {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Integers = std::vector<std::int64_t>;

// Weights are multiples of 1/16, so values at multiples of 1/64 are exact in binary32.
LawCase grid(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes = {}) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), std::move(attributes)};
  c.exact = Exact::on_grid;
  c.linear = true;
  return c;
}
LawCase rounded(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes, LawOracle oracle) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), std::move(attributes), {}, std::move(oracle)};
  c.linear = true;
  return c;
}

std::vector<Big> batch_norm(const BigInputs& in, std::size_t channels, double epsilon) {
  std::vector<Big> y;
  const std::size_t cells = in[0].size() / channels;
  for (std::size_t i = 0; i < in[0].size(); ++i) {
    const std::size_t c = i / cells;
    y.push_back(Big((in[0][i] - in[3][c]) / sqrt(Big(in[4][c] + Big(epsilon))) * in[1][c] + in[2][c]));
  }
  return y;
}

std::vector<LawCase> convolutions() {
  return {
      grid("Conv", "3x3 padded with bias", {variable({1, 2, 4, 3}), weights({3, 2, 3, 3}), weights({3})}, {{"pads", Integers{1, 1, 1, 1}}}),
      grid("Conv", "two groups, stride 2", {variable({1, 2, 5, 4}), weights({4, 1, 2, 2})}, {{"group", std::int64_t{2}}, {"strides", Integers{2, 1}}}),
      grid("Conv", "1d dilated", {variable({2, 1, 6}), weights({2, 1, 2}), weights({2})}, {{"dilations", Integers{2}}}),
      grid("ConvTranspose", "2x2 stride 2 with bias", {variable({1, 2, 3, 2}), weights({2, 2, 2, 2}), weights({2})}, {{"strides", Integers{2, 2}}}),
      grid("ConvTranspose", "two groups, padded, output padding", {variable({1, 2, 3, 3}), weights({2, 1, 3, 3})},
           {{"group", std::int64_t{2}}, {"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}, {"output_padding", Integers{1, 1}}}),
      grid("ConvTranspose", "1d", {variable({2, 1, 4}), weights({1, 2, 3}), weights({2})}),
      grid("AveragePool", "2x2", {variable({1, 2, 4, 4})}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}}),
      grid("GlobalAveragePool", "2x2", {variable({1, 3, 2, 2})}),
  };
}

std::vector<LawCase> products() {
  return {
      grid("Gemm", "as a layer", {variable({2, 4}), weights({4, 3}), weights({3})}),
      grid("Gemm", "transposed weights, scaled", {variable({1, 4}), weights({3, 4}), weights({1, 3})}, {{"transB", std::int64_t{1}}, {"alpha", 0.5}, {"beta", -2.0}}),
      grid("Gemm", "transposed input", {variable({4, 2}), weights({4, 3}), weights({2, 1})}, {{"transA", std::int64_t{1}}, {"alpha", 0.5}}),
      grid("Gemm", "variable second side", {weights({2, 3}), variable({3, 2}), weights({2})}),
      grid("Gemm", "variable bias alone", {weights({2, 3}), weights({3, 2}), variable({2})}, {{"alpha", 0.5}, {"beta", 2.0}}),
      grid("Gemm", "variable bias alone, transposed", {weights({3, 2}), weights({2, 3}), variable({2, 1})}, {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}}),
      grid("Gemm", "variable bias", {variable({2, 3}), weights({3, 2}), variable({2})}, {{"beta", 2.0}}),
      grid("MatMul", "constant right side", {variable({2, 3}), weights({3, 2})}),
      grid("MatMul", "constant left side, batched", {weights({2, 3}), variable({2, 3, 2})}),
  };
}

}  // namespace

std::vector<LawCase> law_cases_linear() {
  const double epsilon = static_cast<double>(1e-5F);
  std::vector<LawCase> cases = {
      grid("Add", "2x3 and 3", {variable({2, 3}), variable({3})}),
      grid("Add", "a constant", {variable({1, 2, 3, 2}), weights({2, 1, 1})}),
      grid("Sub", "from a constant", {weights({3}), variable({2, 3})}),
      grid("Sub", "two variables", {variable({4}), variable({4})}),
      grid("Sum", "several constants", {weights({2, 3}), variable({2, 3}), weights({3}), weights({2, 1})}),
      grid("Sum", "several of both", {variable({3}), weights({1}), variable({2, 3}), weights({2, 1})}),
      grid("Sum", "three", {variable({2, 3}), variable({3}), weights({2, 1})}),
      grid("Mean", "two", {variable({2, 3}), variable({3})}),
      grid("ReduceSum", "middle axis", {variable({2, 3, 2}), integers({1})}),
      grid("ReduceMean", "over four", {variable({2, 4}), integers({1})}),
      grid("Resize", "nearest", {variable({1, 1, 2, 3}), left_out(), constants({4}, {1, 1, 2, 2})}, {{"mode", std::string("nearest")}}),
      grid("Resize", "linear", {variable({1, 1, 2, 3}), left_out(), constants({4}, {1, 1, 2, 2})}, {{"mode", std::string("linear")}}),
      rounded("Mean", "three", {variable({4}), variable({4}), variable({1})}, {}, [](const BigInputs& in) {
        std::vector<Big> y;
        for (std::size_t i = 0; i < 4; ++i) y.push_back(Big((in[0][i] + in[1][i] + in[2][0]) / 3));
        return y;
      }),
      rounded("ReduceMean", "over three", {variable({2, 3}), integers({1})}, {}, [](const BigInputs& in) {
        return std::vector<Big>{Big((in[0][0] + in[0][1] + in[0][2]) / 3), Big((in[0][3] + in[0][4] + in[0][5]) / 3)};
      }),
      rounded("AveragePool", "1d of three", {variable({1, 1, 5})}, {{"kernel_shape", Integers{3}}}, [](const BigInputs& in) {
        std::vector<Big> y;
        for (std::size_t i = 0; i < 3; ++i) y.push_back(Big((in[0][i] + in[0][i + 1] + in[0][i + 2]) / 3));
        return y;
      }),
      rounded("BatchNormalization", "2 channels", {variable({1, 2, 2, 2}), weights({2}), weights({2}), weights({2}), constants({2}, {0.3125, 2.5})}, {},
              [=](const BigInputs& in) { return batch_norm(in, 2, epsilon); }),
      rounded("Resize", "linear by 1.5", {variable({1, 1, 2}), left_out(), constants({3}, {1, 1, 1.5})}, {{"mode", std::string("linear")}}, [](const BigInputs& in) {
        // Half-pixel centres: -1/6 + i 2/3 - ..., that is -1/6, 1/2, 7/6, clamped to the ends.
        return std::vector<Big>{in[0][0], Big((in[0][0] + in[0][1]) / 2), in[0][1]};
      }),
  };
  LawCase upsample = grid("Upsample", "nearest", {variable({1, 1, 2, 2}), constants({4}, {1, 1, 2, 2})});
  upsample.version = 9;
  cases.push_back(upsample);
  LawCase range = grid("Range", "floating steps", {constants({}, {0.25}), constants({}, {2}), constants({}, {0.5})});
  range.added = true;
  cases.push_back(range);
  for (auto& group : {convolutions(), products()}) cases.insert(cases.end(), group.begin(), group.end());
  return cases;
}

}  // namespace boundlight::test
