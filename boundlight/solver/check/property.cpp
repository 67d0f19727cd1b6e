#include "boundlight/solver/check/property.hpp"

#include <map>
#include <set>

#include "boundlight/core/bytes.hpp"
#include "boundlight/core/lists.hpp"
#include "boundlight/solver/check/model.hpp"

namespace boundlight::check {
namespace {

constexpr std::size_t kMaxLiterals = 20'000'000;
constexpr int kMaxDepth = 220;
constexpr std::int64_t kOutputs = std::int64_t{1} << 40, kOne = -1;  // keys of a linear form: inputs, outputs, constant

using Item = WordList;
using Linear = std::map<std::int64_t, Rational>;
struct Atom { Linear left; bool strict; };  // left <= 0, < 0 where strict
using Clause = std::vector<std::uint32_t>;

[[noreturn]] void refuse(std::size_t at, const char* why) { throw BadBytes{at, why}; }

class Parser {
 public:
  std::vector<Atom> atoms;
  std::set<std::int64_t> names;

  std::vector<Clause> file(std::string_view text) {
    std::vector<Clause> all(1);
    WordLists lists(text, kMaxDepth);
    while (const std::optional<Item> command = lists.next()) {
      const std::vector<Item>& part = command->list;
      const std::string_view what = part.empty() ? "" : part[0].word;
      if (what == "assert" && part.size() == 2) conjoin(all, normal_form(part[1], false), command->at);
      else if (what == "declare-const" && part.size() == 3) declare(part[1], part[2]);
      else if (what == "declare-fun" && part.size() == 4 && part[2].is_list() && part[2].list.empty()) declare(part[1], part[3]);
      else refuse(command->at, "an unknown command");
    }
    return all;
  }

 private:
  static std::int64_t variable(std::string_view name) {  // kOne: not a variable
    const bool fits = name.size() > 2 && name.size() <= 12 && (name[0] == 'X' || name[0] == 'Y') && name[1] == '_' && (name[2] != '0' || name.size() == 3);
    if (!fits || name.find_first_not_of("0123456789", 2) != name.npos) return kOne;
    return (name[0] == 'X' ? 0 : kOutputs) + std::stoll(std::string(name.substr(2)));
  }
  void declare(const Item& name, const Item& sort) {
    const std::int64_t v = variable(name.word);
    if (v == kOne || sort.word != "Real" || !names.insert(v).second) refuse(name.at, "a declaration must name a new X_i or Y_i of sort Real");
  }

  static bool is_constant(const Linear& e) { return e.empty() || (e.size() == 1 && e.begin()->first == kOne); }
  static void add(Linear& to, const Linear& e, const Rational& factor) {
    for (const auto& [v, c] : e) to[v] += factor * c;
  }
  static void tidy(Linear& e, std::size_t at) {
    for (const auto& [v, c] : e)
      if (msb(denominator(c)) > 16000 || (c != 0 && msb(abs(numerator(c))) > 16000)) refuse(at, "a number has too many digits");
    std::erase_if(e, [](const auto& t) { return t.second == 0; });
  }
  Linear linear(const Item& it) const {
    if (it.list.empty()) {
      const std::int64_t v = variable(it.word);
      const std::optional<Rational> number = v == kOne ? parse_decimal(it.word) : Rational(1);
      if (!number || (v != kOne && !names.count(v))) refuse(it.at, "not a number, nor a name that has been declared");
      Linear e{{v, *number}};
      tidy(e, it.at);
      return e;
    }
    const std::string_view op = it.list[0].word;
    if (it.list.size() < 2 || (op != "+" && op != "-" && op != "*" && op != "/")) refuse(it.at, "an unknown expression");
    Linear sum = linear(it.list[1]);
    if (it.list.size() == 2 && op == "/") refuse(it.at, "a quotient needs two parts");
    if (it.list.size() == 2 && op == "-") for (auto& t : sum) t.second = -t.second;
    for (std::size_t k = 2; k < it.list.size(); ++k) {
      Linear next = linear(it.list[k]);
      if (op == "+" || op == "-") { add(sum, next, op == "+" ? 1 : -1); continue; }
      if (op == "*" && is_constant(sum)) std::swap(sum, next);
      if (!is_constant(next) || (op == "/" && next.empty())) refuse(it.list[k].at, "not linear, or a division by zero");
      const Rational c = next.empty() ? Rational(0) : next.begin()->second;
      for (auto& t : sum) t.second *= op == "*" ? c : Rational(1 / c);
      tidy(sum, it.at);
    }
    tidy(sum, it.at);
    return sum;
  }

