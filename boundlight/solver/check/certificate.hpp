// A certificate: everything that the checker needs to prove anew that a property holds, without search and without
// trusting the solver. Weak duality makes it small: for any slopes in [0, 1] and any multipliers >= 0 a bound computed
// from them is valid, so only these choices are stored and every bound is computed again (check.hpp). Storing them
// coarsely costs tightness, never truth. The bytes: docs/certificates.md.
//
// What the solver fills in:
//  1. header: engine, model_sha256, spec_sha256, semantics;
//  2. statements: what is proved. One of kind `file` (the disjuncts of the property file, numbered as docs/specs.md
//     says), or any number of kinds `inlined` (box and constraints inside the certificate) and `importance`;
//  3. proofs: for every disjunct of every statement whose box is not empty, one tree;
//  4. bounds: how intermediate boxes are made; nodes refer to them by index.
//
// Tensors are named by the ONNX value (names[] holds each name once, see name_id), neurons by flat index in row order.
// A disjunct's counterexample x satisfies g_i(x) = a_i.x + b_i.f(x) - d_i <= 0 for every constraint i. A leaf gives
// lambda >= 0; it is closed when  min over its region of sum_i lambda_i g_i  is proved > 0 (>= 0 when a strict constraint
// has lambda_i > 0). The region of a leaf: its box and the signs of the ReLU splits above it, which enter as
// sum_i lambda_i g_i - sum_s beta_s sign_s z_s with beta >= 0. All lambda 0: the region itself is shown to be empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight::check {

enum class Semantics : std::uint8_t { real = 0, float32_any_order = 1 };  // as in the numerics contract

// Free slopes of one activation node, named by the node's OUTPUT value. Numbers are quantised: t = q / 255 (width 1) or
// q / 65535 (width 2). Per neuron of the output, in this order:
//   Relu         1 number:  t is the slope of the lower plane (used where the neuron is undecided)
//   LeakyRelu    1 number:  the same for the Relu in  a z + (1 - a) relu(z)
//   Sigmoid      2 numbers: slopes t / 4 of the lower and of the upper plane
//   Tanh         2 numbers: slopes t of the lower and of the upper plane
//   MaxPool      2 K numbers, K = kernel size: weights of the lower plane, slopes of the upper plane, for the inputs under
//                the window in kernel order (windows that reach into the padding have fewer inputs and ignore the last ones)
// Any numbers are valid: intercepts are computed for them. Neurons not listed follow the checker's default rule:
//   Relu, LeakyRelu: slope 1 where u > -l, else 0.  Sigmoid, Tanh: the slopes of the convex hull (tangent in the middle
//   where the function is convex or concave on the box).  MaxPool: lower: the input of largest lower end; upper: that
//   input if it dominates, else the constant max u.
// The upper plane of a Relu is always the chord.
struct Slopes {
  std::uint32_t value = 0;             // index into Certificate::names
  std::uint8_t width = 1;              // bytes per number: 1 or 2
  std::vector<std::uint32_t> neurons;  // rising; empty: all neurons of the tensor in order ("dense")
  std::vector<std::uint16_t> numbers;  // neurons (or all) times numbers per neuron
};
using SlopeSet = std::vector<Slopes>;

// The number that the checker uses for a quantised slope.
inline double slope_of(std::uint16_t q, int width) { return static_cast<double>(q) / (width == 1 ? 255.0 : 65535.0); }

// A tensor whose box is narrowed by backward passes: rows +e_i and -e_i for the listed neurons i, through everything above
// it, with the boxes found so far.
struct BackwardStep {
  std::uint32_t value = 0;
  std::vector<std::uint32_t> listed;              // rising
  std::vector<SlopeSet> each_lower, each_upper;  // of single rows +e_i, -e_i, over Bounds::slopes; empty, or one per neuron
};

// How the boxes of all tensors are made for a region: always one interval pass in topological order over the region's
// input box, intersected with the enclosing node's boxes and with the signs of the ReLU splits so far; in the same pass,
// where a step names the tensor just computed, its box is intersected with backward bounds.
struct Bounds {
  enum class Mode : std::uint8_t {
    steps = 0,     // the steps given; none: nothing else
    backward = 1,  // and every input of a Relu, LeakyRelu (undecided rows), Sigmoid, Tanh, MaxPool (all rows) without a step
  };
  Mode mode = Mode::steps;
  SlopeSet slopes;                  // shared by all rows; none: default rule
  std::vector<BackwardStep> steps;  // at most one per tensor, any order
};

// Removes from the box of a node the part beyond `at`: the constraints' own plane shows that no counterexample is there.
struct Cut {
  std::uint32_t dimension = 0;
  bool above = false;  // true: x > at is removed; false: x < at
  double at = 0;
};

