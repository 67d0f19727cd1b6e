// Searches cut into pieces: interrupted after a few regions, written, read, gone on with; the verdict is the same, and the
// certificate of the pieces is accepted. Damaged and foreign states are refused.
#include <fstream>

#include "nets.hpp"
#include "support/folders.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

// y0 >= bound everywhere? The least value is exact; `gap` below it.
Case hard_case(std::mt19937_64& random, double gap) {
  const DenseNet net = random_net(random, {3, 7, 6, 2});
  const std::vector<double> lower = {-1, -1, -1}, upper = {1, 1, 1};
  const ExactCells cells(net, lower, upper);
  LinearConstraint c;
  c.outputs = {{0, 1}};
  c.bound = exact(round_down(cells.ranges.back()[0].lower) - gap);
  LinearConstraint d;
  d.outputs = {{1, -1}};
  d.bound = exact(round_down(-cells.ranges.back()[1].upper) - gap);
  return case_of(net, lower, upper, {{c}, {d}});
}

VerifyOptions options_for(const Case& c, Splits splits, const std::filesystem::path& state) {
  VerifyOptions o;
  o.device = test_device();
  o.splits = splits;
  o.attack = false;
  o.batch = 4;
  o.beta_steps = 3;
  o.certificate = true;
  o.exact = Exact::off;  // whose unsat has no certificate
  o.state = state;
  o.model_bytes = std::make_shared<const std::string>(c.model);
  return o;
}

}  // namespace

TEST_CASE("a search in pieces answers as one in one piece", "[state]") {
  std::mt19937_64 random(31);
  int pieces = 0;
  for (int n = 0; n < 6; ++n) {
    const Case c = hard_case(random, n % 3 == 2 ? -1e-3 : 1e-3);
    for (const Splits splits : {Splits::inputs, Splits::relus}) {
      const ScratchFolder folder;
      VerifyOptions o = options_for(c, splits, folder.path() / "state");
      VerifyOptions whole = o;
      whole.state.clear();
      whole.most_domains = 5000;
      const VerifyResult once = verify(c.network, c.property, whole).value();
      for (o.most_domains = 20;; o.most_domains += 20) {
        const auto r = verify(c.network, c.property, o);
        REQUIRE(r.ok());
        if (r.value().answer == Answer::unknown && o.most_domains < 5000) {
          ++pieces;
          CHECK(std::filesystem::exists(o.state));
          continue;
        }
        CHECK(text(r.value().answer) == text(once.answer));
        if (r.value().answer == Answer::unsat) {
          REQUIRE(r.value().certificate);
          const check::Verdict verdict = checked(c, *r.value().certificate);
          INFO(verdict.place << ": " << verdict.reason);
          CHECK(verdict.kind == check::Verdict::Kind::accepted);
          CHECK_FALSE(std::filesystem::exists(o.state));
        }
        if (r.value().answer == Answer::sat) check_counterexample(c, r.value());
        break;
      }
    }
  }
  CHECK(pieces > 10);
}

TEST_CASE("states that are damaged or about something else are refused", "[state]") {
  std::mt19937_64 random(4);
  const Case c = hard_case(random, 1e-3);
  const ScratchFolder folder;
  VerifyOptions o = options_for(c, Splits::inputs, folder.path() / "state");
  o.most_domains = 10;
  REQUIRE(verify(c.network, c.property, o).value().answer == Answer::unknown);
  REQUIRE(std::filesystem::exists(o.state));
  SECTION("another property") {
    const Case other = hard_case(random, 1e-3);
    CHECK_FALSE(verify(c.network, other.property, o).ok());
  }
  SECTION("another way of searching") {
    o.splits = Splits::relus;
    CHECK_FALSE(verify(c.network, c.property, o).ok());
  }
  SECTION("one byte changed anywhere") {
    const std::string bytes = read_file(o.state).value();
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 40) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 4);
      REQUIRE(write_file(o.state, changed).ok());
      CHECK_FALSE(verify(c.network, c.property, o).ok());
    }
    REQUIRE(write_file(o.state, bytes.substr(0, bytes.size() / 2)).ok());
    CHECK_FALSE(verify(c.network, c.property, o).ok());
  }
}

