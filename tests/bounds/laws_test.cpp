// Laws on every operator of the list, on every back end; and engines with planted errors, which the laws must find.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "boundlight/bounds/ops/op.hpp"
#include "support/laws.hpp"

namespace {

using namespace boundlight;
using namespace boundlight::test;

// Operators that never reach an engine: their value is folded or they are removed while a network is prepared.
bool always_folded(const OpInfo& op) {
  const std::string_view value = op.value;
  return value.starts_with("folded") || value.starts_with("removed");
}

LawRun run_of(const LawCase& c, EngineMaker make) {
  const OpInfo* op = find_op(c.op);
  REQUIRE(op != nullptr);
  LawRun run{c, 17, std::move(make)};
  run.deployed = covers_deployment(*op);
  run.weights = std::string_view(op->gradient).find("weights") != std::string_view::npos;
  return run;
}

EngineMaker on(const std::string& device) {
  return [device](std::shared_ptr<const Network> n) { return make_engine(std::move(n), device); };
}

// Runs all cases on one device (those of the operator that BOUNDLIGHT_LAWS names, where it is set); what was found, per operator.
std::map<std::string, LawFindings> run_all(const std::string& device, bool brief) {
  std::map<std::string, LawFindings> by_operator;
  const char* only = std::getenv("BOUNDLIGHT_LAWS");
  for (const auto& c : law_cases()) {
    if (only && c.op != only) continue;
    LawRun run = run_of(c, on(device));
    run.brief = brief;
    const auto found = check_laws(run);
    INFO(law_name(c, 17, device));
    for (const auto& v : found.violations) UNSCOPED_INFO(v);
    CHECK(found.violations.empty());
    CHECK(found.checks > 50);
    if (c.tighter && !brief) CHECK(found.tighter);
    auto& sum = by_operator[c.op];
    sum.checks += found.checks, sum.differences += found.differences, sum.weights += found.weights;
    sum.planes = sum.planes || found.planes, sum.tighter = sum.tighter || found.tighter;
  }
  return by_operator;
}

}  // namespace

TEST_CASE("every operator of the list has a law case") {
  std::set<std::string> have;
  for (const auto& c : law_cases()) have.insert(c.op);
  for (const OpInfo* op : all_ops()) {
    INFO("operator " << op->name << ": add a case to tests/bounds/law_cases_*.cpp");
    if (!always_folded(*op)) CHECK(have.count(op->name) == 1);
    have.erase(op->name);
  }
  for (const auto& name : have) FAIL_CHECK("law cases of " << name << ", which is not in the list");
}

TEST_CASE("every operator obeys the laws") {
  const auto found = run_all("cpu", false);
  if (std::getenv("BOUNDLIGHT_LAWS")) return;  // one operator only
  // What issue 4 names must have planes that are strictly tighter than its interval.
  const std::set<std::string> curved = {"Relu", "LeakyRelu", "PRelu", "Clip", "HardSigmoid", "HardSwish", "MaxPool", "Max", "Min", "Abs", "Sigmoid", "Tanh", "Elu", "Softplus", "Gelu", "Erf", "Exp",
                                        "Log", "Sqrt", "Pow", "Reciprocal", "Sin", "Cos", "Mul", "Div", "MatMul", "Softmax", "LayerNormalization", "ReduceMax"};
  for (const auto& op : curved) {
    INFO(op);
    REQUIRE(found.count(op) == 1);
    CHECK(found.at(op).tighter);
  }
  // Gradients were compared where the operator says that it has them.
  for (const auto& [op, f] : found) {
    INFO(op << ": " << f.checks << " comparisons, gradients in inputs " << f.differences << ", in weights " << f.weights);
    const std::string_view gradient = find_op(op)->gradient;
    if (gradient.starts_with("yes") || gradient.starts_with("inputs")) CHECK(f.differences > 0);
    if (gradient.find("weights") != std::string_view::npos) CHECK(f.weights > 0);
    std::printf("%-20s %7d comparisons, gradients %3d in inputs %3d in weights; planes %s\n", op.c_str(), f.checks, f.differences, f.weights,
                f.tighter ? "tighter than the interval" : f.planes ? "as the interval" : "none");
  }
  CHECK(found.size() > 80);
}

TEST_CASE("every operator obeys the laws on the other back ends") {
  for (const auto& device : available_devices()) {
    if (device.name == "cpu") continue;
    if (!device.reason.empty()) {
      WARN("laws on " << device.name << " skipped: " << device.reason);
      continue;
    }
    run_all(device.name, true);
  }
}
