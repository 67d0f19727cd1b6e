#include "boundlight/solver/bab/exact_search.hpp"

#include <algorithm>
#include <map>

#include "boundlight/solver/bab/exact_polytope.hpp"
#include "boundlight/solver/bab/falsify.hpp"

namespace boundlight::bab {
namespace {

using check::Form;
using check::Op;
using Values = std::vector<std::shared_ptr<const FormBlock>>;

// The pieces of the network over one box. Variables: t_i = L (x_i - lower_i) for the inputs that vary, L clearing the ends' denominators.
class PieceWalk {
 public:
  PieceWalk(const ExactNetwork& network, const Property& property, std::size_t box, std::vector<std::size_t> asked, const ExactLimits& limits, const StopToken& stop, ExactAnswer& answer)
      : network_(network), property_(property), box_(property.boxes[box]), asked_(std::move(asked)), limits_(limits), stop_(stop), answer_(answer), polytope_(variables()) {}

  // False: ended early.
  bool run() {
    if (polytope_.variables() > limits_.inputs) return ended("more than " + std::to_string(limits_.inputs) + " inputs vary, too many for the exact search");
    if (network_.cost() > limits_.cost / width_) return ended("the network is too large for the exact search");
    Values values(network_.model().tensors.size());
    auto input = std::make_shared<FormBlock>();
    std::size_t next = 0;
    for (std::size_t i = 0; i < box_.lower.size(); ++i) {
      for (std::size_t j = 0; j < width_; ++j) input->number.emplace_back(j == next && box_.lower[i] < box_.upper[i] ? 1 : 0);
      input->number.back() = whole(box_.lower[i]);
      if (width_ > 1 && box_.lower[i] < box_.upper[i]) ++next;
    }
    input_ = input;
    values[static_cast<std::size_t>(network_.model().input)] = std::move(input);
    return descend(0, 0, std::move(values), {});
  }

 private:
  bool ended(std::string why) {
    if (answer_.reason.empty()) answer_.reason = std::move(why);
    return false;
  }
  bool found() const { return answer_.input.has_value(); }

  std::vector<BigInt> variables() {
    for (const auto* ends : {&box_.lower, &box_.upper})
      for (const Rational& q : *ends) common_ = lcm(common_, BigInt(denominator(q)));
    std::vector<BigInt> widths;
    for (std::size_t i = 0; i < box_.lower.size(); ++i)
      if (box_.lower[i] < box_.upper[i]) widths.push_back(whole(box_.upper[i]) - whole(box_.lower[i]));
    width_ = widths.size() + 1;
    return widths;
  }
  BigInt whole(const Rational& q) const { return numerator(q) * (common_ / denominator(q)); }

  IntegerForm form_of(const FormBlock& block, std::size_t element) const {
    return {block.number.begin() + static_cast<std::ptrdiff_t>(element * width_), block.number.begin() + static_cast<std::ptrdiff_t>((element + 1) * width_)};
  }
  static IntegerForm negative(IntegerForm f) {
    for (BigInt& x : f) x = -x;
    return f;
  }
  bool positive_somewhere(const IntegerForm& f) const {
    if (!polytope_.may_be_positive(f)) return false;
    const auto most = polytope_.most(f);
    return most && most->value > 0;
  }

  // The rest of the network from element `element` of op `at`, whose elements before it are in `made`.
  bool descend(std::size_t at, std::size_t element, Values values, std::shared_ptr<FormBlock> made) {
    const check::Model& model = network_.model();
    for (; at < model.ops.size(); ++at, element = 0, made = nullptr) {
      const Op& op = model.ops[at];
      auto& to = values[static_cast<std::size_t>(op.output)];
      if (op.form == Form::affine) {
        to = std::make_shared<FormBlock>(network_.affine(op, values, width_, common_));
        continue;
      }
      const FormBlock& in = *values[static_cast<std::size_t>(op.input)];
      if (!made) {
        made = std::make_shared<FormBlock>();
        made->exponent = in.exponent;
      }
      const std::size_t size = model.tensors[static_cast<std::size_t>(op.output)].size;
      for (; element < size; ++element) {
        if (stop_.stop_requested()) return ended("stopped");
        if (limits_.programs > 0 && before_ + polytope_.solved() > limits_.programs) return ended("the exact search reached its limit of " + std::to_string(limits_.programs) + " linear programs");
        bool split = false;
        const bool whole_way = op.form == Form::relu ? relu(at, element, in, values, *made, split) : maximum(at, element, in, values, *made, split);
        if (split) return whole_way;
      }
      to = std::move(made);
    }
    ++answer_.pieces;
    return judge(values);
  }

