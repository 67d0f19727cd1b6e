// ChainKernel: y = outer(inner(x_0 .. x_(m-1)), x_m ..) for an operator that is two others, one after the other, with the value
// between them kept to itself. Each part charges its own roundings, so a deployed network that computes the two formulas in
// this order is covered.
#pragma once

#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight::BL_NS {

template <class T>
struct Chain {
  std::unique_ptr<Kernel<T>> inner, outer;
  std::size_t inner_inputs;  // m
  std::size_t inputs;        // of the whole node
  std::int64_t middle;       // size of inner's value
};

template <class T>
class ChainRelaxation : public Relaxation<T> {
 public:
  ChainRelaxation(const Chain<T>& chain, Buffer<T> lower, Buffer<T> upper) : chain_(chain), lower_(std::move(lower)), upper_(std::move(upper)) {}
  void take(std::unique_ptr<Relaxation<T>> inner, std::unique_ptr<Relaxation<T>> outer) {
    inner_ = std::move(inner);
    outer_ = std::move(outer);
  }
  BoxView<T> middle() const { return {lower_.data(), upper_.data()}; }

  void backward(Device& d, int slot, RowBlock<T>&& rows, RowAccounts accounts, RowBlock<T>* out) const override {
    std::vector<RowBlock<T>> between(chain_.inputs - chain_.inner_inputs + 1);
    outer_->backward(d, slot, std::move(rows), accounts, between.data());
    inner_->backward(d, 0, std::move(between[0]), accounts, out);
    for (std::size_t k = 1; k < between.size(); ++k) out[chain_.inner_inputs + k - 1] = std::move(between[k]);
  }
  bool carry(Device& d, std::int64_t batch, const Coordinates& x, const PlaneView<T>* in, PlaneArrays<T>* out) const override {
    PlaneArrays<T> planes;
    if (!inner_->carry(d, batch, x, in, &planes)) return false;
    std::vector<PlaneView<T>> views{planes.view()};
    for (std::size_t k = chain_.inner_inputs; k < chain_.inputs; ++k) views.push_back(in[k]);
    return outer_->carry(d, batch, x, views.data(), out);
  }
  // Only where both are linear: else the rows between them would be needed, and nobody has asked for those slopes.
  bool follow(Device& d, int slot, const RowBlock<T>& a, const std::int32_t* box, const T* const* in, T* out) const override {
    if (!chain_.inner->linear() || !chain_.outer->linear()) return false;
    auto middle = d.template buffer<T>(a.rows * chain_.middle);
    if (!inner_->follow(d, 0, a, box, in, middle.data())) return false;
    std::vector<const T*> views{middle.data()};
    for (std::size_t k = chain_.inner_inputs; k < chain_.inputs; ++k) views.push_back(in[k]);
    return outer_->follow(d, slot, a, box, views.data(), out);
  }

 private:
  const Chain<T>& chain_;
  Buffer<T> lower_, upper_;
  std::unique_ptr<Relaxation<T>> inner_, outer_;
};

template <class T>
class ChainKernel : public Kernel<T> {
 public:
  explicit ChainKernel(Chain<T> chain) : chain_(std::move(chain)) {}

  void forward(Device& d, const T* const* in, T* const* out, std::int64_t batch) const override {
    const auto middle = between(d, in, batch);
    const auto views = outer_views(in, static_cast<const T*>(middle.data()));
    chain_.outer->forward(d, views.data(), out, batch);
  }
  void vjp(Device& d, const T* const* in, const T* const* out, const T* const* grad_out, T* const* grad_in, std::int64_t batch) const override {
    const auto middle = between(d, in, batch);
    auto grad = d.template buffer<T>(batch * chain_.middle);
    d.fill(grad.data(), T(0), grad.size());
    const auto views = outer_views(in, static_cast<const T*>(middle.data()));
    const auto to = outer_views(grad_in, grad.data());
    chain_.outer->vjp(d, views.data(), out, grad_out, to.data(), batch);
    const T *y = middle.data(), *g = grad.data();
    chain_.inner->vjp(d, in, &y, &g, grad_in, batch);
  }
  void interval(Device& d, const BoxView<T>* in, T* const* lower, T* const* upper, std::int64_t batch, const BoundSettings& settings) const override {
    auto low = d.template buffer<T>(batch * chain_.middle), high = d.template buffer<T>(batch * chain_.middle);
    T *l = low.data(), *h = high.data();
    chain_.inner->interval(d, in, &l, &h, batch, settings);
    const auto views = outer_views(in, BoxView<T>{l, h});
    chain_.outer->interval(d, views.data(), lower, upper, batch, settings);
  }
  std::unique_ptr<Relaxation<T>> relax(Device& d, const BoxView<T>* in, const BoxView<T>* out, std::int64_t batch, const BoundSettings& settings, SlopeRule rule) const override {
    auto low = d.template buffer<T>(batch * chain_.middle), high = d.template buffer<T>(batch * chain_.middle);
    T *l = low.data(), *h = high.data();
    chain_.inner->interval(d, in, &l, &h, batch, settings);
    auto made = std::make_unique<ChainRelaxation<T>>(chain_, std::move(low), std::move(high));
    const BoxView<T> middle = made->middle();
    const auto views = outer_views(in, middle);
    auto inner = chain_.inner->relax(d, in, &middle, batch, settings, rule), outer = chain_.outer->relax(d, views.data(), out, batch, settings, rule);
    if (!inner || !outer) return nullptr;
    made->take(std::move(inner), std::move(outer));
    return made;
  }
  bool linear() const override { return chain_.inner->linear() && chain_.outer->linear(); }

 private:
  Buffer<T> between(Device& d, const T* const* in, std::int64_t batch) const {
    auto middle = d.template buffer<T>(batch * chain_.middle);
    T* to = middle.data();
    chain_.inner->forward(d, in, &to, batch);
    return middle;
  }
  // The outer operator's inputs: the value between, then what is left of the node's.
  template <class V>
  std::vector<V> outer_views(const V* in, V middle) const {
    std::vector<V> views{middle};
    views.insert(views.end(), in + chain_.inner_inputs, in + chain_.inputs);
    return views;
  }

  Chain<T> chain_;
};

}  // namespace boundlight::BL_NS
