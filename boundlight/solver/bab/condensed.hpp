// A ReLU network over one box, as its undecided neurons see it: neurons that keep one sign are linear there, so that every
// pre-activation of an undecided neuron, and every target's form, is affine in the inputs and in the undecided neurons before it:
//
//   z_j = constant_j + sum_i G_ji x_i + sum_(k before j) M_jk relu(z_k)
//
// Numbers are rounded to nearest and nothing is charged: for choosing slopes, multipliers and neurons to split. What is claimed is
// bounded anew by the engine.
#pragma once

#include <optional>

#include "boundlight/solver/bab/relu_targets.hpp"
#include "boundlight/solver/bab/root_boxes.hpp"

namespace boundlight::bab {

// Lists of (index, value) per line.
struct SparseLines {
  std::vector<std::int32_t> start = {0}, index;
  std::vector<float> value;
};

// An undecided neuron: activation and element.
struct FreeNeuron {
  std::int32_t act = 0, element = 0;
};

struct Condensed {
  std::vector<std::int64_t> inputs;           // that vary
  std::vector<float> input_lower, input_upper;
  std::vector<float> lower, upper, constant;  // per neuron: its box at the root, the constant of z
  std::vector<std::int32_t> layer;            // first neuron of every activation that has some, and the end
  SparseLines rows;                           // per neuron; columns: inputs, then neurons (from inputs.size() on)
  SparseLines columns;                        // per column: neurons
  struct Form {
    float constant = 0;
    std::vector<float> coefficient;           // per column; empty: a target that is closed
  };
  std::vector<Form> forms;                    // by target
  std::size_t neurons() const { return constant.size(); }
};

// Nothing where something other than ReLUs is not linear, or where it would be too large. free: by rising activation.
// Cost: one backward pass per undecided neuron and target.
Result<std::optional<Condensed>> condense(Engine& engine, const Group& group, const std::vector<Activation>& activations, const std::vector<FreeNeuron>& free,
                                          const ValueBoxes& root, const ReluTargets& targets, const StopToken& stop);

}  // namespace boundlight::bab
