// Runs a SearchCase and says what is wrong with the answer, if anything:
//
//   an unsat where a point violates, or that changes with options;  a sat whose point does not violate, exactly;
//   a certificate that the checker does not accept;  an error or an exception;  a file left half written.
#pragma once

#include "boundlight/core/files.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"
#include "support/folders.hpp"
#include "support/search_case.hpp"

namespace boundlight::test {

struct TrialCount {
  std::int64_t cases = 0, unsat = 0, sat = 0, open = 0, certificates = 0, partial = 0, pieces = 0, exact = 0, vacuous = 0, touching = 0;
};

class SearchTrial {
 public:
  explicit SearchTrial(const SearchCase& c) : c_(c), property_(c.property()) {}

  // What is wrong; nothing when all is well.
  std::optional<std::string> run(TrialCount* count = nullptr) {
    try {
      wrong_.reset();
      judge(count);
    } catch (const std::exception& e) {
      wrong_ = std::string("threw: ") + e.what();
    }
    return wrong_;
  }

 private:
  std::string text_of(const LinearConstraint& k) const {
    std::string text = k.strict ? "(< (+ 0" : "(<= (+ 0";
    for (const bool outputs : {false, true})
      for (const LinearTerm& t : outputs ? k.outputs : k.inputs) text += " (* " + number(t.coefficient) + (outputs ? " Y_" : " X_") + std::to_string(t.index) + ")";
    return text + ") " + number(k.bound) + ")";
  }
  static std::string number(const Rational& q) {
    const Rational size = abs(q);
    const std::string text = "(/ " + numerator(size).str() + " " + denominator(size).str() + ")";
    return q < 0 ? "(- " + text + ")" : text;
  }
  // (or (and BOX (or (and c ...) ...)) ...): disjunctions inside of conjunctions, empty conjunctions written as a true comparison.
  std::string nested() const {
    std::string text;
    for (std::int64_t i = 0; i < property_.inputs; ++i) text += "(declare-const X_" + std::to_string(i) + " Real)\n";
    for (std::int64_t i = 0; i < property_.outputs; ++i) text += "(declare-const Y_" + std::to_string(i) + " Real)\n";
    text += "(assert (or";
    for (std::size_t b = 0; b < property_.boxes.size(); ++b) {
      std::string inner;
      for (const Disjunct& d : property_.disjuncts) {
        if (d.box != b) continue;
        inner += "\n  (and (<= 0 1)";
        for (const LinearConstraint& k : d.constraints) inner += " " + text_of(k);
        inner += ")";
      }
      if (inner.empty()) continue;
      text += "\n(and";
      const InputBox& box = property_.boxes[b];
      for (std::size_t i = 0; i < box.lower.size(); ++i) {
        const std::string x = "X_" + std::to_string(i);
        text += (box.lower_strict[i] ? " (> " : " (>= ") + x + " " + number(box.lower[i]) + ")" + (box.upper_strict[i] ? " (not (>= " : " (not (> ") + x + " " + number(box.upper[i]) + "))";
      }
      text += " (or" + inner + "))";
    }
    return text + "))\n";
  }

  void judge(TrialCount* count) {
    model_ = std::make_shared<const std::string>(c_.net.onnx());
    spec_ = c_.run.nested ? nested() : to_vnnlib(property_);
    auto read = parse_vnnlib(spec_, "case.vnnlib");
    if (!read.ok()) return fail("the property does not read back: " + read.error().text());
    auto graph = parse_onnx(*model_, "case.onnx", {});
    if (!graph.ok()) return fail("the model does not read: " + graph.error().text());
    auto network = prepare(graph.value());
    if (!network.ok()) return fail("the model is refused: " + network.error().text());
    const bool exact_truth = c_.net.piecewise_linear();
    std::optional<std::vector<Rational>> point;
    bool clearly = false;
    violated_.assign(property_.disjuncts.size(), false);
    for (std::size_t d = 0; exact_truth && d < violated_.size(); ++d) {
      const auto found = ExactTruth(c_.net, property_.box_of(property_.disjuncts[d])).violating(property_.disjuncts[d]);
      violated_[d] = found.has_value();
      if (found && !point) point = found;
    }
    if (!exact_truth) clearly = clearly_violated();
    SearchRun main = c_.run, second, exact;
    second.options.splits = main.options.splits == Splits::relus ? Splits::inputs : Splits::relus;
    second.options.attack = false;
    second.options.threads = 1;
    second.options.exact = Exact::off;
    exact.options.exact = Exact::only;
    std::optional<Answer> first;
    for (const SearchRun* r : {&main, &second, &exact}) {
      if (r == &exact && !exact_truth) break;
      const auto answer = searched(*r, network.value(), read.value(), count);
      if (!answer || wrong_) return;
      if (*answer == Answer::unsat && point) return fail("unsat, but violated" + where(*point));
      if (*answer == Answer::unsat && clearly) return fail("unsat, but a point of the grid violates");
      if (*answer == Answer::sat && exact_truth && !point) return fail("sat, but nothing violates");
      if (r == &exact && (*answer == Answer::unsat) == point.has_value()) return fail(std::string("the exact search says ") + std::string(text(*answer)));
      const auto decided = [](Answer a) { return a == Answer::unsat || a == Answer::sat; };
      if (first && decided(*first) && decided(*answer) && *first != *answer) return fail("answers differ with the options");
      if (!first && count) {
        ++count->cases;
        count->exact += exact_truth ? 1 : 0;
        ++(*answer == Answer::unsat ? count->unsat : *answer == Answer::sat ? count->sat : count->open);
      }
      first = answer;
    }
  }

