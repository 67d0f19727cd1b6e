#include "boundlight/solver/check/check.hpp"

#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <set>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {
namespace {

struct Stopped {};

// One statement as the checker understands it: regions and constraints, and per member a box (of doubles).
struct Claim {
  Requirement requirement;
  std::vector<std::vector<Range>> members = {{}};
};

Box restricted(Box box, const std::vector<Range>& ranges) {
  for (const Range& r : ranges) {
    box.lower[r.dimension] = std::max(box.lower[r.dimension], r.lower);
    box.upper[r.dimension] = std::min(box.upper[r.dimension], r.upper);
  }
  return box;
}
bool is_empty(const Box& box) {
  for (std::size_t i = 0; i < box.lower.size(); ++i)
    if (!(box.lower[i] <= box.upper[i])) return true;
  return false;
}

// ---- one tree ----

template <class T>
class TreeChecker {
 public:
  TreeChecker(const Model& model, const Certificate& certificate, const Propagation& propagation, const Claim& claim, const Proof& proof, const StopToken& stop)
      : model_(model), certificate_(certificate), propagation_(propagation), claim_(claim), proof_(proof), stop_(stop),
        disjunct_(claim.requirement.disjuncts[proof.disjunct]), region_(claim.requirement.regions[disjunct_.region]) {}

  // `root`: boxes of the root's section if they are known already; they are left there.
  void run(std::shared_ptr<const Boxes>& root) {
    State state;
    state.box = std::make_shared<Box>(region_.outward);
    state.choices = std::make_shared<Choices>(propagation_.resolve({}, {}));
    if (!root) root = propagation_.boxes(*state.box, nullptr, {}, section(proof_.tree.nodes[0]));
    state.boxes = root;
    guarded(0, [&] { scope(state, true); });
    tasks_.wait();
    if (stopped_) throw Stopped{};
  }

  std::atomic<std::size_t> failed_node = SIZE_MAX;  // the first in preorder
  std::string failure;
  std::atomic<std::size_t> leaves = 0;
  double least_margin = std::numeric_limits<double>::infinity();

 private:
  struct State {
    std::int32_t node = 0;
    std::shared_ptr<const Box> box;
    std::shared_ptr<const Boxes> boxes;
    std::shared_ptr<const Choices> choices;
    std::vector<Split> path;
  };

  const Bounds* section(const Node& n) const {
    if (n.bounds > certificate_.bounds.size()) throw Refusal("", "refers to a bounds section that is not there");
    return n.bounds == 0 ? nullptr : &certificate_.bounds[n.bounds - 1];
  }
  void fail(std::size_t node, const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (node >= failed_node) return;
    failed_node = node;
    failure = why;
  }
  void guarded(std::size_t node, const auto& work) {
    try {
      if (stop_.stop_requested()) stopped_ = true;
      if (!stopped_ && node <= failed_node) work();
    } catch (const Refusal& r) {
      fail(node, r.place.empty() ? r.what() : r.place + ": " + r.what());
    }
  }

  // Walks the part of the tree that shares one set of boxes; nodes with a section of their own become tasks.
  void scope(const State& start, bool fresh) {
    std::vector<State> open = {start}, waiting;
    if (!fresh) open[0].boxes = propagation_.boxes(*start.box, start.boxes.get(), start.path, section(proof_.tree.nodes[start.node]));
    if (open[0].boxes->empty) return;  // nothing to show below
    while (!open.empty()) {
      State s = std::move(open.back());
      open.pop_back();
      const Node& n = proof_.tree.nodes[s.node];
      if (s.node != start.node && n.bounds != 0) {
        tasks_.run([this, s] { guarded(s.node, [&] { scope(s, false); }); });
        continue;
      }
      guarded(s.node, [&] { visit(n, s, open, waiting); });
      if (waiting.size() >= 512) close(waiting);
    }
    close(waiting);
  }

