#include "boundlight/solver/check/check.hpp"

#include <cfenv>
#include <map>
#include <new>
#include <set>
#include <tuple>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/check/tree.hpp"

namespace boundlight::check {
namespace {

struct Stopped {};

void need(bool holds, const char* otherwise) { if (!holds) throw Refusal("", otherwise); }
// Adds a place to what goes wrong inside.
void at(const std::string& place, const auto& work) {
  try {
    work();
  } catch (const Refusal& r) {
    throw Refusal(place + (r.place.empty() ? "" : ": " + r.place), r.what());
  }
}

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
    at("model", [&] { model_ = read_model(model_bytes); });
    std::optional<Propagation> made;
    at("certificate", [&] { made.emplace(model_, c_); });
    const Propagation& propagation = *made;
    verdict_.trusted = propagation.trusted;
    for (std::size_t i = 0; i < c_.statements.size(); ++i)
      at("statement " + std::to_string(i), [&] {
        Claim claim;
        if (c_.statements[i].kind == Statement::Kind::file) claim.requirement = read_requirement(*spec);
        else inlined(c_.statements[i], claim);
        check_sizes(claim.requirement);
        claims_.push_back(std::move(claim));
      });
    for (std::size_t i = 0; i < c_.proofs.size(); ++i) at("proof " + std::to_string(i), [&] { proof(c_.proofs[i], propagation); });
    for (std::size_t s = 0; s < claims_.size(); ++s) at("statement " + std::to_string(s), [&] { covered(s); });
  }

 private:
  using Terms = std::vector<std::pair<std::uint32_t, Rational>>;
  static Terms terms_of(const std::vector<std::uint32_t>& indices, const std::vector<double>& coefficients) {
    need(indices.size() == coefficients.size(), "a constraint has not one coefficient per index");
    Terms terms;
    for (std::size_t i = 0; i < indices.size(); ++i) terms.emplace_back(indices[i], finite(coefficients[i]));
    return terms;
  }
  static Rational finite(double x) {
    need(std::isfinite(x), "a number is infinite or NaN");
    return exact(x);
  }

  void inlined(const Statement& s, Claim& claim) const {
    Requirement& r = claim.requirement;
    r.inputs = model_.tensors[model_.input].size;
    r.outputs = model_.tensors[model_.output].size;
    Box box{s.lower, s.upper};
    if (s.base > 0) {
      need(s.base <= claims_.size() && c_.statements[s.base - 1].kind == Statement::Kind::inlined, "its base is not an earlier inlined statement");
      box = claims_[s.base - 1].requirement.regions[0].outward;
      for (const Range& c : s.changes) {
        need(c.dimension < r.inputs, "a range has no such input");
        box.lower[c.dimension] = c.lower, box.upper[c.dimension] = c.upper;
      }
    }
    need(box.lower.size() == r.inputs && box.upper.size() == r.inputs, "its box does not fit the model's input");
    Region& region = r.regions.emplace_back();
    for (std::size_t i = 0; i < r.inputs; ++i) region.lower.push_back(finite(box.lower[i])), region.upper.push_back(finite(box.upper[i]));
    round_outward(region);
    for (const auto& member : s.members)
      for (const Range& m : member) need(m.dimension < r.inputs && m.lower >= box.lower[m.dimension] && m.upper <= box.upper[m.dimension], "a member is not inside of the statement's box");
    if (!s.members.empty()) claim.members = s.members;
    for (const InlineDisjunct& d : s.disjuncts) {
      Disjunct& own = r.disjuncts.emplace_back();
      for (const InlineConstraint& c : d.constraints) {
        own.constraints.push_back({terms_of(c.inputs, c.input_coefficients), terms_of(c.outputs, c.output_coefficients), {}, c.strict});
        need(c.bounds.size() == claim.members.size(), "a constraint has not one bound per member");
        for (const double bound : c.bounds) own.constraints.back().bounds.push_back(finite(bound));
      }
    }
  }

  void check_sizes(const Requirement& r) const {
    need(r.inputs == model_.tensors[model_.input].size && r.outputs == model_.tensors[model_.output].size, "the property and the model have different numbers of inputs or outputs");
    for (const Disjunct& d : r.disjuncts)
      for (const Constraint& c : d.constraints) {
        for (const auto& t : c.inputs) need(t.first < r.inputs, "a constraint names an input that is not there");
        for (const auto& t : c.outputs) need(t.first < r.outputs, "a constraint names an output that is not there");
      }
  }

