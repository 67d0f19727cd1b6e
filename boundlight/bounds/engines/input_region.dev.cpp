#include "boundlight/bounds/engines/input_region.hpp"

#include <algorithm>

namespace boundlight::BL_NS {
namespace {

Buffer<double> sent(Device& d, const std::vector<double>& from) {
  if (from.empty()) return {};
  auto made = d.buffer<double>(static_cast<std::int64_t>(from.size()));
  d.upload(made.data(), from.data(), made.size());
  return made;
}

// value - error of `from` where that is more than what is there: keeps the better candidate of each row.
void take_better(Device& d, std::int64_t rows, double* value, double* error, const double* from_value, const double* from_error) {
  d.map(rows, [=] BL_HD(std::int64_t r) {
    if (!(from_value[r] - from_error[r] > value[r] - error[r]) && value[r] == value[r]) return;
    value[r] = from_value[r];
    error[r] = from_error[r];
  });
}

// value += sum_i a_i w_i, error += share sum |a_i w_i|, companion w per box.
template <class T>
void add_product(Device& d, const T* a, std::int64_t rows, std::int64_t width, const double* w, std::int64_t stride, const std::int32_t* box, double share, double* value, double* error) {
  double* const sums[2] = {value, error};
  d.template sum_rows<2>(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i, Sums sum) {
    const double p = static_cast<double>(a[r * width + i]) * w[box[r] * stride + i];
    sum.add(0, p);
    sum.add(1, share * fabs(p));
  }, sums);
}

// size[r] += sum (a s)^2, or size[r] = max(size[r], max |a s|): exact up to the share that the caller charges.
template <class T>
void add_size(Device& d, bool l2, const T* a, std::int64_t rows, std::int64_t width, const double* s, std::int64_t stride, const std::int32_t* box, double* size) {
  if (l2) {
    double* const sums[1] = {size};
    d.template sum_rows<1>(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i, Sums sum) {
      const double p = static_cast<double>(a[r * width + i]) * s[box[r] * stride + i];
      sum.add(0, p * p);
    }, sums);
    return;
  }
  auto most = d.template buffer<double>(rows);
  d.max_rows(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i) { return fabs(static_cast<double>(a[r * width + i]) * s[box[r] * stride + i]); }, most.data());
  const double* m = most.data();
  d.map(rows, [=] BL_HD(std::int64_t r) {
    if (!(m[r] <= size[r])) size[r] = m[r];
  });
}

struct Faces {
  std::int64_t count, inputs;
  const double *normal, *lower, *upper;
};

// to[r] += n_h.x* over one input, x* the end of the box that minimises (A + sum_g lambda_g n_g) x.
template <class T>
void add_face_slope(Device& d, const T* a, std::int64_t rows, std::int64_t width, std::int64_t first, Faces f, const double* multiplier, std::int64_t h, const std::int32_t* box, double* to) {
  double* const sums[1] = {to};
  d.template sum_rows<1>(rows, width, [=] BL_HD(std::int64_t r, std::int64_t i, Sums total) {
    const std::int64_t at = box[r] * f.inputs + first + i;
    double c = static_cast<double>(a[r * width + i]);
    for (std::int64_t g = 0; g < f.count; ++g) c += multiplier[r * f.count + g] * f.normal[(box[r] * f.count + g) * f.inputs + first + i];
    const double m = f.normal[(box[r] * f.count + h) * f.inputs + first + i];
    if (m != 0) total.add(0, m * (c >= 0 ? f.lower[at] : f.upper[at]));
  }, sums);
}

}  // namespace