  static std::string where(const std::vector<Rational>& x) {
    std::string text = " at";
    for (const Rational& q : x) text += " " + std::to_string(q.convert_to<double>());
    return text;
  }
  void fail(std::string what) { wrong_ = std::move(what); }

  // By more than rounding in double could be.
  bool clearly_violated() const {
    for (const Disjunct& d : property_.disjuncts)
      for (const auto& x : SearchCase::grid(property_.box_of(d)))
        if (contains(property_.box_of(d), exact_all(x)) && meets(d, x, c_.net.at(x), -1e-7)) return true;
    return false;
  }
  static std::vector<Rational> exact_all(const std::vector<double>& x) {
    std::vector<Rational> q;
    for (const double v : x) q.push_back(exact(v));
    return q;
  }
  static bool meets(const Disjunct& d, const std::vector<double>& x, const std::vector<double>& y, double slack) {
    for (const LinearConstraint& k : d.constraints) {
      double sum = 0, size = 1;
      for (const bool outputs : {false, true})
        for (const LinearTerm& t : outputs ? k.outputs : k.inputs) {
          const double term = t.coefficient.convert_to<double>() * (outputs ? y : x)[static_cast<std::size_t>(t.index)];
          sum += term;
          size += std::fabs(term);
        }
      if (!(sum <= k.bound.convert_to<double>() + slack * size)) return false;
    }
    return true;
  }

  std::optional<Answer> searched(const SearchRun& how, const std::shared_ptr<const Network>& network, const Property& property, TrialCount* count) {
    const ScratchFolder folder;
    VerifyOptions o = how.options;
    o.model_bytes = model_;
    const bool pieces = how.piece > 0 || how.interrupt > 0;
    if (pieces) o.state = folder / "state";
    double seconds = how.interrupt;
    for (int piece = 1;; ++piece) {
      const bool last = !pieces || piece > 40;
      const std::int64_t most = o.exact == Exact::automatic ? 2600 : 600;  // with the exact search on the way
      o.most_domains = !last && how.piece > 0 ? how.piece * piece : most;
      o.timeout = last ? 0 : seconds;
      seconds *= 2;
      if (last) o.memory = how.options.memory;
      auto result = verify(network, property, o);
      if (!result.ok()) return fail("error: " + result.error().text()), std::nullopt;
      const VerifyResult& r = result.value();
      for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        if (entry.path() != o.state) return fail("left " + entry.path().filename().string()), std::nullopt;
      if (r.answer == Answer::unsat || r.answer == Answer::sat || last || r.answer == Answer::memory || o.most_domains >= most) {
        if (r.answer == Answer::timeout && !last) continue;
        confirm(r, o, property, count);
        return r.answer;
      }
      if (count) ++count->pieces;
      if (!how.changes) continue;
      o.batch = piece % 3 == 0 ? 0 : 1 + piece % 5;
      o.threads = 1 + piece % 2;
      o.seed += 17;
      o.alpha_steps = piece % 4 * 4;
      o.beta_steps = piece % 3 * 4;
      o.attack = piece % 2 == 0 && how.options.attack;
    }
  }

  void confirm(const VerifyResult& r, const VerifyOptions& o, const Property& property, TrialCount* count) {
    (void)property;
    if (std::isnan(r.best_bound)) return fail("the best bound is no number");
    // Bounds above 0 are proofs, whatever the answer.
    const bool undecided = r.answer != Answer::unsat && r.answer != Answer::sat;
    if (undecided && r.best_bound > 0 && std::find(violated_.begin(), violated_.end(), true) != violated_.end()) return fail("a best bound above 0, but violated");
    for (std::size_t d = 0; d < violated_.size() && !c_.run.nested; ++d)
      if (violated_[d] && r.disjunct_bound[d] > 0) return fail("a bound above 0 of a disjunct that is violated");
    if (r.answer == Answer::sat) {
      if (!r.counterexample) return fail("sat without a counterexample");
      const std::vector<double>& x = r.counterexample->input;
      if (c_.net.piecewise_linear()) {
        const std::vector<Rational> q = exact_all(x);
        if (!violated_disjunct(property_, q, c_.net.at(q))) return fail("sat at a point that does not violate");
      } else {
        bool any = false;
        for (const Disjunct& d : property_.disjuncts) any = any || (contains(property_.box_of(d), exact_all(x)) && meets(d, x, c_.net.at(x), 1e-9));
        if (!any) return fail("sat at a point that does not violate");
      }
    }
    if (r.answer != Answer::unsat || !o.certificate) return;
    if (!r.certificate) {
      if (r.certificate_reason.empty()) fail("no certificate, and no reason");
      return;
    }
    const std::string bytes = check::serialize(*r.certificate);
    const auto verdict = check::check_bytes(bytes, *model_, o.inlined ? std::optional<std::string_view>() : std::optional<std::string_view>(spec_));
    if (!verdict.ok()) return fail("the checker: " + verdict.error().text());
    if (verdict.value().kind == check::Verdict::Kind::rejected) return fail("certificate rejected at " + verdict.value().place + ": " + verdict.value().reason);
    if (count) ++(verdict.value().kind == check::Verdict::Kind::accepted ? count->certificates : count->partial);
  }

  const SearchCase& c_;
  Property property_;
  std::shared_ptr<const std::string> model_;
  std::string spec_;
  std::vector<bool> violated_;  // by disjunct, where the truth is exact
  std::optional<std::string> wrong_;
};

// The smallest case on the way that still goes wrong: every reduction that keeps it so is kept.
inline SearchCase shrunk(SearchCase failing) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const std::string& token : failing.reductions()) {
      SearchCase next = failing;
      if (!next.apply(token)) continue;
      if (!SearchTrial(next).run()) continue;
      failing = std::move(next);
      smaller = true;
      break;
    }
  }
  return failing;
}

}  // namespace boundlight::test
