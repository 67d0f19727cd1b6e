// One proof: walks a tree of splits, cuts and leaves, and has every leaf's bound computed anew.
#pragma once

#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>

#include "boundlight/core/stop.hpp"
#include "boundlight/solver/check/pass.hpp"

namespace boundlight::check {

// One statement as the checker understands it: regions and disjuncts; per member the ranges that narrow a region's box.
struct Claim {
  Requirement requirement;
  std::vector<std::vector<Range>> members = {{}};
};

inline Box restricted(Box box, const std::vector<Range>& ranges) {
  for (const Range& r : ranges) {
    box.lower[r.dimension] = std::max(box.lower[r.dimension], r.lower);
    box.upper[r.dimension] = std::min(box.upper[r.dimension], r.upper);
  }
  return box;
}
inline bool is_empty(const Box& box) {
  for (std::size_t i = 0; i < box.lower.size(); ++i)
    if (!(box.lower[i] <= box.upper[i])) return true;
  return false;
}

template <class T>
class TreeChecker {
 public:
  TreeChecker(const Model& model, const Certificate& certificate, const Propagation& propagation, const Claim& claim, const Proof& proof, const StopToken& stop)
      : model_(model), certificate_(certificate), propagation_(propagation), claim_(claim), nodes_(proof.tree.nodes), stop_(stop),
        disjunct_(claim.requirement.disjuncts[proof.disjunct]), region_(claim.requirement.regions[disjunct_.region]) {}

  // `root`: the boxes of the root if they are known already; they are left there.
  void run(std::shared_ptr<const Boxes>& root) {
    State s{0, std::make_shared<Box>(region_.outward), root, std::make_shared<Choices>(propagation_.resolve({}, {})), {}};
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
  };

  static void need(bool holds, const char* otherwise) { if (!holds) throw Refusal("", otherwise); }
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
    const auto descend = [&](std::int32_t child, const std::optional<Split>& split, const std::vector<Range>& ranges) {
      open.push_back(s);
      open.back().node = child;
      if (split) open.back().path.push_back(*split);
      else open.back().box = std::make_shared<Box>(restricted(*s.box, ranges));
    };
    if (n.kind == Node::Kind::leaf) ++leaves;
    for (const Cut& c : n.cuts)  // before the node waits to be judged: what was refused is judged all the same
      need(c.dimension < s.box->lower.size() && std::isfinite(c.at), "cuts an input that is not there, or at no number");
    if (n.kind == Node::Kind::leaf || n.kind == Node::Kind::clip) waiting.push_back(s);
    if (n.kind == Node::Kind::relu_split) {
      const int tensor = propagation_.tensor(n.value, n.neuron);
      descend(n.high, Split{tensor, n.neuron, true}, {});
      descend(n.low, Split{tensor, n.neuron, false}, {});
    } else if (n.kind == Node::Kind::input_split) {
      need(n.neuron < s.box->lower.size() && std::isfinite(n.at), "splits an input that is not there, or at no number");
      descend(n.high, {}, {{n.neuron, n.at, kInfinity}});
      descend(n.low, {}, {{n.neuron, -kInfinity, n.at}});
    } else if (n.kind == Node::Kind::clip) {
      std::vector<Range> kept;
      for (const Cut& c : n.cuts) kept.push_back(side(c, false));
      descend(n.low, {}, kept);
    }
  }
  static Range side(const Cut& c, bool removed) {
    return c.above == removed ? Range{c.dimension, c.at, kInfinity} : Range{c.dimension, -kInfinity, c.at};
  }

  // The rows of leaves and clips that share their boxes, all at once.
  void close(std::vector<State>& waiting) {
    std::vector<Row<T>> rows;
    std::vector<const State*> states;
    for (const State& s : waiting) guarded(s.node, [&] { rows.push_back(row(nodes_[s.node], s)), states.push_back(&s); });
    if (!rows.empty()) guarded(states[0]->node, [&] {
      const std::vector<LinearForm<T>> forms = propagation_.backward(*states[0]->boxes, rows);
      for (std::size_t k = 0; k < forms.size(); ++k) guarded(states[k]->node, [&] { judge(*states[k], forms[k]); });
    });
    waiting.clear();
  }

