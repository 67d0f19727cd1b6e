// Small ReLU networks of two inputs with exact answers (polygons cut along every ReLU, in rationals), and a reference
// prover that makes certificates for them: the solver's part, as plainly as possible.
#pragma once

#include <array>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/solver/check/bounds.hpp"
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "boundlight/solver/spec/property.hpp"
#include "onnx_bytes.hpp"

namespace tiny {

using boundlight::exact;
using boundlight::Rational;
using Point = std::array<Rational, 2>;
using Polygon = std::vector<Point>;  // corners of a convex set in order; may be a segment or a point; empty: no point
struct Affine {                      // a . x + c
  std::array<Rational, 2> a{0, 0};
  Rational c = 0;
  Rational operator()(const Point& x) const { return a[0] * x[0] + a[1] * x[1] + c; }
};

Polygon box_polygon(const std::array<Rational, 2>& lower, const std::array<Rational, 2>& upper);
Polygon cut(const Polygon& p, const Affine& keep);  // the part where keep >= 0
Rational least(const Polygon& p, const Affine& f);  // p is not empty
Affine negative(const Affine& f);
Affine combine(const std::vector<Affine>& y, const std::vector<Rational>& c, const Rational& d);  // sum c_j y_j - d

// x -> dense -> relu -> dense -> ... -> dense, with an optional addition of the first hidden layer to the second.
struct Net {
  struct Dense {
    std::size_t in = 0, out = 0;
    std::vector<float> w, b;  // row by output
    std::string name;         // of the pre-activation (or output) value
  };
  std::vector<Dense> layers;
  bool residual = false;
  std::string onnx;  // the file

  static Net random(std::mt19937_64& random, std::size_t outputs, double bias_scale = 1);
  // The forms of layer `layer` from those of the hidden layers before it (after their ReLUs).
  std::vector<Affine> pre(std::size_t layer, const std::vector<std::vector<Affine>>& hidden) const;
  std::vector<Rational> evaluate(const Point& x) const;
  void write();
};

// Calls visit with every piece on which the network is affine, and the outputs there.
void pieces(const Net& net, const Polygon& region, const std::function<void(const Polygon&, const std::vector<Affine>&)>& visit);
// The least value of sum c_j y_j over the region.
Rational least_output(const Net& net, const Polygon& region, const std::vector<Rational>& c);

// A disjunct: counterexamples satisfy g_i(y) = c_i . y - d_i <= 0 (< where strict) for all i.
struct Goal {
  std::vector<std::vector<Rational>> c;
  std::vector<Rational> d;
  std::vector<bool> strict;
};
// Is there a counterexample in the region?
bool violated(const Net& net, const Polygon& region, const Goal& goal);

struct Options {
  bool input_splits = true, clips = true, rows = true, early_leaves = true;
};

// Adds to the certificate a tree that proves the goal on the box; false when the goal is false there (or the float
// multipliers lose too much).
bool prove(const Net& net, const boundlight::check::Model& model, const Goal& goal, const boundlight::check::Region& region,
           boundlight::check::Certificate& certificate, std::uint32_t statement, std::uint32_t disjunct, std::mt19937_64& random,
           const Options& options = {});

// Does every tree prove its goal, and does every goal have one? Exactly, from the leaves' own multipliers lambda (reference_checker.cpp).
bool truly_proves(const Net& net, const std::array<Rational, 2>& lower, const std::array<Rational, 2>& upper, const std::vector<Goal>& goals,
                  const boundlight::check::Certificate& certificate);

// How many random changes a test makes: BOUNDLIGHT_MUTATIONS, or this many.
inline int mutations(int otherwise) {
  const char* n = std::getenv("BOUNDLIGHT_MUTATIONS");
  return n ? std::atoi(n) : otherwise;
}

// The property file of several goals on one box.
std::string property_text(const std::array<Rational, 2>& lower, const std::array<Rational, 2>& upper, std::size_t outputs, const std::vector<Goal>& goals);

inline Rational dyadic(std::mt19937_64& random, int range, int denominator) {
  return Rational(std::uniform_int_distribution<int>(-range * denominator, range * denominator)(random), denominator);
}

}  // namespace tiny