struct Node {
  enum class Kind : std::uint8_t {
    leaf = 0,         // closed by lambda, beta and the slopes in force
    relu_split = 1,   // low: tensor value[neuron] <= 0, high: >= 0. Any tensor of the graph may be split
    input_split = 2,  // low: x[neuron] <= at, high: x[neuron] >= at
    clip = 3,         // cuts hold by lambda, beta and slopes, each on the box left by the ones before; then child `low`
    family = 4,       // low: for the members listed only; high: for the others
  };
  Kind kind = Kind::leaf;
  std::int32_t low = -1, high = -1;  // children: indices into Tree::nodes
  std::uint32_t value = 0;           // relu_split
  std::uint32_t neuron = 0;          // relu_split, input_split
  double at = 0;                     // input_split
  std::vector<double> lambda;        // leaf, clip: one per constraint; empty: all 0
  std::vector<float> beta;           // leaf, clip: one per relu_split from the root down; missing ones are 0
  std::vector<Cut> cuts;             // clip
  std::vector<std::uint32_t> members;  // family; rising
  SlopeSet slopes;                   // in force for final rows here and below, until overridden tensor by tensor
  std::uint32_t bounds = 0;          // 1 + index into Certificate::bounds: new boxes here and below; 0: keep
};

struct Tree {
  std::vector<Node> nodes;  // the root is nodes[0]; every other node is the child of exactly one
};

struct Proof {
  std::uint32_t statement = 0, disjunct = 0;
  std::uint32_t member = 0;  // 0: the tree is on the statement's box and proves every member; else 1 + the one that it proves
  Tree tree;                 // without `bounds` at the root the boxes are those of an interval pass
};

// A linear form of inputs and outputs, compared with a bound:  form <= bound  (< where strict).
struct InlineConstraint {
  std::vector<std::uint32_t> inputs, outputs;  // rising
  std::vector<double> input_coefficients, output_coefficients;
  double bound = 0;
  bool strict = false;
};

struct InlineDisjunct {
  std::vector<InlineConstraint> constraints;
};

// An importance map: what `explain` says about an image. B is the ball of radius eps around it, clipped, in pixels p, and
// z = (p - mean) / deviation in the model's inputs; B_u is B with the inputs of cell u held at x. Member 0 is B, 1 + u is B_u.
//   AO(R) = max over z in R and rivals k of f_k(z) - f_c(z),   D(u) = AO(B) - AO(B_u)
// Shown are attained <= AO <= verified for every member, lower <= D <= upper for every cell, and how many pairs of cells are
// ordered (AO(B_u) < AO(B_v) or the reverse), equal within tau (otherwise), undecided. The upper ends are disjuncts, one per
// rival: no z of member m has f_k - f_c > verified[m]; the lower ends are points.
struct Importance {
  enum class Half : std::uint8_t { both = 0, plus = 1, minus = 2 };  // plus: only z >= x, minus: only z <= x
  std::vector<double> pixels, mean, deviation;  // per input; mean empty: 0, deviation empty: 1
  double eps = 0;
  std::vector<double> clip;                     // the range's two ends; empty: not clipped
  Half half = Half::both;
  std::vector<double> x;                        // the model's input: the pixels, normalised, to float32
  std::vector<std::uint32_t> cell;              // of every input
  std::uint32_t label = 0;                      // c
  std::vector<std::uint32_t> rivals;            // rising
  std::vector<double> verified, attained;       // per member
  std::vector<std::vector<double>> points;      // per member: where `attained` is reached
  std::vector<double> lower, upper;             // per cell
  double tau = 0;
  std::uint64_t ordered = 0, equal = 0, undecided = 0;
};

// What is proved: no x in the box satisfies all constraints of any disjunct; or an importance map.
struct Statement {
  enum class Kind : std::uint8_t { file = 0, inlined = 1, importance = 2 };
  Kind kind = Kind::file;
  std::string title;                      // for people; proves nothing
  std::vector<double> lower, upper;       // inlined: the box
  std::vector<InlineDisjunct> disjuncts;  // inlined
  Importance importance;
};

// Where the checker has no rule for an operator: the box of its output, believed. Makes the certificate partial.
struct TrustedBox {
  std::uint32_t value = 0;
  std::vector<double> lower, upper;
};

struct Certificate {
  std::string engine;         // name and version of what made it
  std::string model_sha256;   // lower-case hex, of the model file's bytes
  std::string spec_sha256;    // of the property file's bytes; empty when every statement is inlined
  Semantics semantics = Semantics::real;
  std::vector<std::string> names;
  std::vector<Bounds> bounds;
  std::vector<Statement> statements;
  std::vector<Proof> proofs;
  std::vector<TrustedBox> trusted;

  // The index of a name, added when new. Linear in the number of names: keep the answer. (solver/evidence)
  std::uint32_t name_id(std::string_view name);
};

inline constexpr std::string_view kMagic("BLCERT\x02\n", 8);  // a file starts with it
inline constexpr std::size_t kMaxDepth = 20'000;  // of a tree

// Errors name the byte. Structure only: what the numbers mean is judged by check().
Result<Certificate> parse_certificate(std::string_view bytes);

}  // namespace boundlight::check
