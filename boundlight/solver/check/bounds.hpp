// The checker's arithmetic: boxes of all tensors of a model over an input box, and linear lower bounds by backward
// substitution. Restates the rules of the engine without sharing code with it.
//
// Rows run backward with coefficients A on the current tensor z, whose box [l, u] is known; m = max(|l|, |u|). The stored
// A is taken as exact; what rounding lost is charged to the row's constant (any order of summation, Jeannerod and Rump
// 2013; n u -> gamma_n covers fused multiply-adds):
//   affine z = W y + w    A' = fl(A W): gamma_k |A| (|W| m) + k eta |m|_1, k = most terms of a column; A w into the constant
//   activation            s z + t above or below z = f(y) on the box, s free, t computed outward for s: u |A s| m
//   joins, splits         fl(A + A'): u |A + A'| m
//   constants             all products are summed as inner products: gamma per step of the step's |terms|
// With T = Rational rows are exact and nothing is charged; boxes and planes stay outward doubles.
#pragma once

#include <memory>
#include <vector>

#include "boundlight/solver/check/certificate.hpp"
#include "boundlight/solver/check/model.hpp"
#include "boundlight/solver/check/property.hpp"

namespace boundlight::check {

// lower_slope y + lower_shift <= f(y) <= upper_slope y + upper_shift for y in [l, u].
struct Plane {
  double lower_slope = 0, lower_shift = 0, upper_slope = 0, upper_shift = 0;
};
// Relu and sigmoid; `slopes` as in certificate.hpp (already times slope_unit), null or NaN: default rule.
Plane plane_of(const Op& op, double l, double u, const double* slopes);

// What holds on one region: boxes, and what follows from them per op.
struct Boxes {
  std::vector<Box> of;                       // per tensor
  std::vector<std::vector<Plane>> planes;    // per relu and sigmoid op: default planes
  std::vector<std::vector<double>> charge;   // per affine op and output o: what |A_o| = 1 costs
  std::vector<std::vector<double>> open;     // the part of it that is not the checker's own rounding
  std::vector<double> tiny;                  // per affine op: underflow
  bool empty = false;                        // two sound bounds exclude each other: the region holds no point
};

struct Split {
  int tensor = 0;
  std::uint32_t neuron = 0;
  bool positive = false;
};

// Slopes by op, expanded: numbers per neuron times neurons, NaN where the default rule applies; null: all default.
using Choices = std::vector<std::shared_ptr<const std::vector<double>>>;

// One linear form to bound from below: sum of terms over tensors, minus beta_s sign_s z_s per split.
template <class T>
struct Row {
  struct Term { int tensor; std::uint32_t index; T value; double gap; };  // true coefficient within value +- gap
  std::vector<Term> terms;
  const Choices* choices = nullptr;
  const std::vector<Split>* splits = nullptr;
  const std::vector<float>* beta = nullptr;  // fewer than splits: the rest is 0
};

// row >= a . x + b on the region (b holds all charges; NaN or -inf: nothing is known).
template <class T>
struct LinearForm {
  std::vector<T> a;
  T b;
};

class Propagation {
 public:
  Propagation(const Model& model, const Certificate& certificate);

  // Section null: interval only. Throws Refusal.
  std::shared_ptr<const Boxes> boxes(const Box& input, const Boxes* parent, const std::vector<Split>& splits, const Bounds* section) const;

  // At most any number of rows; they are taken eight at a time.
  template <class T> std::vector<LinearForm<T>> backward(const Boxes& boxes, const std::vector<Row<T>>& rows) const;

  // base with the tables of `set` over it. Throws Refusal.
  Choices resolve(const SlopeSet& set, const Choices& base) const;

  // The tensor of a name of the certificate; throws Refusal when there is none, or when it has no element `neuron`.
  int tensor(std::uint32_t name, std::uint32_t neuron = 0) const;

  std::vector<std::string> trusted;  // operators that were believed

 private:
  void forward(const Op& op, int index, Boxes& b) const;
  void forward_affine(const Op& op, int index, Boxes& b) const;
  void narrow(const BackwardStep& step, Boxes& b) const;

  const Model& model_;
  const Certificate& certificate_;
  std::vector<Box> believed_;      // per tensor; empty where not
  std::vector<BackwardStep> default_steps_;
};

// The least value of a . x + b over the box, rounded down. The rational one uses the exact ends of `region` where the box
// still has its outward ones.
double lowest(const LinearForm<double>& form, const Box& box, const Region& region);
Rational lowest(const LinearForm<Rational>& form, const Box& box, const Region& region);

}  // namespace boundlight::check