  void visit(const Node& n, State& s, std::vector<State>& open, std::vector<State>& waiting) {
    if (is_empty(*s.box)) return;
    if (!n.slopes.empty()) s.choices = std::make_shared<Choices>(propagation_.resolve(n.slopes, *s.choices));
    const auto child = [&](std::int32_t node) -> State& {
      open.push_back(s);
      open.back().node = node;
      return open.back();
    };
    switch (n.kind) {
      case Node::Kind::leaf:
        ++leaves;
        waiting.push_back(s);
        break;
      case Node::Kind::relu_split: {
        const int tensor = propagation_.tensor(n.value, n.neuron);
        child(n.high).path.push_back({tensor, n.neuron, true});
        child(n.low).path.push_back({tensor, n.neuron, false});
        break;
      }
      case Node::Kind::input_split: {
        if (n.neuron >= s.box->lower.size() || !std::isfinite(n.at)) throw Refusal("", "splits an input that is not there, or at no number");
        child(n.high).box = std::make_shared<Box>(restricted(*s.box, {{n.neuron, n.at, std::numeric_limits<double>::infinity()}}));
        child(n.low).box = std::make_shared<Box>(restricted(*s.box, {{n.neuron, -std::numeric_limits<double>::infinity(), n.at}}));
        break;
      }
      case Node::Kind::clip:
        waiting.push_back(s);  // its cuts are judged with the leaves
        State& below = child(n.low);
        for (const Cut& c : n.cuts) {
          if (c.dimension >= s.box->lower.size() || !std::isfinite(c.at)) throw Refusal("", "cuts an input that is not there, or at no number");
          below.box = std::make_shared<Box>(kept(*below.box, c));
        }
    }
  }
  static Box kept(const Box& box, const Cut& c) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return restricted(box, {{c.dimension, c.above ? -kInfinity : c.at, c.above ? c.at : kInfinity}});
  }
  static Box removed(const Box& box, const Cut& c) { return kept(box, {c.dimension, !c.above, c.at}); }

  // The rows of leaves and clips that share their boxes, all at once.
  void close(std::vector<State>& waiting) {
    if (waiting.empty()) return;
    guarded(static_cast<std::size_t>(waiting[0].node), [&] {
      std::vector<Row<T>> rows;
      std::vector<State*> kept_states;
      for (State& s : waiting)
        guarded(s.node, [&] {
          rows.push_back(row(proof_.tree.nodes[s.node], s));
          kept_states.push_back(&s);
        });
      const std::vector<LinearForm<T>> forms = propagation_.backward(*waiting[0].boxes, rows);
      for (std::size_t k = 0; k < forms.size(); ++k) guarded(kept_states[k]->node, [&] { judge(*kept_states[k], forms[k]); });
    });
    waiting.clear();
  }

  // sum_i lambda_i (a_i . x + b_i . y)
  Row<T> row(const Node& n, const State& s) const {
    if (!n.lambda.empty() && n.lambda.size() != disjunct_.constraints.size()) throw Refusal("", "has not one multiplier per constraint");
    Row<T> r;
    for (std::size_t i = 0; i < n.lambda.size(); ++i) {
      const double lambda = n.lambda[i];
      if (!(lambda >= 0) || !std::isfinite(lambda)) throw Refusal("", "has a multiplier lambda that is negative or not a number");
      if (lambda == 0) continue;
      const auto add = [&](int tensor, const auto& terms) {
        for (const auto& [index, coefficient] : terms) {
          if constexpr (std::is_same_v<T, Rational>) {
            r.terms.push_back({tensor, index, coefficient * exact(lambda), 0});
          } else {
            const double down = round_down(coefficient), up = round_up(coefficient), value = lambda * down;
            const double gap = (lambda * (up - down) + std::fabs(value) * 0x1p-51) * (1 + 0x1p-40) + smallest_normal<double>;
            r.terms.push_back({tensor, index, value, down == up && std::fma(lambda, down, -value) == 0 && std::fabs(value) > 1e-200 ? 0 : gap});
          }
        }
      };
      add(model_.input, disjunct_.constraints[i].inputs);
      add(model_.output, disjunct_.constraints[i].outputs);
    }
    for (const float b : n.beta)
      if (!(b >= 0) || !std::isfinite(b)) throw Refusal("", "has a multiplier beta that is negative or not a number");
    if (n.beta.size() > s.path.size()) throw Refusal("", "has more multipliers beta than there are splits above it");
    r.choices = s.choices.get();
    r.splits = &s.path;
    r.beta = &n.beta;
    return r;
  }

  // sum_i lambda_i d_i of one member, rounded up; and whether reaching it is enough.
  T needed(const Node& n, std::size_t member, bool& strict) const {
    T sum(0);
    for (std::size_t i = 0; i < n.lambda.size(); ++i) {
      if (n.lambda[i] == 0) continue;
      const Constraint& c = disjunct_.constraints[i];
      strict = strict || c.strict;
      const Rational& bound = c.bounds[c.bounds.size() == 1 ? 0 : member];
      if constexpr (std::is_same_v<T, Rational>) sum += exact(n.lambda[i]) * bound;
      else sum = add_up(sum, mul_up(n.lambda[i], round_up(bound)));
    }
    return sum;
  }

