#include "boundlight/solver/check/check.hpp"

#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <tuple>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::check {
namespace {

struct Stopped {};

// Adds a place to what goes wrong inside.
void at(const std::string& place, const auto& work) {
  try {
    work();
  } catch (const Refusal& r) {
    throw Refusal(place + (r.place.empty() ? "" : ": " + r.place), r.what());
  }
}

// One proof: walks a tree of splits, cuts and leaves, and has every leaf's bound computed anew.
Box restricted(Box box, const std::vector<Range>& ranges) {
  for (const Range& r : ranges) {
    box.lower[r.dimension] = std::max(box.lower[r.dimension], r.lower);
    box.upper[r.dimension] = std::min(box.upper[r.dimension], r.upper);
  }
  return box;
}
bool is_empty(const Box& box) { return !std::equal(box.lower.begin(), box.lower.end(), box.upper.begin(), std::less_equal<>()); }

class TreeChecker {
 public:
  TreeChecker(const Model& model, const Certificate& certificate, const Propagation& propagation, const Requirement& claim, const Proof& proof, const StopToken& stop)
      : model_(model), certificate_(certificate), propagation_(propagation), claim_(claim), nodes_(proof.tree.nodes), stop_(stop),
        disjunct_(claim.disjuncts[proof.disjunct]), region_(claim.regions[disjunct_.region]) {}

  // `only`: 1 + the one member that is proved, 0: all. `root`: the boxes of the root if they are known already; they are left there.
  void run(std::uint32_t only, std::shared_ptr<const Boxes>& root) {
    std::vector<bool> members(claim_.members.size(), only == 0);
    if (only > 0) members[only - 1] = true;
    State s{0, std::make_shared<Box>(restricted(region_.outward, claim_.members[only == 0 ? 0 : only - 1])), root, std::make_shared<Choices>(propagation_.resolve({}, {})), {}, members};
    try {
      guarded(0, [&] {
        if (!root) root = s.boxes = boxes(s);
        scope(s);
      });
    } catch (...) {  // out of memory: tasks must end before this does
      tasks_.cancel();
      tasks_.wait();
      throw;
    }
    tasks_.wait();
  }

  std::atomic<std::size_t> failed_node = SIZE_MAX;  // the first in preorder
  std::string failure;
  std::atomic<std::size_t> leaves = 0;
  std::atomic<bool> stopped = false;
  double least_margin = std::numeric_limits<double>::infinity();

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  struct State {
    std::int32_t node = 0;
    std::shared_ptr<const Box> box;
    std::shared_ptr<const Boxes> boxes;  // of the enclosing node
    std::shared_ptr<const Choices> choices;
    std::vector<Split> path;
    std::vector<bool> members;  // that are to be proved here
  };

  void guarded(std::size_t node, const auto& work) {
    try {
      if (stop_.stop_requested()) stopped = true;
      if (!stopped && node <= failed_node) work();
    } catch (const Refusal& r) {
      const std::lock_guard lock(mutex_);
      if (node >= failed_node) return;
      failed_node = node;
      failure = r.place.empty() ? r.what() : r.place + ": " + r.what();
    }
  }
  std::shared_ptr<const Boxes> boxes(const State& s) const {
    const std::uint32_t section = nodes_[s.node].bounds;
    need(section <= certificate_.bounds.size(), "refers to a bounds section that is not there");
    return propagation_.boxes(*s.box, s.boxes.get(), s.path, section == 0 ? nullptr : &certificate_.bounds[section - 1]);
  }

  // Walks the part of the tree that shares one set of boxes; nodes with a section of their own become tasks.
  void scope(const State& start) {
    if (start.boxes->empty) return;  // sound bounds exclude each other: nothing to show below
    std::vector<State> open = {start}, waiting;
    while (!open.empty()) {
      State s = std::move(open.back());
      open.pop_back();
      if (s.node != start.node && nodes_[s.node].bounds != 0) {
        tasks_.run([this, s] {
          State own = s;
          guarded(own.node, [&] { own.boxes = boxes(own), scope(own); });
        });
        continue;
      }
      guarded(s.node, [&] { visit(nodes_[s.node], s, open, waiting); });
      if (waiting.size() >= 512) close(waiting);
    }
    close(waiting);
  }

