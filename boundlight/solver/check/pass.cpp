// One backward pass: linear forms on any tensors are carried to the input, every rounding charged to their constants.
//
// Rows run backward with coefficients A on the current tensor z, whose box [l, u] is known; m = max(|l|, |u|). The stored
// A is taken as exact; what rounding lost is charged to the row's constant (any order of summation, Jeannerod and Rump
// 2013; gamma_n instead of n u covers fused multiply-adds):
//   affine z = W y + w    A' = fl(A W): gamma_k |A| (|W| m) + k eta |m|_1, k = most terms of a column; A w into the constant
//   activation            s z + t above or below z = f(y) on the box, s free, t computed outward for s: u |A s| m
//   joins, splits         fl(A + A'): u |A + A'| m
//   constants             per step an inner product: gamma_n of its |terms|; then a sum over steps
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <iterator>

#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {

namespace {

constexpr int P = 8;  // rows side by side
constexpr double kUnit = unit_roundoff<double>, kLeastNormal = smallest_normal<double>;

struct Panel {
  std::vector<double> at;
  bool set = false;
};
thread_local std::vector<Panel> scratch;  // kept between passes: touching fresh memory costs more than the sums

class Pass {
 public:
  Pass(const Model& model, const Boxes& boxes, const Row* rows, int lanes) : model_(model), boxes_(boxes), rows_(rows), lanes_(lanes), panels_(scratch) {
    panels_.resize(model.tensors.size());
    for (Panel& p : panels_) p.set = false;
  }

  void run(std::vector<LinearForm>& out) {
    for (int r = 0; r < lanes_; ++r) {
      operations_ += static_cast<std::int64_t>(rows_[r].terms.size() + (rows_[r].splits ? rows_[r].splits->size() : 0));
      for (const auto& t : rows_[r].terms) {
        double& a = panel(t.tensor)[std::size_t{t.index} * P + r];
        a += t.value;
        error_[r] += (t.gap + kUnit * std::fabs(a)) * magnitude(boxes_.of[t.tensor], t.index);
      }
    }
    for (std::size_t i = model_.ops.size(); i-- > 0;) {
      const Op& op = model_.ops[i];
      multipliers(op.output);
      if (!panels_[op.output].set) continue;
      if (op.form == Form::affine) affine(op, i);
      else relax(op, i);
    }
    multipliers(model_.input);
    const std::vector<double>& x = panel(model_.input);
    for (int r = 0; r < lanes_; ++r) {
      LinearForm& form = out.emplace_back();
      for (std::size_t i = r; i < x.size(); i += P) form.a.push_back(x[i]);
      form.b = constant(r);
    }
  }

 private:
  struct Step { double sum[P]{}, size[P]{}, error[P]{}; };

  std::vector<double>& panel(int tensor) {
    Panel& p = panels_[tensor];
    if (!p.set) p.at.assign(model_.tensors[tensor].size * P, 0);
    p.set = true;
    return p.at;
  }

  // Inner products of n terms each, into the rows' constants.
  void take(const Step& step, std::int64_t n) {
    const double g = gamma_up<double>(n + 2);
    for (int r = 0; r < P; ++r) {
      sum_[r] += step.sum[r];
      size_[r] += step.size[r];
      error_[r] += step.error[r] + g * step.size[r] + static_cast<double>(n + 2) * kLeastNormal;
    }
    ++steps_;
    operations_ += n;
  }
  // The constant of a row, rounded down, with everything charged.
  double constant(int r) const {
    const double charge = (error_[r] + gamma_up<double>(steps_ + 2) * size_[r]) * inflation<double>(operations_ + 64);
    return sub_down(sum_[r], next_up(charge) + 8 * static_cast<double>(operations_ + 64) * kLeastNormal);
  }

  // z_s of sign + is >= 0 on the region, so row >= row - beta z_s; of sign -, row >= row + beta z_s.
  void multipliers(int tensor) {
    for (int r = 0; r < lanes_; ++r)
      for (std::size_t s = 0; rows_[r].splits && rows_[r].beta && s < std::min(rows_[r].splits->size(), rows_[r].beta->size()); ++s) {
        const Split& split = (*rows_[r].splits)[s];
        const double beta = (*rows_[r].beta)[s];
        if (split.tensor != tensor || beta == 0) continue;
        double& a = panel(tensor)[std::size_t{split.neuron} * P + r];
        a += split.positive ? -beta : beta;
        error_[r] += kUnit * std::fabs(a) * magnitude(boxes_.of[tensor], split.neuron);
      }
  }

  void affine(const Op& op, std::size_t index) {
    const std::vector<double>& a = panels_[op.output].at;
    const std::vector<double>& charge = boxes_.charge[index];
    Step step;
    used_.clear();
    for (std::size_t o = 0; o < charge.size(); ++o) {
      const double* ao = &a[o * P];
      if (std::all_of(ao, ao + P, [](double x) { return x == 0; })) continue;  // NaN is not 0
      used_.push_back(static_cast<std::uint32_t>(o));
      const double w = op.bias[o], c = charge[o];
      for (int r = 0; r < P; ++r) {
        const double term = ao[r] * w;
        step.sum[r] += term;
        step.size[r] += std::fabs(term);
        step.error[r] += std::fabs(ao[r]) * c;
      }
    }
    for (int r = 0; r < P; ++r) step.error[r] += boxes_.tiny[index];
    take(step, static_cast<std::int64_t>(charge.size()));
    for (const Part& part : op.parts) multiply(part, a);
  }

