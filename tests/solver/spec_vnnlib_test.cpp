// VNN-LIB reader: the normal form against direct evaluation of the formula (T14), exact numbers, errors with their
// place, limits, and every file of the shared data.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/spec/vnnlib.hpp"

using namespace boundlight;

namespace {

using Point = std::vector<Rational>;

// A random formula: its text, and its truth computed from the tree itself.
struct Tree {
  std::string text;
  std::function<bool(const Point& x, const Point& y)> truth;
};

struct Generator {
  std::mt19937_64 random;
  int inputs = 2, outputs = 3;

  int pick(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); }
  std::string small_number() {
    static const std::vector<std::string> spellings = {"0", "1", "-1", "0.5", "-.5", "2e0", "-10e-1", "+1.0", "(- 1)", "(/ 1 2)"};
    return spellings[pick(static_cast<int>(spellings.size()))];
  }
  static Rational value(const std::string& s) {
    if (s == "(- 1)") return -1;
    if (s == "(/ 1 2)") return Rational(1, 2);
    return *parse_decimal(s);
  }
  struct Expression { std::string text; std::function<Rational(const Point&, const Point&)> value; };
  Expression variable() {
    const bool in = pick(3) == 0;
    const int i = pick(in ? inputs : outputs);
    if (in) return {"X_" + std::to_string(i), [i](const Point& x, const Point&) { return x[i]; }};
    return {"Y_" + std::to_string(i), [i](const Point&, const Point& y) { return y[i]; }};
  }
  Expression expression(int depth) {
    switch (depth > 0 ? pick(6) : pick(2)) {
      case 0: return variable();
      case 1: { const std::string s = small_number(); return {s, [q = value(s)](const Point&, const Point&) { return q; }}; }
      case 2: { auto a = expression(depth - 1), b = expression(depth - 1), c = expression(depth - 1);
        return {"(+ " + a.text + " " + b.text + " " + c.text + ")", [=](const Point& x, const Point& y) { return Rational(a.value(x, y) + b.value(x, y) + c.value(x, y)); }}; }
      case 3: { auto a = expression(depth - 1), b = expression(depth - 1);
        return {"(- " + a.text + " " + b.text + ")", [=](const Point& x, const Point& y) { return Rational(a.value(x, y) - b.value(x, y)); }}; }
      case 4: { auto a = expression(depth - 1); const std::string s = small_number();
        return {"(* " + s + " " + a.text + ")", [=, q = value(s)](const Point& x, const Point& y) { return Rational(q * a.value(x, y)); }}; }
      default: { auto a = expression(depth - 1);
        return {"(- " + a.text + ")", [=](const Point& x, const Point& y) { return Rational(-a.value(x, y)); }}; }
    }
  }
  Tree formula(int depth) {
    const int kind = depth > 0 ? pick(5) : 4;
    if (kind == 3) {
      Tree a = formula(depth - 1);
      return {"(not " + a.text + ")", [a](const Point& x, const Point& y) { return !a.truth(x, y); }};
    }
    if (kind < 3) {
      const bool all = kind == 0 || (kind == 2 && pick(2));
      std::vector<Tree> parts;
      for (int n = 1 + pick(3); n > 0; --n) parts.push_back(formula(depth - 1));
      Tree t{all ? "(and" : "(or", {}};
      for (const Tree& p : parts) t.text += " " + p.text;
      t.text += ")";
      t.truth = [=](const Point& x, const Point& y) {
        for (const Tree& p : parts)
          if (p.truth(x, y) != all) return !all;
        return all;
      };
      return t;
    }
    static const std::vector<std::string> operators = {"<=", ">=", "<", ">", "="};
    const std::string op = operators[pick(5)];
    auto a = expression(2), b = expression(1), c = expression(1);
    const bool chain = pick(4) == 0;
    const auto related = [op](const Rational& p, const Rational& q) {
      return op == "<=" ? p <= q : op == ">=" ? p >= q : op == "<" ? p < q : op == ">" ? p > q : p == q;
    };
    return {"(" + op + " " + a.text + " " + b.text + (chain ? " " + c.text : "") + ")", [=](const Point& x, const Point& y) {
              return related(a.value(x, y), b.value(x, y)) && (!chain || related(b.value(x, y), c.value(x, y)));
            }};
  }
  Point point(int n) {  // halves: ties are frequent
    Point p;
    for (int i = 0; i < n; ++i) p.push_back(Rational(pick(9) - 4, 2));
    return p;
  }
};