  void visit(const Node& n, State& s, std::vector<State>& open, std::vector<State>& waiting) {
    if (is_empty(*s.box)) return;
    if (!n.slopes.empty()) s.choices = std::make_shared<Choices>(propagation_.resolve(n.slopes, *s.choices));
    const auto descend = [&](std::int32_t child) -> State& {
      open.push_back(s);
      open.back().node = child;
      return open.back();
    };
    const auto part = [&](const std::vector<Range>& ranges) { return std::make_shared<Box>(restricted(*s.box, ranges)); };
    for (const Cut& c : n.cuts)  // before the node waits to be judged: what was refused is judged all the same
      need(c.dimension < s.box->lower.size() && std::isfinite(c.at), "cuts an input that is not there, or at no number");
    leaves += n.kind == Node::Kind::leaf;
    if (n.kind == Node::Kind::leaf || n.kind == Node::Kind::clip) waiting.push_back(s);
    if (n.kind == Node::Kind::relu_split) {
      const int tensor = propagation_.tensor(n.value, n.neuron);
      descend(n.high).path.push_back({tensor, n.neuron, true});
      descend(n.low).path.push_back({tensor, n.neuron, false});
    } else if (n.kind == Node::Kind::input_split) {
      need(n.neuron < s.box->lower.size() && std::isfinite(n.at), "splits an input that is not there, or at no number");
      descend(n.high).box = part({{n.neuron, n.at, kInfinity}});
      descend(n.low).box = part({{n.neuron, -kInfinity, n.at}});
    } else if (n.kind == Node::Kind::clip) {
      std::vector<Range> kept;
      for (const Cut& c : n.cuts) kept.push_back(side(c, false));
      descend(n.low).box = part(kept);
    } else if (n.kind == Node::Kind::family) {
      for (const bool listed : {false, true}) {
        std::vector<bool>& members = descend(listed ? n.low : n.high).members;
        for (std::uint32_t m = 0; m < members.size(); ++m) members[m] = members[m] && std::binary_search(n.members.begin(), n.members.end(), m) == listed;
      }
    }
  }
  static Range side(const Cut& c, bool removed) {
    return c.above == removed ? Range{c.dimension, c.at, kInfinity} : Range{c.dimension, -kInfinity, c.at};
  }

  // The rows of leaves and clips that share their boxes, all at once.
  void close(std::vector<State>& waiting) {
    std::vector<Row> rows;
    std::vector<const State*> states;
    for (const State& s : waiting) guarded(s.node, [&] { rows.push_back(row(nodes_[s.node], s)), states.push_back(&s); });
    if (!rows.empty()) guarded(states[0]->node, [&] {
      const std::vector<LinearForm> forms = propagation_.backward(*states[0]->boxes, rows);
      for (std::size_t k = 0; k < forms.size(); ++k) guarded(states[k]->node, [&] { judge(*states[k], forms[k]); });
    });
    waiting.clear();
  }

  // sum_i lambda_i (a_i . x + b_i . y)
  Row row(const Node& n, const State& s) const {
    need(n.lambda.empty() || n.lambda.size() == disjunct_.constraints.size(), "has not one multiplier per constraint");
    need(n.beta.size() <= s.path.size(), "has more multipliers beta than there are splits above it");
    for (const float b : n.beta) need(b >= 0 && std::isfinite(b), "has a multiplier beta that is negative or not a number");
    Row r{{}, s.choices.get(), &s.path, &n.beta};
    for (std::size_t i = 0; i < n.lambda.size(); ++i) {
      const double lambda = n.lambda[i];
      need(lambda >= 0 && std::isfinite(lambda), "has a multiplier lambda that is negative or not a number");
      for (const bool outputs : {false, true})
        for (const auto& [index, coefficient] : outputs ? disjunct_.constraints[i].outputs : disjunct_.constraints[i].inputs) {
          const int tensor = outputs ? model_.output : model_.input;
          if (lambda == 0) continue;
          const double down = round_down(coefficient), up = round_up(coefficient), value = lambda * down;
          const bool sharp = down == up && std::fma(lambda, down, -value) == 0 && std::fabs(value) > 1e-200;
          const double gap = (lambda * (up - down) + std::fabs(value) * 0x1p-51) * (1 + 0x1p-40) + smallest_normal<double>;
          r.terms.push_back({tensor, index, value, sharp ? 0 : gap});
        }
    }
    return r;
  }

  // Throws unless the form excludes every counterexample of every member in the box. Returns the margin.
  double excluded(const State& s, const LinearForm& form, const Box& box) const {
    const Node& n = nodes_[s.node];
    double margin = kInfinity;
    for (std::size_t m = 0; m < claim_.members.size(); ++m) {
      if (!s.members[m]) continue;
      const Box own = restricted(box, claim_.members[m]);
      if (is_empty(own)) continue;
      bool strict = false;   // then reaching the threshold is enough
      double threshold = 0;  // sum_i lambda_i d_i, rounded up
      for (std::size_t i = 0; i < n.lambda.size(); ++i) {
        const Constraint& c = disjunct_.constraints[i];
        const Rational& bound = c.bounds[c.bounds.size() == 1 ? 0 : m];
        strict = strict || (c.strict && n.lambda[i] > 0);
        if (n.lambda[i] > 0) threshold = add_up(threshold, mul_up(n.lambda[i], round_up(bound)));
      }
      const double have = lowest(form, own), by = have - threshold;
      if (!(have > threshold || (strict && have >= threshold)))
        throw Refusal("", "the bound misses the threshold" + (claim_.members.size() > 1 ? " of member " + std::to_string(m) : "") + " by " + std::to_string(-by));
      margin = std::min(margin, by);
    }
    return margin;
  }

