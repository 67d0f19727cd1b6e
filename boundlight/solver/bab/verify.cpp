#include "boundlight/solver/bab/verifier.hpp"

#include <tbb/global_control.h>

#include <cmath>
#include <limits>

#include "boundlight/solver/bab/state.hpp"
#include "boundlight/solver/evidence/write.hpp"

namespace boundlight {
namespace bab::verifying {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kSmall = 1500;     // elements of all values: attacks cost next to nothing
constexpr double kAttackShare = 0.2;      // of the time of a search
constexpr std::int64_t kFewInputs = 20;  // split these rather than ReLUs

}  // namespace

void Verifier::stage(const char* name) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - lap_).count();
  lap_ = now;
  for (VerifyStage& s : result_.stages)
    if (s.name == name) {
      s.seconds += seconds;
      return;
    }
  result_.stages.push_back({name, seconds});
}

bool Verifier::all_closed() const {
  for (const auto& group : open_)
    for (const bool o : group)
      if (o) return false;
  return true;
}

// Of the bounds of the whole box.
double Verifier::least_open(std::size_t g) const {
  double least = kInfinity;
  for (std::size_t t = 0; t < open_[g].size(); ++t)
    if (open_[g][t]) least = std::min(least, result_.disjunct_bound[problem_.groups[g].targets[t].disjunct]);
  return least;
}

Result<void> Verifier::prepare() {
  BL_TRY(problem, make_problem(*network_, property_));
  problem_ = std::move(problem);
  for (const Group& g : problem_.groups) open_.emplace_back(g.targets.size(), true);
  trees_.resize(problem_.groups.size());
  for (const Group& g : problem_.groups) {
    own_.emplace_back(g.targets.size());
    lambda_.emplace_back();
    for (const Target& t : g.targets) {
      lambda_.back().emplace_back(t.rows.size(), 0.0);
      if (!t.rows.empty()) lambda_.back().back()[0] = 1;
    }
  }
  result_.disjuncts = property_.disjuncts.size();
  result_.disjunct_bound.assign(property_.disjuncts.size(), -kInfinity);
  for (std::size_t d = 0; d < property_.disjuncts.size(); ++d)
    if (property_.box_of(property_.disjuncts[d]).empty) result_.disjunct_bound[d] = kInfinity;
  result_.vacuous = property_.vacuous();
  BL_TRY(engine, make_engine(network_, options_.device));
  engine_ = std::move(engine);
  if (options_.exact != Exact::off && options_.semantics == Semantics::real) exact_.emplace(network_, options_.model_bytes);
  if (!options_.certificate || options_.exact == Exact::only) return {};
  auto replayer = Replayer::make(*network_, property_, problem_, options_);
  if (!replayer.ok()) {
    result_.certificate_reason = replayer.error().text();
    return {};
  }
  replayer_ = std::move(replayer.value());
  // Section 1: boxes by backward bounds with the checker's own slopes.
  check::Bounds section;
  section.mode = check::Bounds::Mode::backward;
  replayer_->certificate().bounds.push_back(section);
  replayer_->certificate().bounds.emplace_back();  // mode interval
  return {};
}

Result<bool> Verifier::try_attack(std::int64_t starts, int steps) {
  AttackPlan plan;
  plan.starts = starts;
  plan.steps = steps;
  plan.seed = options_.seed + 1000 * attacks_++;
  BL_TRY(found, attack(*engine_, property_, problem_, open_, plan, watch_.stop, exact_ ? &*exact_ : nullptr));
  if (found.near_miss && !result_.near_miss) result_.near_miss = std::move(found.near_miss);
  if (found.proved) result_.counterexample = std::move(found.proved);
  return result_.counterexample.has_value();
}

// While regions are searched, a part of the time goes to further attacks on what is open, each from other starts and longer than the
// one before.
Result<bool> Verifier::interlude(std::size_t g, const std::vector<bool>& open) {
  BL_TRY(exactly, exact_interlude());
  if (exactly) return true;
  if (!options_.attack || (options_.attack_restarts > 0 && restarts_ >= options_.attack_restarts)) return false;
  const auto now = std::chrono::steady_clock::now();
  if (attack_seconds_ > kAttackShare * std::chrono::duration<double>(now - searching_).count()) return false;
  const auto open_before = open_;
  for (std::size_t i = 0; i < open_.size(); ++i)
    if (i != g) open_[i].assign(open_[i].size(), false);
  open_[g] = open;
  auto found = try_attack(4 + std::min<std::int64_t>(restarts_ / 4, 28), 30 + static_cast<int>(std::min<std::int64_t>(restarts_, 70)));
  open_ = open_before;
  restarts_ += 4;
  attack_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - now).count();
  return found;
}

