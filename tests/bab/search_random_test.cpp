// Model-based random testing of the search: small random networks, properties, options, interruptions and resumes, with the exact
// truth by enumeration of the linear pieces (support/exact_truth.hpp). A failing case is made smaller and told in one line.
//
//   BOUNDLIGHT_SEARCH_CASES=20000 test_bab "[random]"            more cases (BOUNDLIGHT_SEARCH_FIRST: the first seed)
//   BOUNDLIGHT_SEARCH_CASE='4711 d0 oc' test_bab "[random]"      one case
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "support/search_trial.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::int64_t asked(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

// False: it went wrong; told in its smallest form.
bool goes_well(const SearchCase& c, TrialCount& count) {
  if (!SearchTrial(c).run(&count)) return true;
  const SearchCase least = shrunk(c);
  const auto wrong = SearchTrial(least).run();
  UNSCOPED_INFO("BOUNDLIGHT_SEARCH_CASE='" << least.line() << "'  " << wrong.value_or("(not again)") << "\n" << to_vnnlib(least.property()));
  std::fprintf(stderr, "BOUNDLIGHT_SEARCH_CASE='%s'  %s\n", least.line().c_str(), wrong.value_or("(not again)").c_str());
  return false;
}

}  // namespace

TEST_CASE("kept search cases", "[random]") {
  std::ifstream file(BL_SOURCE_DIR "/tests/bab/search_seeds.txt");
  REQUIRE(file.good());
  TrialCount count;
  for (std::string line; std::getline(file, line);) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    INFO(line);
    CHECK(goes_well(SearchCase::of(line), count));
  }
}

TEST_CASE("random searches never answer wrongly", "[random]") {
  TrialCount count;
  if (const char* one = std::getenv("BOUNDLIGHT_SEARCH_CASE")) {
    CHECK(goes_well(SearchCase::of(one), count));
    return;
  }
  const std::int64_t cases = asked("BOUNDLIGHT_SEARCH_CASES", 250), first = asked("BOUNDLIGHT_SEARCH_FIRST", 1);
  int wrong = 0;
  for (std::int64_t i = 0; i < cases && wrong < 5; ++i) wrong += goes_well(SearchCase(static_cast<std::uint64_t>(first + i)), count) ? 0 : 1;
  CHECK(wrong == 0);
  if (cases > 250)
    std::fprintf(stderr, "%lld cases: %lld unsat, %lld sat, %lld undecided; %lld with exact truth; %lld certificates accepted, %lld partial; %lld interrupted pieces\n",
                 static_cast<long long>(count.cases), static_cast<long long>(count.unsat), static_cast<long long>(count.sat), static_cast<long long>(count.open),
                 static_cast<long long>(count.exact), static_cast<long long>(count.certificates), static_cast<long long>(count.partial), static_cast<long long>(count.pieces));
  // Both answers are common, and few questions stay open: those that touch, or end early.
  CHECK(count.unsat * 4 > count.cases);
  CHECK(count.sat * 6 > count.cases);
  CHECK(count.certificates * 10 > count.cases);
  CHECK(count.pieces > count.cases / 20);
}

TEST_CASE("cases are told in one line and read back", "[random]") {
  SearchCase c(12);
  const bool changed[] = {c.apply("on"), c.apply("ot"), c.apply("ok"), c.apply("oa")};
  REQUIRE((changed[0] || changed[1] || changed[2] || changed[3]));
  for (const std::string& token : c.reductions())
    if (token[0] == 'w' || token[0] == 'b') c.apply(token);
  const SearchCase again = SearchCase::of(c.line());
  CHECK(again.line() == c.line());
  CHECK(to_vnnlib(again.property()) == to_vnnlib(c.property()));
  CHECK(again.net.onnx() == c.net.onnx());
  CHECK_THROWS(SearchCase::of("12 d99"));
  CHECK_THROWS(SearchCase::of("x"));
}
