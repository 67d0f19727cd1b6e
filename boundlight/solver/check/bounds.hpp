// The checker's arithmetic: boxes of all tensors of a model over an input box, and linear lower bounds by backward
// substitution (pass.hpp). Restates the rules of the engine without sharing code with it.
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
// slope_unit, null or NaN: default rule. Opaque outputs have no inputs: box is their own.
void plane_of(const Op& op, std::size_t o, const Box& box, const double* slopes, int sign, Plane& plane);

// What holds on one region: boxes, and what follows from them per affine op and output o.
struct Boxes {
  std::vector<Box> of;                      // per tensor
  std::vector<std::vector<double>> charge;  // what |A_o| = 1 costs in double
  std::vector<std::vector<double>> open;    // the part of it that is not the checker's own rounding
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

  // T: double or Rational.
  template <class T> std::vector<LinearForm<T>> backward(const Boxes& boxes, const std::vector<Row<T>>& rows) const;

  // base with the tables of `set` over it. Throws Refusal.
  Choices resolve(const SlopeSet& set, const Choices& base) const;

  // The tensor of a name of the certificate; throws Refusal when there is none, or when it has no element `neuron`.
  int tensor(std::uint32_t name, std::uint32_t neuron = 0) const;

  std::vector<std::string> trusted;  // what was believed

 private:
  void forward(const Op& op, Boxes& b) const;
  void forward_affine(const Op& op, std::size_t index, Boxes& b) const;
  void narrow(const BackwardStep& step, Boxes& b) const;

  const Model& model_;
  const Certificate& certificate_;
  std::vector<Box> believed_;  // per tensor; empty where not
};

// The least value of a . x + b over the box, rounded down. The rational one uses the exact ends of `region` where the box
// still has its outward ones.
double lowest(const LinearForm<double>& form, const Box& box, const Region& region);
Rational lowest(const LinearForm<Rational>& form, const Box& box, const Region& region);

}  // namespace boundlight::check