template <class T>
InputRegion<T>::InputRegion(const Model<T>& model, const Regions& regions, BoundSettings settings) : model_(model), settings_(settings) {
  Device& d = model.device();
  inputs_ = model.network().input_size();
  ball_ = regions.norm != Regions::Norm::linf;
  l2_ = regions.norm == Regions::Norm::l2;
  if (ball_) {
    centre_ = sent(d, regions.centre);
    scale_ = sent(d, regions.scale);
  }
  directions_ = regions.directions;
  if (directions_ > 0) {
    anchor_ = sent(d, regions.anchor);
    direction_ = sent(d, regions.direction);
    p_lower_ = sent(d, regions.p_lower);
    p_upper_ = sent(d, regions.p_upper);
  }
  std::vector<std::int64_t> count(static_cast<std::size_t>(regions.batch), 0);
  for (const auto& h : regions.half_spaces) faces_ = std::max(faces_, ++count[static_cast<std::size_t>(h.box)]);
  if (faces_ == 0) return;
  std::vector<double> normal(static_cast<std::size_t>(regions.batch * faces_ * inputs_), 0.0), offset(static_cast<std::size_t>(regions.batch * faces_), 0.0);
  std::fill(count.begin(), count.end(), 0);
  for (const auto& h : regions.half_spaces) {
    const std::int64_t at = h.box * faces_ + count[static_cast<std::size_t>(h.box)]++;
    std::copy(h.normal.begin(), h.normal.end(), normal.begin() + at * inputs_);
    offset[static_cast<std::size_t>(at)] = h.offset;
  }
  normal_ = sent(d, normal);
  face_offset_ = sent(d, offset);
  lower_ = sent(d, regions.lower);
  upper_ = sent(d, regions.upper);
}

template <class T>
typename InputRegion<T>::Sum InputRegion<T>::new_sum(Device& d, std::int64_t rows) const {
  Sum s{d.template buffer<double>(rows), d.template buffer<double>(rows)};
  d.fill(s.value.data(), 0.0, rows);
  d.fill(s.error.data(), 0.0, rows);
  return s;
}

template <class T>
void InputRegion<T>::add_box(Device& d, Relaxations<T>& boxes, const std::vector<RowBlock<T>>& rows, RowAccounts accounts, double* value, double* error) const {
  const Network& network = model_.network();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (!rows[k]) continue;
    const auto& v = network.values[static_cast<std::size_t>(network.inputs[k])];
    const bool windowed = rows[k].windowed;
    const BoxView<T> box = windowed ? boxes.box_last(network.inputs[k]) : boxes.box(network.inputs[k]);
    const auto at = span_of(d, rows[k], accounts.box, v.size, windowed ? v.shape[1] : 1, windowed ? v.shape[3] : 1);
    BL_NS::minimum(d, at.span, rows[k].a.data(), box.lower, box.upper, gamma_up<double>(rows[k].width + 3), value, settings_.charges(Charge::concretise) ? error : nullptr);
  }
}

// A.c - ||A s||: the norm is rounded up by its own share, which covers squares that underflow (1e-150 in the root).
template <class T>
void InputRegion<T>::add_ball(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const {
  const Network& network = model_.network();
  const std::int64_t n = sum.value.size();
  auto size = d.template buffer<double>(n);
  d.fill(size.data(), 0.0, n);
  const double share = gamma_up<double>(inputs_ + 6);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (!rows[k]) continue;
    const std::int64_t offset = network.input_offset(k);
    add_product(d, rows[k].a.data(), n, rows[k].width, centre_.data() + offset, inputs_, box, share, sum.value.data(), sum.error.data());
    add_size(d, l2_, rows[k].a.data(), n, rows[k].width, scale_.data() + offset, inputs_, box, size.data());
  }
  double *value = sum.value.data(), *error = sum.error.data();
  const double* from = size.data();
  const bool l2 = l2_;
  d.map(n, [=] BL_HD(std::int64_t r) {
    const double norm = l2 ? sqrt(from[r]) : from[r];
    value[r] -= norm;
    error[r] += (2 * share * norm + 1e-150) * (1 + 1e-9) + fabs(value[r]) * 3e-16;
  });
}