  // Throws unless the form excludes every counterexample of every member in the box. Returns the margin.
  double excluded(const Node& n, const LinearForm<T>& form, const Box& box) const {
    double margin = std::numeric_limits<double>::infinity();
    for (std::size_t m = 0; m < claim_.members.size(); ++m) {
      const Box own = restricted(box, claim_.members[m]);
      if (is_empty(own)) continue;
      bool strict = false;
      const T need = needed(n, m, strict), have = lowest(form, own, region_);
      const double by = static_cast<double>(T(have - need));
      if (!(have > need || (strict && have >= need)))
        throw Refusal("", "the bound is not above the threshold" + (claim_.members.size() > 1 ? " of member " + std::to_string(m) : "") + ": it misses by " + std::to_string(-by));
      margin = std::min(margin, by);
    }
    return margin;
  }

  void judge(const State& s, const LinearForm<T>& form) {
    const Node& n = proof_.tree.nodes[s.node];
    double margin = std::numeric_limits<double>::infinity();
    if (n.kind == Node::Kind::leaf) margin = excluded(n, form, *s.box);
    Box box = *s.box;
    for (const Cut& c : n.cuts) {
      const Box slab = removed(box, c);
      if (n.kind == Node::Kind::clip && !is_empty(slab)) margin = std::min(margin, excluded(n, form, slab));
      box = kept(box, c);
    }
    const std::lock_guard lock(mutex_);
    least_margin = std::min(least_margin, margin);
  }

  const Model& model_;
  const Certificate& certificate_;
  const Propagation& propagation_;
  const Claim& claim_;
  const Proof& proof_;
  const StopToken& stop_;
  const Disjunct& disjunct_;
  const Region& region_;
  std::mutex mutex_;
  std::atomic<bool> stopped_ = false;
  tbb::task_group tasks_;
};

// ---- statements ----

void check_ranges(const std::vector<Range>& ranges, const Box& box, bool inside) {
  for (const Range& r : ranges) {
    if (r.dimension >= box.lower.size() || !std::isfinite(r.lower) || !std::isfinite(r.upper)) throw Refusal("", "a range has no such input or no finite ends");
    if (inside && (r.lower < box.lower[r.dimension] || r.upper > box.upper[r.dimension])) throw Refusal("", "a member is not inside of the statement's box");
  }
}

std::vector<std::pair<std::uint32_t, Rational>> terms_of(const std::vector<std::uint32_t>& indices, const std::vector<double>& coefficients) {
  if (indices.size() != coefficients.size()) throw Refusal("", "a constraint has not one coefficient per index");
  std::vector<std::pair<std::uint32_t, Rational>> terms;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (!std::isfinite(coefficients[i])) throw Refusal("", "a coefficient is not a finite number");
    terms.emplace_back(indices[i], exact(coefficients[i]));
  }
  return terms;
}

Claim inlined_claim(const Statement& s, const std::vector<Claim>& earlier, const Certificate& certificate, const Model& model) {
  Claim claim;
  Requirement& r = claim.requirement;
  r.inputs = model.tensors[model.input].size;
  r.outputs = model.tensors[model.output].size;
  Box box{s.lower, s.upper};
  if (s.base > 0) {
    if (s.base > earlier.size() || certificate.statements[s.base - 1].kind != Statement::Kind::inlined) throw Refusal("", "its base is not an earlier inlined statement");
    box = earlier[s.base - 1].requirement.regions[0].outward;
    check_ranges(s.changes, box, false);
    for (const Range& c : s.changes) {
      box.lower[c.dimension] = c.lower;
      box.upper[c.dimension] = c.upper;
    }
  }
  if (box.lower.size() != r.inputs || box.upper.size() != r.inputs) throw Refusal("", "its box does not fit the model's input");
  Region region;
  for (std::size_t i = 0; i < r.inputs; ++i) {
    if (!std::isfinite(box.lower[i]) || !std::isfinite(box.upper[i])) throw Refusal("", "its box is not finite");
    region.lower.push_back(exact(box.lower[i]));
    region.upper.push_back(exact(box.upper[i]));
  }
  round_outward(region);
  r.regions.push_back(std::move(region));
  for (const auto& member : s.members) check_ranges(member, box, true);
  if (!s.members.empty()) claim.members = s.members;
  for (const InlineDisjunct& d : s.disjuncts) {
    Disjunct& own = r.disjuncts.emplace_back();
    for (const InlineConstraint& c : d.constraints) {
      Constraint constraint{terms_of(c.inputs, c.input_coefficients), terms_of(c.outputs, c.output_coefficients), {}, c.strict};
      if (c.bounds.size() != claim.members.size()) throw Refusal("", "a constraint has not one bound per member");
      for (const double bound : c.bounds) {
        if (!std::isfinite(bound)) throw Refusal("", "a bound is not a finite number");
        constraint.bounds.push_back(exact(bound));
      }
      own.constraints.push_back(std::move(constraint));
    }
  }
  return claim;
}

