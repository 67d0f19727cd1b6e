// LinearKernel: values, gradients and intervals (linear.hpp), and the instantiations that linear.hpp and moves.hpp promise.
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::BL_NS {
namespace {

template <class T>
std::vector<T*> pointers(const std::vector<Buffer<T>>& buffers) {
  std::vector<T*> p;
  for (const auto& b : buffers) p.push_back(b.data());
  return p;
}

template <class T>
void round_up_sizes(Device& d, T* x, std::int64_t n, double grow, double tiny) {
  d.map(n, [=] BL_HD(std::int64_t i) { x[i] = round_up_to<T>((static_cast<double>(x[i]) * grow + tiny) * (1 + 1e-14)); });
}

// A middle c of every box and r >= (its radius around c) + beside (|c| + radius); infinite for a box that is. Here and below
// factors of 1 + k u instead of steps to the next number make up for the roundings of a few operations: such loops vectorise.
template <class T>
void centre_boxes(Device& d, const T* lo, const T* hi, std::int64_t n, T beside, T* c, T* r) {
  const T wider = beside == 0 ? T(1) : 1 + 8 * unit_roundoff<T>, least = beside == 0 ? T(0) : std::numeric_limits<T>::denorm_min();
  d.map(n, [=] BL_HD(std::int64_t i) {
    const T middle = lo[i] / 2 + hi[i] / 2;
    const bool finite = middle - middle == 0;
    const T at = finite ? middle : T(0), up = hi[i] - at, down = at - lo[i], half = up >= down ? up : down;
    c[i] = at;
    r[i] = finite ? (half + beside * ((at < 0 ? -at : at) + half)) * wider + least : std::numeric_limits<T>::infinity();
  });
}

// Row b of [blocks][n]: 1 in the columns of block b.
template <class T>
void indicate_blocks(Device& d, std::int64_t blocks, std::int64_t n, std::int64_t width, T* to) {
  d.map_rows(blocks, n, [=] BL_HD(std::int64_t b, std::int64_t i) { to[b * n + i] = i / width == b ? T(1) : T(0); });
}

// How much wider than half an interval is: half grow + eta + bias |w| + the radius of w, and the rounding of its ends.
template <class T>
struct Widening {
  T grow, eta, bias;
  bool sound;
};
// lo holds the middles on entry.
template <class T>
void spread_boxes(Device& d, std::int64_t batch, std::int64_t size, const T* half, const T* w, const double* radius, Widening<T> by, T* lo, T* hi) {
  constexpr T kSum = 1 + 16 * unit_roundoff<T>, kEnd = 4 * unit_roundoff<T>;
  d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t i) {
    const std::int64_t at = b * size + i;
    const T middle = lo[at], extra = radius ? static_cast<T>(radius[i]) : T(0), offset = w ? (w[i] < 0 ? -w[i] : w[i]) : T(0);
    T width = half[at];
    if (by.sound) width = (width * by.grow + by.eta + by.bias * offset + extra) * kSum + kEnd * (middle < 0 ? -middle : middle);
    const T from = middle - width, to = middle + width;
    const bool good = from <= to && from - from == 0 && to - to == 0;
    lo[at] = good ? from : -std::numeric_limits<T>::infinity();
    hi[at] = good ? to : std::numeric_limits<T>::infinity();
  });
}

}  // namespace

