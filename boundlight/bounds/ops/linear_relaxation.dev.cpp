// LinearRelaxation's arithmetic (linear.hpp): costs once per box, accounts per row, planes carried forward.

#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {

namespace {

template <class T>
std::vector<const T*> row_pointers(const std::vector<Buffer<T>>& buffers) {
  std::vector<const T*> p;
  for (const auto& b : buffers) p.push_back(b.data());
  return p;
}

// m = max(|l|, |u|) per input; NaN and infinite ends give infinity.
template <class T>
std::vector<Buffer<T>> magnitudes(Device& d, const std::vector<std::int64_t>& sizes, const BoxView<T>* in, std::int64_t batch) {
  std::vector<Buffer<T>> m(sizes.size());
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (!in[k].lower) continue;
    m[k] = d.buffer<T>(batch * sizes[k]);
    const T *l = in[k].lower, *u = in[k].upper;
    T* to = m[k].data();
    d.map(batch * sizes[k], [=] BL_HD(std::int64_t i) {
      const T a = l[i] < 0 ? -l[i] : l[i], b = u[i] < 0 ? -u[i] : u[i];
      to[i] = a <= b ? b : a;  // a NaN compares false and stays
    });
  }
  return m;
}

// x rounded up into T, with room for a few roundings of x in double; 0 stays 0.
template <class T>
BL_HD T above(double x) {
  if constexpr (std::is_same_v<T, double>) return x * (1 + 1e-14);
  else return x == 0 ? T(0) : static_cast<T>(x * (1 + 3e-7)) + std::numeric_limits<T>::denorm_min();
}

// What an entry costs per unit of |a|: (v grow + tiny) per_v + |w| per_w + floor + the radius of w.
struct Shares {
  double grow, tiny, per_v, per_w, floor;
};
// v[b][i] = v[b * step + i] * factor[b]; factor null: 1. v null: no share of it.
template <class T>
void add_up_cost(Device& d, std::int64_t batch, std::int64_t size, const T* v, std::int64_t step, const double* factor, const T* w, const double* radius, Shares s, T* cost) {
  d.map_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t i) {
    double x = s.floor;
    if (v) x += (static_cast<double>(v[b * step + i]) * (factor ? factor[b] * s.grow : s.grow) + s.tiny) * s.per_v;
    if (w) x += (w[i] < 0 ? -static_cast<double>(w[i]) : static_cast<double>(w[i])) * s.per_w;
    if (radius) x += radius[i];
    cost[b * size + i] = above<T>(x);
  });
}

// sum_j |x_j| per box, times `share`, added to `out`.
template <class T>
void add_sizes(Device& d, const T* x, std::int64_t batch, std::int64_t size, double share, double* out) {
  double* const sums[1] = {out};
  d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) { sum.add(0, share * static_cast<double>(x[b * size + j])); }, sums);
}

// max m per box over all inputs; empty: a box is not finite.
template <class T>
std::vector<double> largest_magnitudes(Device& d, const std::vector<std::int64_t>& sizes, const BoxView<T>* in, std::int64_t batch) {
  std::vector<double> most(static_cast<std::size_t>(batch), 0.0), here(most.size());
  auto largest = d.template buffer<double>(batch);
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (!in[k].lower || sizes[k] == 0) continue;
    const T *l = in[k].lower, *u = in[k].upper;
    const std::int64_t size = sizes[k];
    d.max_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j) {
      const T x = l[b * size + j] < 0 ? -l[b * size + j] : l[b * size + j], y = u[b * size + j] < 0 ? -u[b * size + j] : u[b * size + j];
      return static_cast<double>(x <= y ? y : x) + static_cast<double>(y - y);  // NaN in either is kept, infinity becomes NaN
    }, largest.data());
    d.download(here.data(), largest.data(), batch);
    for (std::size_t b = 0; b < most.size(); ++b) {
      if (!(here[b] - here[b] == 0)) return {};
      most[b] = here[b] > most[b] ? here[b] : most[b];
    }
  }
  return most;
}

template <class T>
void add_costs(Device& d, const T* more, std::int64_t n, T* cost) {
  d.map(n, [=] BL_HD(std::int64_t i) { cost[i] = above<T>(static_cast<double>(cost[i]) + static_cast<double>(more[i])); });
}
inline void add_up(Device& d, const double* more, std::int64_t n, double* sum) {
  d.map(n, [=] BL_HD(std::int64_t i) { sum[i] = (sum[i] + more[i]) * (1 + 1e-14); });
}

