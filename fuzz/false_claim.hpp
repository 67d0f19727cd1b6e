// A small network and a property that is false for it, for fuzzing the checker: no certificate may prove it.
#pragma once

#include <string>
#include <vector>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/check/certificate.hpp"
#include "tests/check/onnx_bytes.hpp"

namespace boundlight::fuzz {

// y = relu(x_0 + x_1 - 1/2) - relu(x_0 - x_1) + sigmoid(2 x_0) - 1/4; at x = 0 it is 1/4.
inline const std::string& false_claim_model() {
  static const std::string bytes = [] {
    onnx_bytes::Graph g;
    g.input = "x";
    g.output = "y";
    g.input_dims = {1, 2};
    g.output_dims = {1, 1};
    g.constant("w", {2, 2}, std::vector<float>{1, 1, 1, -1});
    g.constant("b", {2}, std::vector<float>{-0.5F, 0});
    g.constant("v", {2, 1}, std::vector<float>{2, 0});
    g.constant("s", {1, 2}, std::vector<float>{1, -1});
    g.constant("c", {1}, std::vector<float>{-0.25F});
    g.node("Gemm", {"x", "w", "b"}, {"z"}, onnx_bytes::attribute("transB", std::int64_t{1}));
    g.node("Relu", {"z"}, {"h"});
    g.node("Gemm", {"h", "s", "c"}, {"r"}, onnx_bytes::attribute("transB", std::int64_t{1}));
    g.node("MatMul", {"x", "v"}, {"q"});
    g.node("Sigmoid", {"q"}, {"p"});
    g.node("Add", {"r", "p"}, {"y"});
    return g.model();
  }();
  return bytes;
}

// Counterexamples: y <= 0.2500001 with x_0 <= 0.6 (x = 0 is one), or y >= 1/4 with x_0 + x_1 <= 1 (x = 0 again).
inline const std::string& false_claim_spec() {
  static const std::string text =
      "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)\n"
      "(assert (<= -1 X_0 1))(assert (<= -0.9 X_1 1.1))\n"
      "(assert (or (and (<= Y_0 0.2500001) (<= (+ X_0 (* 0.001 X_1)) 0.6)) (and (>= Y_0 0.25) (<= (+ X_0 X_1) 1))))\n";
  return text;
}

// Makes the certificate speak about them.
inline void address(check::Certificate& c) {
  c.model_sha256 = sha256_hex(false_claim_model());
  c.spec_sha256 = sha256_hex(false_claim_spec());
  bool file = false;
  for (const check::Statement& s : c.statements) file = file || s.kind == check::Statement::Kind::file;
  if (!file) c.statements.emplace_back();
}

}  // namespace boundlight::fuzz
