#include "boundlight/solver/check/bounds.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <limits>

#include "boundlight/solver/check/pass.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BL_CHECK_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BL_CHECK_CLONES
#endif

namespace boundlight::check {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kEta = smallest_normal<double>;
using Eight [[gnu::vector_size(64), gnu::aligned(8), gnu::may_alias]] = double;

}  // namespace

BL_CHECK_CLONES void gather_eight(const Sparse& columns, const double* a, double* out) {
  const std::uint32_t *start = columns.start.data(), *index = columns.index.data();
  const double* value = columns.value.data();
  for (std::size_t j = 0; j + 1 < columns.start.size(); ++j) {
    Eight s0{}, s1{}, s2{}, s3{};  // four chains hide the latency of an addition
    std::uint32_t k = start[j];
    const std::uint32_t end = start[j + 1];
    for (; k + 4 <= end; k += 4) {
      s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
      s1 += value[k + 1] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 1]});
      s2 += value[k + 2] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 2]});
      s3 += value[k + 3] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k + 3]});
    }
    for (; k < end; ++k) s0 += value[k] * *reinterpret_cast<const Eight*>(a + 8 * std::size_t{index[k]});
    *reinterpret_cast<Eight*>(out + 8 * j) = (s0 + s1) + (s2 + s3);
  }
}

BL_CHECK_CLONES void scatter_eight(const Sparse& rows, const std::vector<std::uint32_t>& listed, const double* a, double* out) {
  const std::uint32_t* index = rows.index.data();
  const double* value = rows.value.data();
  for (const std::uint32_t o : listed) {
    const Eight ao = *reinterpret_cast<const Eight*>(a + 8 * std::size_t{o});
    for (std::uint32_t k = rows.start[o]; k < rows.start[o + 1]; ++k) *reinterpret_cast<Eight*>(out + 8 * std::size_t{index[k]}) += value[k] * ao;
  }
}

Propagation::Propagation(const Model& model, const Certificate& certificate) : model_(model), certificate_(certificate), believed_(model.tensors.size()) {
  for (const TrustedBox& t : certificate.trusted) {
    const int at = tensor(t.value);
    if (t.lower.size() != model.tensors[at].size || t.upper.size() != t.lower.size()) throw Refusal("trusted boxes", "a box has the wrong size");
    believed_[at] = {t.lower, t.upper};
  }
  for (const Op& op : model.ops) {
    const bool believed = !believed_[op.output].lower.empty();
    if (believed && op.form != Form::opaque) throw Refusal("trusted boxes", "only the output of an operator without a rule can be trusted");
    if (believed) trusted.push_back(op.place + ": there is no rule for it; the box of its output is believed");
    else if (certificate.semantics == Semantics::float32_any_order && !op.has_float_rule) trusted.push_back(op.place + ": nothing is stated about its float32 evaluation; taken as exact");
  }
}

int Propagation::tensor(std::uint32_t name, std::uint32_t neuron) const {
  const std::string text = name < certificate_.names.size() ? certificate_.names[name] : "";
  const auto found = model_.tensor_of.find(text);
  if (found == model_.tensor_of.end() || neuron >= model_.tensors[found->second].size) throw Refusal("", "the model has no element " + std::to_string(neuron) + " of a value '" + text + "'");
  return found->second;
}

Choices Propagation::resolve(const SlopeSet& set, const Choices& base) const {
  Choices choices = base;
  choices.resize(model_.ops.size());
  for (const Slopes& s : set) {
    const std::string name = s.value < certificate_.names.size() ? certificate_.names[s.value] : "";
    const auto found = model_.op_of.find(name);
    if (found == model_.op_of.end()) throw Refusal("slopes", "the model has no activation with output '" + name + "'");
    const Op& op = model_.ops[found->second];
    const std::size_t n = model_.tensors[op.output].size, per = op.numbers;
    if (s.numbers.size() != (s.neurons.empty() ? n : s.neurons.size()) * per) throw Refusal("slopes", "'" + name + "' needs another number of slopes");
    const auto& old = choices[found->second];
    auto table = old ? std::make_shared<std::vector<double>>(*old) : std::make_shared<std::vector<double>>(n * per, std::nan(""));
    for (std::size_t k = 0; k < s.numbers.size(); ++k) {
      const std::size_t neuron = s.neurons.empty() ? k / per : s.neurons[k / per];
      if (neuron >= n || (s.width == 1 && s.numbers[k] > 255)) throw Refusal("slopes", "'" + name + "' has no such neuron, or a slope is above 1");
      (*table)[neuron * per + k % per] = op.slope_unit * slope_of(s.numbers[k], s.width);
    }
    choices[found->second] = std::move(table);
  }
  return choices;
}