// The largest m of every block of `width` neighbours, [batch][blocks].
template <class T>
Buffer<T> block_magnitudes(Device& d, const T* m, std::int64_t batch, std::int64_t n, std::int64_t width) {
  const std::int64_t blocks = (n + width - 1) / width;
  auto made = d.template buffer<T>(batch * blocks);
  T* to = made.data();
  d.map_rows(batch, blocks, [=] BL_HD(std::int64_t b, std::int64_t k) {
    T most = 0;
    for (std::int64_t i = k * width; i < n && i < (k + 1) * width; ++i) {
      const T x = m[b * n + i];
      if (!(x <= most)) most = x;  // NaN stays: nothing is larger, and 0 * NaN is NaN
      if (x != x) break;
    }
    to[b * blocks + k] = most;
  });
  return made;
}

}  // namespace

template <class T>
LinearRelaxation<T>::LinearRelaxation(Device& d, const LinearKernel<T>& kernel, const BoxView<T>* in, std::int64_t batch, const BoundSettings& settings)
    : kernel_(kernel), settings_(settings), batch_(batch) {
  cost_.resize(kernel_.out_sizes().size());
  deployed_.resize(cost_.size());
  if (settings.sound) charge(d, in);
}

// v >= |W| m, rounded up, with each slot's share of it. In double, where the charges of computing are far below everything else,
// (|W| 1) max m will do: no product.
template <class T>
void LinearRelaxation<T>::charge(Device& d, const BoxView<T>* in) {
  const auto &in_sizes = kernel_.in_sizes(), &out_sizes = kernel_.out_sizes();
  const std::int64_t ahead = kernel_.terms_ahead(), back = kernel_.terms_back();
  const bool deployed = settings_.deployed() && !kernel_.moves_only(), underflow = settings_.charges(Charge::underflow);
  const double eta = underflow ? static_cast<double>(smallest_normal<T>) : 0.0, eta_float = deployed ? static_cast<double>(smallest_normal<float>) : 0.0;
  // One term still counts when an entry of A W is one product; sums of moved entries have back - 1 additions.
  const bool exact = kernel_.passes_rows() || (kernel_.moves_only() && back <= 1);
  const double product = settings_.charges(Charge::product) && !exact ? next_up(gamma_up<T>(back) + kernel_.relative_error() * 1.0000001) : 0.0;
  const double deployment = deployed ? gamma_up<float>(kernel_.deployed_terms() + 1) : 0.0;

  cost0_ = d.template buffer<double>(batch_);
  d.fill(cost0_.data(), 0.0, batch_);
  bool any_offset = false;
  for (std::size_t s = 0; s < out_sizes.size(); ++s) any_offset = any_offset || kernel_.offset(static_cast<int>(s));
  if (exact && !deployed && !any_offset) return;

  const bool values = !exact || deployed, rough = std::is_same_v<T, double> && !deployed && values;
  std::vector<Buffer<T>> v(out_sizes.size()), m;
  Buffer<double> factor;
  if (const auto most = rough ? largest_magnitudes(d, in_sizes, in, batch_) : std::vector<double>(); !most.empty()) {
    factor = d.template buffer<double>(batch_);
    d.upload(factor.data(), most.data(), batch_);
  } else if (values) {
    m = magnitudes<T>(d, in_sizes, in, batch_);
    std::vector<T*> to;
    for (std::size_t s = 0; s < v.size(); ++s) to.push_back((v[s] = d.template buffer<T>(batch_ * out_sizes[s])).data());
    // In float for wide dense products by blocks; the deployed network's charges are felt, and keep the product.
    if (const Buffer<T>* blocks = !deployed ? &kernel_.block_sizes(d) : nullptr; blocks && *blocks) {
      const auto largest = block_magnitudes(d, m[0].data(), batch_, in_sizes[0], LinearKernel<T>::kSizeBlock);
      const std::int64_t count = largest.size() / batch_;
      d.gemm(false, false, batch_, out_sizes[0], count, largest.data(), count, blocks->data(), out_sizes[0], T(0), to[0], out_sizes[0]);
    } else {
      kernel_.apply(d, LinearMode::absolute, row_pointers(m).data(), to.data(), batch_);
    }
  }
  for (std::size_t s = 0; s < out_sizes.size(); ++s) {
    const std::int64_t size = out_sizes[s];
    const T* w = kernel_.offset(static_cast<int>(s));
    const double* radius = kernel_.offset_radius(static_cast<int>(s), deployed);
    const double dot = settings_.charges(Charge::offset) ? next_up(gamma_up<double>(size + 2) + kernel_.relative_error() * 1.0000001) : 0.0;
    const T* sizes = factor ? kernel_.row_sizes(d)[s].data() : v[s].data();
    const std::int64_t step = factor ? 0 : size;
    Shares share{factor ? 1 + 1e-14 : inflation<T>(ahead), static_cast<double>(ahead) * eta, next_up(product + deployment), w ? next_up(dot + deployment) : 0.0,
                 static_cast<double>(kernel_.deployed_terms() + 1) * eta_float};
    cost_[s] = d.template buffer<T>(batch_ * size);
    add_up_cost(d, batch_, size, sizes, step, factor.data(), share.per_w > 0 ? w : nullptr, radius, share, cost_[s].data());
    if (!deployed && !radius) continue;
    // What is wrong with the values themselves, for planes carried forward.
    share.per_v = deployment;
    share.per_w = deployment;
    deployed_[s] = d.template buffer<T>(batch_ * size);
    add_up_cost(d, batch_, size, deployed ? sizes : nullptr, step, factor.data(), deployed ? w : nullptr, radius, share, deployed_[s].data());
  }
  // Products of A W may each lose eta: k eta on every entry of A', charged by the magnitude it meets.
  if (exact || !underflow) return;
  const double each = static_cast<double>(back) * eta * (1 + 1e-6);
  for (std::size_t k = 0; k < m.size(); ++k)
    if (m[k]) add_sizes(d, m[k].data(), batch_, in_sizes[k], each, cost0_.data());
  if (!factor) return;
  double entries = 0;
  for (const std::int64_t n : in_sizes) entries += static_cast<double>(n);
  const double *most = factor.data(), all = each * entries;
  double* to = cost0_.data();
  d.map(batch_, [=] BL_HD(std::int64_t b) { to[b] = all * most[b]; });
}