template <class T>
void InputRegion<T>::add_edit(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const {
  const Network& network = model_.network();
  const std::int64_t n = sum.value.size(), directions = directions_;
  const double share = gamma_up<double>(inputs_ + directions + 6);
  double *value = sum.value.data(), *error = sum.error.data();
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (rows[k]) add_product(d, rows[k].a.data(), n, rows[k].width, anchor_.data() + network.input_offset(k), inputs_, box, share, value, error);
  for (std::int64_t j = 0; j < directions; ++j) {
    const Sum slope = new_sum(d, n);
    for (std::size_t k = 0; k < rows.size(); ++k)
      if (rows[k])
        add_product(d, rows[k].a.data(), n, rows[k].width, direction_.data() + j * inputs_ + network.input_offset(k), directions * inputs_, box, share, slope.value.data(), slope.error.data());
    const double *s = slope.value.data(), *e = slope.error.data(), *lo = p_lower_.data(), *hi = p_upper_.data();
    d.map(n, [=] BL_HD(std::int64_t r) {
      const double l = lo[box[r] * directions + j], u = hi[box[r] * directions + j];
      const double p = s[r] * (s[r] >= 0 ? l : u);
      value[r] += p;
      error[r] += ((e[r] + 1e-300) * fmax(fabs(l), fabs(u)) + share * (fabs(p) + fabs(value[r]))) * (1 + 1e-9);
    });
  }
}

// g(lambda) = min over the box of (A + lambda n) x - lambda o is concave; its slope at lambda is n.x* - o. One multiplier after
// the other: doubled until the slope is negative, then bisected. The value is computed anew for the multipliers found.
template <class T>
void InputRegion<T>::add_faces(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const {
  constexpr int kDoublings = 24, kHalvings = 24;
  const Network& network = model_.network();
  const std::int64_t n = sum.value.size(), faces = faces_, inputs = inputs_;
  auto lambda = d.template buffer<double>(n * faces);
  d.fill(lambda.data(), 0.0, n * faces);
  double* multiplier = lambda.data();
  const double *normal = normal_.data(), *offset = face_offset_.data(), *lower = lower_.data(), *upper = upper_.data();
  const Faces face{faces, inputs, normal, lower, upper};
  auto slope = d.template buffer<double>(n), low = d.template buffer<double>(n), high = d.template buffer<double>(n);
  for (std::int64_t h = 0; h < faces; ++h) {
    double *lo = low.data(), *hi = high.data(), *s = slope.data();
    d.map(n, [=] BL_HD(std::int64_t r) { lo[r] = 0, hi[r] = -1; });  // hi < 0: no upper end yet
    for (int step = 0; step < kDoublings + kHalvings; ++step) {
      d.map(n, [=] BL_HD(std::int64_t r) { s[r] = -offset[box[r] * faces + h]; });
      for (std::size_t k = 0; k < rows.size(); ++k)
        if (rows[k]) add_face_slope(d, rows[k].a.data(), n, rows[k].width, network.input_offset(k), face, multiplier, h, box, s);
      d.map(n, [=] BL_HD(std::int64_t r) {
        double& at = multiplier[r * faces + h];
        if (s[r] > 0) lo[r] = at;
        else hi[r] = at;
        if (hi[r] == 0) at = 0;
        else if (hi[r] > 0) at = (lo[r] + hi[r]) / 2;
        else at = at == 0 ? 1.0 / 1024 : at * 4;
        if (step >= kDoublings && hi[r] < 0) at = lo[r];
      });
    }
    d.map(n, [=] BL_HD(std::int64_t r) {
      double& at = multiplier[r * faces + h];
      if (!(at >= 0 && at < 1e100)) at = 0;
    });
  }
  const double share = gamma_up<double>(inputs + 2 * faces + 8);
  double *value = sum.value.data(), *error = sum.error.data();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (!rows[k]) continue;
    const T* a = rows[k].a.data();
    const std::int64_t width = rows[k].width, first = network.input_offset(k);
    double* const sums[2] = {value, error};
    d.template sum_rows<2>(n, width, [=] BL_HD(std::int64_t r, std::int64_t i, Sums total) {
      const std::int64_t at = box[r] * inputs + first + i;
      double c = static_cast<double>(a[r * width + i]), size = fabs(c);
      for (std::int64_t g = 0; g < faces; ++g) {
        const double p = multiplier[r * faces + g] * normal[(box[r] * faces + g) * inputs + first + i];
        c += p;
        size += fabs(p);
      }
      total.add(0, c * (c >= 0 ? lower[at] : upper[at]));
      total.add(1, 2 * share * size * fmax(fabs(lower[at]), fabs(upper[at])));
    }, sums);
  }
  d.map(n, [=] BL_HD(std::int64_t r) {
    for (std::int64_t g = 0; g < faces; ++g) {
      const double p = multiplier[r * faces + g] * offset[box[r] * faces + g];
      value[r] -= p;
      error[r] += 2 * share * (fabs(p) + fabs(value[r]));
    }
  });
}

template <class T>
void InputRegion<T>::minimum(Device& d, Relaxations<T>& boxes, std::vector<RowBlock<T>>& rows, std::int64_t count, RowAccounts accounts) const {
  if (plain()) return add_box(d, boxes, rows, accounts, accounts.bias, accounts.charge);
  const Sum best = new_sum(d, count);
  add_box(d, boxes, rows, accounts, best.value.data(), best.error.data());
  const auto consider = [&](auto add) {
    const Sum other = new_sum(d, count);
    (this->*add)(d, rows, accounts.box, other);
    take_better(d, count, best.value.data(), best.error.data(), other.value.data(), other.error.data());
  };
  if (ball_) consider(&InputRegion::add_ball);
  if (directions_ > 0) consider(&InputRegion::add_edit);
  if (faces_ > 0) consider(&InputRegion::add_faces);
  const double *value = best.value.data(), *error = best.error.data();
  double *bias = accounts.bias, *charge = accounts.charge;
  const bool charged = settings_.charges(Charge::concretise);
  d.map(count, [=] BL_HD(std::int64_t r) {
    bias[r] += value[r];
    if (charged) charge[r] += error[r] + fabs(value[r]) * 3e-16;
  });
}

template <class T>
typename InputRegion<T>::EditPlanes InputRegion<T>::edit_planes(Device& d, std::vector<RowBlock<T>>& rows, std::int64_t count, const std::int32_t* box) const {
  const Network& network = model_.network();
  const std::int64_t n = directions_ + 1;
  const double share = gamma_up<double>(inputs_ + 6);
  EditPlanes planes;
  planes.coefficient.assign(static_cast<std::size_t>(count * n), 0.0);
  planes.error.assign(static_cast<std::size_t>(count), 0.0);
  std::vector<double> value(static_cast<std::size_t>(count)), error(value.size()), lo(static_cast<std::size_t>(p_lower_.size())), hi(lo.size());
  std::vector<std::int32_t> owner(value.size());
  d.download(lo.data(), p_lower_.data(), p_lower_.size());
  d.download(hi.data(), p_upper_.data(), p_upper_.size());
  d.download(owner.data(), box, count);
  for (std::int64_t j = 0; j < n; ++j) {
    const Sum sum = new_sum(d, count);
    const bool constant = j == directions_;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!rows[k]) continue;
      const double* w = (constant ? anchor_.data() : direction_.data() + j * inputs_) + network.input_offset(k);
      add_product(d, rows[k].a.data(), count, rows[k].width, w, constant ? inputs_ : directions_ * inputs_, box, share, sum.value.data(), sum.error.data());
    }
    d.download(value.data(), sum.value.data(), count);
    d.download(error.data(), sum.error.data(), count);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto at = static_cast<std::size_t>(owner[static_cast<std::size_t>(r)] * directions_ + j), row = static_cast<std::size_t>(r);
      const double most = constant ? 1.0 : std::max(std::fabs(lo[at]), std::fabs(hi[at]));
      planes.coefficient[static_cast<std::size_t>(r * n + j)] = value[row];
      planes.error[row] = next_up(planes.error[row] + next_up((error[row] + 1e-300) * most * (1 + 1e-9)));
    }
  }
  return planes;
}

template class InputRegion<float>;
template class InputRegion<double>;

}  // namespace boundlight::BL_NS
