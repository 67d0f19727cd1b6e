// Verdicts: runs verify on rows of a verdicts file (model,property,verdict,...) and prints a table with deterministic counters.
//   verdicts DATA_FOLDER [--match TEXT] [--timeout SECONDS] [--certificate] [--check] [--no-attack] [--progress] [--alpha-steps N]
//            [--beta-steps N]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

#include "boundlight/core/files.hpp"
#include "boundlight/models/onnx.hpp"
#include "boundlight/solver/bab/verify.hpp"
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"

using namespace boundlight;

namespace {

struct Arguments {
  std::string data, match;
  double timeout = 60;
  int alpha_steps = VerifyOptions().alpha_steps, beta_steps = VerifyOptions().beta_steps;
  bool certificate = false, check = false, attack = true, progress = false;
};

struct Totals {
  int rows = 0, decided = 0, wrong = 0;
  double seconds = 0, checking = 0;
};

bool one(const Arguments& a, const std::string& model, const std::string& spec, const std::string& expected, Totals& totals) {
  auto graph = load_onnx(a.data + "/" + model);
  if (!graph.ok()) return std::printf("%s\n", graph.error().text().c_str()), false;
  auto network = prepare(graph.value());
  auto property = read_vnnlib(a.data + "/" + spec);
  if (!network.ok() || !property.ok()) return std::printf("%s\n", (network.ok() ? property.error() : network.error()).text().c_str()), false;
  VerifyOptions o;
  o.timeout = a.timeout;
  o.attack = a.attack;
  o.alpha_steps = a.alpha_steps;
  o.beta_steps = a.beta_steps;
  o.certificate = a.certificate || a.check;
  if (a.progress) o.progress = [](std::string_view what, double done, double) { std::fprintf(stderr, "\r%.*s  %.3f   ", static_cast<int>(what.size()), what.data(), done); };
  const std::clock_t cpu = std::clock();
  auto result = verify(network.value(), property.value(), o);
  const double cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  if (!result.ok()) return std::printf("%s\n", result.error().text().c_str()), false;
  const VerifyResult& r = result.value();
  std::string checked = "-";
  double check_seconds = 0;
  std::size_t size = 0;
  if (r.certificate && a.check) {
    const std::string bytes = check::serialize(*r.certificate);
    size = bytes.size();
    const auto start = std::chrono::steady_clock::now();
    auto verdict = check::check_bytes(bytes, read_file(a.data + "/" + model).value(), read_file(a.data + "/" + spec).value());
    check_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    checked = !verdict.ok() ? verdict.error().text() : verdict.value().kind == check::Verdict::Kind::accepted ? "accepted" : "REFUSED " + verdict.value().place + " " + verdict.value().reason;
  } else if (r.answer == Answer::unsat && a.check) {
    checked = r.certificate_reason;
  }
  const bool decided = r.answer == Answer::sat || r.answer == Answer::unsat;
  const bool wrong = decided && !expected.empty() && expected != "conflict" && expected != text(r.answer);
  ++totals.rows;
  totals.decided += decided;
  totals.wrong += wrong;
  totals.seconds += r.seconds;
  totals.checking += check_seconds;
  std::string short_model = model.substr(model.rfind('/') + 1), short_spec = spec.substr(spec.rfind('/') + 1);
  std::printf("%-34s %-52s %-9s %-9s %s %8.2f s %8.2f s cpu %8lld domains %7lld leaves %6lld clips depth %3lld open %lld bound %.3g", short_model.c_str(), short_spec.c_str(), std::string(text(r.answer)).c_str(),
              expected.c_str(), wrong ? "WRONG" : "", r.seconds, cpu_seconds, static_cast<long long>(r.domains), static_cast<long long>(r.leaves), static_cast<long long>(r.clips), static_cast<long long>(r.deepest),
              static_cast<long long>(r.open), r.best_bound);
  if (a.check) std::printf("  %zu bytes, %s in %.2f s", size, checked.c_str(), check_seconds);
  for (const auto& s : r.stages) std::printf("  %s %.2f", s.name.c_str(), s.seconds);
  std::printf("\n");
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--match") && i + 1 < argc) a.match = argv[++i];
    else if (!std::strcmp(argv[i], "--timeout") && i + 1 < argc) a.timeout = std::atof(argv[++i]);
    else if (!std::strcmp(argv[i], "--alpha-steps") && i + 1 < argc) a.alpha_steps = std::atoi(argv[++i]);
    else if (!std::strcmp(argv[i], "--beta-steps") && i + 1 < argc) a.beta_steps = std::atoi(argv[++i]);
    else if (!std::strcmp(argv[i], "--certificate")) a.certificate = true;
    else if (!std::strcmp(argv[i], "--check")) a.check = true;
    else if (!std::strcmp(argv[i], "--no-attack")) a.attack = false;
    else if (!std::strcmp(argv[i], "--progress")) a.progress = true;
    else a.data = argv[i];
  }
  std::ifstream list(a.data + "/expected/vnncomp2021_verdicts.csv");
  if (a.data.empty() || !list) return std::fprintf(stderr, "usage: verdicts DATA_FOLDER [--match TEXT] [--timeout SECONDS] [--certificate] [--check] [--no-attack] [--progress]\n"), 2;
  std::string line;
  std::getline(list, line);
  Totals totals;
  while (std::getline(list, line)) {
    if (!a.match.empty() && line.find(a.match) == std::string::npos) continue;
    std::stringstream cells(line);
    std::string model, spec, verdict;
    std::getline(cells, model, ',');
    std::getline(cells, spec, ',');
    std::getline(cells, verdict, ',');
    if (!one(a, model, spec, verdict, totals)) ++totals.wrong;
  }
  std::printf("%d rows, %d decided, %d wrong, %.1f s, checking %.1f s\n", totals.rows, totals.decided, totals.wrong, totals.seconds, totals.checking);
  return totals.wrong != 0;
}
