#include "boundlight/bounds/engines/forward_pass.hpp"

#include <algorithm>
#include <cmath>

namespace boundlight::BL_NS {
namespace {

Buffer<double> to_device(Device& d, const std::vector<double>& from) {
  if (from.empty()) return {};
  auto made = d.buffer<double>(static_cast<std::int64_t>(from.size()));
  d.upload(made.data(), from.data(), made.size());
  return made;
}

// The region in coordinates, for functors.
struct CoordinateBox {
  std::int64_t count;  // without the constant
  const double *lower, *upper, *centre, *scale;  // centre null: no ball
  bool l2;
};

// One row of coefficients, `step` apart.
template <class T>
struct PlaneRow {
  const T* at;
  std::int64_t step;
  double sign;
  BL_HD double operator()(std::int64_t k) const { return sign * static_cast<double>(at[k * step]); }
};

// min over the region of sum_i a(i) x_i + a(count), outward, for one row of coefficients read by `a`; error bounds what the
// coefficients themselves may be off, times the coordinates.
template <class Read>
BL_HD double least(const CoordinateBox& c, std::int64_t b, Read a, double share) {
  double sum = 0, size = 0, ball = 0, ball_size = 0, norm = 0;
  for (std::int64_t i = 0; i < c.count; ++i) {
    const double x = a(i);
    const double p = x * (x >= 0 ? c.lower[b * c.count + i] : c.upper[b * c.count + i]);
    sum += p;
    size += fabs(p);
    if (!c.centre) continue;
    const double q = x * c.centre[b * c.count + i], s = fabs(x * c.scale[b * c.count + i]);
    ball += q;
    ball_size += fabs(q);
    if (c.l2) norm += s * s;
    else if (!(s <= norm)) norm = s;
  }
  const double last = a(c.count);
  double best = sum + last - share * (size + fabs(last));
  if (c.centre) {
    const double length = c.l2 ? sqrt(norm) : norm;
    const double other = ball + last - length - share * (ball_size + fabs(last) + 2 * length) - 1e-150;
    if (other > best || !(best == best)) best = other;
  }
  return best - fabs(best) * 1e-15 - 1e-290;
}

template <class T>
void concretise_planes(Device& d, CoordinateBox c, std::int64_t batch, std::int64_t size, PlaneView<T> planes, bool charged, T* lower, T* upper) {
  const std::int64_t n = c.count + 1;
  const double share = charged ? gamma_up<double>(n + 6) : 0.0;
  const T *low = planes.lower, *high = planes.upper_or_lower(), *error = planes.error;
  d.map(batch * size, [=] BL_HD(std::int64_t i) {
    const std::int64_t b = i / size, e = i % size;
    const double off = static_cast<double>(error[i]) * (1 + 1e-15);
    const double lo = least(c, b, PlaneRow<T>{low + b * n * size + e, size, 1.0}, share) - off;
    const double hi = -(least(c, b, PlaneRow<T>{high + b * n * size + e, size, -1.0}, share) - off);
    const bool good = lo - lo == 0 && hi - hi == 0;
    lower[i] = good ? round_down_to<T>(charged ? next_down(lo) : lo) : -std::numeric_limits<T>::infinity();
    upper[i] = good ? round_up_to<T>(charged ? next_up(hi) : hi) : std::numeric_limits<T>::infinity();
  });
}

}  // namespace

template <class T>
ForwardPass<T>::ForwardPass(const Model<T>& model, const Regions& regions, const BoundOptions& options, const ValueBoxes* known, BuildReport& report)
    : model_(model), network_(model.network()), d_(model.device()), regions_(regions), options_(options), settings_(settings_of(options)), report_(report),
      planes_(network_.values.size()), known_(known) {
  const bool edits = regions.directions > 0;
  coordinates_ = edits ? regions.directions : network_.input_size();
  const auto& lower = edits ? regions.p_lower : regions.lower;
  const auto& upper = edits ? regions.p_upper : regions.upper;
  lower_ = to_device(d_, lower);
  upper_ = to_device(d_, upper);
  std::vector<double> magnitude;
  for (std::int64_t b = 0; b < regions.batch; ++b) {
    for (std::int64_t i = 0; i < coordinates_; ++i) {
      const auto at = static_cast<std::size_t>(b * coordinates_ + i);
      magnitude.push_back(std::max(std::fabs(lower[at]), std::fabs(upper[at])));
    }
    magnitude.push_back(1);
  }
  magnitude_ = to_device(d_, magnitude);
  if (!edits && regions.norm != Regions::Norm::linf) {
    centre_ = to_device(d_, regions.centre);
    scale_ = to_device(d_, regions.scale);
  }
}

// Planes of the inputs: x itself, or anchor + sum direction p with every coefficient rounded to T and charged for it.
template <class T>
void ForwardPass<T>::start_from_inputs() {
  const std::int64_t n = coordinates_ + 1, inputs = network_.input_size();
  for (std::size_t k = 0; k < network_.inputs.size(); ++k) {
    const auto v = static_cast<std::size_t>(network_.inputs[k]);
    const std::int64_t size = network_.values[v].size, first = network_.input_offset(k);
    std::vector<T> plane(static_cast<std::size_t>(regions_.batch * n * size), T(0)), error(static_cast<std::size_t>(regions_.batch * size), T(0));
    for (std::int64_t b = 0; b < regions_.batch; ++b)
      for (std::int64_t e = 0; e < size; ++e) {
        if (regions_.directions == 0) {
          plane[static_cast<std::size_t>((b * n + first + e) * size + e)] = T(1);
          continue;
        }
        double lost = 0;
        for (std::int64_t j = 0; j < n; ++j) {
          const double exact = j == coordinates_ ? regions_.anchor[static_cast<std::size_t>(b * inputs + first + e)]
                                                 : regions_.direction[static_cast<std::size_t>((b * coordinates_ + j) * inputs + first + e)];
          const double most = j == coordinates_ ? 1.0
                                                : std::max(std::fabs(regions_.p_lower[static_cast<std::size_t>(b * coordinates_ + j)]),
                                                           std::fabs(regions_.p_upper[static_cast<std::size_t>(b * coordinates_ + j)]));
          const T stored = static_cast<T>(exact);
          plane[static_cast<std::size_t>((b * n + j) * size + e)] = stored;
          lost = next_up(lost + next_up(next_up(std::fabs(exact - static_cast<double>(stored))) * most));
        }
        if (settings_.charges(Charge::conversion)) error[static_cast<std::size_t>(b * size + e)] = round_up_to<T>(lost);
      }
    planes_[v].lower = d_.template buffer<T>(static_cast<std::int64_t>(plane.size()));
    planes_[v].error = d_.template buffer<T>(static_cast<std::int64_t>(error.size()));
    d_.upload(planes_[v].lower.data(), plane.data(), planes_[v].lower.size());
    d_.upload(planes_[v].error.data(), error.data(), planes_[v].error.size());
  }
}

// Constant planes: all that is known is the box.
template <class T>
void ForwardPass<T>::start_from_box(ValueId value) {
  const auto v = static_cast<std::size_t>(value);
  const std::int64_t size = network_.values[v].size, n = coordinates_ + 1, batch = regions_.batch, last = coordinates_;
  PlaneArrays<T> made{d_.template buffer<T>(batch * n * size), d_.template buffer<T>(batch * n * size), d_.template buffer<T>(batch * size)};
  T *lower = made.lower.data(), *upper = made.upper.data();
  const T *l = boxes_.lower[v].data(), *u = boxes_.upper[v].data();
  d_.map_rows(batch * n, size, [=] BL_HD(std::int64_t r, std::int64_t e) {
    const bool constant = r % n == last;
    lower[r * size + e] = constant ? l[r / n * size + e] : T(0);
    upper[r * size + e] = constant ? u[r / n * size + e] : T(0);
  });
  d_.fill(made.error.data(), T(0), batch * size);
  planes_[v] = std::move(made);
}

template <class T>
void ForwardPass<T>::concretise(ValueId value) {
  const auto v = static_cast<std::size_t>(value);
  const std::int64_t n = regions_.batch * network_.values[v].size;
  auto lower = d_.template buffer<T>(n), upper = d_.template buffer<T>(n);
  const CoordinateBox c{coordinates_, lower_.data(), upper_.data(), centre_.data(), scale_.data(), regions_.norm == Regions::Norm::l2};
  concretise_planes(d_, c, regions_.batch, network_.values[v].size, planes_[v].view(), settings_.charges(Charge::concretise), lower.data(), upper.data());
  intersect_boxes(d_, boxes_.lower[v].data(), boxes_.upper[v].data(), lower.data(), upper.data(), n);
}

template <class T>
bool ForwardPass<T>::carry(int index) {
  const Node& node = network_.nodes[static_cast<std::size_t>(index)].node;
  const auto in = model_.in_boxes(index, boxes_), out = model_.out_boxes(index, boxes_);
  const auto relaxation = model_.kernel(index).relax(d_, in.data(), out.data(), regions_.batch, settings_, options_.slopes);
  if (!relaxation) return false;
  std::vector<PlaneView<T>> from;
  for (const ValueId id : node.inputs) from.push_back(id == kAbsent || !planes_[static_cast<std::size_t>(id)].lower ? PlaneView<T>{} : planes_[static_cast<std::size_t>(id)].view());
  std::vector<PlaneArrays<T>> made(node.outputs.size());
  if (!relaxation->carry(d_, regions_.batch, {coordinates_ + 1, magnitude_.data()}, from.data(), made.data())) return false;
  for (std::size_t s = 0; s < made.size(); ++s)
    if (node.outputs[s] != kAbsent) planes_[static_cast<std::size_t>(node.outputs[s])] = std::move(made[s]);
  return true;
}

template <class T>
void ForwardPass<T>::run(const std::vector<ValueId>& values) {
  const auto needed = ancestors(network_, values);
  boxes_ = model_.input_boxes(regions_.lower.data(), regions_.upper.data(), regions_.batch);
  for (const ValueId id : network_.inputs) meet_known(d_, network_, known_, id, boxes_);
  start_from_inputs();
  std::vector<int> last_use(network_.values.size(), -1);
  for (std::size_t i = 0; i < needed.size(); ++i)
    if (needed[i])
      for (const ValueId id : network_.nodes[i].node.inputs)
        if (id != kAbsent) last_use[static_cast<std::size_t>(id)] = static_cast<int>(i);
  for (const ValueId v : values) last_use[static_cast<std::size_t>(v)] = static_cast<int>(needed.size());
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i]) continue;
    const int index = static_cast<int>(i);
    const Node& node = network_.nodes[i].node;
    model_.interval_node(index, boxes_, settings_);
    for (const ValueId id : node.outputs) meet_known(d_, network_, known_, id, boxes_);
    // After a stop, interval steps alone finish the pass.
    const bool stopped = options_.stop.stop_requested();
    report_.complete = report_.complete && !stopped;
    const bool carried = !stopped && carry(index);
    if (!carried && !stopped) ++report_.counters.concretised;
    for (const ValueId id : node.outputs) {
      if (id == kAbsent) continue;
      if (carried) concretise(id);
      else start_from_box(id);
    }
    for (const ValueId id : node.inputs)
      if (id != kAbsent && last_use[static_cast<std::size_t>(id)] == index) planes_[static_cast<std::size_t>(id)] = {};
  }
}