  std::vector<Clause> atom(const Linear& small, const Linear& large, bool strict, std::size_t at) {
    Linear left = small;
    add(left, large, -1);
    tidy(left, at);
    atoms.push_back({std::move(left), strict});
    return {{static_cast<std::uint32_t>(atoms.size() - 1)}};
  }
  static void conjoin(std::vector<Clause>& all, const std::vector<Clause>& next, std::size_t at) {
    std::size_t size = 0;
    for (const Clause& c : all) size += (c.size() + 1) * next.size();
    for (const Clause& c : next) size += (c.size() + 1) * all.size();
    if (size > kMaxLiterals) refuse(at, "the normal form is too large");
    if (next.size() == 1) {
      for (Clause& c : all) c.insert(c.end(), next[0].begin(), next[0].end());
      return;
    }
    std::vector<Clause> result;
    for (const Clause& a : all)
      for (const Clause& b : next) {
        result.push_back(a);
        result.back().insert(result.back().end(), b.begin(), b.end());
      }
    all = std::move(result);
  }
  std::vector<Clause> normal_form(const Item& it, bool negated) {
    const std::string_view op = it.list.empty() ? "" : it.list[0].word;
    if (op == "not" && it.list.size() == 2) return normal_form(it.list[1], !negated);
    std::vector<std::vector<Clause>> parts;
    bool conjunction = !negated;
    if ((op == "and" || op == "or") && it.list.size() > 1) {
      conjunction = (op == "and") != negated;
      for (std::size_t k = 1; k < it.list.size(); ++k) parts.push_back(normal_form(it.list[k], negated));
    } else if ((op == "<=" || op == "<" || op == ">=" || op == ">" || op == "=") && it.list.size() > 2) {
      std::vector<Linear> sides;
      for (std::size_t k = 1; k < it.list.size(); ++k) sides.push_back(linear(it.list[k]));
      for (std::size_t k = 0; k + 1 < sides.size(); ++k)
        for (const char c : {'<', '>'}) {
          if (op[0] != '=' && op[0] != c) continue;
          const bool strict = (op == "<" || op == ">") != negated, swapped = (c == '>') != negated;
          parts.push_back(atom(sides[k + swapped], sides[k + !swapped], strict, it.at));
        }
    } else {
      refuse(it.at, "an unknown formula");
    }
    std::vector<Clause> all(conjunction ? 1 : 0);
    for (std::vector<Clause>& part : parts) {
      if (conjunction) conjoin(all, part, it.at);
      else all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
};

// The box of the atoms that name one input only.
Region region_of(const std::vector<Atom>& atoms, const Clause& sides, std::size_t inputs) {
  Region r{std::vector<Rational>(inputs), std::vector<Rational>(inputs), {}, false};
  std::vector<int> lower(inputs, 0), upper(inputs, 0);  // 0: none, 1: closed, 2: strict
  for (const std::uint32_t i : sides) {
    const auto& [v, c] = *atoms[i].left.rbegin();
    const Rational end = atoms[i].left.size() == 2 ? Rational(-atoms[i].left.begin()->second / c) : Rational(0);
    int& state = (c > 0 ? upper : lower)[v];
    Rational& side = (c > 0 ? r.upper : r.lower)[v];
    if (state == 0 || (c > 0 ? end < side : end > side)) side = end, state = 1 + atoms[i].strict;
    else if (end == side && atoms[i].strict) state = 2;
  }
  for (std::size_t i = 0; i < inputs; ++i) {
    if (!lower[i] || !upper[i]) throw Refusal("property", "X_" + std::to_string(i) + " is not bounded on both sides in some disjunct");
    r.empty = r.empty || (r.lower[i] == r.upper[i] && lower[i] + upper[i] > 2);
  }
  round_outward(r);
  return r;
}

}  // namespace

void round_outward(Region& r) {
  r.outward = {};
  for (std::size_t i = 0; i < r.lower.size(); ++i) {
    r.outward.lower.push_back(round_down(r.lower[i])), r.outward.upper.push_back(round_up(r.upper[i]));
    if (r.lower[i] > r.upper[i]) r.empty = true;
  }
}

Requirement read_requirement(std::string_view text) {
  Parser parser;
  std::vector<Clause> clauses;
  try {
    clauses = parser.file(text);
  } catch (const BadBytes& b) {
    throw Refusal("property, byte " + std::to_string(b.at), b.why);
  }
  Requirement r;
  for (const std::int64_t v : parser.names) {
    if (v != (v < kOutputs ? static_cast<std::int64_t>(r.inputs) : kOutputs + static_cast<std::int64_t>(r.outputs))) throw Refusal("property", "variables are not numbered from 0 without gaps");
    ++(v < kOutputs ? r.inputs : r.outputs);
  }
  if (r.inputs == 0 || r.outputs == 0 || parser.atoms.empty()) throw Refusal("property", "declares no inputs or no outputs, or asserts nothing");
  std::map<Clause, std::size_t> regions;
  for (const Clause& clause : clauses) {
    Disjunct d;
    Clause sides;
    for (const std::uint32_t i : clause) {
      const Atom& a = parser.atoms[i];
      if (a.left.size() - a.left.count(kOne) == 1 && a.left.rbegin()->first < kOutputs) { sides.push_back(i); continue; }
      Constraint c;
      c.strict = a.strict;
      c.bounds = {a.left.count(kOne) ? Rational(-a.left.at(kOne)) : Rational(0)};
      for (const auto& [v, q] : a.left)
        if (v != kOne) (v < kOutputs ? c.inputs : c.outputs).emplace_back(static_cast<std::uint32_t>(v < kOutputs ? v : v - kOutputs), q);
      d.constraints.push_back(std::move(c));
    }
    const auto [found, fresh] = regions.emplace(sides, r.regions.size());
    if (fresh) {
      if ((r.regions.size() + 1) * r.inputs > kMaxLiterals) throw Refusal("property", "the boxes are too large together");
      r.regions.push_back(region_of(parser.atoms, sides, r.inputs));
    }
    d.region = found->second;
    r.disjuncts.push_back(std::move(d));
  }
  r.words = "the property file";
  return r;
}

}  // namespace boundlight::check
