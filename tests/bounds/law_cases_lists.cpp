// Law cases of nonlinear operators that read several elements per output: maxima, norms, softmax, normalisation, products of
// two variable matrices.
#include "support/law_cases.hpp"

namespace boundlight::test {
namespace {

// f over rows of `width` consecutive elements of the first input.
LawOracle rows(std::size_t width, std::function<std::vector<Big>(const std::vector<Big>&)> f) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t from = 0; from < in[0].size(); from += width) {
      const auto part = f({in[0].begin() + static_cast<std::ptrdiff_t>(from), in[0].begin() + static_cast<std::ptrdiff_t>(from + width)});
      y.insert(y.end(), part.begin(), part.end());
    }
    return y;
  };
}

std::vector<Big> softmax(const std::vector<Big>& x, bool log_of_it) {
  Big sum = 0;
  for (const Big& z : x) sum += exp(z);
  std::vector<Big> y;
  for (const Big& z : x) y.push_back(log_of_it ? Big(z - log(sum)) : Big(exp(z) / sum));
  return y;
}

LawOracle layer_norm(std::size_t width, double epsilon) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t from = 0; from < in[0].size(); from += width) {
      Big mean = 0, spread = 0;
      for (std::size_t k = 0; k < width; ++k) mean += in[0][from + k];
      mean /= width;
      for (std::size_t k = 0; k < width; ++k) spread += (in[0][from + k] - mean) * (in[0][from + k] - mean);
      const Big deviation = sqrt(Big(spread / width + Big(epsilon)));
      for (std::size_t k = 0; k < width; ++k) {
        const Big n = (in[0][from + k] - mean) / deviation;
        y.push_back(Big(n * in[1][k] + (in.size() > 2 && !in[2].empty() ? in[2][k] : Big(0))));
      }
    }
    return y;
  };
}

// Scale per column, bias per row.
// With the mean and the inverse deviation of every group.
LawOracle layer_norm_statistics(std::size_t width, double epsilon) {
  return [=](const BigInputs& in) {
    auto y = layer_norm(width, epsilon)(in);
    std::vector<Big> means, inverses;
    for (std::size_t from = 0; from < in[0].size(); from += width) {
      Big mean = 0, spread = 0;
      for (std::size_t k = 0; k < width; ++k) mean += in[0][from + k];
      mean /= width;
      for (std::size_t k = 0; k < width; ++k) spread += (in[0][from + k] - mean) * (in[0][from + k] - mean);
      means.push_back(mean);
      inverses.push_back(Big(1 / sqrt(Big(spread / width + Big(epsilon)))));
    }
    y.insert(y.end(), means.begin(), means.end());
    y.insert(y.end(), inverses.begin(), inverses.end());
    return y;
  };
}
LawOracle scaled_layer_norm(std::size_t rows, std::size_t width, double epsilon) {
  return [=](const BigInputs& in) {
    auto y = layer_norm(width, epsilon)({in[0], in[1]});
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < width; ++k) y[r * width + k] += in[2][r];
    return y;
  };
}

// Two channels of side x side, each with its own kernel x kernel filter; one row of padding above.
LawOracle per_channel_convolution(std::size_t side, std::size_t kernel) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t c = 0; c < 2; ++c)
      for (std::size_t r = 0; r < side + 2 - kernel; ++r)
        for (std::size_t q = 0; q + kernel <= side; ++q) {
          Big sum = in[2][c];
          for (std::size_t i = 0; i < kernel; ++i)
            for (std::size_t j = 0; j < kernel; ++j)
              if (r + i >= 1) sum += in[0][(c * side + r + i - 1) * side + q + j] * in[1][(c * kernel + i) * kernel + j];
          y.push_back(sum);
        }
    return y;
  };
}

// Two filters of `kernel` over one line of `size`.
LawOracle filters(std::size_t size, std::size_t kernel) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t o = 0; o < 2; ++o)
      for (std::size_t q = 0; q + kernel <= size; ++q) {
        Big sum = 0;
        for (std::size_t k = 0; k < kernel; ++k) sum += in[0][q + k] * in[1][o * kernel + k];
        y.push_back(sum);
      }
    return y;
  };
}

// A line of `size` spread out by two filters of `step` taps, side by side.
LawOracle spread_out(std::size_t size, std::size_t step) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t o = 0; o < 2; ++o)
      for (std::size_t i = 0; i < size * step; ++i) y.push_back(Big(in[0][i / step] * in[1][o * step + i % step] + in[2][o]));
    return y;
  };
}

// alpha op(A) op(B) + beta C, C of one row or none.
LawOracle product(std::size_t m, std::size_t k, std::size_t n, double alpha = 1, double beta = 1, bool ta = false, bool tb = false) {
  return [=](const BigInputs& in) {
    std::vector<Big> y;
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c < n; ++c) {
        Big sum = 0;
        for (std::size_t i = 0; i < k; ++i) sum += in[0][ta ? i * m + r : r * k + i] * in[1][tb ? c * k + i : i * n + c];
        sum *= alpha;
        if (in.size() > 2 && !in[2].empty()) sum += Big(beta) * in[2][in[2].size() == 1 ? 0 : c];
        y.push_back(sum);
      }
    return y;
  };
}

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Integers = std::vector<std::int64_t>;