std::string declarations(int inputs, int outputs) {
  std::string s = "; declarations\n";
  for (int i = 0; i < inputs; ++i) s += "(declare-const X_" + std::to_string(i) + " Real)\n";
  for (int i = 0; i < outputs; ++i) s += "(declare-const Y_" + std::to_string(i) + " Real) ; an output\n";
  return s;
}

const std::string kBox = "(assert (and (>= X_0 -1) (<= X_0 1)))(assert (>= X_1 -1))(assert (< X_1 1.5))\n";

std::filesystem::path shared() {
  const char* at = std::getenv("BOUNDLIGHT_SHARED");
  return at ? std::filesystem::path(at) : std::filesystem::path(BL_SOURCE_DIR) / ".." / "shared";
}

bool same(const Property& a, const Property& b) {
  if (a.inputs != b.inputs || a.outputs != b.outputs || a.disjuncts.size() != b.disjuncts.size()) return false;
  const auto terms = [](const std::vector<LinearTerm>& s, const std::vector<LinearTerm>& t) {
    return std::equal(s.begin(), s.end(), t.begin(), t.end(), [](const LinearTerm& p, const LinearTerm& q) { return p.index == q.index && p.coefficient == q.coefficient; });
  };
  for (std::size_t d = 0; d < a.disjuncts.size(); ++d) {
    const InputBox &p = a.box_of(a.disjuncts[d]), &q = b.box_of(b.disjuncts[d]);
    if (p.lower != q.lower || p.upper != q.upper || p.lower_strict != q.lower_strict || p.upper_strict != q.upper_strict || p.empty != q.empty) return false;
    const auto &c = a.disjuncts[d].constraints, &e = b.disjuncts[d].constraints;
    if (c.size() != e.size()) return false;
    for (std::size_t i = 0; i < c.size(); ++i)
      if (!terms(c[i].inputs, e[i].inputs) || !terms(c[i].outputs, e[i].outputs) || c[i].bound != e[i].bound || c[i].strict != e[i].strict) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("the normal form says what the formula says, ties and strict comparisons included") {
  int violated = 0, clean = 0;
  for (int seed = 0; seed < 400; ++seed) {
    Generator g{std::mt19937_64(seed)};
    std::vector<Tree> asserted;
    std::string text = declarations(2, 3) + kBox;
    for (int n = 1 + g.pick(2); n > 0; --n) {
      asserted.push_back(g.formula(3));
      text += "(assert " + asserted.back().text + ")\n";
    }
    INFO("seed " << seed << "\n" << text);
    const auto property = parse_vnnlib(text, "random");
    REQUIRE(property.ok());
    const auto again = parse_vnnlib(to_vnnlib(property.value()), "again");
    REQUIRE(again.ok());
    for (int i = 0; i < 40; ++i) {
      const Point x = g.point(2), y = g.point(3);
      bool truth = x[0] >= -1 && x[0] <= 1 && x[1] >= -1 && x[1] < Rational(3, 2);
      for (const Tree& t : asserted) truth = truth && t.truth(x, y);
      (truth ? violated : clean)++;
      CHECK(violated_disjunct(property.value(), x, y).has_value() == truth);
      CHECK(violated_disjunct(again.value(), x, y).has_value() == truth);
    }
  }
  CHECK(violated > 500);
  CHECK(clean > 500);
}

TEST_CASE("the verdict does not depend on the order or repetition of disjuncts") {
  std::mt19937_64 random(7);
  for (int seed = 0; seed < 100; ++seed) {
    Generator g{std::mt19937_64(1000 + seed)};
    std::vector<std::string> parts;
    for (int i = 0; i < 4; ++i) parts.push_back(g.formula(1).text);
    const auto property_of = [&](const std::vector<std::string>& list) {
      std::string text = declarations(2, 3) + kBox + "(assert (or";
      for (const std::string& s : list) text += " " + s;
      return parse_vnnlib(text + "))", "order").value();
    };
    const Property first = property_of(parts);
    std::vector<std::string> shuffled = parts;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    shuffled.push_back(shuffled[0]);
    const Property second = property_of(shuffled);
    for (int i = 0; i < 30; ++i) {
      const Point x = g.point(2), y = g.point(3);
      CHECK(violated_disjunct(first, x, y).has_value() == violated_disjunct(second, x, y).has_value());
    }
  }
}

TEST_CASE("numbers are exact") {
  CHECK(*parse_decimal("0.1") == Rational(1, 10));
  CHECK(*parse_decimal("-1.25e-3") == Rational(-125, 100000));
  CHECK(*parse_decimal("+12E2") == 1200);
  CHECK(*parse_decimal("007") == 7);
  CHECK(*parse_decimal("00.10") == Rational(1, 10));
  CHECK(*parse_decimal(".5") == Rational(1, 2));
  CHECK(*parse_decimal("5.") == 5);
  for (const char* bad : {"", "-", ".", "e5", "1e", "1e+", "0x10", "1.2.3", "nan", "inf", "1e99999", "1e9999999999", "1_0"})
    CHECK(!parse_decimal(bad));
  const Property p = parse_vnnlib(declarations(1, 1) + "(assert (>= X_0 0.1))(assert (<= X_0 0.3))(assert (<= Y_0 -1e-400))", "n").value();
  CHECK(p.boxes[0].lower[0] == Rational(1, 10));
  CHECK(exact(p.boxes[0].lower_outward[0]) < Rational(1, 10));
  CHECK(exact(p.boxes[0].lower_inward[0]) > Rational(1, 10));
  CHECK(exact(p.boxes[0].upper_outward[0]) > Rational(3, 10));
  CHECK(exact(p.boxes[0].upper_inward[0]) < Rational(3, 10));
  CHECK(next_up(p.boxes[0].lower_outward[0]) == p.boxes[0].lower_inward[0]);
  CHECK(p.disjuncts[0].constraints[0].bound < 0);
}

TEST_CASE("strict ends are outside of the inward box, and an empty box is vacuous") {
  const Property p = parse_vnnlib(declarations(1, 1) + "(assert (> X_0 0.5))(assert (< X_0 1))(assert (<= Y_0 0))", "s").value();
  CHECK(p.boxes[0].lower_outward[0] == 0.5);
  CHECK(p.boxes[0].lower_inward[0] == next_up(0.5));
  CHECK(p.boxes[0].upper_inward[0] == next_down(1.0));
  CHECK(!p.vacuous());
  CHECK(parse_vnnlib(declarations(1, 1) + "(assert (> X_0 1))(assert (< X_0 0))", "e").value().vacuous());
  CHECK(parse_vnnlib(declarations(1, 1) + "(assert (>= X_0 1))(assert (< X_0 1))", "e").value().vacuous());
  CHECK(!parse_vnnlib(declarations(1, 1) + "(assert (>= X_0 1))(assert (<= X_0 1))", "e").value().vacuous());
}

TEST_CASE("the documented order of atoms and disjuncts") {
  const Property p = parse_vnnlib(declarations(1, 2) +
      "(assert (<= Y_0 1))(assert (or (= Y_0 2) (<= Y_0 3)))(assert (>= X_0 0))(assert (or (<= Y_1 4) (and (<= Y_1 5) (<= X_0 6))))(assert (<= X_0 7))(assert (<= Y_1 8))", "o").value();
  std::vector<std::vector<int>> bounds;
  for (const Disjunct& d : p.disjuncts) {
    bounds.emplace_back();
    for (const LinearConstraint& c : d.constraints) bounds.back().push_back(static_cast<int>(c.bound));
    CHECK(p.box_of(d).upper[0] == (bounds.back().back() == 8 && bounds.size() % 2 == 0 ? 6 : 7));
  }
  CHECK(bounds == std::vector<std::vector<int>>{{1, 2, -2, 4, 8}, {1, 2, -2, 5, 8}, {1, 3, 4, 8}, {1, 3, 5, 8}});
  CHECK(p.boxes.size() == 2);
}

TEST_CASE("errors name line and column") {
  const std::string d = "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n";
  const std::string box = "(assert (>= X_0 0))(assert (<= X_0 1))\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {d + "(assert (<= X_0 1)", "f:3:19"},
      {d + "(asert (<= X_0 1))", "f:3:2"},
      {d + "(assert (=< X_0 1))", "f:3:10"},
      {d + "(assert (<= X_1 1))", "f:3:13"},
      {d + "(assert (<= X_0 1x))", "f:3:17"},
      {d + "(assert (<= (* X_0 Y_0) 1))", "f:3:20"},
      {d + "(assert (<= (/ X_0 0) 1))", "f:3:20"},
      {d + "(assert (<= (/ 1 X_0) 1))", "f:3:18"},
      {d + "(assert (<= X_0))", "f:3:16"},
      {d + "(assert (or))", "f:3:12"},
      {d + "(assert (<= (sin X_0) 1))", "f:3:14"},
      {d + "; note\n  (assert\n   (and (<= X_0 1) foo))", "f:5:20"},
      {d + "(declare-const X_0 Real)", "f:3:16"},
      {d + "(declare-const Z Real)", "f:3:16"},
      {d + "(declare-const X_01 Real)", "f:3:16"},
      {d + "(declare-const X_1 Int)", "f:3:20"},
      {d + ")", "f:3:1"},
      {d + "(vnnlib-version <2.0>)", "f:3:2"},
      {d + box + "(assert (<= Y_0 0)))", "f:4:20"},
      {d, "f:3:1"},
      {"(declare-const Y_0 Real)(assert (<= Y_0 0))", "f:1:44"},
      {"(declare-const X_0 Real)(declare-const X_2 Real)(declare-const Y_0 Real)(assert (<= Y_0 0))", "f:1:92"},
      {d + "(assert (>= X_0 0))(assert (<= Y_0 0))", "f:3:39"},
      {d + "(assert (<= Y_0 1e-99999))", "f:3:17"},
  };
  for (const auto& [text, place] : cases) {
    INFO(text);
    const auto r = parse_vnnlib(text, "f");
    REQUIRE(!r.ok());
    INFO(r.error().text());
    CHECK(r.error().place == place);
    CHECK(!r.error().message.empty());
  }
}

TEST_CASE("hostile texts meet a limit, not the memory") {
  const std::string head = declarations(1, 1) + "(assert (>= X_0 0))(assert (<= X_0 1))";
  const auto names = [](const Result<Property>& r, const std::string& limit) {
    return !r.ok() && r.error().message.find(limit) != std::string::npos;
  };
  std::string deep = head + "(assert ";
  for (int i = 0; i < 5000; ++i) deep += "(and ";
  CHECK(names(parse_vnnlib(deep, "f"), "max_depth"));
  deep = head + "(assert (<= ";
  for (int i = 0; i < 5000; ++i) deep += "(+ ";
  CHECK(names(parse_vnnlib(deep, "f"), "max_depth"));
  std::string wide = head;
  for (int i = 0; i < 40; ++i) wide += "(assert (or (<= Y_0 1) (>= Y_0 2)))";
  CHECK(names(parse_vnnlib(wide, "f"), "max_disjuncts"));
  VnnlibLimits few;
  few.max_literals = 100;
  std::string many = head + "(assert (or";
  for (int i = 0; i < 30; ++i) many += " (and (<= Y_0 1) (>= Y_0 2) (<= Y_0 3))";
  CHECK(names(parse_vnnlib(many + ")) (assert (or (<= Y_0 1) (>= Y_0 2)))", "f", few), "max_literals"));
  std::string product = head + "(assert (<= Y_0 (*";
  for (int i = 0; i < 100000; ++i) product += " 1e1999";
  CHECK(names(parse_vnnlib(product + ")))", "f"), "max_digits"));
  few = {};
  few.max_variables = 1;
  CHECK(names(parse_vnnlib(declarations(2, 1), "f", few), "max_variables"));
  few = {};
  few.max_bytes = 10;
  CHECK(names(parse_vnnlib(head, "f", few), "max_bytes"));
}

TEST_CASE("random bytes and truncations never crash the reader") {
  std::mt19937_64 random(3);
  Generator g{std::mt19937_64(4)};
  const std::string whole = declarations(2, 3) + kBox + "(assert " + g.formula(4).text + ")";
  for (std::size_t n = 0; n < whole.size(); n += 7) (void)parse_vnnlib(whole.substr(0, n), "cut");
  int errors = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole;
    for (int k = 1 + static_cast<int>(random() % 4); k > 0; --k) text[random() % text.size()] = "()XY_019.e-+*/ \n;<>=andort"[random() % 27];
    errors += !parse_vnnlib(text, "noise").ok();
  }
  CHECK(errors > 500);
}

TEST_CASE("a witness is proved only when every output of the enclosure violates") {
  const Property p = parse_vnnlib(declarations(2, 3) + kBox + "(assert (<= Y_0 Y_1))", "w").value();
  const std::vector<double> x = {0.5, 0.25};
  CHECK(surely_violated_disjunct(p, x, {Interval(0, 1), Interval(1, 2), Interval(0)}) == std::size_t{0});
  CHECK(!surely_violated_disjunct(p, x, {Interval(0, 1), Interval(next_down(1.0), 2), Interval(0)}));
  CHECK(!surely_violated_disjunct(p, x, {Interval(0, 1), Interval::anything(), Interval(0)}));
  CHECK(surely_violated_disjunct(p, x, {Interval(0, 1), Interval(1, 2), Interval::anything()}) == std::size_t{0});
  CHECK(!surely_violated_disjunct(p, {0.5, 1.5}, {Interval(0), Interval(1), Interval(0)}));  // X_1 < 1.5
  CHECK(!surely_violated_disjunct(p, {NAN, 0}, {Interval(0), Interval(1), Interval(0)}));
}

TEST_CASE("every shared VNN-LIB file is read and written back equal", "[long]") {
  const auto folder = shared() / "data" / "specs";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: no shared data at " << folder.string());
    return;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".vnnlib") continue;
    ++files;
    INFO(entry.path().string());
    const auto p = read_vnnlib(entry.path());
    INFO((p.ok() ? "" : p.error().text()));
    REQUIRE(p.ok());
    CHECK(p.value().sha256 == sha256_hex(read_file(entry.path()).value()));
    const std::string name = entry.path().filename().string(), group = entry.path().parent_path().filename().string();
    const std::size_t disjuncts = p.value().disjuncts.size();
    if (group == "acasxu") {
      CHECK(p.value().inputs == 5);
      CHECK(p.value().boxes.size() == (name == "prop_6.vnnlib" ? 2 : 1));
      const std::map<std::string, std::size_t> expected = {{"prop_1.vnnlib", 1}, {"prop_2.vnnlib", 1}, {"prop_6.vnnlib", 8}, {"prop_7.vnnlib", 2}, {"prop_8.vnnlib", 3}, {"prop_10.vnnlib", 4}};
      if (expected.count(name)) CHECK(disjuncts == expected.at(name));
    }
    if (group == "mnistfc") CHECK((p.value().inputs == 784 && disjuncts == 9 && p.value().boxes.size() == 1));
    if (group == "oval21" || group == "cifar10_resnet") CHECK((p.value().inputs == 3072 && disjuncts == 9 && p.value().boxes.size() == 1));
    CHECK(!p.value().vacuous());
    if (p.value().inputs < 100) CHECK(same(p.value(), parse_vnnlib(to_vnnlib(p.value()), "again").value()));
  }
  CHECK(files >= 60);
}
