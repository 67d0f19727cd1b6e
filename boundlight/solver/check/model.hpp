// The checker's own reading of an ONNX model: every node is brought into one of a few forms, each with one rule
// (bounds.hpp). Nothing is folded: an affine node stays one affine form with the numbers of the file.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace boundlight::check {

// What stops a check: where, and why. Thrown and caught inside of the checker.
struct Refusal : std::runtime_error {
  Refusal(std::string where, const std::string& why) : std::runtime_error(why), place(std::move(where)) {}
  std::string place;
};

// A sparse matrix by rows.
struct Sparse {
  std::vector<std::uint32_t> start{0}, index;
  std::vector<double> value;
  void add(std::int64_t i, double w) { index.push_back(static_cast<std::uint32_t>(i)), value.push_back(w); }
  void end_row() { start.push_back(static_cast<std::uint32_t>(index.size())); }
};

struct Part {
  int input = 0;                     // tensor
  Sparse by_output;                  // W: a row per output element
  Sparse by_input;                   // its transpose
  std::uint32_t longest_column = 0;  // most terms of a row of by_input
};

enum class Form {
  affine,    // z = sum_parts W y + w, up to |error| <= relative |W||y| + bias_error (coefficients that are no doubles)
  relu,      // z = max(y, 0)
  sigmoid,   // z = 1 / (1 + exp(-y))
  max_pool,  // z = max over a window of y
  opaque,    // no rule: z is what the certificate says, and the certificate is partial
};

struct Op {
  Form form = Form::affine;
  int output = 0;
  int input = -1;      // relu, sigmoid, max_pool
  std::string place;   // "node conv1 (Conv)", for messages

  std::vector<Part> parts;
  std::vector<double> bias, bias_error;
  double relative = 0;
  // float32-any-order: a deployed element is a sum of its terms with float_extra further roundings; negative: data is only
  // moved. has_float_rule false: the deployed evaluation is not covered.
  int float_extra = 1;
  bool has_float_rule = true;
  std::size_t numbers = 0;         // stored slopes per neuron of the output; t means t * slope_unit
  double slope_unit = 1;
  std::size_t window = 0;          // max_pool: kernel size
  std::vector<std::int64_t> taps;  // max_pool: input element under tap k of output o at [o * window + k], or -1
};

struct Tensor {
  std::string name;
  std::size_t size = 0;
};

struct Model {
  std::vector<Tensor> tensors;
  std::vector<Op> ops;                   // topological
  int input = 0, output = 0;             // tensors
  std::map<std::string, int> tensor_of;  // ONNX value name -> tensor; values that only reshape another share its tensor
  std::map<std::string, int> op_of;      // activation's output value name -> op
};

// Throws Refusal. A free leading dimension is read as 1. No tensor has more than max_elements elements, and all tensors
// and matrices together have at most twice as many numbers (about 64 bytes each).
Model read_model(std::string_view onnx_bytes, std::int64_t max_elements = std::int64_t{1} << 26);

}  // namespace boundlight::check
