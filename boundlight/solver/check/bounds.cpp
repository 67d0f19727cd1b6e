#include "boundlight/solver/check/bounds.hpp"

#include <algorithm>
#include <limits>

#include "boundlight/core/rounding.hpp"

namespace boundlight::check {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kEta = smallest_normal<double>;

}  // namespace

void believe(Model& model, const Certificate& certificate) {
  for (const TrustedBox& t : certificate.trusted) {
    const auto named = model.tensor_of.find(t.value < certificate.names.size() ? certificate.names[t.value] : "");
    const auto op = std::find_if(model.ops.begin(), model.ops.end(), [&](const Op& o) { return named != model.tensor_of.end() && o.output == named->second && !o.has_rule; });
    if (op == model.ops.end() || t.lower.size() != op->bias.size() || t.upper.size() != op->bias.size()) throw Refusal("trusted boxes", "only the output of an operator without a rule can be trusted, with a box of its size");
    for (std::size_t i = 0; i < op->bias.size(); ++i) {
      if (!(t.lower[i] <= t.upper[i] && std::isfinite(t.lower[i]) && std::isfinite(t.upper[i]))) throw Refusal("trusted boxes", "a box is empty or infinite");
      op->bias[i] = t.lower[i] / 2 + t.upper[i] / 2;
      op->bias_error[i] = std::max(sub_up(t.upper[i], op->bias[i]), sub_up(op->bias[i], t.lower[i]));
    }
  }
}

Propagation::Propagation(const Model& model, const Certificate& certificate) : model_(model), certificate_(certificate) {
  for (const Op& op : model.ops) {
    if (!op.has_rule && std::isfinite(op.bias_error[0])) trusted.push_back(op.place + ": there is no rule for it; the box of its output is believed");
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
  }
}

// Backward bounds of the chosen neurons of a tensor, into its box.
void Propagation::narrow(int tensor, const Plan& plan, const Choices& shared, Boxes& b) const {
  Box& box = b.of[tensor];
  std::vector<std::uint32_t> neurons = plan.step ? plan.step->listed : std::vector<std::uint32_t>{};
  for (std::uint32_t i = 0; !plan.step && i < box.lower.size(); ++i)
    if (plan.all || (box.lower[i] < 0 && box.upper[i] > 0)) neurons.push_back(i);
  std::vector<Choices> own;  // of single rows +e_i, then -e_i
  own.reserve(2 * neurons.size());
  std::vector<Row> rows;
  for (const bool lower : {true, false}) {
    const std::vector<SlopeSet>* each = !plan.step ? nullptr : lower ? &plan.step->each_lower : &plan.step->each_upper;
    need(!each || each->empty() || each->size() == neurons.size(), "slopes of single rows need one set per listed neuron", "bounds");
    for (std::size_t k = 0; k < neurons.size(); ++k) {
      need(neurons[k] < box.lower.size(), "a listed neuron does not exist", "bounds");
      Row& row = rows.emplace_back();
      row.terms.push_back({tensor, neurons[k], lower ? 1.0 : -1.0, 0.0});
      row.choices = each && !each->empty() ? &own.emplace_back(resolve((*each)[k], shared)) : &shared;
    }
  }
  const std::vector<LinearForm> forms = backward(b, rows);
  for (std::size_t k = 0; k < forms.size(); ++k) {
    const double bound = lowest(forms[k], b.of[model_.input]);
    const std::uint32_t i = neurons[k % neurons.size()];
    if (k < neurons.size() && bound > box.lower[i]) box.lower[i] = bound;
    if (k >= neurons.size() && -bound < box.upper[i]) box.upper[i] = -bound;
    b.empty = b.empty || box.lower[i] > box.upper[i];
  }
}

std::shared_ptr<const Boxes> Propagation::boxes(const Box& input, const Boxes* parent, const std::vector<Split>& splits, const Bounds* section) const {
  const std::size_t ops = model_.ops.size();
  auto result = std::make_shared<Boxes>();
  Boxes& b = *result;
  b.of.resize(model_.tensors.size());
  b.charge.resize(ops);
  b.tiny.resize(ops, 0);
  std::vector<Plan> plans(model_.tensors.size());
  const Choices shared = resolve(section ? section->slopes : SlopeSet{}, {});
  std::vector<bool> affine(model_.tensors.size(), false);
  for (const Op& op : model_.ops) {
    affine[op.output] = op.form == Form::affine;
    if (!section || section->mode != Bounds::Mode::backward || op.numbers == 0 || !affine[op.input]) continue;  // after an activation the interval loses little
    (op.form == Form::relu ? plans[op.input].undecided : plans[op.input].all) = true;
  }
  for (std::size_t k = 0; section && k < section->steps.size(); ++k) {
    const BackwardStep*& step = plans[tensor(section->steps[k].value)].step;
    need(!step, "a tensor has two steps", "bounds");
    step = &section->steps[k];
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
    if (const Plan& plan = plans[at]; !b.empty && (plan.undecided || plan.all || plan.step)) narrow(at, plan, shared, b);
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

}  // namespace boundlight::check