// A form over planes: coefficient i of  sum_j f_j (f_j >= 0 ? lower : upper)_j , in double, charged by gamma.
template <class T>
void ForwardPass<T>::bound(const Forms& forms, bool planes, BoundResult& result) {
  const auto v = static_cast<std::size_t>(forms.value);
  const std::int64_t size = network_.values[v].size, n = coordinates_ + 1, rows = forms.rows, batch = regions_.batch;
  const PlaneView<T> from = planes_[v].view();
  const Buffer<double> f = to_device(d_, forms.coefficient);
  const double *form = f.data(), *magnitude = magnitude_.data();
  const CoordinateBox c{coordinates_, lower_.data(), upper_.data(), centre_.data(), scale_.data(), regions_.norm == Regions::Norm::l2};
  const bool per_region = forms.per_region, sound = settings_.sound;
  const double share = sound ? gamma_up<double>(size + 4) : 0.0, sum_share = sound ? gamma_up<double>(n + 6) : 0.0;
  const Buffer<double> constants = to_device(d_, forms.constant);
  const double* constant = constants.data();
  for (const double sign : {1.0, -1.0}) {
    if (sign > 0 ? !forms.want_lower : !forms.want_upper) continue;
    auto coefficient = d_.template buffer<double>(batch * rows * n), error = d_.template buffer<double>(batch * rows * n), found = d_.template buffer<double>(batch * rows),
         paid = d_.template buffer<double>(batch * rows);
    d_.fill(coefficient.data(), 0.0, coefficient.size());
    d_.fill(error.data(), 0.0, error.size());
    double* const sums[2] = {coefficient.data(), error.data()};
    const T *low = from.lower, *high = from.upper_or_lower(), *off = from.error;
    d_.template sum_rows<2>(batch * rows * n, size, [=] BL_HD(std::int64_t row, std::int64_t j, Sums sum) {
      const std::int64_t i = row % n, b = row / (n * rows), r = row / n % rows;
      const double w = sign * form[((per_region ? b * rows : 0) + r) * size + j];
      if (w == 0) return;
      const double p = w * static_cast<double>((w >= 0 ? low : high)[(b * n + i) * size + j]);
      sum.add(0, p);
      sum.add(1, share * fabs(p) * magnitude[b * n + i]);
      if (i + 1 == n) sum.add(1, fabs(w) * static_cast<double>(off[b * size + j]));
    }, sums);
    double *a = coefficient.data(), *lost = error.data(), *bound = found.data(), *charge = paid.data();
    d_.map(batch * rows, [=] BL_HD(std::int64_t i) {
      const std::int64_t b = i / rows, r = i % rows;
      double total = 0;
      for (std::int64_t k = 0; k < n; ++k) total += lost[i * n + k];
      total *= 1 + 1e-9;
      const double add = constant ? sign * constant[(per_region ? b * rows : 0) + r] : 0.0;
      a[i * n + n - 1] += add;
      total += sum_share * (fabs(add) + fabs(a[i * n + n - 1]));
      const double at = least(c, b, PlaneRow<double>{a + i * n, 1, 1.0}, sum_share);
      bound[i] = sound ? next_down(at - total) : at;
      charge[i] = total;
    });
    std::vector<double> host(static_cast<std::size_t>(batch * rows)), charges(host.size());
    d_.download(host.data(), bound, batch * rows);
    d_.download(charges.data(), charge, batch * rows);
    auto& to = sign > 0 ? result.lower : result.upper;
    for (std::size_t i = 0; i < host.size(); ++i) {
      const double x = sign * host[i];
      if (!std::isfinite(x) || !(sign > 0 ? x > to[i] : x < to[i])) continue;
      to[i] = x;
      result.charge[i] = std::max(result.charge[i], charges[i]);
    }
    if (!planes || regions_.directions > 0) continue;
    std::vector<double> plane(static_cast<std::size_t>(batch * rows * n));
    d_.download(plane.data(), a, batch * rows * n);
    auto& stored = sign > 0 ? result.lower_plane : result.upper_plane;
    auto& offset = sign > 0 ? result.lower_offset : result.upper_offset;
    stored.clear();
    offset.clear();
    for (std::size_t i = 0; i < host.size(); ++i) {
      const auto at = i * static_cast<std::size_t>(n), end = at + static_cast<std::size_t>(n) - 1;
      for (std::size_t k = at; k < end; ++k) stored.push_back(sign * plane[k]);
      offset.push_back(sign * (sound ? next_down(plane[end] - next_up(charges[i])) : plane[end]));
    }
  }
}

template class ForwardPass<float>;
template class ForwardPass<double>;

}  // namespace boundlight::BL_NS