  void proof(const Proof& p, const Propagation& propagation) {
    need(p.statement < claims_.size() && p.disjunct < claims_[p.statement].requirement.disjuncts.size(), "is about a disjunct that is not there");
    need(proved_.insert({p.statement, p.disjunct}).second, "is the second one of the same disjunct");
    need(!p.tree.nodes.empty(), "has no tree");
    const Requirement& r = claims_[p.statement].requirement;
    const std::size_t region = r.disjuncts[p.disjunct].region;
    if (r.regions[region].empty) return;
    std::shared_ptr<const Boxes>& root = roots_[{p.statement, region, p.tree.nodes[0].bounds}];
    if (c_.arithmetic == Arithmetic::rational) tree<Rational>(propagation, p, root);
    else tree<double>(propagation, p, root);
  }
  template <class T> void tree(const Propagation& propagation, const Proof& p, std::shared_ptr<const Boxes>& root) {
    TreeChecker<T> checker(model_, c_, propagation, claims_[p.statement], p, stop_);
    checker.run(root);
    if (checker.stopped) throw Stopped{};
    if (checker.failed_node != SIZE_MAX) throw Refusal("node " + std::to_string(checker.failed_node), checker.failure);
    verdict_.nodes += p.tree.nodes.size();
    verdict_.leaves += checker.leaves;
    verdict_.least_margin = std::min(verdict_.least_margin, checker.least_margin);
  }

  // Every disjunct of the statement is proved or vacuous.
  void covered(std::size_t s) {
    const Requirement& r = claims_[s].requirement;
    std::size_t vacuous = 0;
    for (std::size_t d = 0; d < r.disjuncts.size(); ++d) {
      const bool empty = r.regions[r.disjuncts[d].region].empty;
      vacuous += empty;
      at("disjunct " + std::to_string(d), [&] { need(empty || proved_.count({s, d}), "has no proof"); });
    }
    verdict_.disjuncts += r.disjuncts.size();
    verdict_.vacuous += vacuous;
    verdict_.proved.push_back("statement " + std::to_string(s) + (c_.statements[s].kind == Statement::Kind::file ? ", the property file" : ", inlined") +
                              (c_.statements[s].title.empty() ? "" : ", '" + c_.statements[s].title + "'") + ": no counterexample in " + std::to_string(r.disjuncts.size()) +
                              " disjuncts" + (vacuous ? ", " + std::to_string(vacuous) + " of them vacuous" : "") +
                              (claims_[s].members.size() > 1 ? ", for each of " + std::to_string(claims_[s].members.size()) + " members" : ""));
  }

  const Certificate& c_;
  const StopToken& stop_;
  Verdict& verdict_;
  Model model_;
  std::vector<Claim> claims_;
  std::set<std::pair<std::size_t, std::size_t>> proved_;  // statement, disjunct
  std::map<std::tuple<std::uint32_t, std::size_t, std::uint32_t>, std::shared_ptr<const Boxes>> roots_;  // by statement, region, section
};

}  // namespace

Result<Verdict> check_bytes(std::string_view certificate_bytes, std::string_view model, std::optional<std::string_view> spec, const CheckOptions& options) {
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
    Checker(c, options.stop, v).run(model, spec);
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

Result<Verdict> check(const std::filesystem::path& certificate, const std::filesystem::path& model, const std::optional<std::filesystem::path>& spec, const CheckOptions& options) {
  BL_TRY(certificate_bytes, read_file(certificate, options.max_bytes));
  BL_TRY(model_bytes, read_file(model, options.max_bytes));
  if (!spec) return check_bytes(certificate_bytes, model_bytes, std::nullopt, options);
  BL_TRY(spec_bytes, read_file(*spec, options.max_bytes));
  return check_bytes(certificate_bytes, model_bytes, spec_bytes, options);
}

namespace {
// Names and titles come from the files: no line breaks or control characters of theirs reach a terminal.
std::string plain(std::string text) {
  for (char& c : text) if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return text;
}
}  // namespace

std::string text(const Verdict& v) {
  std::string out = v.kind == Verdict::Kind::accepted ? "accepted\n" : v.kind == Verdict::Kind::partial ? "partial\n" : "rejected\n";
  if (v.kind == Verdict::Kind::rejected) return out + "  fails at:  " + plain(v.place) + "\n  because:   " + plain(v.reason) + "\n";
  for (const std::string& p : v.proved) out += "  proved:    " + plain(p) + "\n";
  for (const std::string& t : v.trusted) out += "  believed:  " + plain(t) + "\n";
  out += v.trusted.empty() ? "  complete:  every step was computed anew, none was believed\n" : "  partial:   what is believed above was not proved; all other steps were computed anew\n";
  out += std::string("  semantics: ") + (v.semantics == Semantics::real ? "real (exact arithmetic on the weights of the file)" : "float32-any-order (exact arithmetic, and every covered float32 evaluation)");
  out += "\n  model:     sha256 " + plain(v.model_sha256) + "\n";
  if (!v.spec_sha256.empty()) out += "  property:  sha256 " + plain(v.spec_sha256) + "\n";
  return out + "  made by:   " + plain(v.engine) + "\n  replayed:  " + std::to_string(v.nodes) + " nodes, " + std::to_string(v.leaves) + " leaves\n";
}

}  // namespace boundlight::check