void check_indices(const Requirement& r, const Model& model) {
  if (r.inputs != model.tensors[model.input].size || r.outputs != model.tensors[model.output].size)
    throw Refusal("", "the property has " + std::to_string(r.inputs) + " inputs and " + std::to_string(r.outputs) + " outputs, the model " +
                          std::to_string(model.tensors[model.input].size) + " and " + std::to_string(model.tensors[model.output].size));
  for (const Disjunct& d : r.disjuncts)
    for (const Constraint& c : d.constraints) {
      for (const auto& t : c.inputs) if (t.first >= r.inputs) throw Refusal("", "a constraint names an input that is not there");
      for (const auto& t : c.outputs) if (t.first >= r.outputs) throw Refusal("", "a constraint names an output that is not there");
    }
}

// The arithmetic that everything here assumes.
void check_environment() {
  volatile double tiny = smallest_normal<double>, one = 1, step = 0x1p-53;
  if (std::fegetround() != FE_TONEAREST || one + step != 1 || tiny / 2 == 0) throw Refusal("environment", "the processor does not round to nearest, or flushes small numbers to zero");
}

class Checker {
 public:
  Checker(const Certificate& certificate, const StopToken& stop, Verdict& verdict) : c_(certificate), stop_(stop), verdict_(verdict) {}

  void run(std::string_view model_bytes, std::optional<std::string_view> spec) {
    check_environment();
    if (sha256_hex(model_bytes) != c_.model_sha256) throw Refusal("header", "the certificate is about another model");
    bool wants_spec = false;
    for (const Statement& s : c_.statements) wants_spec = wants_spec || s.kind == Statement::Kind::file;
    if (c_.statements.empty()) throw Refusal("header", "the certificate states nothing");
    if (wants_spec && !spec) throw Refusal("header", "the certificate is about a property file; give that file");
    if (!wants_spec && spec) throw Refusal("header", "the certificate proves statements of its own and nothing about a property file");
    if (spec && sha256_hex(*spec) != c_.spec_sha256) throw Refusal("header", "the certificate is about another property file");
    model_ = read_model(model_bytes);
    const Propagation propagation(model_, c_);
    verdict_.trusted = propagation.trusted;
    for (std::size_t i = 0; i < c_.statements.size(); ++i) at("statement " + std::to_string(i), [&] {
        Claim claim;
        if (c_.statements[i].kind == Statement::Kind::file) claim.requirement = read_requirement(*spec);
        else claim = inlined_claim(c_.statements[i], claims_, c_, model_);
        check_indices(claim.requirement, model_);
        claims_.push_back(std::move(claim));
      });
    proofs(propagation);
    coverage();
  }

 private:
  // Adds a place to what goes wrong inside.
  static void at(const std::string& place, const auto& work) {
    try {
      work();
    } catch (const Refusal& r) {
      throw Refusal(place + (r.place.empty() ? "" : ": " + r.place), r.what());
    }
  }

  void proofs(const Propagation& propagation) {
    std::map<std::tuple<std::uint32_t, std::size_t, std::uint32_t>, std::shared_ptr<const Boxes>> roots;
    for (std::size_t i = 0; i < c_.proofs.size(); ++i) at("proof " + std::to_string(i), [&] {
        const Proof& p = c_.proofs[i];
        if (p.statement >= claims_.size() || p.disjunct >= claims_[p.statement].requirement.disjuncts.size()) throw Refusal("", "is about a disjunct that is not there");
        if (!proved_.insert({p.statement, p.disjunct}).second) throw Refusal("", "is the second one of the same disjunct");
        if (p.tree.nodes.empty()) throw Refusal("", "has no tree");
        const Claim& claim = claims_[p.statement];
        const std::size_t region = claim.requirement.disjuncts[p.disjunct].region;
        if (claim.requirement.regions[region].empty) return;
        std::shared_ptr<const Boxes>& root = roots[{p.statement, region, p.tree.nodes[0].bounds}];
        if (c_.arithmetic == Arithmetic::rational) tree<Rational>(propagation, claim, p, root);
        else tree<double>(propagation, claim, p, root);
      });
  }

  template <class T> void tree(const Propagation& propagation, const Claim& claim, const Proof& p, std::shared_ptr<const Boxes>& root) {
    TreeChecker<T> checker(model_, c_, propagation, claim, p, stop_);
    checker.run(root);
    verdict_.nodes += p.tree.nodes.size();
    verdict_.leaves += checker.leaves;
    verdict_.least_margin = std::min(verdict_.least_margin, checker.least_margin);
    if (checker.failed_node != SIZE_MAX) throw Refusal("node " + std::to_string(checker.failed_node), checker.failure);
  }