template <class T>
typename LinearRelaxation<T>::Companions LinearRelaxation<T>::companions(Device& d, int slot, bool windowed) const {
  const auto s = static_cast<std::size_t>(slot);
  if (!windowed) return {kernel_.offset(slot), cost_[s].data()};
  std::call_once(last_made_, [&] {
    const auto plane = kernel_.plane();
    if (kernel_.offset(0)) offset_last_ = channels_last(d, kernel_.offset(0), 1, plane.channels, plane.height * plane.width);
    if (cost_[0]) cost_last_ = channels_last(d, cost_[0].data(), batch_, plane.channels, plane.height * plane.width);
  });
  return {offset_last_.data(), cost_last_.data()};
}

// bias += A w, charge += |A| cost + cost0, then A W.
template <class T>
void LinearRelaxation<T>::backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const {
  const Companions c = companions(d, slot, rows.windowed);
  if (c.offset || c.cost) {
    const auto plane = rows.windowed ? kernel_.plane() : typename LinearKernel<T>::Plane{};
    const auto at = span_of(d, rows, accounts.box, kernel_.out_sizes()[static_cast<std::size_t>(slot)], plane.channels, plane.width);
    dot(d, at.span, rows.a.data(), c.offset, c.cost, accounts.bias, accounts.charge);
    if (settings_.sound) charge_per_row(d, rows.rows, accounts, cost0_.data());
  }
  pass_on(d, slot, std::move(rows), out);
}

template <class T>
void LinearRelaxation<T>::pass_on(Device& d, int slot, RowBlock<T>&& rows, RowBlock<T>* out) const {
  if (rows.windowed) return kernel_.transpose_windows(d, std::move(rows), out);
  if (kernel_.passes_rows()) {
    rows.slopes = {};
    for (std::size_t k = 0; k < kernel_.in_sizes().size(); ++k)
      if (kernel_.in_sizes()[k] > 0) out[k] = std::move(rows);
    return;
  }
  std::vector<T*> to(kernel_.in_sizes().size(), nullptr);
  for (std::size_t k = 0; k < to.size(); ++k) {
    if (kernel_.in_sizes()[k] == 0) continue;
    out[k].rows = rows.rows;
    out[k].width = kernel_.in_sizes()[k];
    out[k].a = d.template buffer<T>(rows.rows * out[k].width);
    to[k] = out[k].a.data();
  }
  kernel_.transpose(d, slot, rows.a.data(), rows.rows, to.data());
}

