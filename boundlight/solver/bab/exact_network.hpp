// A piecewise-linear network without rounding: values as integers over a common denominator, so that a tie is a tie.
//
// The network is the checker's reading of the model file (check/model.hpp), where every linear node is one matrix of doubles. Exact are
// affine nodes whose coefficients are doubles, ReLU, LeakyReLU and max pooling; anything else (a sigmoid, 1 / sqrt(variance), 1 / 3) is
// refused, and then nothing is claimed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "boundlight/bounds/network.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/solver/check/model.hpp"

namespace boundlight::bab {

using BigInt = boost::multiprecision::cpp_int;

// Elements of a tensor as linear forms in some variables t: element i is
//   ( sum_j number[i * width + j] t_j + number[i * width + width - 1] ) / ( L 2^exponent ),  L common to all blocks of a run.
struct FormBlock {
  std::vector<BigInt> number;
  int exponent = 0;
};

class ExactNetwork {
 public:
  // Null where the model is no such network, cannot be read again (model_bytes null: from network.source, whose hash must be the
  // network's), or has other sizes than `network`.
  static std::unique_ptr<ExactNetwork> read(const Network& network, const std::string* model_bytes);

  // The outputs at x. Cost: about cost() products of integers whose bits grow by some 50 per layer.
  [[nodiscard]] std::vector<Rational> at(const std::vector<Rational>& x) const;
  [[nodiscard]] std::size_t cost() const { return cost_; }

  // For searches over the linear pieces: the nodes in order, and what an affine one makes of its inputs. `width` - 1: variables;
  // common: L.
  [[nodiscard]] const check::Model& model() const { return model_; }
  [[nodiscard]] FormBlock affine(const check::Op& op, const std::vector<std::shared_ptr<const FormBlock>>& of, std::size_t width, const BigInt& common) const;

 private:
  ExactNetwork() = default;
  check::Model model_;
  std::size_t cost_ = 0;
};

// Reads the model again when it is first asked for; one thread.
class LazyExactNetwork {
 public:
  LazyExactNetwork(std::shared_ptr<const Network> network, std::shared_ptr<const std::string> model_bytes) : network_(std::move(network)), bytes_(std::move(model_bytes)) {}
  // Null: there is none.
  const ExactNetwork* get() {
    if (!tried_) made_ = ExactNetwork::read(*network_, bytes_.get());
    tried_ = true;
    return made_.get();
  }

 private:
  std::shared_ptr<const Network> network_;
  std::shared_ptr<const std::string> bytes_;
  bool tried_ = false;
  std::unique_ptr<ExactNetwork> made_;
};

}  // namespace boundlight::bab