  void multiply(const Part& part, const std::vector<double>& a) {
    Panel& to = panels_[part.input];
    const std::size_t n = model_.tensors[part.input].size;
    const bool join = to.set;
    std::vector<double>& out = join ? joining_ : to.at;
    const Sparse& w = part.by_output;
    std::size_t touched = 0;
    for (const std::uint32_t o : used_) touched += w.start[o + 1] - w.start[o];
    if (touched * 3 < w.index.size()) {
      out.assign(n * P, 0);
      scatter_eight(w, used_, a.data(), out.data());
    } else {
      out.resize(n * P);
      gather_eight(part.by_input, a.data(), out.data());
    }
    to.set = true;
    for (std::size_t i = 0; join && i < n * P; ++i) {
      to.at[i] += out[i];
      error_[i % P] += std::fabs(to.at[i]) * kUnit * magnitude(boxes_.of[part.input], i / P);
    }
    operations_ += static_cast<std::int64_t>(n);
  }

  // Through an activation: every lane takes the lower plane where its coefficient is positive, the upper one where not.
  void relax(const Op& op, std::size_t index) {
    const std::vector<double>& a = panels_[op.output].at;
    std::vector<double>& out = panel(op.input);
    const Box& box = boxes_.of[op.input];
    const Sparse* windows = op.form == Form::max_pool ? &op.parts[0].by_output : nullptr;
    const bool splits = !windows && signs(op.input);
    const std::vector<double>* choice[P]{};
    for (int r = 0; r < lanes_; ++r) choice[r] = rows_[r].choices ? (*rows_[r].choices)[index].get() : nullptr;
    Step step;
    for (std::size_t o = 0; o * P < a.size(); ++o) {
      int made = -1;  // the lane whose plane is at hand
      for (int r = 0; r < lanes_; ++r) {
        const double ao = a[o * P + r];
        if (ao == 0) continue;
        const int sign = splits ? sign_[o * P + r] : 0;
        if (made < 0 || choice[r] != choice[made] || (splits && sign != sign_[o * P + made]))
          plane_of(op, o, box, choice[r] ? &(*choice[r])[o * op.numbers] : nullptr, sign, plane_);
        made = r;
        const std::vector<double>& slopes = ao >= 0 ? plane_.lower : plane_.upper;
        for (std::size_t k = 0; k < slopes.size(); ++k) {
          if (slopes[k] == 0) continue;
          const std::size_t at = windows ? windows->index[windows->start[o] + k] : o;
          const double p = ao * slopes[k];
          out[at * P + r] += p;
          step.error[r] += (2 * kUnit * (std::fabs(p) + std::fabs(out[at * P + r])) + kLeastNormal) * magnitude(box, at);
        }
        const double term = ao * (ao >= 0 ? plane_.lower_shift : plane_.upper_shift);
        step.sum[r] += term;
        step.size[r] += std::fabs(term);
      }
    }
    take(step, static_cast<std::int64_t>(a.size() / P * (windows ? op.numbers : 1)));
  }

  // sign_[i * P + r]: the sign that a split gives element i of the tensor in lane r, 0 where none does.
  bool signs(int tensor) {
    bool some = false;
    for (int r = 0; r < lanes_; ++r)
      for (std::size_t s = 0; rows_[r].splits && s < rows_[r].splits->size(); ++s) {
        const Split& split = (*rows_[r].splits)[s];
        if (split.tensor != tensor) continue;
        if (!some) sign_.assign(model_.tensors[tensor].size * P, 0);
        some = true;
        sign_[std::size_t{split.neuron} * P + r] = split.positive ? 1 : -1;
      }
    return some;
  }

  const Model& model_;
  const Boxes& boxes_;
  const Row* rows_;
  int lanes_;
  std::vector<Panel>& panels_;
  double sum_[P]{}, size_[P]{}, error_[P]{};  // per row: the constant, the magnitudes of its steps, the charges
  std::int64_t steps_ = 0, operations_ = 0;
  std::vector<double> joining_;
  std::vector<std::uint32_t> used_;
  std::vector<signed char> sign_;
  Plane plane_;
};

}  // namespace

std::vector<LinearForm> Propagation::backward(const Boxes& boxes, const std::vector<Row>& rows) const {
  const std::size_t panels = (rows.size() + P - 1) / P;
  std::vector<std::vector<LinearForm>> parts(panels);
  const auto one = [&](std::size_t p) { Pass(model_, boxes, rows.data() + p * P, static_cast<int>(std::min<std::size_t>(P, rows.size() - p * P))).run(parts[p]); };
  if (panels == 1) one(0);
  else tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, panels, one); });
  std::vector<LinearForm> all;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}

double lowest(const LinearForm& f, const Box& box) {
  double sum = 0, size = 0;
  for (std::size_t i = 0; i < f.a.size(); ++i) {
    const double term = f.a[i] == 0 ? 0 : f.a[i] * (f.a[i] > 0 ? box.lower[i] : box.upper[i]);  // NaN stays one
    sum += term;
    size += std::fabs(term);
  }
  const std::int64_t terms = static_cast<std::int64_t>(f.a.size()) + 2;
  return add_down(f.b, sub_down(sum, next_up(gamma_up<double>(terms) * size * inflation<double>(terms) + static_cast<double>(terms) * kLeastNormal)));
}

}  // namespace boundlight::check