  // sum_i lambda_i (a_i . x + b_i . y)
  Row<T> row(const Node& n, const State& s) const {
    need(n.lambda.empty() || n.lambda.size() == disjunct_.constraints.size(), "has not one multiplier per constraint");
    need(n.beta.size() <= s.path.size(), "has more multipliers beta than there are splits above it");
    for (const float b : n.beta) need(b >= 0 && std::isfinite(b), "has a multiplier beta that is negative or not a number");
    Row<T> r{{}, s.choices.get(), &s.path, &n.beta};
    for (std::size_t i = 0; i < n.lambda.size(); ++i) {
      const double lambda = n.lambda[i];
      need(lambda >= 0 && std::isfinite(lambda), "has a multiplier lambda that is negative or not a number");
      for (const bool outputs : {false, true})
        for (const auto& [index, coefficient] : outputs ? disjunct_.constraints[i].outputs : disjunct_.constraints[i].inputs) {
          const int tensor = outputs ? model_.output : model_.input;
          if (lambda == 0) continue;
          if constexpr (kRounds<T>) {
            const double down = round_down(coefficient), up = round_up(coefficient), value = lambda * down;
            const bool sharp = down == up && std::fma(lambda, down, -value) == 0 && std::fabs(value) > 1e-200;
            const double gap = (lambda * (up - down) + std::fabs(value) * 0x1p-51) * (1 + 0x1p-40) + smallest_normal<double>;
            r.terms.push_back({tensor, index, value, sharp ? 0 : gap});
          } else {
            r.terms.push_back({tensor, index, coefficient * exact(lambda), 0});
          }
        }
    }
    return r;
  }

  // Throws unless the form excludes every counterexample of every member in the box. Returns the margin.
  double excluded(const Node& n, const LinearForm<T>& form, const Box& box) const {
    double margin = kInfinity;
    for (std::size_t m = 0; m < claim_.members.size(); ++m) {
      const Box own = restricted(box, claim_.members[m]);
      if (is_empty(own)) continue;
      bool strict = false;  // then reaching the threshold is enough
      T threshold(0);       // sum_i lambda_i d_i, rounded up
      for (std::size_t i = 0; i < n.lambda.size(); ++i) {
        const Constraint& c = disjunct_.constraints[i];
        const Rational& bound = c.bounds[c.bounds.size() == 1 ? 0 : m];
        strict = strict || (c.strict && n.lambda[i] > 0);
        if constexpr (!kRounds<T>) threshold += exact(n.lambda[i]) * bound;
        else if (n.lambda[i] > 0) threshold = add_up(threshold, mul_up(n.lambda[i], round_up(bound)));
      }
      const T have = lowest(form, own, region_);
      const double by = static_cast<double>(T(have - threshold));
      if (!(have > threshold || (strict && have >= threshold)))
        throw Refusal("", "the bound misses the threshold" + (claim_.members.size() > 1 ? " of member " + std::to_string(m) : "") + " by " + std::to_string(-by));
      margin = std::min(margin, by);
    }
    return margin;
  }

  void judge(const State& s, const LinearForm<T>& form) {
    const Node& n = nodes_[s.node];
    double margin = n.kind == Node::Kind::leaf ? excluded(n, form, *s.box) : kInfinity;
    Box box = *s.box;
    for (const Cut& c : n.cuts) {  // each removes a slab of what the ones before have left
      const Box slab = restricted(box, {side(c, true)});
      if (!is_empty(slab)) margin = std::min(margin, excluded(n, form, slab));
      box = restricted(std::move(box), {side(c, false)});
    }
    const std::lock_guard lock(mutex_);
    least_margin = std::min(least_margin, margin);
  }

  const Model& model_;
  const Certificate& certificate_;
  const Propagation& propagation_;
  const Claim& claim_;
  const std::vector<Node>& nodes_;
  const StopToken& stop_;
  const Disjunct& disjunct_;
  const Region& region_;
  std::mutex mutex_;
  tbb::task_group tasks_;
};

}  // namespace boundlight::check
