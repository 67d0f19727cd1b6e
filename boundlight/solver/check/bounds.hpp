// The checker's arithmetic: boxes of all tensors of a model over an input box, and linear lower bounds by backward
// substitution (pass.cpp). Restates the rules of the engine without sharing code with it.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "boundlight/solver/check/certificate.hpp"
#include "boundlight/solver/check/model.hpp"
#include "boundlight/solver/check/property.hpp"

namespace boundlight::check {

inline double magnitude(const Box& b, std::size_t i) { return std::max(std::fabs(b.lower[i]), std::fabs(b.upper[i])); }

// For one output of an activation over the box of its inputs y (one, or a window of them):
// sum lower_k y_k + lower_shift <= f(y) <= sum upper_k y_k + upper_shift.
struct Plane {
  std::vector<double> lower, upper;
  double lower_shift = 0, upper_shift = 0;
};

// The plane of output o; `sign` of a split on its input (+1, -1, 0: none); slopes as in certificate.hpp, times
// slope_unit, null or NaN: default rule.
void plane_of(const Op& op, std::size_t o, const Box& box, const double* slopes, int sign, Plane& plane);

// What holds on one region: boxes, and what follows from them per affine op and output o.
struct Boxes {
  std::vector<Box> of;                      // per tensor
  std::vector<std::vector<double>> charge;  // what |A_o| = 1 costs
  std::vector<double> tiny;                 // per op: underflow
  bool empty = false;                       // sound bounds exclude each other: the region holds no point
};

struct Split {
  int tensor = 0;
  std::uint32_t neuron = 0;
  bool positive = false;
};

// Slopes by op, expanded: numbers per neuron times neurons, NaN where the default rule applies; null: all default.
using Choices = std::vector<std::shared_ptr<const std::vector<double>>>;

// One linear form to bound from below: sum of terms over tensors, minus beta_s sign_s z_s per split.
struct Row {
  struct Term { int tensor; std::uint32_t index; double value, gap; };  // true coefficient within value +- gap
  std::vector<Term> terms;
  const Choices* choices = nullptr;
  const std::vector<Split>* splits = nullptr;
  const std::vector<float>* beta = nullptr;  // fewer than splits: the rest is 0
};

// row >= a . x + b on the region (b holds all charges; NaN or -inf: nothing is known).
struct LinearForm {
  std::vector<double> a;
  double b = 0;
};

// Takes the certificate's boxes of operators without a rule for true: they become constants with an error. Throws Refusal.
void believe(Model& model, const Certificate& certificate);

class Propagation {
 public:
  Propagation(const Model& model, const Certificate& certificate);

  // Section null: interval only. Throws Refusal.
  std::shared_ptr<const Boxes> boxes(const Box& input, const Boxes* parent, const std::vector<Split>& splits, const Bounds* section) const;

  std::vector<LinearForm> backward(const Boxes& boxes, const std::vector<Row>& rows) const;

  // base with the tables of `set` over it. Throws Refusal.
  Choices resolve(const SlopeSet& set, const Choices& base) const;

  // The tensor of a name of the certificate; throws Refusal when there is none, or when it has no element `neuron`.
  int tensor(std::uint32_t name, std::uint32_t neuron = 0) const;

  std::vector<std::string> trusted;  // what was believed

 private:
  void forward(const Op& op, Boxes& b) const;
  void forward_affine(const Op& op, std::size_t index, Boxes& b) const;
  struct Plan {  // whether and how a tensor is narrowed
    bool undecided = false, all = false;
    const BackwardStep* step = nullptr;
  };
  void narrow(int tensor, const Plan& plan, const Choices& shared, Boxes& b) const;

  const Model& model_;
  const Certificate& certificate_;
};

// The least value of a . x + b over the box, rounded down.
double lowest(const LinearForm& form, const Box& box);

// A finite number, exactly. Throws Refusal.
Rational finite(double x);

// B of an importance map in the model's n inputs, exactly: pixels within eps, clipped, one-sided about x, normalised.
Region importance_region(const Importance& map, std::size_t n);

// An importance map as a claim (importance.cpp): checks everything but its upper ends `verified`, which become disjuncts, one
// per rival; members are B and every B_u. Throws Refusal.
Requirement importance_claim(const Importance& map, const Model& model, const Propagation& propagation);

}  // namespace boundlight::check