  void judge(const State& s, const LinearForm& form) {
    const Node& n = nodes_[s.node];
    double margin = n.kind == Node::Kind::leaf ? excluded(s, form, *s.box) : kInfinity;
    Box box = *s.box;
    for (const Cut& c : n.cuts) {  // each removes a slab of what the ones before have left
      const Box slab = restricted(box, {side(c, true)});
      if (!is_empty(slab)) margin = std::min(margin, excluded(s, form, slab));
      box = restricted(std::move(box), {side(c, false)});
    }
    const std::lock_guard lock(mutex_);
    least_margin = std::min(least_margin, margin);
  }

  const Model& model_;
  const Certificate& certificate_;
  const Propagation& propagation_;
  const Requirement& claim_;
  const std::vector<Node>& nodes_;
  const StopToken& stop_;
  const Disjunct& disjunct_;
  const Region& region_;
  std::mutex mutex_;
  tbb::task_group tasks_;
};

class Checker {
 public:
  Checker(const Certificate& certificate, const StopToken& stop, Verdict& verdict) : c_(certificate), stop_(stop), verdict_(verdict) {}

  void run(std::string_view model_bytes, std::optional<std::string_view> spec) {
    at("environment", [] {  // the arithmetic that everything here assumes
      volatile double tiny = smallest_normal<double>, one = 1, step = 0x1p-53;
      need(std::fegetround() == FE_TONEAREST && one + step == 1 && tiny / 2 != 0, "the processor does not round to nearest, or flushes small numbers to zero");
    });
    at("header", [&] {
      bool about_file = false;
      for (const Statement& s : c_.statements) about_file = about_file || s.kind == Statement::Kind::file;
      need(!c_.statements.empty(), "the certificate states nothing");
      need(sha256_hex(model_bytes) == c_.model_sha256, "the certificate is about another model");
      need(!about_file || spec, "the certificate is about a property file; give that file");
      need(about_file || !spec, "the certificate proves statements of its own and nothing about a property file");
      need(!spec || sha256_hex(*spec) == c_.spec_sha256, "the certificate is about another property file");
    });
    at("model", [&] { model_ = read_model(model_bytes), believe(model_, c_); });
    const Propagation propagation(model_, c_);
    verdict_.trusted = propagation.trusted;
    for (std::size_t i = 0; i < c_.statements.size(); ++i)
      at("statement " + std::to_string(i), [&] {
        claims_.push_back(claim_of(c_.statements[i], spec, propagation));
        check_sizes(claims_.back());
      });
    for (std::size_t i = 0; i < c_.proofs.size(); ++i) at("proof " + std::to_string(i), [&] { proof(c_.proofs[i], propagation); });
    for (std::size_t s = 0; s < claims_.size(); ++s) at("statement " + std::to_string(s), [&] { covered(s); });
  }

 private:
  static std::vector<std::pair<std::uint32_t, Rational>> terms_of(const std::vector<std::uint32_t>& indices, const std::vector<double>& coefficients) {
    need(indices.size() == coefficients.size(), "a constraint has not one coefficient per index");
    std::vector<std::pair<std::uint32_t, Rational>> terms;
    for (std::size_t i = 0; i < indices.size(); ++i) terms.emplace_back(indices[i], finite(coefficients[i]));
    return terms;
  }

  Requirement inlined(const Statement& s) const {
    Requirement r{model_.tensors[model_.input].size, model_.tensors[model_.output].size, {}, {}, {{}}, "inlined"};
    need(s.lower.size() == r.inputs && s.upper.size() == r.inputs, "its box does not fit the model's input");
    Region& region = r.regions.emplace_back();
    for (std::size_t i = 0; i < r.inputs; ++i) region.lower.push_back(finite(s.lower[i])), region.upper.push_back(finite(s.upper[i]));
    round_outward(region);
    for (const InlineDisjunct& d : s.disjuncts) {
      Disjunct& own = r.disjuncts.emplace_back();
      for (const InlineConstraint& c : d.constraints)
        own.constraints.push_back({terms_of(c.inputs, c.input_coefficients), terms_of(c.outputs, c.output_coefficients), {finite(c.bound)}, c.strict});
    }
    return r;
  }
  Requirement claim_of(const Statement& s, std::optional<std::string_view> spec, const Propagation& propagation) const {
    if (s.kind == Statement::Kind::importance) return importance_claim(s.importance, model_, propagation);
    return s.kind == Statement::Kind::inlined ? inlined(s) : read_requirement(*spec);
  }