void Verifier::close(std::size_t g, std::size_t t, std::vector<double> lambda) {
  open_[g][t] = false;
  result_.disjunct_bound[problem_.groups[g].targets[t].disjunct] = kInfinity;
  if (!replayer_) return;
  SearchTree::Leaf& leaf = trees_[g].leaves.emplace_back();
  leaf.target = static_cast<std::uint32_t>(t);
  leaf.data.lambda = std::move(lambda);
  leaf.data.bounds = 1;
}

// Every open target by one constraint on its whole box.
Result<void> Verifier::root_bounds(Method method) {
  for (std::size_t g = 0; g < problem_.groups.size(); ++g) {
    const Group& group = problem_.groups[g];
    const Forms forms = forms_of(*network_, group, open_[g]);
    if (forms.rows == 0) continue;
    Regions r;
    r.batch = 1;
    r.lower = group.lower;
    r.upper = group.upper;
    BoundOptions o = bound_options(options_, watch_.stop);
    o.method = method;
    o.alpha_steps = options_.alpha_steps;
    BL_TRY(bounds, engine_->bound(r, forms, o));
    result_.counters.rows += bounds.counters.rows;
    std::shared_ptr<const check::Boxes> boxes;
    if (replayer_) boxes = replayer_->boxes({group.lower, group.upper}, nullptr, {}, &replayer_->certificate().bounds[0]);
    const std::vector<bool> asked = open_[g];
    std::size_t row = 0;
    for (std::size_t t = 0; t < group.targets.size(); ++t) {
      if (!asked[t]) continue;
      const Target& target = group.targets[t];
      for (std::size_t i = 0; i < target.rows.size(); ++i, ++row) {
        double lower = bounds.lower[row];
        if (!target.rows[i].a.empty()) lower = add_down(lower, least(target.rows[i].a, group.lower.data(), group.upper.data()));
        double& best = result_.disjunct_bound[target.disjunct];
        if (open_[g][t] && margin(target.rows[i], lower) > best) {
          best = margin(target.rows[i], lower);
          lambda_[g][t].assign(target.rows.size(), 0.0);
          lambda_[g][t][i] = 1;
        }
        if (!open_[g][t] || !excludes(target.rows[i], lower)) continue;
        std::vector<double> lambda(target.rows.size(), 0.0);
        lambda[i] = 1;
        const Replayer::Leaf leaf{&target, lambda, nullptr, {}, nullptr};
        if (replayer_ && !(boxes && (boxes->empty || replayer_->excludes(leaf, replayer_->forms(*boxes, {leaf})[0], {group.lower, group.upper})))) continue;
        close(g, t, std::move(lambda));
      }
    }
  }
  return {};
}

// Few inputs: their splits shrink everything at once. Terms in the inputs are not known to the search over ReLUs, and without ReLUs
// there is nothing else to split.
bool Verifier::by_inputs(const Group& group) const {
  if (options_.splits == Splits::inputs) return true;
  bool relus = false, terms = false;
  for (const NetworkNode& node : network_->nodes) relus = relus || node.node.op == "Relu" || node.node.op == "LeakyRelu";
  for (const Target& t : group.targets) {
    terms = terms || t.rows.empty();
    for (const ConstraintRow& row : t.rows) terms = terms || !row.a.empty();
  }
  if (!relus || terms) return true;
  return options_.splits == Splits::automatic && static_cast<std::int64_t>(group.varying.size()) <= kFewInputs;
}

// What a state file must agree on.
const std::string& Verifier::subject() {
  if (subject_.empty()) subject_ = identity_of(*network_) + " " + sha256_hex(to_vnnlib(property_)) + " " + std::to_string(static_cast<int>(options_.semantics)) + std::to_string(static_cast<int>(options_.splits)) +
         (replayer_ ? " certificate" : "") + (options_.inlined ? " inlined" : "") + (options_.clip ? " clip" : "");
  return subject_;
}

Result<void> Verifier::save(std::size_t group, std::string regions) {
  State s;
  s.subject = subject();
  s.open = open_;
  s.trees = trees_;
  s.own = own_;
  s.lambda = lambda_;
  if (replayer_) s.certificate = check::serialize(replayer_->certificate());
  s.group = group;
  s.regions = std::move(regions);
  s.domains = result_.domains;
  s.leaves = result_.leaves;
  s.splits = result_.splits;
  s.clips = result_.clips;
  s.deepest = result_.deepest;
  s.seconds = seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - watch_.start).count();
  return save_state(options_.state, s);
}