  static void append(FormBlock& to, const IntegerForm& form) { to.number.insert(to.number.end(), form.begin(), form.end()); }

  // Goes on below with one piece of an element; the cut is in the polytope meanwhile.
  bool below(std::size_t at, std::size_t element, const Values& values, const FormBlock& made, const IntegerForm& chosen, const std::vector<IntegerForm>& cuts) {
    auto mine = std::make_shared<FormBlock>(made);
    append(*mine, chosen);
    for (const IntegerForm& c : cuts) polytope_.push(c);
    const bool all = descend(at, element + 1, values, std::move(mine));
    for (std::size_t i = 0; i < cuts.size(); ++i) polytope_.pop();
    return all;
  }

  bool relu(std::size_t at, std::size_t element, const FormBlock& in, const Values& values, FormBlock& made, bool& split) {
    const IntegerForm z = form_of(in, element), zero(width_, 0);
    const bool above = positive_somewhere(z);
    if (!above || !positive_somewhere(negative(z))) {
      append(made, above ? z : zero);
      return true;
    }
    split = true;
    return below(at, element, values, made, z, {z}) && (found() || below(at, element, values, made, zero, {negative(z)}));
  }

  bool maximum(std::size_t at, std::size_t element, const FormBlock& in, const Values& values, FormBlock& made, bool& split) {
    const Sparse& windows = network_.model().ops[at].parts[0].by_output;
    std::vector<IntegerForm> of;
    for (std::uint32_t k = windows.start[element]; k < windows.start[element + 1]; ++k) of.push_back(form_of(in, windows.index[k]));
    std::vector<std::size_t> winners;                  // that are strictly above those before them, and not below those after them, somewhere
    std::vector<std::vector<IntegerForm>> cuts;
    for (std::size_t k = 0; k < of.size(); ++k) {
      std::vector<IntegerForm> above;
      std::size_t pushed = 0;
      bool possible = true;
      for (std::size_t m = 0; m < of.size() && possible; ++m) {
        if (m == k) continue;
        IntegerForm over = of[k];
        for (std::size_t j = 0; j < width_; ++j) over[j] -= of[m][j];
        const bool zero = std::all_of(over.begin(), over.end(), [](const BigInt& x) { return x.is_zero(); });
        if (zero) possible = k < m;  // equal everywhere: the first stands for both
        if (zero) continue;
        const auto most = polytope_.most(over);
        possible = most && most->value >= 0;
        polytope_.push(over);
        ++pushed;
        above.push_back(std::move(over));
      }
      while (pushed-- > 0) polytope_.pop();
      if (!possible) continue;
      winners.push_back(k);
      cuts.push_back(std::move(above));
    }
    if (winners.size() == 1) {
      append(made, of[winners[0]]);
      return true;
    }
    split = true;
    bool all = !winners.empty();
    for (std::size_t i = 0; i < winners.size() && all && !found(); ++i) all = below(at, element, values, made, of[winners[i]], cuts[i]);
    return all;
  }

  // bound - a x - b y over one positive denominator.
  IntegerForm room(const LinearConstraint& c, const FormBlock& out) const {
    BigInt clear = denominator(c.bound);
    for (const auto* terms : {&c.inputs, &c.outputs})
      for (const LinearTerm& t : *terms) clear = lcm(clear, BigInt(denominator(t.coefficient)));
    const BigInt power = BigInt(1) << static_cast<unsigned>(out.exponent);
    IntegerForm g(width_, 0);
    g.back() = numerator(c.bound) * (clear / denominator(c.bound)) * common_ * power;
    for (const bool outputs : {false, true})
      for (const LinearTerm& t : outputs ? c.outputs : c.inputs) {
        const BigInt k = numerator(t.coefficient) * (clear / denominator(t.coefficient)) * (outputs ? BigInt(1) : power);
        const FormBlock& of = outputs ? out : *input_;
        for (std::size_t j = 0; j < width_; ++j) g[j] -= k * of.number[static_cast<std::size_t>(t.index) * width_ + j];
      }
    return g;
  }

  bool judge(const Values& values) {
    const FormBlock& out = *values[static_cast<std::size_t>(network_.model().output)];
    for (const std::size_t d : asked_) {
      const Disjunct& disjunct = property_.disjuncts[d];
      std::vector<IntegerForm> conditions;
      for (const LinearConstraint& c : disjunct.constraints) conditions.push_back(room(c, out));
      for (const IntegerForm& g : conditions) polytope_.push(g);
      violated_part(d, conditions);
      for (std::size_t i = 0; i < conditions.size(); ++i) polytope_.pop();
      if (found()) return true;
    }
    return true;
  }

