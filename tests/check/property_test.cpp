// The checker's own reader of properties against the one of solver/spec, which shares no code with it: same disjuncts, in
// the same order, with the same numbers, and refusals of the same texts.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/check/model.hpp"
#include "boundlight/solver/check/property.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"

using namespace boundlight;

namespace {

bool same_terms(const std::vector<LinearTerm>& a, const std::vector<std::pair<std::uint32_t, Rational>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].index != b[i].first || a[i].coefficient != b[i].second) return false;
  return true;
}

void check_same(const Property& a, const check::Requirement& b) {
  REQUIRE(static_cast<std::size_t>(a.inputs) == b.inputs);
  REQUIRE(static_cast<std::size_t>(a.outputs) == b.outputs);
  REQUIRE(a.disjuncts.size() == b.disjuncts.size());
  for (std::size_t d = 0; d < a.disjuncts.size(); ++d) {
    const InputBox& box = a.box_of(a.disjuncts[d]);
    const check::Region& region = b.regions[b.disjuncts[d].region];
    bool same = box.lower == region.lower && box.upper == region.upper && box.empty == region.empty && box.lower_outward == region.outward.lower && box.upper_outward == region.outward.upper;
    const auto &p = a.disjuncts[d].constraints;
    const auto &q = b.disjuncts[d].constraints;
    same = same && p.size() == q.size();
    for (std::size_t i = 0; same && i < p.size(); ++i)
      same = same_terms(p[i].inputs, q[i].inputs) && same_terms(p[i].outputs, q[i].outputs) && p[i].strict == q[i].strict && q[i].bounds == std::vector<Rational>{p[i].bound};
    CHECK(same);
  }
}

struct Generator {
  std::mt19937_64 random;
  std::size_t pick(std::size_t n) { return random() % n; }
  std::string number() {
    static const char* spelled[] = {"0", "1", "-1", "+0.5", "2.5e-3", "-.25E2", "007", "3.", "(- 2)", "(/ 1 3)", "(* 2 (+ 1 -3))", "123456789.987654321e-7"};
    return spelled[pick(12)];
  }
  std::string name() { return (pick(2) ? "X_" : "Y_") + std::to_string(pick(3)); }
  std::string expression(int depth) {
    switch (depth > 0 ? pick(7) : pick(2)) {
      case 0: return name();
      case 1: return number();
      case 2: return "(+ " + expression(depth - 1) + " " + expression(depth - 1) + " " + expression(0) + ")";
      case 3: return "(- " + expression(depth - 1) + " " + expression(depth - 1) + ")";
      case 4: return "(* " + number() + " " + expression(depth - 1) + (pick(2) ? " " + number() : "") + ")";
      case 5: return "(/ " + expression(depth - 1) + " (- 4))";
      default: return "(- " + expression(depth - 1) + ")";
    }
  }
  std::string formula(int depth) {
    static const char* operators[] = {"<=", ">=", "<", ">", "="};
    if (depth == 0 || pick(3) == 0) return std::string("(") + operators[pick(5)] + " " + expression(2) + " " + expression(1) + (pick(4) ? "" : " " + expression(1)) + ")";
    if (pick(4) == 0) return "(not " + formula(depth - 1) + ")";
    std::string s = pick(2) ? "(and" : "(or";
    for (std::size_t n = 1 + pick(3); n > 0; --n) s += "\n " + formula(depth - 1);
    return s + ") ; done\n";
  }
  std::string file() {
    std::string s;
    for (const char* letter : {"X_", "Y_"})
      for (int i = 0; i < 3; ++i) s += i == 1 ? "(declare-fun " + std::string(letter) + "1 () Real)" : "(declare-const " + std::string(letter) + std::to_string(i) + " Real)\n";
    for (int i = 0; i < 3; ++i) s += "(assert (>= X_" + std::to_string(i) + " -1))(assert (<= X_" + std::to_string(i) + " 1.5))";
    for (std::size_t n = 1 + pick(3); n > 0; --n) s += "(assert " + formula(3) + ")\n";
    return s;
  }
};

}  // namespace

TEST_CASE("both readers of properties understand random files alike") {
  std::size_t disjuncts = 0;
  for (int seed = 0; seed < 300; ++seed) {
    Generator g{std::mt19937_64(seed)};
    const std::string text = g.file();
    INFO(text);
    const auto a = parse_vnnlib(text, "a");
    REQUIRE(a.ok());
    check_same(a.value(), check::read_requirement(text));
    disjuncts += a.value().disjuncts.size();
  }
  CHECK(disjuncts > 1000);
}

TEST_CASE("both readers refuse the same damaged files") {
  std::mt19937_64 random(9);
  int refused = 0, differ = 0;
  for (int seed = 0; seed < 2000; ++seed) {
    Generator g{std::mt19937_64(seed % 20)};
    std::string text = g.file();
    for (std::size_t n = 1 + random() % 2; n > 0; --n) text[random() % text.size()] = "()XY_019.e-+*/ \n;<>=andort"[random() % 27];
    const auto a = parse_vnnlib(text, "a");
    try {
      const check::Requirement b = check::read_requirement(text);
      if (a.ok()) check_same(a.value(), b);
      differ += !a.ok();
    } catch (const check::Refusal&) {
      ++refused;
      differ += a.ok();
    }
  }
  CHECK(refused > 300);
  CHECK(differ == 0);
}

TEST_CASE("hostile property texts are refused in little time and memory") {
  const auto refused = [](const std::string& text) {
    try {
      (void)check::read_requirement(text);
    } catch (const check::Refusal&) {
      return true;
    }
    return false;
  };
  const std::string head = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= 0 X_0 1))";
  CHECK(!refused(head));
  CHECK(refused(head + std::string(100000, '(')));
  std::string wide = head;
  for (int i = 0; i < 40; ++i) wide += "(assert (or (<= Y_0 1) (>= Y_0 2)))";
  CHECK(refused(wide));
  std::string product = head + "(assert (<= Y_0 (*";
  for (int i = 0; i < 100000; ++i) product += " 1e1999";
  CHECK(refused(product + ")))"));
  for (const char* text : {"", "(", ")", ";", "(assert)", "(assert ())", "x", "(declare-const X_0 Real", "(declare-const X_0 Real)(assert (<= X_0 1e99999999999))"}) {
    INFO(text);
    CHECK(refused(text));
  }
}

TEST_CASE("both readers understand every shared property alike") {
  const char* at = std::getenv("BOUNDLIGHT_SHARED");
  const auto folder = (at ? std::filesystem::path(at) : std::filesystem::path(BL_SOURCE_DIR) / ".." / "shared") / "data" / "specs";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: no shared data at " << folder.string());
    return;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".vnnlib") continue;
    ++files;
    INFO(entry.path().string());
    const std::string text = read_file(entry.path()).value();
    check_same(parse_vnnlib(text, "a").value(), check::read_requirement(text));
  }
  CHECK(files >= 60);
}