template <class T>
bool LinearRelaxation<T>::pay_for(Device& d, const LinearRelaxation& before) {
  if (!settings_.sound || !kernel_.passes_rows() || before.kernel_.out_sizes().size() != 1 || before.kernel_.offset(0) || before.batch_ != batch_ || !before.cost_[0]) return false;
  const std::int64_t n = batch_ * kernel_.out_sizes()[0];
  if (!cost_[0]) {
    cost_[0] = d.template buffer<T>(n);
    d.copy(cost_[0].data(), before.cost_[0].data(), n);
  } else {
    add_costs(d, before.cost_[0].data(), n, cost_[0].data());
  }
  add_up(d, before.cost0_.data(), batch_, cost0_.data());
  return true;
}

// Selected weights are copied, not multiplied: charging the full cost of |a| = 1 is an overestimate.
template <class T>
bool LinearRelaxation<T>::select(Device& d, int slot, std::int64_t rows, const std::int32_t* element, const T* sign, RowAccounts accounts, RowBlock<T>* out) const {
  if (!kernel_.select_rows(d, slot, rows, element, sign, out)) return false;
  const T* w = kernel_.offset(slot);
  const T* cost = cost_[static_cast<std::size_t>(slot)].data();
  const std::int64_t size = kernel_.out_sizes()[static_cast<std::size_t>(slot)];
  double *bias = accounts.bias, *charge = accounts.charge;
  const std::int32_t* box = accounts.box;
  d.map(rows, [=] BL_HD(std::int64_t r) {
    if (w) bias[r] += static_cast<double>(sign[r]) * static_cast<double>(w[element[r]]);
    if (cost) charge[r] += static_cast<double>(cost[box[r] * size + element[r]]);
  });
  if (settings_.sound) charge_per_row(d, rows, accounts, cost0_.data());
  return true;
}

template <class T>
bool LinearRelaxation<T>::follow(Device& d, int slot, const RowBlock<T>& a, const std::int32_t*, const T* const* in, T* out) const {
  std::vector<T*> to(kernel_.out_sizes().size(), nullptr);
  to[static_cast<std::size_t>(slot)] = out;
  kernel_.apply(d, LinearMode::affine, in, to.data(), a.rows);
  return true;
}

namespace {

// Half the sum and half the difference of planes, per coefficient, and per box and element
//   size = sum_i (|C_i| + |R_i|) |x_i|, spread over the coefficients' rounding later.
template <class T>
void centre_planes(Device& d, std::int64_t batch, std::int64_t size, const Coordinates& x, const PlaneView<T>& in, T* centre, T* radius, T* sizes) {
  const std::int64_t n = x.count;
  const double* magnitude = x.magnitude;
  const T *lower = in.lower, *upper = in.upper;
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    const std::int64_t b = i / size, e = i % size;
    double sum = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t at = (b * n + k) * size + e;
      const T c = upper ? lower[at] / 2 + upper[at] / 2 : lower[at];
      const T r = upper ? upper[at] / 2 - lower[at] / 2 : T(0);
      if (upper && centre) centre[at] = c, radius[at] = r;
      sum += (fabs(static_cast<double>(c)) + fabs(static_cast<double>(r))) * magnitude[b * n + k];
    }
    sizes[i] = round_up_to<T>(sum * (1 + 1e-9));
  });
}

// The outputs' planes from the products (in place): adds w to the constant's coefficient, turns centre and radius into ends, and
// completes the error. step: unit roundoff of the sums here; per_tiny: underflow per coefficient.
template <class T>
void finish_planes(Device& d, std::int64_t batch, std::int64_t size, const Coordinates& x, T* lo, T* hi, T* error, bool ends, const T* w, const T* deployed, double grow,
                   double step, double per_tiny, double weight_error) {
  const std::int64_t n = x.count;
  const double* magnitude = x.magnitude;
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    const std::int64_t b = i / size, e = i % size;
    double sizes = 0, tiny = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t at = (b * n + k) * size + e;
      const T add = w && k + 1 == n ? w[e] : T(0);
      if (hi && !ends) {
        const T middle = lo[at] + add, half = hi[at];
        lo[at] = middle - half;
        hi[at] = middle + half;
        sizes += (fabs(static_cast<double>(middle)) + fabs(static_cast<double>(half))) * magnitude[b * n + k];
      } else {
        lo[at] += add;
        if (hi) hi[at] += add;
        if (!ends) sizes += fabs(static_cast<double>(lo[at])) * magnitude[b * n + k];
      }
      tiny += per_tiny * magnitude[b * n + k];
    }
    double total = static_cast<double>(error[i]) * grow + 2 * step * sizes * (1 + 1e-9) + tiny;
    if (w) total += (weight_error + (ends ? 0.0 : 2 * step)) * fabs(static_cast<double>(w[e]));
    if (deployed) total += static_cast<double>(deployed[i]);
    error[i] = total == 0 ? T(0) : round_up_to<T>(total * (1 + 1e-9));
  });
}

}  // namespace