LawCase chosen(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes = {}) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), std::move(attributes), {0}};
  c.exact = Exact::always;
  c.tighter = true;
  return c;
}
LawCase formula(std::string op, std::string label, std::vector<LawInput> inputs, Attributes attributes, LawOracle oracle, bool tighter = true) {
  LawCase c{std::move(op), std::move(label), std::move(inputs), std::move(attributes), {0}, std::move(oracle)};
  c.tighter = tighter;
  return c;
}
LawCase with_outputs(std::size_t outputs, LawCase c) {
  c.outputs = outputs;
  return c;
}

}  // namespace

std::vector<LawCase> law_cases_lists() {
  const auto plain = [](const std::vector<Big>& x) { return softmax(x, false); };
  const auto logged = [](const std::vector<Big>& x) { return softmax(x, true); };
  const auto absolute = [](const std::vector<Big>& x) {
    Big sum = 0;
    for (const Big& z : x) sum += abs(z);
    return std::vector<Big>{sum};
  };
  const auto euclid = [](const std::vector<Big>& x) {
    Big sum = 0;
    for (const Big& z : x) sum += z * z;
    return std::vector<Big>{Big(sqrt(sum))};
  };
  const double epsilon = static_cast<double>(1e-5F);
  std::vector<LawCase> cases = {
      chosen("MaxPool", "2x2 stride 1", {variable({1, 2, 3, 3})}, {{"kernel_shape", Integers{2, 2}}}),
      chosen("MaxPool", "3x3 stride 2 padded", {variable({1, 1, 4, 4})}, {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}}),
      chosen("GlobalMaxPool", "2 channels", {variable({1, 2, 2, 2})}),
      chosen("ReduceMax", "last axis", {variable({3, 4}), integers({-1})}),
      chosen("ReduceMin", "first axis, dropped", {variable({3, 2}), integers({0})}, {{"keepdims", std::int64_t{0}}}),
      chosen("Max", "three, one a constant", {variable({2, 3}), variable({3}), weights({1})}),
      chosen("Max", "one against a constant", {variable({5}), weights({5})}),
      chosen("Min", "two", {variable({2, 3}), variable({2, 1})}),
      chosen("Min", "one against a constant", {variable({5}), weights({5})}),
      formula("ReduceL1", "last axis", {variable({2, 3}), integers({1})}, {}, rows(3, absolute)),
      formula("ReduceL2", "last axis", {variable({2, 3}), integers({1})}, {}, rows(3, euclid)),
      formula("ReduceL2", "away from 0", {variable({2, 3}, 0.5, 4), integers({1})}, {}, rows(3, euclid)),
      formula("Softmax", "2x3", {variable({2, 3})}, {}, rows(3, plain)),
      formula("Softmax", "2x5 spread", {variable({2, 5}, -12, 12)}, {}, rows(5, plain), false),
      formula("LogSoftmax", "2x3", {variable({2, 3})}, {}, rows(3, logged)),
      formula("LayerNormalization", "2x4", {variable({2, 4}), weights({4}), weights({4})}, {}, layer_norm(4, epsilon)),
      formula("LayerNormalization", "3x2 without bias", {variable({3, 2}), weights({2})}, {{"epsilon", 0.5}}, layer_norm(2, 0.5)),
      formula("LayerNormalization", "variable scale and bias", {variable({2, 3}), variable({3}), variable({2, 1})}, {}, scaled_layer_norm(2, 3, epsilon)),
      with_outputs(3, formula("LayerNormalization", "2x3 with its statistics", {variable({2, 3}), weights({3}), weights({3})}, {{"epsilon", 0.25}}, layer_norm_statistics(3, 0.25))),
      formula("Conv", "variable weights", {variable({1, 2, 3, 3}), variable({2, 1, 2, 2}), variable({2})}, {{"group", std::int64_t{2}}, {"pads", Integers{1, 0, 0, 0}}},
              per_channel_convolution(3, 2)),
      formula("Conv", "variable weights, constant image", {weights({1, 1, 4}), variable({2, 1, 3})}, {{"strides", Integers{1}}}, filters(4, 3)),
      formula("ConvTranspose", "variable weights", {variable({1, 1, 3}), variable({1, 2, 2}), variable({2})}, {{"strides", Integers{2}}}, spread_out(3, 2)),
      formula("MatMul", "both vary", {variable({2, 3}), variable({3, 2})}, {}, product(2, 3, 2)),
      formula("Gemm", "both vary", {variable({2, 3}), variable({3, 2})}, {}, product(2, 3, 2)),
      formula("Gemm", "all vary, transposed, scaled", {variable({3, 2}), variable({2, 3}), variable({2})},
              {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}, {"alpha", 0.25}, {"beta", -1.5}}, product(2, 3, 2, 0.25, -1.5, true, true)),
  };
  LawCase along_first = formula("Softmax", "along the first axis", {variable({3, 2})}, {{"axis", std::int64_t{0}}}, [](const BigInputs& in) {
    std::vector<Big> y(6);
    for (std::size_t c = 0; c < 2; ++c) {
      const auto part = softmax({in[0][c], in[0][2 + c], in[0][4 + c]}, false);
      for (std::size_t r = 0; r < 3; ++r) y[2 * r + c] = part[r];
    }
    return y;
  });
  cases.push_back(std::move(along_first));
  return cases;
}

}  // namespace boundlight::test