template <class T>
void LinearKernel<T>::vjp(Device& d, const T* const* in, const T* const* /*out*/, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const {
  for (std::size_t slot = 0; slot < out_sizes_.size(); ++slot) {
    if (!grad_out[slot]) continue;
    std::vector<Buffer<T>> part(in_sizes_.size());
    for (std::size_t k = 0; k < in_sizes_.size(); ++k)
      if (grad_in[k] && in_sizes_[k] > 0) part[k] = d.buffer<T>(batch * in_sizes_[k]);
    const auto to = pointers(part);
    transpose(d, static_cast<int>(slot), grad_out[slot], batch, to.data());
    for (std::size_t k = 0; k < in_sizes_.size(); ++k) {
      if (!part[k]) continue;
      T* sum = grad_in[k];
      const T* add = part[k].data();
      d.map(batch * in_sizes_[k], [=] BL_HD(std::int64_t i) { sum[i] += add[i]; });
    }
  }
  weight_vjp(d, in, grad_out, grad_in, batch);
}

template <class T>
const std::vector<Buffer<T>>& LinearKernel<T>::row_sizes(Device& d) const {
  std::call_once(row_sizes_made_, [&] {
    std::vector<Buffer<T>> ones(in_sizes_.size());
    for (std::size_t k = 0; k < ones.size(); ++k) {
      if (in_sizes_[k] == 0) continue;
      ones[k] = d.template buffer<T>(in_sizes_[k]);
      d.fill(ones[k].data(), T(1), in_sizes_[k]);
    }
    for (const std::int64_t n : out_sizes_) row_sizes_.push_back(d.template buffer<T>(n));
    const auto in = pointers(ones), out = pointers(row_sizes_);
    apply(d, LinearMode::absolute, in.data(), out.data(), 1);
    const double grow = inflation<T>(terms_ahead() + 1), tiny = static_cast<double>(smallest_normal<T>) * static_cast<double>(terms_ahead() + 1);
    for (std::size_t s = 0; s < out.size(); ++s) round_up_sizes(d, out[s], out_sizes_[s], grow, tiny);
  });
  return row_sizes_;
}

template <class T>
const Buffer<T>& LinearKernel<T>::block_sizes(Device& d) const {
  // |W| m of fewer costs next to nothing, and blocks of values that are not alike cost width.
  constexpr std::int64_t kFewestInputs = 512, kFewestWeights = 1 << 17;
  constexpr double kMostWork = 5e8;  // multiply-adds, once per network
  std::call_once(block_sizes_made_, [&] {
    const std::int64_t n = in_sizes_.size() > 0 ? in_sizes_[0] : 0, size = out_sizes_[0], blocks = (n + kSizeBlock - 1) / kSizeBlock;
    for (std::size_t k = 1; k < in_sizes_.size(); ++k)
      if (in_sizes_[k] > 0) return;
    if (out_sizes_.size() != 1 || n < kFewestInputs || n * size < kFewestWeights || terms_ahead() != n) return;
    if (static_cast<double>(n) * static_cast<double>(size) * static_cast<double>(blocks) > kMostWork) return;
    auto ones = d.template buffer<T>(blocks * n);
    indicate_blocks(d, blocks, n, kSizeBlock, ones.data());
    block_sizes_ = d.template buffer<T>(blocks * size);
    std::vector<const T*> in(in_sizes_.size(), nullptr);
    in[0] = ones.data();
    T* const out[1] = {block_sizes_.data()};
    apply(d, LinearMode::absolute, in.data(), out, blocks);
    round_up_sizes(d, out[0], blocks * size, inflation<T>(n + 1), static_cast<double>(smallest_normal<T>) * static_cast<double>(n + 1));
  });
  return block_sizes_;
}

template <class T>
void LinearKernel<T>::interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const {
  const std::size_t inputs = in_sizes_.size();
  if (moves_only()) {  // exact: the ends move like values
    std::vector<const T*> lo(inputs), hi(inputs);
    for (std::size_t k = 0; k < inputs; ++k) lo[k] = in[k].lower, hi[k] = in[k].upper;
    apply(d, LinearMode::affine, lo.data(), lower, batch);
    apply(d, LinearMode::affine, hi.data(), upper, batch);
    return;
  }
  const bool sound = settings.charges(Charge::interval), deployed = settings.deployed();
  const double u = static_cast<double>(unit_roundoff<T>);
  // Weight of m beside r in the product: computing error of W c, weight error, and the deployed network's error.
  const double computing = !sound ? 0.0 : gamma_up<T>(terms_ahead() + 2) + relative_error() * 1.0000001;
  const double deployment = deployed ? gamma_up<float>(deployed_terms() + 1) : 0.0;
  const T beside = round_up_to<T>((computing + deployment) * 1.0000001);
  std::vector<Buffer<T>> centre(inputs), radius(inputs);
  for (std::size_t k = 0; k < inputs; ++k) {
    if (!in[k].lower) continue;
    centre[k] = d.buffer<T>(batch * in_sizes_[k]);
    radius[k] = d.buffer<T>(batch * in_sizes_[k]);
    centre_boxes(d, in[k].lower, in[k].upper, batch * in_sizes_[k], beside, centre[k].data(), radius[k].data());
  }
  const auto c = pointers(centre), r = pointers(radius);
  std::vector<Buffer<T>> spread(out_sizes_.size());
  for (std::size_t s = 0; s < out_sizes_.size(); ++s)
    if (lower[s]) spread[s] = d.buffer<T>(batch * out_sizes_[s]);
  const auto half = pointers(spread);
  apply(d, LinearMode::affine, c.data(), lower, batch);  // lower doubles as the centre until the last step
  apply(d, LinearMode::absolute, r.data(), half.data(), batch);
  Widening<T> by{};
  by.sound = sound;
  by.grow = round_up_to<T>(inflation<T>(terms_ahead() + 1));
  by.bias = round_up_to<T>(next_up(3 * u + computing + deployment));
  // Products that underflow: in W c, and in the spread itself.
  by.eta = round_up_to<T>(2 * static_cast<double>(smallest_normal<T>) * static_cast<double>(terms_ahead() + 2) +
                          (deployed ? static_cast<double>(smallest_normal<float>) * static_cast<double>(deployed_terms() + 1) : 0.0));
  for (std::size_t s = 0; s < out_sizes_.size(); ++s)
    if (lower[s]) spread_boxes(d, batch, out_sizes_[s], half[s], offset(static_cast<int>(s)), offset_radius(static_cast<int>(s), deployed), by, lower[s], upper[s]);
}

template <class T>
std::unique_ptr<Relaxation<T>> LinearKernel<T>::relax(Device& d, const BoxView<T>* in, const BoxView<T>*, std::int64_t batch, const BoundSettings& settings, SlopeRule) const {
  return std::make_unique<LinearRelaxation<T>>(d, *this, in, batch, settings);
}

template class LinearKernel<float>;
template class LinearKernel<double>;
template class MoveKernel<float>;
template class MoveKernel<double>;

}  // namespace boundlight::BL_NS