TEST_CASE("over the memory cap a search ends with its state, and goes on under a larger one", "[state]") {
  std::mt19937_64 random(31);
  int capped = 0;
  for (int n = 0; n < 4; ++n) {
    const Case c = hard_case(random, 1e-3);
    for (const Splits splits : {Splits::inputs, Splits::relus})
      for (const bool certificate : {false, true}) {
        const ScratchFolder folder;
        VerifyOptions o = options_for(c, splits, folder.path() / "state");
        o.certificate = certificate;
        VerifyOptions free = o;
        free.state.clear();
        free.most_domains = 5000;
        const Answer answer = verify(c.network, c.property, free).value().answer;
        // A cap that leaves room for some regions: doubled until the search ends.
        for (o.memory = 2000; o.memory < (std::uint64_t{1} << 30); o.memory *= 2) {
          const auto r = verify(c.network, c.property, o);
          REQUIRE(r.ok());
          if (r.value().answer == Answer::memory) {
            ++capped;
            CHECK(r.value().reason.find("memory") != std::string::npos);
            CHECK(std::filesystem::exists(o.state));
            continue;
          }
          if (answer != Answer::unknown) CHECK(text(r.value().answer) == text(answer));
          if (r.value().answer == Answer::unsat && certificate) CHECK(checked(c, *r.value().certificate).kind == check::Verdict::Kind::accepted);
          break;
        }
      }
  }
  CHECK(capped > 20);
}

TEST_CASE("a state of another version, or of a network prepared differently, is refused", "[state]") {
  std::mt19937_64 random(4);
  const Case c = hard_case(random, 1e-3);
  const ScratchFolder folder;
  VerifyOptions o = options_for(c, Splits::inputs, folder.path() / "state");
  o.most_domains = 10;
  REQUIRE(verify(c.network, c.property, o).value().answer == Answer::unknown);
  const std::string bytes = read_file(o.state).value(), content = bytes.substr(0, bytes.size() - 64);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = content;
    changed.replace(changed.find(from), from.size(), to);
    REQUIRE(write_file(o.state, changed + sha256_hex(changed)).ok());
    const auto r = verify(c.network, c.property, o);
    return r.ok() ? std::string() : r.error().text();
  };
  const std::string version = content.substr(16, static_cast<std::size_t>(content[8]));  // after the mark and its length
  std::string other = version;
  other.back() = other.back() == '9' ? '8' : '9';
  CHECK(with(version, other).find("written by version " + other) != std::string::npos);
  CHECK(with("BLSTATE3", "BLSTATE2").find("no state file of this version") != std::string::npos);
  CHECK(with(version, version).empty());
  // The same file hash, another weight.
  REQUIRE(write_file(o.state, bytes).ok());
  DenseNet changed = c.net;
  changed.layers[0].bias[0] += 0.5;
  auto graph = parse_onnx(onnx_of(changed), "case.onnx", {}).value();
  graph.sha256 = c.network->sha256;
  o.certificate = false;
  const auto r = verify(prepare(graph).value(), c.property, o);
  REQUIRE_FALSE(r.ok());
  CHECK(r.error().text().find("belongs to another model") != std::string::npos);
}

TEST_CASE("stops, memory caps and limits end without a wrong verdict", "[state]") {
  std::mt19937_64 random(8);
  const Case c = hard_case(random, 1e-3);
  const std::atomic<bool> set = true;
  for (const Splits splits : {Splits::inputs, Splits::relus}) {
    VerifyOptions o;
    o.device = test_device();
    o.splits = splits;
    o.attack = false;
    o.batch = 2;
    o.stop = StopToken::on(&set);
    CHECK(verify(c.network, c.property, o).value().answer == Answer::interrupted);
    o.stop = {};
    o.timeout = 1e-9;
    CHECK(verify(c.network, c.property, o).value().answer == Answer::timeout);
    o.timeout = 0;
    o.memory = 1;
    const Answer capped = verify(c.network, c.property, o).value().answer;
    CHECK((capped == Answer::memory || capped == Answer::unsat));
    o.memory = 0;
    o.most_domains = 1;
    const Answer limited = verify(c.network, c.property, o).value().answer;
    CHECK((limited == Answer::unknown || limited == Answer::unsat));
  }
}