// True: the open regions of an earlier search were read.
Result<bool> Verifier::resume() {
  if (options_.state.empty()) return false;
  BL_TRY(found, load_state(options_.state, subject()));
  if (!found) return false;
  State& s = *found;
  const Error damaged{ErrorKind::bad_input, options_.state.string(), "does not fit the property; remove it to start anew"};
  if (s.open.size() != open_.size() || s.trees.size() != trees_.size() || s.own.size() != own_.size() || s.lambda.size() != lambda_.size() || s.group >= open_.size()) return damaged;
  for (std::size_t g = 0; g < open_.size(); ++g)
    if (s.open[g].size() != open_[g].size() || s.own[g].size() != open_[g].size() || s.lambda[g].size() != open_[g].size()) return damaged;
  open_ = std::move(s.open);
  trees_ = std::move(s.trees);
  own_ = std::move(s.own);
  lambda_ = std::move(s.lambda);
  if (replayer_) {
    BL_TRY(certificate, check::parse_certificate(s.certificate));
    replayer_->certificate().names = std::move(certificate.names);
    replayer_->certificate().bounds = std::move(certificate.bounds);
  }
  group_ = static_cast<std::size_t>(s.group);
  regions_ = std::move(s.regions);
  result_.domains = s.domains;
  result_.leaves = s.leaves;
  result_.splits = s.splits;
  result_.clips = s.clips;
  result_.deepest = s.deepest;
  seconds_before_ = s.seconds;
  for (std::size_t g = 0; g < open_.size(); ++g)
    for (std::size_t t = 0; t < open_[g].size(); ++t)
      if (!open_[g][t]) result_.disjunct_bound[problem_.groups[g].targets[t].disjunct] = kInfinity;
  result_.notes.push_back("went on from " + options_.state.string() + " after " + std::to_string(s.domains) + " regions and " + std::to_string(static_cast<long long>(s.seconds)) + " s");
  return true;
}

Result<End> Verifier::search() {
  for (std::size_t g = group_; g < problem_.groups.size(); ++g) {
    SearchContext context{*engine_, property_, problem_.groups[g], watch_, replayer_.get(), 1, trees_[g], own_[g], open_[g],
                          [this, g](const std::vector<bool>& open) { return interlude(g, open); },
                          options_.state.empty() ? std::function<Result<void>(std::string)>() : [this, g](std::string regions) { return save(g, std::move(regions)); },
                          g == group_ ? std::move(regions_) : std::string(), lambda_[g], exact_ ? &*exact_ : nullptr};
    bool any = false;
    for (const bool o : open_[g]) any = any || o;
    if (!any) continue;
    const bool inputs = by_inputs(problem_.groups[g]);
    BL_TRY(end, inputs ? search_inputs(context) : search_relus(context));
    stage(inputs ? "input splits" : "relu splits");
    how_.insert(inputs ? "input splits" : "relu splits");
    if (exactly_closed_) {
      close_all();
      return End::closed;
    }
    if (end != End::closed) {
      for (std::size_t later = g + 1; later < open_.size(); ++later) result_.best_bound = std::min(result_.best_bound, least_open(later));
      return end;
    }
    for (std::size_t t = 0; t < open_[g].size(); ++t) {
      open_[g][t] = false;
      result_.disjunct_bound[problem_.groups[g].targets[t].disjunct] = kInfinity;
    }
  }
  return End::closed;
}

Result<void> Verifier::certify() {
  if (!replayer_) return {};
  check::Certificate c = std::move(replayer_->certificate());
  for (std::size_t g = 0; g < problem_.groups.size(); ++g)
    for (std::size_t t = 0; t < problem_.groups[g].targets.size(); ++t) {
      const Target& target = problem_.groups[g].targets[t];
      check::Proof proof;
      proof.statement = static_cast<std::uint32_t>(replayer_->statement_of(target));
      proof.disjunct = static_cast<std::uint32_t>(replayer_->disjunct_of(target));
      const SearchTree& own = own_[g][t];
      proof.tree = (own.leaves.empty() ? trees_[g] : own).of(static_cast<std::uint32_t>(t));
      c.proofs.push_back(std::move(proof));
    }
  result_.certificate = std::move(c);
  return {};
}

void Verifier::note_interruption() {
  const bool flag = options_.stop.cancelled();
  result_.answer = flag ? Answer::interrupted : Answer::timeout;
  result_.reason = flag ? "stopped on request" : "the time ran out";
}

void Verifier::conclude(End end) {
  switch (end) {
    case End::closed: result_.answer = Answer::unsat; break;
    case End::sat: result_.answer = Answer::sat; break;
    case End::stopped: note_interruption(); break;
    case End::memory:
      result_.answer = Answer::memory;
      result_.reason = "the open regions reached the memory cap";
      break;
    case End::limit:
      result_.answer = Answer::unknown;
      result_.reason = "the number of regions allowed was reached";
      break;
    case End::stuck:
      result_.answer = Answer::unknown;
      if (result_.reason.empty()) result_.reason = result_.near_miss ? "a point violates the property within rounding only; nothing smaller than it can be split" : "a region cannot be split any further and its bound does not decide";
      break;
  }
}

