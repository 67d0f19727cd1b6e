// The checker's own reading of an ONNX model: every node is brought into one of a few forms, each with one rule
// (bounds.hpp). Nothing is folded: an affine node stays one affine form with the numbers of the file.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/sparse.hpp"

namespace boundlight::check {

// What stops a check: where, and why. Thrown and caught inside of the checker.
struct Refusal : std::runtime_error {
  Refusal(std::string where, const std::string& why) : std::runtime_error(why), place(std::move(where)) {}
  std::string place;
};
inline void need(bool holds, const char* otherwise, const char* place = "") { if (!holds) throw Refusal(place, otherwise); }

struct Part {
  int input = 0;                     // tensor
  Sparse by_output;                  // W: a row per output element
  Sparse by_input;                   // its transpose (made by Model's reader)
  std::uint32_t longest_column = 0;  // most terms of a row of by_input
};

enum class Form {
  affine,    // z = sum_parts W y + w, up to |error| <= relative |W||y| + bias_error (coefficients that are no doubles)
  relu,      // z = max(y, 0)
  sigmoid,   // z = 1 / (1 + exp(-y))
  max_pool,  // z = max over a window of y: the terms of the row of W
};

struct Op {
  Form form = Form::affine;
  int output = 0;
  int input = -1;      // relu, sigmoid, max_pool
  std::string place;   // "node conv1 (Conv)", for messages

  std::vector<Part> parts = {};
  std::vector<double> bias = {}, bias_error = {};
  double relative = 0;
  // float32-any-order: a deployed element is a sum of its terms with float_extra further roundings; negative: data is only
  // moved. has_float_rule false: the deployed evaluation is not covered.
  int float_extra = 1;
  bool has_float_rule = true;
  std::size_t numbers = 0;         // stored slopes per neuron of the output; t means t * slope_unit
  double slope_unit = 1;
  bool has_rule = true;            // false: z is what the certificate says it is (believe), or anything
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