void Propagation::forward_affine(const Op& op, std::size_t index, Boxes& b) const {
  Box& box = b.of[op.output];
  const std::size_t n = box.lower.size();
  b.charge[index].resize(n);
  b.open[index].resize(n);
  std::uint32_t longest = 0;
  double sum_m = 0;
  for (const Part& p : op.parts) {
    longest = std::max(longest, p.longest_column);
    for (std::size_t j = 0; j < b.of[p.input].lower.size(); ++j) sum_m += magnitude(b.of[p.input], j);
  }
  b.tiny[index] = 2 * (sum_m + 1) * (longest + 1) * kEta;
  const double column_gamma = gamma_up<double>(longest + 1);
  const bool deployed = certificate_.semantics == Semantics::float32_any_order && op.float_extra >= 0 && op.has_float_rule;
  for (std::size_t o = 0; o < n; ++o) {
    double lo = op.bias[o], hi = op.bias[o], v = 0;  // v = |W| m
    std::int64_t terms = 0;
    for (const Part& p : op.parts) {
      const Box& in = b.of[p.input];
      const std::uint32_t end = p.by_output.start[o + 1];
      terms += end - p.by_output.start[o];
      for (std::uint32_t k = p.by_output.start[o]; k < end; ++k) {
        const double w = p.by_output.value[k], l = in.lower[p.by_output.index[k]], u = in.upper[p.by_output.index[k]];
        lo += w * (w >= 0 ? l : u);
        hi += w * (w >= 0 ? u : l);
        v += std::fabs(w) * std::max(std::fabs(l), std::fabs(u));  // NaN where 0 meets infinity: the bound is lost
      }
    }
    const double more = inflation<double>(terms + 16), all = v + std::fabs(op.bias[o]);
    double own = op.relative * v + op.bias_error[o];  // what the form itself leaves open
    if (deployed) {
      const double g = gamma_up<float>(terms + op.float_extra);
      const bool overflows = !(all * (1 + g) * more < std::numeric_limits<float>::max());
      own += overflows ? kInfinity : g * all + static_cast<double>(terms + op.float_extra + 1) * smallest_normal<float>;
    }
    const double error = (gamma_up<double>(terms + 2) * all + own + static_cast<double>(terms + 2) * kEta) * more;
    if (const double l = sub_down(lo, error), u = add_up(hi, error); l <= u) box.lower[o] = l, box.upper[o] = u;  // not NaN
    b.charge[index][o] = (column_gamma * v + own) * more;
    b.open[index][o] = own * more;
  }
}

// Backward bounds of the chosen neurons of a tensor; step.value is the tensor.
void Propagation::narrow(const BackwardStep& step, Boxes& b) const {
  Box& box = b.of[step.value];
  const bool listed = step.rows == BackwardStep::Rows::listed;
  std::vector<std::uint32_t> neurons = listed ? step.listed : std::vector<std::uint32_t>{};
  for (std::uint32_t i = 0; !listed && i < box.lower.size(); ++i)
    if (step.rows == BackwardStep::Rows::all || (box.lower[i] < 0 && box.upper[i] > 0)) neurons.push_back(i);
  std::vector<Choices> choices[2];  // of +e_i and -e_i: one for all, or one per neuron
  std::vector<Row<double>> rows;
  for (int side = 0; side < 2; ++side) {
    const std::vector<SlopeSet>& each = side == 0 ? step.each_lower : step.each_upper;
    const Choices shared = resolve(side == 0 ? step.lower : step.upper, {});
    if (!each.empty() && (!listed || each.size() != neurons.size())) throw Refusal("bounds", "slopes of single rows need one set per listed neuron");
    for (const SlopeSet& set : each) choices[side].push_back(resolve(set, shared));
    if (each.empty()) choices[side].push_back(shared);
    for (std::size_t k = 0; k < neurons.size(); ++k) {
      if (neurons[k] >= box.lower.size()) throw Refusal("bounds", "a listed neuron does not exist");
      Row<double>& row = rows.emplace_back();
      row.terms.push_back({static_cast<int>(step.value), neurons[k], side == 0 ? 1.0 : -1.0, 0.0});
      row.choices = &choices[side][each.empty() ? 0 : k];
    }
  }
  const std::vector<LinearForm<double>> forms = backward(b, rows);
  for (std::size_t k = 0; k < forms.size(); ++k) {
    const double bound = lowest(forms[k], b.of[model_.input], {});
    const std::uint32_t i = neurons[k % neurons.size()];
    if (k < neurons.size() && bound > box.lower[i]) box.lower[i] = bound;
    if (k >= neurons.size() && -bound < box.upper[i]) box.upper[i] = -bound;
    b.empty = b.empty || box.lower[i] > box.upper[i];
  }
}

