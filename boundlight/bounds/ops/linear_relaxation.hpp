// LinearRelaxation's arithmetic (included by linear.hpp): costs once per box, accounts per row, planes carried forward.
#pragma once

#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {

// cost = (v grow + tiny) per_v + |w| per_w + floor + radius, rounded up; cost holds v on entry. Nothing is left where all shares are 0.
template <class T>
void turn_into_cost(Device& d, T* cost, std::int64_t n, std::int64_t size, const T* w, double grow, double tiny, double per_v, double per_w, double floor, const double* radius) {
  d.map(n, [=] BL_HD(std::int64_t i) {
    const double bias = w && per_w > 0 ? fabs(static_cast<double>(w[i % size])) : 0.0;
    double x = floor;
    if (per_v > 0) x += (static_cast<double>(cost[i]) * grow + tiny) * per_v;
    if (bias > 0) x += bias * per_w;
    if (radius) x += radius[i % size];
    cost[i] = x == 0 ? T(0) : round_up_to<T>(x * (1 + 1e-14));
  });
}

template <class T>
void scale_row_sizes(Device& d, const T* sizes, std::int64_t n, const double* factor, std::int64_t batch, T* to) {
  d.map_rows(batch, n, [=] BL_HD(std::int64_t b, std::int64_t i) { to[b * n + i] = round_up_to<T>(static_cast<double>(sizes[i]) * factor[b] * (1 + 1e-14)); });
}

// sum_j |x_j| per box, times `share`, added to `out`.
template <class T>
void add_sizes(Device& d, const T* x, std::int64_t batch, std::int64_t size, double share, double* out) {
  double* const sums[1] = {out};
  d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) { sum.add(0, share * fabs(static_cast<double>(x[b * size + j]))); }, sums);
}

// v = (|W| 1) max m per box; false: a box is not finite.
template <class T>
bool by_row_sizes(Device& d, const LinearKernel<T>& kernel, const std::vector<Buffer<T>>& m, std::int64_t batch, const std::vector<T*>& v) {
  std::vector<double> most(static_cast<std::size_t>(batch), 0.0), here(most.size());
  auto largest = d.template buffer<double>(batch);
  for (std::size_t k = 0; k < m.size(); ++k) {
    if (!m[k]) continue;
    const T* x = m[k].data();
    const std::int64_t size = kernel.in_sizes()[k];
    d.max_rows(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j) { return static_cast<double>(x[b * size + j]); }, largest.data());
    d.download(here.data(), largest.data(), batch);
    for (std::size_t b = 0; b < most.size(); ++b) {
      if (!(here[b] - here[b] == 0) && size > 0) return false;
      most[b] = here[b] > most[b] ? here[b] : most[b];
    }
  }
  d.upload(largest.data(), most.data(), batch);
  const auto& sizes = kernel.row_sizes(d);
  for (std::size_t s = 0; s < v.size(); ++s) scale_row_sizes(d, sizes[s].data(), kernel.out_sizes()[s], largest.data(), batch, v[s]);
  return true;
}

template <class T>
LinearRelaxation<T>::LinearRelaxation(Device& d, const LinearKernel<T>& kernel, const BoxView<T>* in, std::int64_t batch, const BoundSettings& settings)
    : kernel_(kernel), settings_(settings), batch_(batch) {
  const auto& in_sizes = kernel_.in_sizes();
  const auto& out_sizes = kernel_.out_sizes();
  cost_.resize(out_sizes.size());
  deployed_.resize(out_sizes.size());
  if (!settings.sound) return;
  const std::int64_t ahead = kernel_.terms_ahead(), back = kernel_.terms_back();
  const bool deployed = settings.deployed() && !kernel_.moves_only(), underflow = settings.charges(Charge::underflow);
  const double eta = underflow ? static_cast<double>(smallest_normal<T>) : 0.0, eta_float = deployed ? static_cast<double>(smallest_normal<float>) : 0.0;
  // One term still counts when an entry of A W is one product; sums of moved entries have back - 1 additions.
  const bool exact = kernel_.moves_only() && back <= 1;
  const double product = settings.charges(Charge::product) && !exact ? next_up(gamma_up<T>(back) + kernel_.relative_error() * 1.0000001) : 0.0;
  const double deployment = deployed ? gamma_up<float>(kernel_.deployed_terms() + 1) : 0.0, grow = inflation<T>(ahead);

  cost0_ = d.template buffer<double>(batch);
  d.fill(cost0_.data(), 0.0, batch);
  bool any_offset = false;
  for (std::size_t s = 0; s < out_sizes.size(); ++s) any_offset = any_offset || kernel_.offset(static_cast<int>(s));
  if (exact && !deployed && !any_offset) return;

  // v = |W| m, rounded up. In double, where the charges of computing are far below everything else, (|W| 1) max m will do: no
  // product.
  const auto m = magnitudes<T>(d, in_sizes, in, batch);
  const auto m_pointers = pointers(m);
  for (std::size_t s = 0; s < out_sizes.size(); ++s) cost_[s] = d.template buffer<T>(batch * out_sizes[s]);
  const auto v = pointers(cost_);
  if (std::is_same_v<T, float> || deployed || !by_row_sizes(d, kernel_, m, batch, v)) kernel_.apply(d, LinearMode::absolute, m_pointers.data(), v.data(), batch);
  for (std::size_t s = 0; s < out_sizes.size(); ++s) {
    const std::int64_t size = out_sizes[s];
    const T* w = kernel_.offset(static_cast<int>(s));
    const double tiny = static_cast<double>(ahead) * eta, floor = static_cast<double>(kernel_.deployed_terms() + 1) * eta_float;
    const double* radius = kernel_.offset_radius(static_cast<int>(s), deployed);
    const double dot = settings.charges(Charge::offset) ? next_up(gamma_up<double>(size + 2) + kernel_.relative_error() * 1.0000001) : 0.0;
    if (deployed || radius) {  // what is wrong with the values themselves, for planes carried forward
      deployed_[s] = d.template buffer<T>(batch * size);
      d.copy(deployed_[s].data(), v[s], batch * size);
      turn_into_cost(d, deployed_[s].data(), batch * size, size, w, grow, tiny, deployment, w ? deployment : 0.0, floor, radius);
    }
    turn_into_cost(d, v[s], batch * size, size, w, grow, tiny, next_up(product + deployment), w ? next_up(dot + deployment) : 0.0, floor, radius);
  }
  // Products of A W may each lose eta: k eta on every entry of A', charged by the magnitude it meets.
  if (exact || !underflow) return;
  for (std::size_t k = 0; k < in_sizes.size(); ++k)
    if (m[k]) add_sizes(d, m[k].data(), batch, in_sizes[k], static_cast<double>(back) * eta * (1 + 1e-6), cost0_.data());
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
  if (rows.windowed) return kernel_.transpose_windows(d, std::move(rows), out);
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

template <class T>
std::unique_ptr<Relaxation<T>> LinearKernel<T>::relax(Device& d, const BoxView<T>* in, const BoxView<T>*, std::int64_t batch, const BoundSettings& settings, SlopeRule) const {
  return std::make_unique<LinearRelaxation<T>>(d, *this, in, batch, settings);
}

}  // namespace boundlight::BL_NS
