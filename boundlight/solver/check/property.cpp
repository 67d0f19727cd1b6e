#include "boundlight/solver/check/property.hpp"

#include <map>
#include <set>

#include "boundlight/solver/check/model.hpp"

namespace boundlight::check {
namespace {

constexpr std::size_t kMaxLiterals = 20'000'000;
constexpr int kMaxDepth = 220;
constexpr std::int64_t kOutputs = std::int64_t{1} << 40, kOne = -1;  // keys of a linear form: inputs, outputs, constant

struct Item {  // a word, or a list where the word is empty
  std::string_view word;
  std::vector<Item> list;
  std::size_t at = 0;
};
using Linear = std::map<std::int64_t, Rational>;
struct Atom { Linear left; bool strict; };  // left <= 0, < 0 where strict
using Clause = std::vector<std::uint32_t>;

[[noreturn]] void refuse(std::size_t at, const char* why) { throw Refusal("property, byte " + std::to_string(at), why); }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  std::vector<Atom> atoms;
  std::set<std::int64_t> names;

  std::vector<Clause> file() {
    std::vector<Clause> all(1);
    for (skip(); at_ < text_.size(); skip()) {
      const Item command = item(0);
      const std::string_view what = command.list.empty() ? "" : command.list[0].word;
      if (what == "assert" && command.list.size() == 2) conjoin(all, normal_form(command.list[1], false), command.at);
      else if (what == "declare-const" && command.list.size() == 3) declare(command.list[1], command.list[2]);
      else if (what == "declare-fun" && command.list.size() == 4 && command.list[2].word.empty() && command.list[2].list.empty()) declare(command.list[1], command.list[3]);
      else refuse(command.at, "an unknown command");
    }
    return all;
  }

 private:
  void skip() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == ';') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
      else if (text_[at_] != ' ' && (text_[at_] < '\t' || text_[at_] > '\r')) return;
    }
  }
  Item item(int depth) {
    Item it{{}, {}, at_};
    if (depth > kMaxDepth) refuse(at_, "nested too deeply");
    if (text_[at_] != '(') {
      const std::size_t end = std::min(text_.find_first_of(" \t\n\v\f\r();", at_), text_.size());
      if (end == at_) refuse(at_, "a ')' without a '('");
      it.word = text_.substr(at_, end - at_);
      at_ = end;
      return it;
    }
    for (++at_, skip();; skip()) {
      if (at_ >= text_.size()) refuse(it.at, "a '(' is not closed");
      if (text_[at_] == ')') break;
      it.list.push_back(item(depth + 1));
    }
    ++at_;
    return it;
  }

  static std::int64_t variable(const Item& it) {  // kOne: not a variable
    std::int64_t i = 0;
    if (it.word.size() > 3 && it.word[2] == '0') return kOne;
    if (it.word.size() < 3 || it.word.size() > 12 || (it.word[0] != 'X' && it.word[0] != 'Y') || it.word[1] != '_') return kOne;
    for (const char c : it.word.substr(2)) {
      if (c < '0' || c > '9') return kOne;
      i = 10 * i + (c - '0');
    }
    return it.word[0] == 'X' ? i : kOutputs + i;
  }
  void declare(const Item& name, const Item& sort) {
    const std::int64_t v = variable(name);
    if (v == kOne || sort.word != "Real" || !names.insert(v).second) refuse(name.at, "a declaration must name a new X_i or Y_i of sort Real");
  }

  static Rational number(const Item& it) {
    using boost::multiprecision::cpp_int;
    cpp_int digits = 0;
    std::size_t k = it.word.find_first_not_of("+-") == 1 ? 1 : 0, count = 0;
    std::int64_t shift = 0, exponent = 0;
    bool point = false;
    for (; k < it.word.size() && it.word[k] != 'e' && it.word[k] != 'E'; ++k) {
      const char c = it.word[k];
      if (c == '.' && !point) { point = true; continue; }
      if (c < '0' || c > '9' || ++count > 2000) refuse(it.at, "not a number or name that is known here");
      digits = digits * 10 + (c - '0');
      shift -= point;
    }
    if (count == 0) refuse(it.at, "not a number or name that is known here");
    if (k < it.word.size()) {
      std::string_view rest = it.word.substr(k + 1);
      const char sign = rest.empty() ? '+' : rest[0];
      if (!rest.empty() && (sign == '-' || sign == '+')) rest.remove_prefix(1);
      if (rest.empty() || rest.size() > 9 || rest.find_first_not_of("0123456789") != rest.npos) refuse(it.at, "not an exponent");
      for (const char c : rest) exponent = 10 * exponent + (c - '0');
      shift += sign == '-' ? -exponent : exponent;
    }
    if (shift > 2000 || shift < -2000) refuse(it.at, "an exponent is out of range");
    const cpp_int power = pow(cpp_int(10), static_cast<unsigned>(std::abs(shift)));
    const Rational q = shift < 0 ? Rational(digits, power) : Rational(digits * power);
    return it.word[0] == '-' ? Rational(-q) : q;
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
      const std::int64_t v = variable(it);
      if (v != kOne && !names.count(v)) refuse(it.at, "a name is used before it is declared");
      Linear e{{v, v == kOne ? number(it) : Rational(1)}};
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

  std::string_view text_;
  std::size_t at_ = 0;
};

// Which sides have been given, beside the region itself.
struct Sides {
  Region region;
  std::vector<char> lower, upper;  // 0: none, 1: closed, 2: strict

  explicit Sides(std::size_t n) : lower(n, 0), upper(n, 0) { region.lower.resize(n); region.upper.resize(n); }
  void narrow(const Atom& a) {
    const auto& [v, c] = *a.left.rbegin();
    const Rational end = a.left.size() == 2 ? Rational(-a.left.begin()->second / c) : Rational(0);
    const std::size_t i = static_cast<std::size_t>(v);
    char& state = c > 0 ? upper[i] : lower[i];
    Rational& side = c > 0 ? region.upper[i] : region.lower[i];
    if (state == 0 || (c > 0 ? end < side : end > side)) { side = end; state = a.strict ? 2 : 1; }
    else if (end == side && a.strict) state = 2;
  }
  Region finish() {
    for (std::size_t i = 0; i < lower.size(); ++i) {
      if (!lower[i] || !upper[i]) throw Refusal("property", "X_" + std::to_string(i) + " is not bounded on both sides in some disjunct");
      if (region.lower[i] == region.upper[i] && lower[i] + upper[i] > 2) region.empty = true;
    }
    round_outward(region);
    return std::move(region);
  }
};

}  // namespace

void round_outward(Region& r) {
  r.outward = {};
  for (std::size_t i = 0; i < r.lower.size(); ++i) {
    r.outward.lower.push_back(round_down(r.lower[i])), r.outward.upper.push_back(round_up(r.upper[i]));
    if (r.lower[i] > r.upper[i]) r.empty = true;
  }
}

Requirement read_requirement(std::string_view text) {
  Parser parser(text);
  const std::vector<Clause> clauses = parser.file();
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
      std::size_t terms = a.left.size() - a.left.count(kOne);
      if (terms == 1 && a.left.rbegin()->first < kOutputs) { sides.push_back(i); continue; }
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
      Sides box(r.inputs);
      for (const std::uint32_t i : sides) box.narrow(parser.atoms[i]);
      r.regions.push_back(box.finish());
    }
    d.region = found->second;
    r.disjuncts.push_back(std::move(d));
  }
  return r;
}

}  // namespace boundlight::check