// y = W z + w over planes L x <= z <= U x. With C = (L + U) / 2 and R = (U - L) / 2, coefficient by coefficient,
//   lower = W C - |W| R,  upper = W C + |W| R    (the radius R x is nonnegative on the region, whatever the signs of x).
// Rounding: gamma_(k+4) |W| (|C| + |R|) per coefficient, charged by |x_i|; errors of the inputs' planes spread by |W|.
// Where elements only move, the ends move with them, exactly.
template <class T>
bool LinearRelaxation<T>::carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const {
  const auto& in_sizes = kernel_.in_sizes();
  const auto& out_sizes = kernel_.out_sizes();
  const std::size_t inputs = in_sizes.size();
  const std::int64_t n = x.count;
  const bool ends = kernel_.moves_only();
  const double product = settings_.charges(Charge::product) && !ends ? 1.0 : 0.0;
  const T share = round_up_to<T>(product * next_up(gamma_up<T>(kernel_.terms_ahead() + 4) + kernel_.relative_error() * 1.0000001));
  bool spread = false;
  for (std::size_t k = 0; k < inputs; ++k) spread = spread || in[k].upper;
  std::vector<Buffer<T>> centre(inputs), radius(inputs), errors(inputs);
  std::vector<const T*> c(inputs, nullptr), r(inputs, nullptr), s(inputs, nullptr);
  for (std::size_t k = 0; k < inputs; ++k) {
    if (!in[k].lower) continue;
    c[k] = in[k].lower;
    const bool apart = spread && !ends;
    if (apart && in[k].upper) c[k] = (centre[k] = d.template buffer<T>(batch * n * in_sizes[k])).data();
    if (apart) r[k] = (radius[k] = d.template buffer<T>(batch * n * in_sizes[k])).data();
    if (apart && !in[k].upper) d.fill(radius[k].data(), T(0), batch * n * in_sizes[k]);
    if (spread && ends) r[k] = in[k].upper_or_lower();
    errors[k] = d.template buffer<T>(batch * in_sizes[k]);
    T* to = errors[k].data();
    const T* error = in[k].error;
    centre_planes(d, batch, in_sizes[k], x, in[k], centre[k].data(), radius[k].data(), to);
    d.map(batch * in_sizes[k], [=] BL_HD(std::int64_t i) {
      double total = static_cast<double>(error[i]);
      if (share > T(0)) total += static_cast<double>(share) * static_cast<double>(to[i]);
      to[i] = total == 0 ? T(0) : round_up_to<T>(total * (1 + 1e-9));
    });
    s[k] = to;
  }
  std::vector<T*> lower(out_sizes.size(), nullptr), upper(out_sizes.size(), nullptr), error(out_sizes.size(), nullptr);
  for (std::size_t o = 0; o < out_sizes.size(); ++o) {
    lower[o] = (out[o].lower = d.template buffer<T>(batch * n * out_sizes[o])).data();
    if (spread) upper[o] = (out[o].upper = d.template buffer<T>(batch * n * out_sizes[o])).data();
    error[o] = (out[o].error = d.template buffer<T>(batch * out_sizes[o])).data();
  }
  kernel_.apply(d, LinearMode::linear, c.data(), lower.data(), batch * n);
  if (spread) kernel_.apply(d, ends ? LinearMode::linear : LinearMode::absolute, r.data(), upper.data(), batch * n);
  kernel_.apply(d, LinearMode::absolute, s.data(), error.data(), batch);
  const double eta = settings_.charges(Charge::underflow) && !ends ? static_cast<double>(smallest_normal<T>) * static_cast<double>(kernel_.terms_ahead() + 4) : 0.0;
  for (std::size_t o = 0; o < out_sizes.size(); ++o)
    finish_planes(d, batch, out_sizes[o], x, lower[o], upper[o], error[o], ends, kernel_.offset(static_cast<int>(o)), deployed_[o].data(),
                  product > 0 ? inflation<T>(kernel_.terms_ahead()) : 1.0, product * static_cast<double>(unit_roundoff<T>), eta,
                  product * kernel_.relative_error() * 1.0000001);
  return true;
}

template class LinearRelaxation<float>;
template class LinearRelaxation<double>;

}  // namespace boundlight::BL_NS
