// Kernels: what one node of a network computes on one back end, in one precision T (float or double).
//
// Arrays are [batch][value size] in row order, on the device. Constant inputs were handed over at construction; their
// entries in the argument arrays are null.
//
// Numerics (docs/soundness.md): rows A of linear forms are kept in T, everything that is one number per row (bias, charge)
// in double. The stored A is treated as exact; what rounding lost on the way is charged:
//     charge_r += sum_j |a_rj| cost_j + cost0
// where cost_j bounds, per unit of |a_rj|, everything that taking the rows back through the operator gets wrong. The true
// bound of row r is then  bias_r - charge_r + min over the box of A_r z.
#pragma once

#include <memory>
#include <vector>

#include "boundlight/bounds/ops/op.hpp"
#include "boundlight/bounds/options.hpp"
#include "boundlight/device/device.hpp"

namespace boundlight::BL_NS {

// Bounds of one value for a batch of boxes: [batch][size] each; null for constant inputs.
template <class T>
struct BoxView {
  const T* lower = nullptr;
  const T* upper = nullptr;
};

// Lower slopes that replace a relaxation's own where those are free (FreeSlopes), for dense rows; null: its own.
template <class T>
struct RowSlopes {
  const T* at = nullptr;               // lines of [size]
  const std::int32_t* line = nullptr;  // line of each row; null: row r takes line r
};

// A block of linear forms on one value z: form r is sum_j a[r][j] z[e(r, j)] + bias (kept in RowAccounts).
//   dense:    width = size of the value, e(r, j) = j.
//   windowed: the value has shape 1 x C x H x W; a[r] is [window_h][window_w][C] (channels last), entry (dy, dx, c) stands
//             for element (c, top[r] + dy, left[r] + dx). Windows lie inside of the tensor.
template <class T>
struct RowBlock {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  Buffer<T> a;
  bool windowed = false;
  std::int64_t window_h = 0, window_w = 0;
  Buffer<std::int32_t> top, left;
  RowSlopes<T> slopes;  // for the operator that takes the rows next; not handed on
  explicit operator bool() const { return static_cast<bool>(a); }
};

// One number per row, shared by all blocks of a pass; `box` says which box of the batch a row belongs to.
struct RowAccounts {
  double* bias = nullptr;
  double* charge = nullptr;
  const std::int32_t* box = nullptr;
};

// Slopes that may be chosen freely: for marked elements, every lower plane  z -> alpha z  with alpha in [low, high] is valid.
template <class T>
struct FreeSlopes {
  const std::uint8_t* mask = nullptr;  // [batch][size]
  const T* alpha = nullptr;            // [batch][size]: what the relaxation uses by itself
  T low = 0, high = 1;
};

// Affine planes of a value z in `coordinates` x of the region (the inputs, or the parameters of a low-dimensional edit), per box:
//   sum_i lower[b][i][e] x_i - error[b][e]  <=  z_e  <=  sum_i upper[b][i][e] x_i + error[b][e]    for all x of box b,
// where the last coordinate is the constant 1. upper null: the same as lower (an affine value).
template <class T>
struct PlaneView {
  const T* lower = nullptr;
  const T* upper = nullptr;
  const T* error = nullptr;
  const T* upper_or_lower() const { return upper ? upper : lower; }
};
template <class T>
struct PlaneArrays {
  Buffer<T> lower, upper, error;
  PlaneView<T> view() const { return {lower.data(), upper.data(), error.data()}; }
};
struct Coordinates {
  std::int64_t count = 0;              // with the constant
  const double* magnitude = nullptr;   // [batch][count]: max |x_i| on the box; 1 for the constant
};

// The linear relaxation of one node over a batch of boxes.
template <class T>
class Relaxation {
 public:
  virtual ~Relaxation() = default;

  // Rows on output `slot` -> rows on every variable input k (out[k]; left empty for constants): lower bounds of the forms
  // stay lower bounds. Adds to bias and charge. Consumes `rows`.
  virtual void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const = 0;

