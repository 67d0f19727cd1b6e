// LinearRelaxation's arithmetic (included by linear.hpp): costs once per box, accounts per row, planes carried forward.
#pragma once

#include "boundlight/bounds/ops/linear.hpp"

namespace boundlight::BL_NS {

template <class T>
void LinearRelaxation<T>::charge_costs(Device& d, const BoxView<T>* in, std::int64_t batch) {
  const auto& in_sizes = kernel_.in_sizes();
  const auto& out_sizes = kernel_.out_sizes();
  const auto m = magnitudes<T>(d, in_sizes, in, batch);
  const auto m_pointers = pointers(m);
  const std::int64_t ahead = kernel_.terms_ahead(), back = kernel_.terms_back();
  const bool deployed = settings_.semantics == Semantics::float32_any_order && !kernel_.moves_only();
  const double eta = static_cast<double>(smallest_normal<T>), eta_float = deployed ? static_cast<double>(smallest_normal<float>) : 0.0;

  // v = |W| m, rounded up.
  for (std::size_t s = 0; s < out_sizes.size(); ++s) cost_[s] = d.template buffer<T>(batch * out_sizes[s]);
  const auto v = pointers(cost_);
  kernel_.apply(d, LinearMode::absolute, m_pointers.data(), v.data(), batch);

  const double grow = inflation<T>(ahead);
  // gamma_1 = u: one term still counts when an entry of A W is one product; sums of moved entries have back - 1 additions.
  const double gemm = kernel_.moves_only() && back <= 1 ? 0.0 : gamma_up<T>(back);
  const double deployment = deployed ? gamma_up<float>(kernel_.deployed_terms() + 1) : 0.0;
  const double per_v = next_up(next_up(gemm + kernel_.relative_error() * 1.0000001) + deployment);
  for (std::size_t s = 0; s < out_sizes.size(); ++s) {
    const std::int64_t size = out_sizes[s];
    const T* w = kernel_.offset(static_cast<int>(s));
    const double dot = gamma_up<double>(size + 2);
    const double per_w = w ? next_up(next_up(dot + kernel_.relative_error() * 1.0000001) + deployment) : 0.0;
    const double floor = static_cast<double>(kernel_.deployed_terms() + 1) * eta_float;
    const double* radius = kernel_.offset_radius(static_cast<int>(s), deployed);
    T* cost = v[s];
    d.map(batch * size, [=] BL_HD(std::int64_t i) {
      const double bias = w ? fabs(static_cast<double>(w[i % size])) : 0.0;
      const double value = static_cast<double>(cost[i]);
      const double x = (value * grow + static_cast<double>(ahead) * eta) * per_v + bias * per_w + floor + (radius ? radius[i % size] : 0.0);
      cost[i] = x == 0 ? T(0) : round_up_to<T>(x * (1 + 1e-14));
    });
  }
  // Products of A W may each lose eta: k eta on every entry of A', charged by the magnitude it meets.
  cost0_ = d.template buffer<double>(batch);
  d.fill(cost0_.data(), 0.0, batch);
  if (gemm == 0) return;
  for (std::size_t k = 0; k < in_sizes.size(); ++k) {
    if (!m[k]) continue;
    const T* magnitude = m[k].data();
    const std::int64_t size = in_sizes[k];
    const double per_m = static_cast<double>(back) * eta * (1 + 1e-6);
    double* const sums[1] = {cost0_.data()};
    d.template sum_rows<1>(batch, size, [=] BL_HD(std::int64_t b, std::int64_t j, Sums sum) { sum.add(0, per_m * static_cast<double>(magnitude[b * size + j])); }, sums);
  }
}

template <class T>
std::unique_ptr<Relaxation<T>> LinearKernel<T>::relax(Device& d, const BoxView<T>* in, const BoxView<T>*, std::int64_t batch, const BoundSettings& settings,
                                                      SlopeRule) const {
  return std::make_unique<LinearRelaxation<T>>(d, *this, in, batch, settings);
}

// bias += A w, charge += |A| cost + cost0, for dense and windowed rows.
template <class T>
void LinearRelaxation<T>::account(Device& d, int slot, const RowBlock<T>& rows, RowAccounts accounts) const {
  const T* w = kernel_.offset(slot);
  const T* cost = cost_[slot].data();
  if (!w && !cost) return;
  const T* a = rows.a.data();
  const std::int64_t size = kernel_.out_sizes()[slot], width = rows.width;
  const std::int32_t* box = accounts.box;
  double* const sums[2] = {accounts.bias, accounts.charge};
  if (!rows.windowed) {
    d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const double x = static_cast<double>(a[r * width + j]);
      if (w) sum.add(0, x * static_cast<double>(w[j]));
      if (cost) sum.add(1, fabs(x) * static_cast<double>(cost[box[r] * size + j]));
    }, sums);
  } else {
    const auto p = kernel_.plane();
    const std::int32_t *top = rows.top.data(), *left = rows.left.data();
    const std::int64_t ww = rows.window_w;
    d.template sum_rows<2>(rows.rows, width, [=] BL_HD(std::int64_t r, std::int64_t j, Sums sum) {
      const std::int64_t c = j % p.channels, x = left[r] + j / p.channels % ww, y = top[r] + j / (p.channels * ww);
      if (x < 0 || y < 0 || x >= p.width || y >= p.height) return;
      const std::int64_t e = (c * p.height + y) * p.width + x;
      const double value = static_cast<double>(a[r * width + j]);
      if (w) sum.add(0, value * static_cast<double>(w[e]));
      if (cost) sum.add(1, fabs(value) * static_cast<double>(cost[box[r] * size + e]));
    }, sums);
  }
  if (!cost) return;
  const double* cost0 = cost0_.data();
  double *bias = accounts.bias, *charge = accounts.charge;
  // Adding to the running bias rounds once more.
  d.map(rows.rows, [=] BL_HD(std::int64_t r) { charge[r] += cost0[box[r]] + fabs(bias[r]) * 3e-16; });
}

// y = W x + w over planes: with C = (L + U) / 2 and R = (U - L) / 2 per coefficient, lower = W C - |W| R, upper = W C + |W| R.
// Errors of coefficients are charged by the coordinate they multiply; errors of inputs' planes spread by |W|.
template <class T>
bool LinearRelaxation<T>::carry(Device&, std::int64_t, std::int64_t, const double*, const PlaneView<T>*, PlaneArrays<T>*) const {
  return false;
}

}  // namespace boundlight::BL_NS