  void check_sizes(const Requirement& r) const {
    need(r.inputs == model_.tensors[model_.input].size && r.outputs == model_.tensors[model_.output].size, "the property and the model have different numbers of inputs or outputs");
    for (const Disjunct& d : r.disjuncts)
      for (const Constraint& c : d.constraints) {
        for (const auto* terms : {&c.inputs, &c.outputs})
          for (const auto& t : *terms) need(t.first < (terms == &c.inputs ? r.inputs : r.outputs), "a constraint names an input or output that is not there");
      }
  }

  void proof(const Proof& p, const Propagation& propagation) {
    need(p.statement < claims_.size() && p.disjunct < claims_[p.statement].disjuncts.size(), "is about a disjunct that is not there");
    need(p.member <= claims_[p.statement].members.size(), "is about a member that is not there");
    need(proved_.insert({p.statement, p.disjunct, p.member}).second, "is the second one of the same disjunct");
    need(!p.tree.nodes.empty(), "has no tree");
    const Requirement& r = claims_[p.statement];
    const std::size_t region = r.disjuncts[p.disjunct].region;
    if (r.regions[region].empty) return;
    if (!roots_.empty() && std::get<2>(roots_.begin()->first) != p.member) roots_.clear();  // proofs of one member stand together
    std::shared_ptr<const Boxes>& root = roots_[{p.statement, region, p.member, p.tree.nodes[0].bounds}];
    TreeChecker checker(model_, c_, propagation, claims_[p.statement], p, stop_);
    checker.run(p.member, root);
    if (checker.stopped) throw Stopped{};
    if (checker.failed_node != SIZE_MAX) throw Refusal("node " + std::to_string(checker.failed_node), checker.failure);
    verdict_.nodes += p.tree.nodes.size();
    verdict_.leaves += checker.leaves;
    verdict_.least_margin = std::min(verdict_.least_margin, checker.least_margin);
  }

  // Every disjunct of the statement is proved, for every member, or vacuous.
  void covered(std::size_t s) {
    const Requirement& r = claims_[s];
    std::size_t vacuous = 0;
    for (std::size_t d = 0; d < r.disjuncts.size(); ++d) {
      const bool empty = r.regions[r.disjuncts[d].region].empty;
      std::size_t members = 0;
      for (std::size_t m = 1; m <= r.members.size(); ++m) members += proved_.count({s, d, m});
      vacuous += empty;
      at("disjunct " + std::to_string(d), [&] { need(empty || proved_.count({s, d, 0}) || members == r.members.size(), "has no proof"); });
    }
    verdict_.disjuncts += r.disjuncts.size();
    verdict_.vacuous += vacuous;
    const std::string& title = c_.statements[s].title;
    verdict_.proved.push_back("statement " + std::to_string(s) + ", " + r.words + (title.empty() ? "" : ", '" + title + "'") + ": no counterexample in " +
                              std::to_string(r.disjuncts.size()) + " disjuncts" + (vacuous ? ", " + std::to_string(vacuous) + " of them vacuous" : ""));
  }

  const Certificate& c_;
  const StopToken& stop_;
  Verdict& verdict_;
  Model model_;
  std::vector<Requirement> claims_;
  std::set<std::tuple<std::size_t, std::size_t, std::size_t>> proved_;  // statement, disjunct, member
  std::map<std::tuple<std::uint32_t, std::size_t, std::uint32_t, std::uint32_t>, std::shared_ptr<const Boxes>> roots_;  // by statement, region, member, section
};

}  // namespace

Result<Verdict> check_bytes(std::string_view certificate_bytes, std::string_view model, std::optional<std::string_view> spec, const StopToken& stop) {
  Verdict v;
  v.least_margin = std::numeric_limits<double>::infinity();
  const auto certificate = parse_certificate(certificate_bytes);
  if (!certificate.ok()) {
    v.place = "certificate, " + certificate.error().place, v.reason = certificate.error().message;
    return v;
  }
  const Certificate& c = certificate.value();
  std::tie(v.engine, v.model_sha256, v.spec_sha256, v.semantics) = std::tie(c.engine, c.model_sha256, c.spec_sha256, c.semantics);
  try {
    Checker(c, stop, v).run(model, spec);
    v.kind = v.trusted.empty() ? Verdict::Kind::accepted : Verdict::Kind::partial;
  } catch (const Refusal& r) {
    v.place = r.place, v.reason = r.what();
    v.proved.clear();
  } catch (const Stopped&) {
    return Error{ErrorKind::cancelled, "", "the check was stopped before its end"};
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::out_of_memory, "", "the check needs more memory than there is"};
  }
  return v;
}

}  // namespace boundlight::check