  void coverage() {
    for (std::size_t s = 0; s < claims_.size(); ++s) {
      const Requirement& r = claims_[s].requirement;
      std::size_t vacuous = 0;
      for (std::size_t d = 0; d < r.disjuncts.size(); ++d) {
        if (r.regions[r.disjuncts[d].region].empty) ++vacuous;
        else if (!proved_.count({s, d})) throw Refusal("statement " + std::to_string(s) + ", disjunct " + std::to_string(d), "has no proof");
      }
      verdict_.disjuncts += r.disjuncts.size();
      verdict_.vacuous += vacuous;
      verdict_.proved.push_back("statement " + std::to_string(s) + (c_.statements[s].kind == Statement::Kind::file ? " (the property file)" : " (inlined)") +
                                (c_.statements[s].title.empty() ? "" : " '" + c_.statements[s].title + "'") + ": no counterexample in " + std::to_string(r.disjuncts.size()) +
                                " disjuncts" + (vacuous ? ", " + std::to_string(vacuous) + " of them vacuous" : "") +
                                (claims_[s].members.size() > 1 ? ", for each of " + std::to_string(claims_[s].members.size()) + " members" : ""));
    }
  }

  const Certificate& c_;
  const StopToken& stop_;
  Verdict& verdict_;
  Model model_;
  std::vector<Claim> claims_;
  std::set<std::pair<std::size_t, std::size_t>> proved_;
};

}  // namespace

Result<Verdict> check_bytes(std::string_view certificate_bytes, std::string_view model, std::optional<std::string_view> spec, const CheckOptions& options) {
  Verdict verdict;
  verdict.least_margin = std::numeric_limits<double>::infinity();
  const auto certificate = parse_certificate(certificate_bytes);
  if (!certificate.ok()) {
    verdict.place = "certificate, " + certificate.error().place;
    verdict.reason = certificate.error().message;
    return verdict;
  }
  const Certificate& c = certificate.value();
  verdict.engine = c.engine;
  verdict.model_sha256 = c.model_sha256;
  verdict.spec_sha256 = c.spec_sha256;
  verdict.semantics = c.semantics;
  try {
    Checker(c, options.stop, verdict).run(model, spec);
    verdict.kind = verdict.trusted.empty() ? Verdict::Kind::accepted : Verdict::Kind::partial;
  } catch (const Refusal& r) {
    verdict.place = r.place;
    verdict.reason = r.what();
    verdict.proved.clear();
  } catch (const Stopped&) {
    return Error{ErrorKind::cancelled, "", "the check was stopped before its end"};
  }
  return verdict;
}

Result<Verdict> check(const std::filesystem::path& certificate, const std::filesystem::path& model, const std::optional<std::filesystem::path>& spec, const CheckOptions& options) {
  BL_TRY(certificate_bytes, read_file(certificate, options.max_bytes));
  BL_TRY(model_bytes, read_file(model, options.max_bytes));
  if (!spec) return check_bytes(certificate_bytes, model_bytes, std::nullopt, options);
  BL_TRY(spec_bytes, read_file(*spec, options.max_bytes));
  return check_bytes(certificate_bytes, model_bytes, spec_bytes, options);
}

std::string text(const Verdict& v) {
  std::string out = v.kind == Verdict::Kind::accepted ? "accepted\n" : v.kind == Verdict::Kind::partial ? "partial\n" : "rejected\n";
  if (v.kind == Verdict::Kind::rejected) out += "  fails at: " + v.place + "\n  because:  " + v.reason + "\n";
  for (const std::string& t : v.trusted) out += "  trusted:  " + t + "\n";
  for (const std::string& p : v.proved) out += "  proved:   " + p + "\n";
  if (v.kind == Verdict::Kind::rejected) return out;
  out += std::string("  semantics: ") + (v.semantics == Semantics::real ? "real" : "float32-any-order") + "\n  model:     sha256 " + v.model_sha256 + "\n";
  if (!v.spec_sha256.empty()) out += "  property:  sha256 " + v.spec_sha256 + "\n";
  out += "  made by:   " + v.engine + "\n  replayed:  " + std::to_string(v.nodes) + " nodes, " + std::to_string(v.leaves) + " leaves";
  if (std::isfinite(v.least_margin)) out += ", least margin " + std::to_string(v.least_margin);
  return out + "\n";
}

}  // namespace boundlight::check