std::shared_ptr<const Boxes> Propagation::boxes(const Box& input, const Boxes* parent, const std::vector<Split>& splits, const Bounds* section) const {
  const std::size_t ops = model_.ops.size(), tensors = model_.tensors.size();
  auto result = std::make_shared<Boxes>();
  Boxes& b = *result;
  b.of.resize(tensors);
  b.charge.resize(ops);
  b.open.resize(ops);
  b.tiny.resize(ops, 0);
  std::vector<BackwardStep> steps(tensors);  // by tensor; value: the tensor where there is a step, else kNone
  constexpr std::uint32_t kNone = UINT32_MAX;
  for (BackwardStep& s : steps) s.value = kNone;
  for (const Op& op : model_.ops) {
    if (!section || section->mode != Bounds::Mode::backward || op.numbers == 0 || op.input == model_.input) continue;
    const auto makes = std::find_if(model_.ops.begin(), model_.ops.end(), [&](const Op& o) { return o.output == op.input; });
    if (makes->form != Form::affine) continue;  // after an activation the interval loses little
    BackwardStep& s = steps[op.input];
    s.rows = op.form == Form::relu && (s.value == kNone || s.rows == BackwardStep::Rows::undecided) ? BackwardStep::Rows::undecided : BackwardStep::Rows::all;
    s.value = static_cast<std::uint32_t>(op.input);
    s.lower = s.upper = section->slopes;
  }
  for (std::size_t k = 0; section && section->mode == Bounds::Mode::steps && k < section->steps.size(); ++k) {
    const auto at = static_cast<std::uint32_t>(tensor(section->steps[k].value));
    if (steps[at].value != kNone) throw Refusal("bounds", "a tensor has two steps");
    steps[at] = section->steps[k];
    steps[at].value = at;
  }
  const auto finish = [&](int at) {  // a tensor whose interval is known
    Box& box = b.of[at];
    for (const Split& s : splits) {
      if (s.tensor != at) continue;
      if (s.positive) box.lower[s.neuron] = std::max(box.lower[s.neuron], 0.0);
      else box.upper[s.neuron] = std::min(box.upper[s.neuron], 0.0);
    }
    for (std::size_t i = 0; i < box.lower.size(); ++i) {
      if (parent) box.lower[i] = std::max(box.lower[i], parent->of[at].lower[i]), box.upper[i] = std::min(box.upper[i], parent->of[at].upper[i]);
      b.empty = b.empty || box.lower[i] > box.upper[i];
    }
    if (!b.empty && steps[at].value != kNone) narrow(steps[at], b);
  };
  b.of[model_.input] = input;
  finish(model_.input);
  for (std::size_t i = 0; i < ops && !b.empty; ++i) {
    const Op& op = model_.ops[i];
    b.of[op.output].lower.assign(model_.tensors[op.output].size, -kInfinity);
    b.of[op.output].upper.assign(model_.tensors[op.output].size, kInfinity);
    if (op.form == Form::affine) forward_affine(op, i, b);
    else forward(op, b);
    finish(op.output);
  }
  return result;
}

template <class T> std::vector<LinearForm<T>> Propagation::backward(const Boxes& boxes, const std::vector<Row<T>>& rows) const {
  const std::size_t panels = (rows.size() + kLanes<T> - 1) / kLanes<T>;
  std::vector<std::vector<LinearForm<T>>> parts(panels);
  const auto one = [&](std::size_t p) {
    const std::size_t first = p * kLanes<T>;
    Pass<T>(model_, boxes, rows.data() + first, static_cast<int>(std::min<std::size_t>(kLanes<T>, rows.size() - first))).run(parts[p]);
  };
  if (panels == 1) one(0);
  else tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, panels, one); });
  std::vector<LinearForm<T>> all;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}
template std::vector<LinearForm<double>> Propagation::backward(const Boxes&, const std::vector<Row<double>>&) const;
template std::vector<LinearForm<Rational>> Propagation::backward(const Boxes&, const std::vector<Row<Rational>>&) const;

double lowest(const LinearForm<double>& f, const Box& box, const Region&) {
  double sum = 0, size = 0;
  for (std::size_t i = 0; i < f.a.size(); ++i) {
    const double term = f.a[i] * (f.a[i] >= 0 ? box.lower[i] : box.upper[i]);
    sum += term;
    size += std::fabs(term);
  }
  const std::int64_t terms = static_cast<std::int64_t>(f.a.size()) + 2;
  const double error = gamma_up<double>(terms) * size * inflation<double>(terms) + static_cast<double>(terms) * kEta;
  return add_down(f.b, sub_down(sum, next_up(error)));
}

Rational lowest(const LinearForm<Rational>& f, const Box& box, const Region& region) {
  Rational sum = f.b;
  for (std::size_t i = 0; i < f.a.size(); ++i) {
    if (f.a[i] == 0) continue;
    const bool lower = f.a[i] > 0;
    const double end = lower ? box.lower[i] : box.upper[i];
    const bool original = !region.lower.empty() && end == (lower ? region.outward.lower[i] : region.outward.upper[i]);
    sum += f.a[i] * (original ? lower ? region.lower[i] : region.upper[i] : exactly<Rational>(end));
  }
  return sum;
}

}  // namespace boundlight::check