void Verifier::close_all() {
  for (std::size_t g = 0; g < open_.size(); ++g)
    for (std::size_t t = 0; t < open_[g].size(); ++t) {
      open_[g][t] = false;
      result_.disjunct_bound[problem_.groups[g].targets[t].disjunct] = kInfinity;
    }
}

Result<VerifyResult> Verifier::run() {
  BL_CHECK(prepare());
  stage("preparation");
  if (options_.exact == Exact::only) {
    BL_TRY(how, decide_without_rounding(End::stuck));
    return finish(how);
  }
  End end = End::closed;
  const auto answered = [&] { return result_.counterexample.has_value() || all_closed() || watch_.stop.stop_requested(); };
  BL_TRY(resumed, resume());
  if (resumed) {
    searching_ = std::chrono::steady_clock::now();
    BL_TRY(how, search());
    if (how == End::stuck) { BL_TRY(exactly, decide_without_rounding(how)); how = exactly; }
    return finish(how);
  }
  if (options_.attack && !all_closed()) {
    BL_TRY(found, try_attack(2, 15));
    (void)found;
    stage("attack");
  }
  if (options_.bounds && !answered()) {
    BL_CHECK(root_bounds(Method::crown));
    stage("bounds");
  }
  if (options_.attack && !answered()) {
    std::int64_t elements = 0;
    for (const NetworkValue& v : network_->values) elements += v.constant ? 0 : v.size;
    BL_TRY(found, options_.bounds && options_.splits != Splits::none ? try_attack(elements < kSmall ? 16 : 4, elements < kSmall ? 20 : 40) : try_attack(options_.attack_restarts > 0 ? options_.attack_restarts : 64, 60));
    for (int again = 0; again < 6 && elements < kSmall && !result_.counterexample && !watch_.stop.stop_requested(); ++again) {
      BL_TRY(more, try_attack(32, 20 + 5 * again));
      (void)more;
    }
    (void)found;
    stage("attack");
  }
  searching_ = std::chrono::steady_clock::now();
  result_.best_bound = kInfinity;
  for (std::size_t g = 0; g < open_.size(); ++g) result_.best_bound = std::min(result_.best_bound, least_open(g));
  if (result_.counterexample) end = End::sat;
  else if (watch_.stop.stop_requested() && !all_closed()) end = End::stopped;
  else if (!options_.bounds || options_.splits == Splits::none) end = all_closed() ? End::closed : End::stuck;
  else if (!all_closed()) {
    BL_TRY(how, search());
    end = how;
    if (end == End::stuck) { BL_TRY(exactly, decide_without_rounding(end)); end = exactly; }
  }
  return finish(end);
}

Result<VerifyResult> Verifier::finish(End end) {
  if (result_.counterexample) end = End::sat;
  conclude(end);
  if (!options_.state.empty() && (end == End::closed || end == End::sat)) {
    std::error_code ignored;  // a state that stays behind is refused or goes on to the same answer
    std::filesystem::remove(options_.state, ignored);
  }
  if (end == End::stuck && options_.exact != Exact::only && (!options_.bounds || options_.splits == Splits::none)) result_.reason = "no method that was allowed decides it";
  if (result_.answer == Answer::unsat) {
    result_.best_bound = kInfinity;
    BL_CHECK(certify());
  }
  for (const double b : result_.disjunct_bound) result_.disjuncts_closed += std::isinf(b) && b > 0 ? 1 : 0;
  result_.strategy = options_.exact == Exact::only ? "without rounding" : options_.attack ? "attack, then bounds" : "bounds";
  for (const std::string& how : how_) result_.strategy += ", " + how;
  return std::move(result_);
}

}  // namespace bab::verifying

std::string_view text(Answer answer) {
  switch (answer) {
    case Answer::unsat: return "unsat";
    case Answer::sat: return "sat";
    case Answer::unknown: return "unknown";
    case Answer::timeout: return "timeout";
    case Answer::memory: return "memory";
    case Answer::interrupted: return "interrupted";
  }
  return "unknown";
}

Result<VerifyResult> verify(std::shared_ptr<const Network> network, const Property& property, const VerifyOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<tbb::global_control> threads;
  if (options.threads > 0) threads.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(options.threads));
  auto result = bab::verifying::Verifier(std::move(network), property, options).run();
  if (result.ok()) result.value().seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace boundlight