  // The polytope is where the closed conditions hold. Strict ones hold together at the mean of points where each holds.
  void violated_part(std::size_t d, const std::vector<IntegerForm>& conditions) {
    std::vector<IntegerForm> goals = conditions;
    for (std::size_t j = 0; j + 1 < width_; ++j)
      for (const int sign : {1, -1}) {
        IntegerForm side(width_, 0);
        side[j] = sign;
        goals.push_back(std::move(side));
      }
    std::vector<std::vector<Rational>> points;
    if (goals.empty()) goals.push_back(IntegerForm(width_, 0));
    for (const IntegerForm& goal : goals) {
      const auto most = polytope_.most(goal);
      if (!most) return;
      points.push_back(input_at(most->point));
    }
    std::vector<Rational> mean(box_.lower.size(), 0);
    for (const auto& p : points)
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += p[i] / static_cast<long>(points.size());
    if (!violates(d, mean)) return;
    if (!answer_.disjunct) answer_.disjunct = d, answer_.point = mean;
    points.insert(points.begin(), mean);
    for (const auto& p : points) {
      std::vector<double> near;
      for (const Rational& q : p) near.push_back(q.convert_to<double>());
      for (const bool in_float : {true, false}) {
        const std::vector<double> x = in_float ? snapped(box_, near.data()) : inward(near);
        if (x.empty() || !violates(d, exactly(x))) continue;
        answer_.disjunct = d;
        answer_.input = x;
        return;
      }
    }
  }

  std::vector<Rational> input_at(const std::vector<Rational>& t) const {
    std::vector<Rational> x;
    std::size_t next = 0;
    for (std::size_t i = 0; i < box_.lower.size(); ++i) {
      x.push_back(box_.lower[i]);
      if (box_.lower[i] < box_.upper[i]) x.back() += t[next++] / common_;
    }
    return x;
  }
  std::vector<double> inward(std::vector<double> x) const {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!(box_.lower_inward[i] <= box_.upper_inward[i])) return {};
      x[i] = std::clamp(x[i], box_.lower_inward[i], box_.upper_inward[i]);
    }
    return x;
  }
  static std::vector<Rational> exactly(const std::vector<double>& x) {
    std::vector<Rational> q;
    for (const double v : x) q.push_back(exact(v));
    return q;
  }
  bool violates(std::size_t d, const std::vector<Rational>& x) const {
    if (!contains(box_, x)) return false;
    const std::vector<Rational> y = network_.at(x);
    const auto& all = property_.disjuncts[d].constraints;
    return std::all_of(all.begin(), all.end(), [&](const LinearConstraint& c) { return holds(c, x, y); });
  }

  const ExactNetwork& network_;
  const Property& property_;
  const InputBox& box_;
  const std::vector<std::size_t> asked_;
  const ExactLimits& limits_;
  const StopToken& stop_;
  ExactAnswer& answer_;
  BigInt common_ = 1;
  std::size_t width_ = 1;
  std::shared_ptr<const FormBlock> input_;
  ExactPolytope polytope_;
  std::int64_t before_ = answer_.programs;

 public:
  std::int64_t solved() const { return polytope_.solved(); }
};

}  // namespace

ExactAnswer decide_exactly(const ExactNetwork& network, const Property& property, const std::vector<std::size_t>& asked, const ExactLimits& limits, const StopToken& stop) {
  ExactAnswer answer;
  answer.complete = true;
  std::map<std::size_t, std::vector<std::size_t>> by_box;
  for (const std::size_t d : asked)
    if (!property.box_of(property.disjuncts[d]).empty) by_box[property.disjuncts[d].box].push_back(d);
  for (const auto& [box, disjuncts] : by_box) {
    PieceWalk walk(network, property, box, disjuncts, limits, stop, answer);
    answer.complete = walk.run() && answer.complete;
    answer.programs += walk.solved();
    if (answer.input) break;
  }
  if (answer.disjunct && !answer.input) {
    answer.reason = "the property is violated in exact arithmetic, but at no point of doubles that was found; for example at";
    for (std::size_t i = 0; i < answer.point.size() && i < 8; ++i) answer.reason += (i ? ", X_" : " X_") + std::to_string(i) + " = " + answer.point[i].str();
  }
  return answer;
}

}  // namespace boundlight::bab