  // The same for rows that each select one element: form r is sign[r] * z[element[r]] (arrays on the device). Returns false
  // when the operator has nothing faster than building those rows (the caller then does).
  virtual bool select(Device&, int /*slot*/, std::int64_t /*rows*/, const std::int32_t* /*element*/, const T* /*sign*/,
                      RowAccounts, RowBlock<T>* /*out*/) const {
    return false;
  }

  virtual bool takes_windows() const { return false; }

  // Planes of the inputs (null-filled for constants) -> planes of the outputs (per slot, allocated here). Returns false when the
  // operator cannot carry planes; the engine then starts again from the outputs' boxes.
  virtual bool carry(Device&, std::int64_t /*batch*/, const Coordinates&, const PlaneView<T>* /*in*/, PlaneArrays<T>* /*out*/) const { return false; }

  // The planes that backward() picks for dense rows `a` on output `slot` (before they are taken back), at points: one point per
  // row, values_in[k] is [rows][size], values_out [rows][size of the slot]. What a derivative in the slopes is made of; nearly
  // right is enough. Returns false when not offered.
  virtual bool follow(Device&, int /*slot*/, const RowBlock<T>& /*a*/, const std::int32_t* /*box*/, const T* const* /*values_in*/, T* /*values_out*/) const {
    return false;
  }

  // Null when there are none.
  virtual const FreeSlopes<T>* free_slopes() const { return nullptr; }
};

template <class T>
class Kernel {
 public:
  virtual ~Kernel() = default;

  // Concrete values.
  virtual void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const = 0;

  // grad_in[k] += (d out / d in_k)^T grad_out; null where not wanted. For constant inputs (weights) the gradient is summed
  // over the batch. in, out: the concrete values of a forward pass.
  virtual void vjp(Device& d, const T* const* in, const T* const* out, const T* const* grad_out, T* const* grad_in,
                   std::int64_t batch) const = 0;

  // Outputs' boxes from inputs' boxes, outward. Anything lost (NaN, overflow) becomes [-inf, inf].
  virtual void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch,
                        const BoundSettings& settings) const = 0;

  // in, out: the boxes known for inputs and outputs; they must stay alive and unchanged while the relaxation is in use.
  // Null: no planes; linear engines concretise here.
  virtual std::unique_ptr<Relaxation<T>> relax(Device&, const BoxView<T>* /*in*/, const BoxView<T>* /*out*/, std::int64_t /*batch*/,
                                               const BoundSettings&, SlopeRule) const {
    return nullptr;
  }

  // A linear operator's relaxation is exact and does not get better with tighter input boxes.
  virtual bool linear() const = 0;

  // Linear, and every element of the output meets at most one of the (one variable) input, and the other way round.
  virtual bool one_to_one() const { return false; }

  // Marks the elements of input k whose box, when tightened, could tighten the relaxation (ReLU: those that straddle 0).
  // Called for nonlinear kernels only; the default marks all.
  virtual void refinable(Device& d, int /*k*/, BoxView<T> /*in*/, std::uint8_t* mask, std::int64_t count) const {
    d.fill(mask, std::uint8_t{1}, count);
  }
  // refinable() looks at every element alone, so any list of elements may be asked about.
  virtual bool refinable_alone() const { return false; }
};

// make_<Name>: errors are refusals with a sentence (an attribute combination that has no kernel).
template <class T>
using MakeKernel = Result<std::unique_ptr<Kernel<T>>> (*)(Device&, const NodeView&);

struct KernelMakers {
  const char* name;
  MakeKernel<float> make_float;
  MakeKernel<double> make_double;
};

}  // namespace boundlight::BL_NS

// At the end of an operator's file: instantiates its maker for both precisions.
#define BL_REGISTER(name, maker)                                                                        \
  namespace boundlight::BL_NS {                                                                         \
  extern const KernelMakers name##_makers;                                                              \
  const KernelMakers name##_makers = {#name, &maker<float>, &maker<double>};                            \
  }

// An operator whose value is always folded: it has no kernels, and the networks that engines see have no node of it.
#define BL_REGISTER_FOLDED(name)                                                                        \
  namespace boundlight::BL_NS {                                                                         \
  extern const KernelMakers name##_makers;                                                              \
  const KernelMakers name##_makers = {#name, nullptr, nullptr};                                         \
  }
